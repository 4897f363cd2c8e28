#!/usr/bin/env python3
"""The next hop takes a message and its reply is lost: two copies arrive, and with the ledger at hand `compare`
shows the attempt that no header can show."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: twice\r\nMessage-ID: <twice@sender.test>\r\n\r\nHello.\r\n"


def delivered(mails, folder):
    """What a mail host behind the sink would have made of them: each with a Received field of its own."""
    files = []
    for i, mail in enumerate(mails):
        path = pathlib.Path(folder, f"{i}.eml")
        path.write_bytes(b"Received: from waybill.test (localhost [127.0.0.1]) by mx.receiver.test (Postfix)\r\n\twith ESMTP "
                         b"id 4ZwK%dAAA for <b@receiver.test>; Mon, 23 Nov 2026 22:0%d:00 +0000\r\n" % (i, 5 * i) + mail)
        files.append(str(path))
    return files


def compare(*args):
    r = subprocess.run([binary(), "compare", *args], capture_output=True, text=True)
    assert r.returncode == 1, (r.returncode, r.stderr)
    return r.stdout


with tempfile.TemporaryDirectory() as tmp:
    sink = Sink(f"{tmp}/sink", "--drop-after-dot", "1")
    with Waybill(sink.port, "retry = { 1s }\nretry_jitter = 0") as w:
        first = w.send(TEXT)
        wait_for(lambda: w.states(first) == ["delivered"], "the second attempt")
        assert len(sink.mails()) == 2, len(sink.mails())
        assert w.send(TEXT) == first  # the client repeats itself, too
        files = delivered(sink.mails(), tmp)

        group = json.loads(compare("--json", *files))["groups"][0]
        assert group["cause"] == "retry_after_lost_reply" and group["ledger"] == [], group
        assert not group["confirmed_by_ledger"], group

        for option in (["--ledger", f"{w.dir}/data"], ["--ledger", f"{w.dir}/data/ledger.sqlite"], ["--config", str(w.config)]):
            group = json.loads(compare("--json", *option, *files))["groups"][0]
            assert group["cause"] == "retry_after_lost_reply" and group["confirmed_by_ledger"], group
            assert group["culprit"] == "waybill.test", group
            events = [e["event"] for e in group["ledger"]]
            assert sorted(events) == ["accepted", "delivered", "duplicate", "unknown"], events
            assert all(e["id"] == first for e in group["ledger"]), group["ledger"]
            lost = next(e for e in group["ledger"] if e["event"] == "unknown")
            assert lost["dot_ms"] > 0 and lost["ip"] == "127.0.0.1", lost
            assert "no reply came" in group["evidence"] and "sent again and answered 250" in group["evidence"], group
            assert "answered from our ledger" in group["evidence"], group

        text = compare("--ledger", f"{w.dir}/data", *files)
        assert "Ledger" in text and "unknown" in text and first in text, text
        page = compare("--html", "--ledger", f"{w.dir}/data", *files)
        assert "What our own ledger says" in page and "<script" not in page, page
        print(text)

        r = subprocess.run([binary(), "compare", "--ledger", f"{tmp}/nothing", *files], capture_output=True, text=True)
        assert r.returncode == 2 and r.stdout == "", (r.returncode, r.stdout, r.stderr)
        assert w.stop() == 0
    sink.close()
print("1 passed, 0 failed")
