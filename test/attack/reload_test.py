#!/usr/bin/env python3
"""SIGHUP with a file that cannot be read: all goes on as it was, and mail is taken all the time."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import lab
from waybill_test import *


def refusals(w):
    return (w.dir / "log").read_text().count('"reload.refused"')


with tempfile.TemporaryDirectory() as tmp:
    root = pathlib.Path(tmp)
    (root / "rules").mkdir()
    certificate, key = lab.certificate(tmp)
    files = {"forwards": (b"a@local.test b@local.test\n", b"a@local.test\n"), "recipients": (b"b\n", b"@\n"),
             "logins": (b"", b"no hash\n"), "rules/x.conf": (b"", b"no rule\n"), str(certificate): (pathlib.Path(certificate).read_bytes(), b"-----BEGIN")}
    for name, (good, _) in files.items():
        (root / name).write_bytes(good)
    sink = Sink(root / "sink")
    with Waybill(settings=f'forwards_file = "{root}/forwards"\nlogins_file = "{root}/logins"\nbounce_rules = "{root}/rules"\ndns = "zone:/dev/null"\n'
                          f'tls_certificate = "{certificate}"\ntls_key = "{key}"\nsuppress = {{ "mailbox_full 2/14d" }}\n',
                 route=f'route "local.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes recipients_file = "{root}/recipients" }}\n') as w:
        pids = w.pids()
        settings = w.config.read_text()

        def refused(what):
            before = refusals(w)
            w.process.send_signal(signal.SIGHUP)
            wait_for(lambda: refusals(w) > before, f"the refusal of {what}", 10)
            assert w.greets() and w.pids() == pids, what
            w.send("Subject: x\r\n\r\nHello.\r\n", to=["b@local.test"])

        for name, (good, bad) in files.items():
            (root / name).write_bytes(bad)
            refused(name)
            (root / name).write_bytes(good)
        w.config.write_text(settings.replace("mailbox_full 2/14d", "mailbox_full off"))
        refused("suppress")
        w.config.write_text(settings)
        w.process.send_signal(signal.SIGHUP)
        wait_for(lambda: '"reloaded"' in (w.dir / "log").read_text(), "a reload", 10)
        wait_for(lambda: w.pids().keys() == pids.keys() and w.pids() != pids and w.greets(), "the new processes", 20)
        assert w.stop() == 0
    sink.close()
print("6 passed, 0 failed")
