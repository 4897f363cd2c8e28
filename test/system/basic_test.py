#!/usr/bin/env python3
"""A message goes in, is safe, is delivered, and is accounted for; in many processes and in one."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n" \
       "X-Waybill-Tag: order\r\n\r\nHello.\r\n.dots are kept\r\n"

with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        sink = Sink(f"{tmp}/{one_process}")
        with Waybill(sink.port, 'default_stream = transactional\nstream transactional { }\nstream news { }', one_process) as w:
            first = w.send(TEXT.format("one"))
            wait_for(lambda: w.states(first) == ["delivered"], "the first message")
            story = w.show(first)
            assert story["stream"] == "transactional" and story["tag"] == "order", story
            assert story["message_id"] == "<one@sender.test>", story
            kinds = [e["event"] for e in story["events"]]
            assert kinds == ["accepted", "delivered"], kinds
            assert story["events"][1]["reply_code"] == 250 and story["events"][1]["dot_ms"] > 0

            # the same transaction again is answered with the first id and delivered once
            again = w.send(TEXT.format("one"))
            assert again == first, (first, again)
            assert [e["event"] for e in w.show(first)["events"]].count("duplicate") == 1

            # a hundred recipients, two domains, one stream by header
            many = w.send("X-PM-Message-Stream: news\r\n" + TEXT.format("many"),
                          to=[f"r{i}@{'one' if i % 2 else 'two'}.test" for i in range(100)])
            wait_for(lambda: set(w.states(many)) == {"delivered"}, "a hundred recipients")
            assert w.show(many)["stream"] == "news"

            mails = sink.mails()
            assert len(mails) >= 2 and b"\r\n.dots are kept\r\n" in mails[0], mails[0]
            assert b"X-Waybill" not in mails[0] and b"Received: from" in mails[0] and first.encode() in mails[0]
            assert b"X-PM-Message-Stream" not in mails[1]

            # a large message streams through in pieces, byte for byte
            body = "".join(f"{i:08d} {'x' * 60}\r\n" for i in range(40000))
            large = w.send("From: a@sender.test\r\nMessage-ID: <l@x>\r\nDate: Mon, 23 Nov 2026 22:00:00 +0000\r\n\r\n" + body)
            wait_for(lambda: w.states(large) == ["delivered"], "the large message")
            assert sink.mails()[-1].endswith(b"\r\n\r\n" + body.encode()), "the large body was changed"

            # the connection was used again for what went the same way
            wait_for(lambda: w.metric("outbound_reused_total") > 0, "a connection that is used again")

            # an unknown stream is refused, and nothing is kept
            try:
                w.send("X-Waybill-Stream: nosuch\r\n" + TEXT.format("no"))
                raise SystemExit("an unknown stream was accepted")
            except AssertionError as e:
                assert "no stream named nosuch" in str(e), e

            rows = [json.loads(l) for l in w.command("streams", "--json").splitlines()]
            by_name = {r["stream"]: r for r in rows}
            assert by_name["transactional"]["duplicates"] == 1 and by_name["news"]["delivered"] == 100, rows
            assert w.stop() == 0
        sink.close()
print("2 passed, 0 failed")
