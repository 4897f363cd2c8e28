#!/usr/bin/env python3
"""A report of failure that we write ourselves leaves signed by the key of our host name's domain; without a key that
fits, or while the keys role is gone, it leaves unsigned. New keys do not disturb a message that is coming in."""
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


def new_keys_meanwhile(tmp):
    """The keys role is replaced while the body of a message comes in: it is signed as if nothing had happened."""
    folder = pathlib.Path(tmp, "meanwhile")
    folder.mkdir()
    zone = folder / "zone"
    zone.write_bytes(subprocess.run([binary(), "dkim", "keygen", "sender.test", "s", "--folder", str(folder)],
                                    capture_output=True, check=True).stdout)
    keys = "".join(f'key k{i} {{ domain = "sender.test" selector = "{p.name[:-4].removeprefix("sender.test.")}" file = "{p}" }}\n'
                   for i, p in enumerate(sorted(folder.glob("*.pem"))))
    sink = Sink(folder / "sink")

    def goes_in(text):
        try:
            return w.send(text)
        except AssertionError:
            return None  # 451: the new process has not been heard of yet

    with Waybill(sink.port, f"inbound_processes = 1\n{keys}") as w:
        with w.client(local_hostname="client.test") as s:
            s.ehlo()
            s.mail("a@sender.test")
            s.rcpt("b@receiver.test")
            s.putcmd("data")
            assert s.getreply()[0] == 354
            s.send(TEXT.format("meanwhile"))
            wait_for(lambda: goes_in(TEXT.format("before")), "a mail that is read after that header")
            old = w.pids()["keys"]
            w.kill("keys")
            wait_for(lambda: w.pids().get("keys", old) != old, "new keys")
            wait_for(lambda: goes_in(TEXT.format("after")), "a mail that they sign")
            s.send("The rest.\r\n.\r\n")
            code, text = s.getreply()
            assert code == 250, text
        wait_for(lambda: len(sink.mails()) == 3, "three messages")
        message = next(m for m in sink.mails() if b"meanwhile" in m)
        assert w.stop() == 0
    sink.close()
    return verified(message, zone, tmp)


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
    assert new_keys_meanwhile(tmp) == [("pass", "sender.test")] * 2
print("6 passed, 0 failed")
