#!/usr/bin/env python3
"""SIGTERM with clients in all states: a message that was begun is finished or told 421, nothing is lost or
sent twice. SIGHUP under load: new settings, no lost mail, no mail twice."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from lab import Talk, envelope
from load import Load, judge
from waybill_test import *


def in_data(w, subject):
    talk = Talk(w.port)
    envelope(talk)
    assert talk.say(b"DATA\r\n").startswith(b"354")
    talk.send(b"Subject: %s\r\n\r\nfirst half\r\n" % subject)
    return talk


def begun_is_finished(w, sink):
    idle, begun, named, stuck = Talk(w.port), in_data(w, b"begun"), Talk(w.port), in_data(w, b"stuck")
    envelope(named)
    time.sleep(0.1)
    start = time.monotonic()
    w.process.terminate()
    assert idle.rest().startswith(b"421 4.3.2"), "an idle client"
    assert named.rest().startswith(b"421 4.3.2"), "a client with an envelope"
    wait_for(lambda: not w.greets(), "no new clients")
    time.sleep(0.5)
    reply = begun.say(b"second half\r\n.\r\n")
    assert reply.startswith(b"250 2.0.0 Ok: queued as "), reply
    assert begun.rest().startswith(b"421"), "nothing follows it"
    assert stuck.rest().startswith(b"421 4.3.2"), "a client that does not go on"
    assert w.process.wait(30) == 0
    took = time.monotonic() - start
    assert took < 20, f"it took {took:.0f} s to stop"
    w.start()
    id = reply.decode().split()[-1]
    wait_for(lambda: w.states(id) == ["delivered"], "the message that was finished while we stopped")
    time.sleep(0.2)
    mails = sink.mails()
    assert len(mails) == 1 and b"first half\r\nsecond half" in mails[0], mails
    return took


def stops_under_load(w, tmp, one_process):
    """Stop and start while 20 connections send: no message twice, no unknown outcome."""
    load = Load(w.port, 20, rest=0.01, mark="stop")
    for _ in range(3):
        time.sleep(0.7)
        assert w.stop() == 0
        w.start()
    finish(w, load, tmp, one_process)


def reloads_under_load(w, tmp, one_process):
    load = Load(w.port, 20, rest=0.01, mark="reload")
    for i in range(3):
        time.sleep(0.7)
        w.config.write_text(w.config.read_text() + f"stream fresh{i} {{ }}\n")
        os.kill(w.pids()["super"], signal.SIGHUP)
    wait_for(lambda: takes_stream(w, "fresh2"), "the stream of the new settings", 20)
    w.config.write_text(w.config.read_text() + "this is no setting\n")
    os.kill(w.pids()["super"], signal.SIGHUP)
    time.sleep(0.3)
    assert takes_stream(w, "fresh1"), "settings with an error change nothing"
    w.config.write_text(w.config.read_text().replace("this is no setting\n", ""))
    finish(w, load, tmp, one_process)


def takes_stream(w, stream):
    try:
        return w.send(f"X-Waybill-Stream: {stream}\r\nSubject: {stream} {time.monotonic()}\r\n\r\nx\r\n")
    except (AssertionError, OSError, smtplib.SMTPException):
        return None


def finish(w, load, tmp, one_process):
    load.stop()
    assert not load.failures, load.failures[:5]
    wait_for(lambda: w.command("queue", "list").startswith("Nothing"), "an empty queue", 60)
    wrong, extra = judge(load, f"{tmp}/{one_process}", w.events())
    assert not wrong, f"{len(wrong)} wrong, such as " + "\n".join(wrong[:5])
    assert extra == 0, f"{extra} messages came twice"
    print(f"{load.mark}: {len(load.acked)} messages answered 250 in {load.tries} tries")


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        sink = Sink(f"{tmp}/{one_process}")
        with Waybill(sink.port, 'retry = "1s"\n', one_process) as w:
            print(f"stopped after {begun_is_finished(w, sink):.1f} s")
            stops_under_load(w, tmp, one_process)
            reloads_under_load(w, tmp, one_process)
            assert w.stop() == 0
            w.fsck()
        sink.close()
print("6 passed, 0 failed")
