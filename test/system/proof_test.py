#!/usr/bin/env python3
"""Mail from strangers to a local domain is checked by SPF, DKIM, ARC and DMARC, and then taken,
marked or refused; everything else from strangers is refused."""
import pathlib, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = """good.test. TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.good.test. TXT "v=DMARC1; p=reject"
bad.test. TXT "v=spf1 -all"
_dmarc.bad.test. TXT "v=DMARC1; p=reject"
unsure.test. TXT "v=spf1 -all"
_dmarc.unsure.test. TXT "v=DMARC1; p=quarantine"
slow.test. TXT "v=spf1 include:dead.test -all"
;!timeout dead.test.
"""


def mail(domain, extra=""):
    return (f"{extra}From: a@{domain}\r\nTo: b@local.test\r\nSubject: x\r\nMessage-ID: <1@{domain}>\r\n\r\nHello.\r\n").encode()


def give(port, sender, recipient, text):
    with smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.test") as s:
        try:
            s.sendmail(sender, [recipient], text)
            return 250, ""
        except smtplib.SMTPRecipientsRefused as e:
            return next(iter(e.recipients.values()))
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error


with tempfile.TemporaryDirectory() as tmp:
    zone = pathlib.Path(tmp, "zone")
    for one_process in (False, True):
        sink = Sink(f"{tmp}/{one_process}")
        key = pathlib.Path(tmp, f"key-{one_process}")
        made = subprocess.run([binary(), "dkim", "keygen", "--algorithm", "ed25519", "--folder", tmp, "--force", "signed.test", "s"],
                              capture_output=True, check=True)
        signing = pathlib.Path(tmp, "signed.test.s-ed.pem")
        zone.write_text(ZONE + made.stdout.decode() + '_dmarc.signed.test. TXT "v=DMARC1; p=reject"\n')
        route = "".join(f'route "{d}.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none local = yes unproven = {how} }}\n'
                        for d, how in (("local", "obey"), ("tagging", "tag"), ("easy", "accept")))
        maildir = pathlib.Path(tmp, f"files-{one_process}/b")
        maildir.mkdir(parents=True)
        route += f'route "files.test" {{ via = {{ "maildir:{maildir.parent}/%u" }} local = yes }}\n'
        with Waybill(settings=f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{zone}"\n'
                     f'key stolen {{ domain = "bad.test" selector = "s" file = "{signing}" }}',
                     route=route, one_process=one_process) as w:
            def take(domain, recipient="b@local.test", extra="", sender=None):
                before = len(sink.mails())
                code, text = give(w.port, sender or f"a@{domain}", recipient, mail(domain, extra))
                if code != 250:
                    return code, text, b""
                wait_for(lambda: len(sink.mails()) > before, "the delivery")
                return code, text, sink.mails()[-1]

            code, _, got = take("good.test")
            assert code == 250, code
            top = got.split(b"\r\nFrom:")[0]
            assert b"Authentication-Results: waybill.test;" in top and b"spf=pass" in top and b"dmarc=pass" in top, got
            assert b"Received-SPF: pass" in top and b"Quarantine" not in top, got

            code, text, _ = take("bad.test")
            assert code == 550 and b"5.7.26" in text and b"bad.test" in text, (code, text)
            code, _, got = take("bad.test", "b@tagging.test")
            assert code == 250 and b"X-Waybill-Quarantine: dmarc=fail policy=reject" in got, got
            assert b"DKIM-Signature" not in got, "a stranger's mail was signed"
            code, _, got = take("bad.test", "b@easy.test")
            assert code == 250 and b"dmarc=fail" in got and b"Quarantine" not in got, got
            code, _, got = take("unsure.test")
            assert code == 250 and b"X-Waybill-Quarantine: dmarc=fail policy=quarantine" in got, got

            # DKIM alone carries a message whose sender is not allowed by SPF
            path = pathlib.Path(tmp, "m.eml")
            path.write_bytes(mail("signed.test"))
            signed = subprocess.run([binary(), "dkim", "sign", "--key", f"{signing}:s-ed:signed.test", str(path)],
                                    capture_output=True, check=True).stdout
            before = len(sink.mails())
            assert give(w.port, "list@bad.test", "b@local.test", signed)[0] == 250
            wait_for(lambda: len(sink.mails()) > before, "the signed message")
            got = sink.mails()[-1]
            assert b"dkim=pass" in got and b"dmarc=pass" in got and b"spf=fail" in got, got

            # two authors of different domains would leave no policy to obey
            def shared(to):
                return give(w.port, "a@good.test", to, mail("good.test, x@bad.test"))
            code, text = shared("b@local.test")
            assert code == 550 and b"one author" in text, (code, text)
            for to, marked in (("b@tagging.test", True), ("b@easy.test", False)):
                before = len(sink.mails())
                assert shared(to)[0] == 250
                wait_for(lambda: len(sink.mails()) > before, "the mail of two authors")
                assert (b"X-Waybill-Quarantine: dmarc=permerror" in sink.mails()[-1]) == marked, sink.mails()[-1]

            # what claims to be ours goes, what others say stays
            forged = "Authentication-Results: waybill.test; dmarc=pass\r\nAuthentication-Results: other.test; spf=pass\r\n"
            _, _, got = take("unsure.test", extra=forged)
            assert got.count(b"Authentication-Results: waybill.test") == 1 and b"dmarc=pass" not in got, got
            assert b"Authentication-Results: other.test; spf=pass" in got, got

            # one Return-Path, and that is the business of whoever delivers finally: LMTP and SMTP get none
            _, _, got = take("good.test", extra="Return-Path: <forged@bad.test>\r\nreturn-path: <forged@bad.test>\r\n")
            assert b"eturn-" not in got and b"forged@" not in got, got
            before = set((maildir / "new").glob("*"))
            assert give(w.port, "a@good.test", "b@files.test", mail("good.test", "Return-Path: <forged@bad.test>\r\n"))[0] == 250
            (path,) = wait_for(lambda: set((maildir / "new").glob("*")) - before, "the Maildir")
            got = path.read_bytes()
            assert got.startswith(b"Return-Path: <a@good.test>\nDelivered-To: b@files.test\nReceived: from"), got
            assert got.count(b"Return-Path:") == 1 and b"forged" not in got, got
            assert got.count(b"\nReceived-SPF: pass") == 1 and got.count(b"\nAuthentication-Results: waybill.test;") == 1, got

            code, _, got = take("slow.test")
            assert code == 250 and b"spf=temperror" in got, (code, got)
            code, text = give(w.port, "a@good.test", "b@elsewhere.test", mail("good.test"))
            assert code == 550 and b"Relaying denied" in text, (code, text)
            # a stranger names no stream
            assert take("good.test", extra="X-Waybill-Stream: nosuch\r\n")[0] == 250
            assert w.stop() == 0
        sink.close()
print("2 passed, 0 failed")
