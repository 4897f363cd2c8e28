#!/usr/bin/env python3
"""The disk is full: 452, and nothing is lost or faked. It is broken: 451. It is well again: 250."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"


def refusal(w, text):
    """The reply to a message that is not taken."""
    try:
        w.send(text)
    except AssertionError as e:
        return str(e)
    raise SystemExit("a message was taken that cannot have been stored")


def in_trouble(w, sink, number, order, code):
    arrived, mail = len(sink.mails()), f"{order} {number}"
    w.order(order)
    assert code in refusal(w, TEXT.format(mail)), refusal(w, TEXT.format(mail))
    assert code in refusal(w, TEXT.format(mail + " large") + "x" * 70 * 20000 + "\r\n")
    w.order("")
    id = w.send(TEXT.format(mail)) # the very same, which is no repetition: it was never stored
    wait_for(lambda: w.states(id) == ["delivered"], f"a message after the disk was {order}")
    w.send(TEXT.format(mail + " later"))
    wait_for(lambda: len(sink.mails()) == arrived + 2, "both messages")


def given_up(tmp):
    """What becomes too old while nothing can be written down is given up when the disk is well again."""
    never = Sink(f"{tmp}/never", "--reject-rcpt", "450 4.2.0 later")
    w = Waybill(never.port, 'retry = "3s"\nretry_jitter = 0\nexpire = "2s"\n', one_process=True).shim().start()
    with w.ending():
        id = w.send(TEXT.format("too old"))
        wait_for(lambda: any(e["event"] == "deferred" for e in w.events(id)), "the first attempt")
        w.order("broken")
        wait_for(lambda: "ledger.commit" in w.trouble(), "an end that cannot be written down")
        assert w.states(id) == ["queued"], w.states(id)
        w.order("")
        wait_for(lambda: w.states(id) == ["expired"], "its end")
        assert w.stop() == 0
        w.fsck()
    never.close()


with tempfile.TemporaryDirectory() as tmp:
    sink = Sink(f"{tmp}/sink")
    w = Waybill(sink.port, 'retry = "1s"\n', one_process=True).shim().start()
    with w.ending():
        for number, (order, code) in enumerate((("full", "4.3.1"), ("broken", "4.3.0"), ("full", "4.3.1"))):
            in_trouble(w, sink, number, order, code)
        assert w.stop() == 0
        w.fsck()
        # an outcome that could not be written down is not forgotten
        w.start()
        id = w.send(TEXT.format("slow disk"))
        w.order("broken")
        time.sleep(0.2)
        w.order("")
        wait_for(lambda: w.states(id) == ["delivered"], "the outcome")
        assert len([m for m in sink.mails() if b"slow disk" in m]) == 1
        assert w.stop() == 0
        w.fsck()
    given_up(tmp)
    with Waybill(sink.port, 'disk_free_min = "1TiB"\n', one_process=True) as w:
        assert "4.3.1" in refusal(w, TEXT.format("low"))
    sink.close()
print("7 passed, 0 failed")
