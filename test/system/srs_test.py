#!/usr/bin/env python3
"""Forwarded mail leaves with an SRS address; a bounce to it reaches the first sender, and nothing else does."""
import pathlib, re, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

DSN = "From: MAILER-DAEMON@two.test\r\nTo: {0}\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report;" \
      " report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" \
      "Reporting-MTA: dns; two.test\r\n\r\nFinal-Recipient: rfc822; far@two.test\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
LONG = "a" * 45


def text(sender, subject):
    return f"From: {sender}\r\nTo: list@one.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@author.test>\r\n\r\nHello.\r\n".encode()


def outside(port):
    c = smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.test", source_address=("127.0.0.2", 0))
    c.ehlo()
    return c


def bring(w, sender, recipients, body):
    """The answers to RCPT, and to the dot if one was taken."""
    with outside(w.port) as c:
        assert c.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        codes = [c.docmd(f"RCPT TO:<{r}>") for r in recipients]
        if all(code != 250 for code, _ in codes):
            return codes
        return codes + [c.data(body)]


def sender_of(mail):
    return re.search(rb"X-Sink-From: <([^>]*)>", mail)[1].decode()


class Place:
    """A forwarder, with the next hop and the first sender's MX."""

    def __init__(self, tmp, mode, one_process=False, more=""):
        folder = pathlib.Path(tmp, f"{mode}-{one_process}{len(more)}")
        folder.mkdir()
        self.far, self.origin = Sink(folder / "far"), Sink(folder / "origin")
        (folder / "zone").write_text('author.test. TXT "v=spf1 ip4:127.0.0.2 -all"\n')
        (folder / "forwards").write_text("list@one.test far@two.test\nboth@one.test far@two.test me@one.test\n")
        self.waybill = Waybill(
            settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{folder}/zone"\nreturn_path_domain = "return.test"\n'
                     f'forwards_file = "{folder}/forwards"\nforward_return_path = {mode}\nforged_bounces_max = 5\n{more}',
            route=f'route "one.test" {{ via = "127.0.0.1:{self.origin.port}" tls = none local = yes }}\n'
                  f'route "author.test" {{ via = "127.0.0.1:{self.origin.port}" tls = none }}\n'
                  f'route "*" {{ via = "127.0.0.1:{self.far.port}" tls = none }}\n', one_process=one_process)

    def forwards(self, sender, recipient="list@one.test"):
        """The sender with which it leaves."""
        before = len(self.far.mails())
        codes = bring(self.waybill, sender, [recipient], text(sender, f"s{before}"))
        assert codes[-1][0] == 250, codes
        wait_for(lambda: len(self.far.mails()) > before, f"mail of {sender}")
        return sender_of(self.far.mails()[-1])

    def close(self):
        assert self.waybill.stop() == 0
        self.far.close(), self.origin.close()


