#!/usr/bin/env python3
"""A reply that is lost makes two copies of a mail everywhere else. Here: a proxy before Waybill sits on the
final reply until the client has given up and sent again; and a next hop takes a message and never answers
the dot. Both in many processes and in one."""
import pathlib, sys, tempfile, threading
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"


class Proxy:
    """Passes all on, but keeps what the server says from the first "250 2.0.0 Ok: " on for itself, `silent`
    times."""

    def __init__(self, port, silent):
        self.server_port, self.silent, self.kept = port, silent, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, to, is_server):
        mute = False
        try:
            while piece := source.recv(65536):
                if is_server and self.silent > 0 and b"250 2.0.0 Ok: " in piece:
                    self.silent, mute = self.silent - 1, True
                if mute:
                    self.kept.append(piece)
                else:
                    to.sendall(piece)
        except OSError:
            pass
        finally:
            to.close()


def impatient(port, text, timeout):
    """One message, as a client that waits `timeout` seconds for each reply. The last reply, or None."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        replies = s.makefile("rb")
        try:
            replies.readline()
            for command in ("HELO client.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<b@receiver.test>", "DATA"):
                s.sendall(command.encode() + b"\r\n")
                assert replies.readline()[:1] in b"23", command
            s.sendall(text.encode() + b".\r\n")
            return replies.readline().decode()
        except TimeoutError:
            return None


def lost_reply(tmp, one_process):
    sink = Sink(f"{tmp}/sink-{one_process}")
    with Waybill(sink.port, one_process=one_process) as w:
        proxy = Proxy(w.port, silent=2)
        assert impatient(proxy.port, TEXT.format("lost"), 0.5) is None
        assert impatient(proxy.port, TEXT.format("lost"), 0.5) is None
        reply = impatient(proxy.port, TEXT.format("lost"), 5)
        first = proxy.kept[0].split()[-1].decode()
        assert "250 2.0.0 Ok: already queued as " + first in reply, (reply, proxy.kept)
        assert first.encode() in proxy.kept[1]
        wait_for(lambda: w.states(first) == ["delivered"], "the message")
        assert [e["event"] for e in w.events(first)].count("duplicate") == 2, w.events(first)
        # the same words in another envelope, and other words in the same, are no repetition
        other = w.send(TEXT.format("lost"), to=["c@receiver.test"])
        third = w.send(TEXT.format("lost2"))
        assert len({first, other, third}) == 3
        wait_for(lambda: w.states(other) == w.states(third) == ["delivered"], "the others")
        assert len(sink.mails()) == 3, len(sink.mails())
        # the ledger remembers over a restart
        assert w.stop() == 0
        w.start()
        assert first in impatient(w.port, TEXT.format("lost"), 5)
        time.sleep(0.3)
        assert len(sink.mails()) == 3
    sink.close()


def silent_dot(tmp, one_process, policy, copies):
    """A next hop that keeps the message and never answers the dot: the first time, then it behaves."""
    sink = Sink(f"{tmp}/silent-{one_process}-{policy}", "--silent-dot", 1)
    settings = f'retry = "1s"\noutbound_dot_timeout = "1s"\nstream default {{ unknown = "{policy}" }}\n'
    with Waybill(sink.port, settings, one_process=one_process) as w:
        id = w.send(TEXT.format("silent"))
        final = {"hold": "unknown", "retry": "delivered", "assume-delivered": "assumed"}[policy]
        wait_for(lambda: final in w.states(id)[0], f"the state {final}, not {w.states(id)}", 15)
        time.sleep(1.5 if policy != "retry" else 0)
        events = [e["event"] for e in w.events(id)]
        assert events.count("unknown") == 1, events
        assert len(sink.mails()) == copies, (policy, len(sink.mails()), events)
        if policy == "hold":
            w.command("queue", "release", id)
            wait_for(lambda: w.states(id) == ["delivered"], "the released message", 15)
            assert len(sink.mails()) == copies + 1
        assert w.stop() == 0
    sink.close()


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        lost_reply(tmp, one_process)
        silent_dot(tmp, one_process, "hold", 1)
        silent_dot(tmp, one_process, "retry", 2)
    silent_dot(tmp, True, "assume-delivered", 1)
print("7 passed, 0 failed")
