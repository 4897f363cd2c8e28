#!/usr/bin/env python3
"""Mail to a local domain lies in Maildirs, whole and once, also after kill -9; unknown users are refused."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

BODY = "".join(f"line {n} {'x' * 50}\r\n" for n in range(5000)) + ".\r\n\r\n"
TEXT = "From: a@sender.test\r\nTo: b@local.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n" \
       "Date: Mon, 23 Nov 2026 22:00:00 +0000\r\n\r\n" + BODY


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        root = pathlib.Path(tmp, str(one_process))
        for user in ("ann", "bob"):
            (root / "local.test" / user).mkdir(parents=True)
        (root / "local.test" / "file").write_text("")
        sink = Sink(f"{tmp}/sink-{one_process}")
        forwards = pathlib.Path(tmp, f"forwards-{one_process}")
        forwards.write_text("team@local.test ann@local.test bob@local.test far@remote.test\n@old.test ann@local.test\n")
        route = f'route "local.test" {{ via = {{ "maildir:{root}/%d/%u" }} local = yes }}\n' \
                f'route "old.test" {{ local = yes }}\nroute "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n'

        def mails(user):
            return [p.read_bytes() for p in sorted((root / "local.test" / user / "new").glob("*"))]

        with Waybill(route=route, one_process=one_process,
                     settings=f'forwards_file = "{forwards}"\nreturn_path_domain = "return.test"\n') as w:
            one = w.send(TEXT.format("one"), to=["ann@local.test", "BOB@Local.Test"])
            wait_for(lambda: w.states(one) == ["delivered"] * 2, "two Maildirs")
            for user in ("ann", "bob"):
                (got,) = mails(user)
                head, _, body = got.partition(b"\n\n")
                assert b"\r" not in got and body == BODY.replace("\r\n", "\n").encode(), "the body was changed"
                assert head.startswith(b"Return-Path: <") and b"\nDelivered-To: " in head and b"\nReceived: from" in head, head
            assert not list((root / "local.test" / "ann" / "tmp").glob("*"))
            for bad in ("nobody", "file", "..", "a/../ann", ".ann"):
                with w.client() as c:
                    c.ehlo(), c.mail("a@sender.test")
                    code, reply = c.rcpt(f'"{bad}"@local.test' if "." in bad else f"{bad}@local.test")
                assert code == 550 and reply.startswith(b"5.1.1"), (bad, code, reply)
            # a mailbox that goes between RCPT and delivery: the mail bounces
            (root / "local.test" / "dan").mkdir()
            with w.client() as c:
                c.ehlo(), c.mail("a@sender.test")
                assert c.rcpt("dan@local.test")[0] == 250
                (root / "local.test" / "dan").rmdir()
                code, reply = c.data(TEXT.format("gone"))
            id = reply.decode().split()[-1]
            wait_for(lambda: w.states(id) == ["bounced"], "the bounce of dan")
            assert len(mails("ann")) == 1
            ids = [w.send(TEXT.format(f"m{n}"), to=["ann@local.test"]) for n in range(20)]
            w.kill("queue") if not one_process else None
            wait_for(lambda: all(w.states(i) == ["delivered"] for i in ids), "the rest, after a crash")
            subjects = [m.split(b"Subject: ")[1].split(b"\n")[0] for m in mails("ann")]
            assert sorted(subjects) == sorted([b"one"] + [f"m{n}".encode() for n in range(20)]), subjects
            # an address that stands for others; what leaves to strangers has a return path of ours
            team = w.send(TEXT.format("team"), to=["Team@local.test", "x@old.test"], sender="author@elsewhere.test")
            wait_for(lambda: w.states(team) == ["delivered"] * 4, "everybody behind an address")
            assert len(mails("ann")) == 23 and len(mails("bob")) == 2, (len(mails("ann")), len(mails("bob")))
            assert b"Return-Path: <author@elsewhere.test>" in mails("bob")[-1], mails("bob")[-1][:300]
            (far,) = sink.mails()
            assert b"@return.test" in far.split(b"\r\n")[0] and b"X-Sink-To: <far@remote.test>" in far, far[:300]
            assert w.stop() == 0
        sink.close()
print("2 passed, 0 failed")