def there_and_back(tmp, one_process):
    p = Place(tmp, "srs", one_process)
    with p.waybill as w:
        path = p.forwards("A.b+c=d@author.test")
        assert re.fullmatch(r"SRS0=[A-Za-z0-9+/]{8}=[A-Z2-7]{2}=author\.test=A\.b\+c=d@return\.test", path), path
        # the next hop took it, and bounces it later; some write it in lower case
        for n, address in enumerate((path, path.lower()), 1):
            codes = bring(w, "", [address], DSN.format(address).encode())
            assert codes[-1][0] == 250, codes
            wait_for(lambda: len(p.origin.mails()) == n, "the bounce at its sender's")
            got = p.origin.mails()[-1]
            assert got.startswith(b"X-Sink-From: <>\r\nX-Sink-To: <a.b+c=d@author.test>" if n == 2 else
                                  b"X-Sink-From: <>\r\nX-Sink-To: <A.b+c=d@author.test>"), got[:200]
            assert b"Final-Recipient: rfc822; far@two.test" in got and got.count(b"\nReceived:") == 1, got
            id = codes[-1][1].decode().split()[-1]
            assert w.show(id)["recipients"][0]["address"].lower() == "a.b+c=d@author.test"
        # it is no relay: only for bounces, and for nobody beside it
        assert bring(w, "x@evil.test", [path], b"x\r\n")[0] == (550, b"5.7.1 This address takes bounces only")
        codes = bring(w, "", [path, "list@one.test", "someone@else.test"], DSN.format(path).encode())
        assert [c for c, _ in codes] == [250, 452, 550, 250], codes
        assert bring(w, "", ["list@one.test", path], b"x\r\n")[1][0] == 452
        # the same secret after a restart
        w.stop()
        w.start()
        assert bring(w, "", [path], DSN.format(path).encode())[-1][0] == 250
        # what others forwarded before us
        assert re.fullmatch(r"SRS1=.{8}=first\.test==HHHH=TT=author\.test=a@return\.test", p.forwards("SRS0=HHHH=TT=author.test=a@first.test"))
        again = p.forwards("SRS1=hhhh=first.test==HHHH=TT=author.test=a@second.test")
        assert re.fullmatch(r"SRS1=.{8}=first\.test==HHHH=TT=author\.test=a@return\.test", again)
        assert bring(w, "", [again], DSN.format(again).encode())[-1][0] == 250
        wait_for(lambda: b"<SRS0=HHHH=TT=author.test=a@first.test>" in p.far.mails()[-1], "the bounce at the first forwarder's")
        # what does not fit gets a signed address; the null sender and our own senders stay
        assert p.forwards(f"{LONG}@author.test").startswith("bounces+")
        assert p.forwards("") == "" and p.forwards("me@one.test") == "me@one.test"
        before = len(p.origin.mails())
        assert p.forwards("a@author.test", "both@one.test").startswith("SRS0=")
        wait_for(lambda: len(p.origin.mails()) > before, "the copy that stays")
        assert sender_of(p.origin.mails()[-1]) == "a@author.test", p.origin.mails()[-1]
        # forgeries find nobody, and few may be tried
        local = path.split("@")[0].split("=")
        for what in ("=".join(["SRS0", "AAAAAAAA"] + local[2:]), "=".join(local[:3] + ["victim.test"] + local[4:]),
                     "=".join(local[:2] + ["AA"] + local[3:]), "SRS1=AAAAAAAA=victim.test==x=y=z=a", "SRS0=x"):
            codes = bring(w, "", [f"{what}@return.test"], b"x\r\n")
            assert codes == [(550, b"5.1.1 There is no such bounce address here")], (what, codes)
        assert bring(w, "", ["SRS0=AAAAAAAA=AA=victim.test=a@return.test"], b"x\r\n")[0][0] == 421
        with w.client() as c:  # from elsewhere the true one still works
            c.ehlo()
            c.docmd("MAIL FROM:<>")
            assert c.docmd(f"RCPT TO:<{path}>")[0] == 250
        assert all(b"victim.test" not in m for m in p.far.mails())
        p.close()


def told_by_us(tmp, one_process):
    """With a signed address the bounce comes to us, and we tell the first sender, once, if it is the one it says."""
    p = Place(tmp, "signed", one_process)
    with p.waybill as w:
        told = []
        for sender, report in (("a@author.test", True), ("a@unproven.test", False), ("", None)):
            path = p.forwards(sender, "list+x=1@one.test")
            if sender == "":
                assert path == "", path
                continue
            id = path.removeprefix("bounces+").split(".")[0]
            wait_for(lambda: w.states(id) == ["delivered"], "its outcome")
            for _ in range(2):
                assert bring(w, "", [path], DSN.format(path).encode())[-1][0] == 250
            story = w.show(id)
            assert story["recipients"][0]["state"] == "bounced" and len([e for e in story["events"] if e["event"] == "reported"]) == 2
            told += [id] if report else []
            w.command("suppress", "remove", "far@two.test")
        wait_for(lambda: len(p.origin.mails()) == len(told), "the report")
        time.sleep(0.3)
        (got,) = p.origin.mails()
        assert got.startswith(b"X-Sink-From: <>") and b"\r\nX-Sink-To: <a@author.test>\r\n" in got, got
        assert told[0].encode() in got and b"Final-Recipient: rfc822; far@two.test" in got and b"Status: 5.1.1" in got, got
        assert all(b"unproven" not in m for m in p.far.mails()[3:]), "a report to somebody who may be anybody"
        assert b"Original-Recipient: rfc822;list+x=1@one.test\r\n" in got, ("the address that was written to", got)
        p.close()


def nothing_local(tmp):
    """Without a local domain nothing was forwarded, so even a true address is none."""
    p = Place(tmp, "srs", more="segment_size = 1MiB\n")
    with p.waybill as w:
        path = p.forwards("a@author.test")
        w.stop()
        w.config.write_text(w.config.read_text().replace(" local = yes", ""))
        w.start()
        assert bring(w, "", [path], DSN.format(path).encode())[0] == (550, b"5.1.1 There is no such bounce address here")
        p.close()


def other_modes(tmp):
    for mode, sender in (("signed", r"bounces\+.*@return\.test"), ("original", r"a@author\.test")):
        p = Place(tmp, mode, more="stream default { return_path = original }\n" if mode == "signed" else "")
        with p.waybill:
            assert re.fullmatch(sender, p.forwards("a@author.test")), mode
            p.close()


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        there_and_back(tmp, one_process)
        told_by_us(tmp, one_process)
    nothing_local(tmp)
    other_modes(tmp)
print("6 passed, 0 failed")
