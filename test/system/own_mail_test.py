#!/usr/bin/env python3
"""A report of failure that we write ourselves leaves signed by the key of our host name's domain; without a key that
fits, or while the keys role is gone, it leaves unsigned."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"


def verified(message, zone, tmp):
    path = pathlib.Path(tmp, "report.eml")
    path.write_bytes(message[message.index(b"DKIM-Signature:"):])
    r = subprocess.run([binary(), "dkim", "verify", "--json", "--dns", str(zone), str(path)], capture_output=True, text=True)
    return [(s["result"], s["domain"]) for s in json.loads(r.stdout)["signatures"]]


def failures(tmp, one_process, key_domain, silent=False, hostname="waybill.test"):
    folder = pathlib.Path(tmp, f"{one_process}-{key_domain}-{silent}-{hostname}")
    folder.mkdir()
    zone = folder / "zone"
    zone.write_bytes(subprocess.run([binary(), "dkim", "keygen", key_domain, "s", "--folder", str(folder)],
                                    capture_output=True, check=True).stdout)
    keys = "".join(f'key k{i} {{ domain = "{key_domain}" selector = "{p.name[:-4].removeprefix(key_domain + ".")}" file = "{p}" }}\n'
                   for i, p in enumerate(sorted(folder.glob("*.pem"))))
    bad, good = Sink(folder / "bad", "--reject-rcpt", "550 5.1.1"), Sink(folder / "good")
    routes = "".join(f'route "{d}" {{ via = {{ "127.0.0.1:{s.port}" }} tls = none }}\n' for d, s in (("receiver.test", bad), ("*", good)))
    settings = f'hostname = "{hostname}"\ndefault_stream = mail\nstream mail {{ failures = mail }}\n{keys}'
    with Waybill(settings=settings, route=routes, one_process=one_process) as w:
        if silent:  # the mail itself is from another domain: nobody signs that
            os.kill(w.pids()["keys"], signal.SIGSTOP)
        begin = time.monotonic()
        original = w.send(TEXT.format("first"))
        report = wait_for(good.mails, "the report")[0]
        took = time.monotonic() - begin
        if silent:
            os.kill(w.pids()["keys"], signal.SIGCONT)
        assert b"From: Mail Delivery System <MAILER-DAEMON@%s>" % hostname.encode() in report and original.encode() in report, report
        assert w.stop() == 0
        w.fsck()
    bad.close()
    good.close()
    return report, zone, took


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        report, zone, took = failures(tmp, one_process, "waybill.test")
        assert sorted(verified(report, zone, tmp)) == [("pass", "waybill.test")] * 2, report
        assert took < 4, f"it waited {took} s for its signature"
    # the domain above signs too, one beside it does not
    report, zone, _ = failures(tmp, False, "waybill.test", hostname="mx.waybill.test")
    assert verified(report, zone, tmp)[0] == ("pass", "waybill.test"), report
    report, _, took = failures(tmp, False, "aybill.test")
    assert b"DKIM-Signature" not in report and took < 4, report
    # a keys role that does not answer costs a few seconds, and the signature
    report, _, took = failures(tmp, False, "waybill.test", silent=True)
    assert b"DKIM-Signature" not in report and took > 3, (took, report)
print("5 passed, 0 failed")
