#!/usr/bin/env python3
"""Who does not exist is refused at RCPT, and a stranger's mail that fails later answers nobody who may be forged."""
import pathlib, re, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = """good.test. TXT "v=spf1 ip4:127.0.0.2 -all"
victim.test. TXT "v=spf1 ?all"
_dmarc.signed.test. TXT "v=DMARC1; p=none"
"""


def mail(domain, subject="x"):
    return f"From: a@{domain}\r\nTo: b@local.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@{domain}>\r\n\r\nHello.\r\n".encode()


def outside(port):
    c = smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.test", source_address=("127.0.0.2", 0))
    c.ehlo()
    return c


def give(w, sender, recipient, text, options=()):
    with outside(w.port) as c:
        assert c.mail(sender)[0] == 250
        code, reply = c.rcpt(recipient, options)
        if code == 250:
            code, reply = c.data(text)
        return code, reply.decode()


def answered(w, address):
    """0: the connection went away, as it may while a process is replaced."""
    try:
        return give(w, "x@good.test", address, mail("good.test"))[0]
    except (smtplib.SMTPException, OSError, AssertionError):
        return 0


def rcpt(c, address):
    code, reply = c.docmd(f"RCPT TO:<{address}>")
    return code, reply.decode()


def existing(tmp, one_process):
    root = pathlib.Path(tmp, f"mail-{one_process}")
    (root / "local.test" / "ann").mkdir(parents=True)
    for user in ("bob+list", "postmaster"):
        (root / "local.test" / user).mkdir()
    (root / "local.test" / "file").write_text("")
    listed, forwards = root / "recipients", root / "forwards"
    listed.write_text("# who is there\nann\nBob@lmtp.test\n")
    forwards.write_text("team@local.test ann@local.test\npostmaster@lmtp.test ann@local.test\ntop+x@local.test ann@local.test\n")
    sink = Sink(root / "sink")
    with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\nforwards_file = "{forwards}"\nbad_commands_max = 5\ndns = "zone:/dev/null"\n',
                 route=f'route "local.test" {{ via = {{ "maildir:{root}/%d/%u" }} local = yes }}\n'
                       f'route "lmtp.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none local = yes recipients_file = "{listed}" }}\n'
                       f'route "bare.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none local = yes recipients_file = "{listed}" }}\n',
                 one_process=one_process) as w:
        with outside(w.port) as c:
            assert c.docmd("MAIL FROM:<x@good.test>")[0] == 250
            for there in ("ann@local.test", "ANN@Local.Test", "ann+tag@local.test", "bob+list@local.test", "team@local.test",
                          "Team+x@local.test", "ann@lmtp.test", "bob@LMTP.test", "ann+a+b@lmtp.test", "postmaster@lmtp.test"):
                assert rcpt(c, there)[0] == 250, (there, rcpt(c, there))
        for bad in ("nobody@local.test", "bob@local.test", "file@local.test", "tmp/../ann@local.test", ".ann@local.test", "carl@lmtp.test",
                    "bob@bare.test", "team@lmtp.test", "postmaster@bare.test"):
            with w.client() as c:  # our own clients are told as early
                c.docmd("EHLO x")
                c.docmd("MAIL FROM:<x@good.test>")
                code, text = rcpt(c, bad)
                assert (code, text) == (550, "5.1.1 There is no such mailbox here") or code == 501, (bad, code, text)
        # whoever tries many is sent away
        with outside(w.port) as c:
            c.docmd("MAIL FROM:<x@good.test>")
            codes = [rcpt(c, f"guess{n}@{('local', 'lmtp')[n % 2]}.test")[0] for n in range(6)]
            assert codes == [550] * 5 + [421], codes
        # what is taken comes where it belongs
        id = w.send(mail("good.test"), to=["ann+tag@local.test", "postmaster"])
        wait_for(lambda: w.states(id) == ["delivered"] * 2, "the tagged address, and the first domain's postmaster")
        assert len(list((root / "local.test" / "ann" / "new").glob("*"))) == 1
        assert "no_postmaster" in (w.dir / "log").read_text() and "postmaster@bare.test" in (w.dir / "log").read_text()
        # users come and go while it runs
        (root / "local.test" / "carl").mkdir()
        assert give(w, "x@good.test", "carl@local.test", mail("good.test"))[0] == 250
        listed.write_text("bob\ndora\n")
        assert answered(w, "new@bare.test") == 550
        forwards.write_text(forwards.read_text() + "new@bare.test ann@local.test\n")
        w.process.send_signal(signal.SIGHUP)
        wait_for(lambda: answered(w, "dora@bare.test") == 250, "the new list")
        wait_for(lambda: answered(w, "ann@bare.test") == 550, "the end of the old one")
        assert answered(w, "new@bare.test") == 250, "forwards are read again, too"
        listed.write_text("bob\n@bad\n")
        w.process.send_signal(signal.SIGHUP)  # a list that cannot be read changes nothing
        wait_for(lambda: "recipients:2" in (w.dir / "log").read_text(), "the complaint")
        assert not one_process or answered(w, "dora@bare.test") == 250
        assert w.stop() == 0
    sink.close()


