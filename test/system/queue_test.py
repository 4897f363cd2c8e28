#!/usr/bin/env python3
"""People and the queue: list, show, retry, hold, release, drop, for messages that cannot be delivered now."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"
SETTINGS = 'retry = "1h"\nstream default { }\nstream news { }\n'


def rows(w, *arguments):
    return [json.loads(line) for line in w.command("queue", "list", "--json", *arguments).splitlines()]


def change(w, verb, *ids, ok=(0,)):
    return [json.loads(line) for line in w.command("queue", verb, "--json", *ids, ok=ok).splitlines()]


def listed(w, ids):
    """`queue list` and its filters; `queue show`."""
    found = rows(w)
    assert [r["id"] for r in found] == [ids[0], ids[1], ids[1], ids[2]], found
    assert {r["state"] for r in found} == {"queued"} and {r["attempts"] for r in found} == {1}
    assert found[0]["reply_code"] == 450 and "no such mailbox" in found[0]["reply_text"], found[0]
    assert found[0]["due_ms"] > time.time() * 1000 + 2800_000, found[0]  # an hour, less a fifth by chance
    assert [r["id"] for r in rows(w, "--stream", "news")] == [ids[2]]
    assert [r["recipient"] for r in rows(w, "--recipient", "d@other.test")] == ["d@other.test"]
    assert len(rows(w, "--domain", "receiver.test")) == 3
    assert len(rows(w, "--limit", "2")) == 2
    text = w.command("queue", "list")
    assert ids[0] in text and "next try in" in text, text
    assert ids[0] in w.command("queue", "show", ids[0])
    assert w.show(ids[1])["recipients"][1]["address"] == "d@other.test", w.show(ids[1])


def changed(w, ids, sink):
    """hold, release, retry and drop."""
    assert change(w, "hold", ids[0])[0]["ok"]
    assert w.states(ids[0]) == ["held"], w.states(ids[0])
    sink.close()
    good = Sink(f"{sink.directory}-good", port=sink.port)
    change(w, "retry", "all")
    wait_for(lambda: w.states(ids[1]) == ["delivered"] * 2 and w.states(ids[2]) == ["delivered"], "retried mail")
    time.sleep(0.3)
    assert w.states(ids[0]) == ["held"] and len(good.mails()) == 2
    assert change(w, "release", ids[0])[0]["ok"]
    wait_for(lambda: w.states(ids[0]) == ["delivered"], "the released message")
    assert rows(w) == [] and w.command("queue", "list") == "Nothing is waiting.\n"
    assert len(good.mails()) == 3
    good.close()


def dropped(w):
    """drop gives up; nothing can be done to what is over, or never was."""
    id = w.send(TEXT.format("dropped"))
    wait_for(lambda: rows(w) and rows(w)[0]["attempts"] == 1, "the first attempt")
    assert change(w, "drop", id)[0]["ok"]
    assert w.states(id) == ["dropped"] and rows(w) == []
    assert change(w, "retry", id)[0]["recipients"] == 0
    assert not change(w, "hold", "0" * 26, ok=(1,))[0]["ok"]
    w.command("queue", "hold", "no-id", ok=(1, 2))
    w.command("queue", "eat", id, ok=(2,))


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        sink = Sink(f"{tmp}/{one_process}", "--reject-rcpt", 450)
        with Waybill(sink.port, SETTINGS, one_process) as w:
            ids = [w.send(TEXT.format("one")), w.send(TEXT.format("two"), to=["c@receiver.test", "d@other.test"]),
                   w.send("X-Waybill-Stream: news\r\n" + TEXT.format("three"))]
            wait_for(lambda: [r["attempts"] for r in rows(w)] == [1] * 4, "four first attempts")
            listed(w, ids)
            assert w.stop() == 0
            w.start()
            listed(w, ids)
            changed(w, ids, sink)
            port = sink.port
            assert w.stop() == 0
        sink = Sink(f"{tmp}/{one_process}-again", "--reject-rcpt", 450)
        with Waybill(sink.port, SETTINGS, one_process) as w:
            dropped(w)
        sink.close()
print("2 passed, 0 failed")