def backscatter(tmp):
    """The next hop refuses: only a sender that is proven hears of it."""
    folder, zone = pathlib.Path(tmp, "backscatter"), pathlib.Path(tmp, "zone")
    folder.mkdir()
    keys = subprocess.run([binary(), "dkim", "keygen", "signed.test", "s", "--folder", folder], check=True,
                          capture_output=True, text=True).stdout
    zone.write_text(ZONE + keys)
    signed = folder / "signed.eml"
    signed.write_bytes(mail("signed.test"))
    signed = subprocess.run([binary(), "dkim", "sign", "--key", f"{folder}/signed.test.s.pem:s:signed.test", signed],
                            check=True, capture_output=True).stdout
    for option in ("--reject-rcpt", "--reject-data"):
        lmtp, out = Sink(folder / f"in{option}", option, "550 5.1.1"), Sink(folder / f"out{option}")
        with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{zone}"\n',
                     route=f'route "local.test" {{ via = "127.0.0.1:{lmtp.port}" protocol = lmtp tls = none local = yes }}\n'
                           f'route "*" {{ via = "127.0.0.1:{out.port}" tls = none }}\n') as w:
            def fails(sender, text, options=()):
                code, reply = give(w, sender, "b@local.test", text, options)
                assert code == 250, reply
                id = reply.split()[-1]
                wait_for(lambda: w.states(id) == ["bounced"], f"the failure of {sender}")
                return id

            for sender, text, options in (
                    ("a@victim.test", mail("victim.test", "1"), ()),                   # SPF neutral
                    ("a@victim.test", mail("victim.test", "2"), ("NOTIFY=FAILURE",)),  # asking does not help
                    ("a@nowhere.test", mail("good.test", "3"), ()),                    # no SPF at all
                    ("a@victim.test", signed, ()),                                     # DKIM of somebody else
                    ("", mail("good.test", "4"), ()),                                  # a bounce
                    ("a@good.test", mail("good.test", "5"), ("NOTIFY=NEVER",))):
                fails(sender, text, options)
            told = [fails("a@good.test", mail("victim.test", "6")), fails("a@signed.test", signed)]
            wait_for(lambda: len(out.mails()) == 2, "the two reports")
            time.sleep(0.3)
            tos = sorted(re.search(rb"X-Sink-To: <(.*?)>", m)[1] for m in out.mails())
            assert tos == [b"a@good.test", b"a@signed.test"], tos
            for m in out.mails():
                assert m.startswith(b"X-Sink-From: <>") and b"report-type=delivery-status" in m, m
                assert any(id.encode() in m for id in told), m
            assert w.stop() == 0
        lmtp.close(), out.close()


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        existing(tmp, one_process)
    backscatter(tmp)
print("3 passed, 0 failed")
