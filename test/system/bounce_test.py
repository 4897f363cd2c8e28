#!/usr/bin/env python3
"""What fails is judged, counted and suppressed; what comes back finds its recipient; forgeries find nobody."""
import email, pathlib, re, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"
DSN = "From: MAILER-DAEMON@mx.test\r\nTo: {0}\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n" \
      "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\n" \
      "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n" \
      "Final-Recipient: rfc822; {1}\r\nAction: {2}\r\nStatus: {3}\r\nDiagnostic-Code: smtp; {4}\r\n--b--\r\n"
COMPLAINT = "From: fbl@mx.test\r\nTo: {0}\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n" \
      "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nabuse.\r\n--b\r\n" \
      "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: x\r\n" \
      "Original-Rcpt-To: {1}\r\n--b--\r\n"
SETTINGS = 'return_path_domain = "return.test"\nrelay_networks = { "127.0.0.1/32" }\nretry = { "1h" }\n' \
           'suppress = { "mailbox_full 2/14d" }\nforged_bounces_max = {forged}\n' \
           'default_stream = transactional\nstream transactional { failures = mail }\n' \
           'stream news { suppressed = accept failures = events }\nstream own { return_path = original }'


def settings(forged=20):
    return SETTINGS.replace("{forged}", str(forged))


def outside(w):
    """A stranger: 127.0.0.2 is not in relay_networks."""
    c = smtplib.SMTP("127.0.0.1", w.port, timeout=30, source_address=("127.0.0.2", 0))
    c.ehlo()
    return c


def bring(w, to, text, sender=""):
    with outside(w) as c:
        assert c.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        code, reply = c.rcpt(to)
        if code != 250:
            return code, reply
        return c.data(text)


def refused(w, address, stream=None, sender="a@sender.test"):
    with w.client() as c:
        c.ehlo()
        c.mail(sender)
        code, reply = c.rcpt(address)
        if code != 250 or stream is None:
            return (code, reply.decode()) if code != 250 else None
        code, reply = c.data(f"X-Waybill-Stream: {stream}\r\n" + TEXT.format(f"to-{stream}-{time.monotonic()}"))
        return (code, reply.decode()) if code != 250 else None


def sender_of(mail):
    return re.search(rb"X-Sink-From: <([^>]*)>", mail)[1].decode()


def suppressed(w):
    return {(r["address"], r["scope"]): r for r in map(json.loads, w.command("suppress", "list", "--json").splitlines())}


def deliveries(w, sink, tmp):
    # each recipient has its own signed reverse path
    before = len(sink.mails())
    one = w.send(TEXT.format("many"), to=["b@receiver.test", "c@receiver.test", "d@receiver.test"])
    wait_for(lambda: w.states(one) == ["delivered"] * 3, "three recipients")
    paths = {re.search(rb"X-Sink-To: <([^>]*)>", m)[1].decode(): sender_of(m) for m in sink.mails()[before:]}
    assert len(set(paths.values())) == 3, paths
    for n, who in enumerate("bcd", 1):
        assert re.fullmatch(rf"bounces\+{one}\.{n}=[0-9A-Z]{{20}}@return\.test", paths[f"{who}@receiver.test"]), paths
    # a stream that keeps its own
    own = w.send("X-Waybill-Stream: own\r\n" + TEXT.format("own"))
    wait_for(lambda: w.states(own) == ["delivered"], "the stream with its own path")
    assert sender_of(sink.mails()[-1]) == "a@sender.test", sink.mails()[-1]

    # a later bounce: matched, recorded, suppressed for every stream; lower case as some relays write it
    code, reply = bring(w, paths["b@receiver.test"].lower(), DSN.format("x@y.test", "quite-another@name.test", "failed", "5.1.1", "550 5.1.1 No such user"))
    assert code == 250, reply
    story = w.show(one)
    assert [r["state"] for r in story["recipients"]] == ["bounced", "delivered", "delivered"], story["recipients"]
    reported = [e for e in story["events"] if e["event"] == "reported"]
    assert len(reported) == 1 and reported[0]["category"] == "invalid_recipient" and reported[0]["recipients"] == "1", reported
    assert refused(w, "B@receiver.test")[0] == 550 and "suppressed: invalid_recipient" in refused(w, "b@receiver.test")[1]
    assert refused(w, "c@receiver.test") is None
    assert "No such user" in w.command("suppress", "why", "b@receiver.test", ok=(0, 1))

    # delays, auto-replies and unreadable mail suppress nobody, but are on record
    for what in (DSN.format("x@y", "c@receiver.test", "delayed", "4.4.1", "451 4.4.1 timed out"),
                 "From: c@receiver.test\r\nSubject: Out of office: Re: hi\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n",
                 "\xff\x80 garbage that no program wrote\r\n"):
        code, reply = bring(w, paths["c@receiver.test"], what.encode("latin1"))
        assert code == 250, reply
    assert ("c@receiver.test", "") not in suppressed(w)
    assert len([e for e in w.show(one)["events"] if e["event"] == "note"]) == 3

    # a complaint suppresses in that stream alone
    code, reply = bring(w, paths["d@receiver.test"], COMPLAINT.format("x@y", "d@receiver.test"))
    assert code == 250, reply
    assert refused(w, "d@receiver.test")[0] == 550
    assert refused(w, "d@receiver.test", "own")[0] == 550, "the stream is not known at RCPT: the default one decides"
    # complaints also come to one address for all, about the mail that they return
    fbl = w.send("X-Waybill-Stream: own\r\n" + TEXT.format("fbl"), to=["g@receiver.test"])
    signed = w.send(TEXT.format("fbl2"), to=["g@receiver.test"])
    wait_for(lambda: w.states(fbl) + w.states(signed) == ["delivered"] * 2, "mail to complain about")
    path = sender_of(sink.mails()[-1])
    path = path if path.startswith("bounces+") else sender_of(sink.mails()[-2])
    about = COMPLAINT.format("x@y", "somebody@else.test").replace("--b--", "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
                             "Return-Path: <{0}>\r\nFrom: a@sender.test\r\n\r\n--b--")
    assert bring(w, "feedback@return.test", about.format(path.replace("=", "=0")))[0] == 550, "a forged complaint"
    assert bring(w, "feedback@return.test", DSN.format("x", "y@z", "failed", "5.1.1", "550 x"))[0] == 550
    code, reply = bring(w, "feedback@return.test", about.format(path))
    assert code == 250, reply
    assert ("g@receiver.test", "transactional") in suppressed(w), suppressed(w)
    news = w.send("X-Waybill-Stream: news\r\n" + TEXT.format("news"), to=["c@receiver.test"])
    wait_for(lambda: w.states(news) == ["delivered"], "the other stream")
    return paths


def forgeries(w, paths):
    good = paths["c@receiver.test"]
    before = suppressed(w)
    local, domain = good.split("@")
    with outside(w) as c:
        assert c.docmd("MAIL FROM:<>")[0] == 250
        assert c.rcpt("somebody@else.test")[0] == 550, "an open relay"
    # another number: not signed by us
    tampered = re.sub(r"\.(\d+)=", ".3=", local) + "@" + domain
    assert bring(w, tampered, DSN.format("x", "d@receiver.test", "failed", "5.1.1", "550 5.1.1 x"))[0] == 550
    seen = {}
    c = None
    for i in range(1000):
        try:
            if c is None:
                c = outside(w)
            c.docmd("MAIL FROM:<>")
            code, _ = c.rcpt(local[:-6] + f"{i:06d}@{domain}")
        except (smtplib.SMTPServerDisconnected, ConnectionError, smtplib.SMTPConnectError):
            code = 421
        if code == 421:
            c = None
        seen[code] = seen.get(code, 0) + 1
    assert set(seen) <= {550, 421, 450} and 250 not in seen, seen
    assert suppressed(w) == before, "forged bounces suppressed somebody"
    return seen


def refusals(tmp):
    """Replies of the next hop, through the rules."""
    for code, category, hard in (("550 5.1.1", "invalid_recipient", True), ("552 5.2.2", "mailbox_full", False),
                                 ("550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org;", "blocked_ip", False),
                                 ("450 4.2.0 greylisted;", "greylisted", False)):
        sink = Sink(f"{tmp}/{category}", "--reject-rcpt", code)
        with Waybill(sink.port, settings()) as w:
            first = w.send(TEXT.format("first"), to=["e@receiver.test"])
            wait_for(lambda: len(w.show(first)["events"]) > 1, "an outcome")
            event = [e for e in w.show(first)["events"] if e["event"] in ("bounced", "deferred")][0]
            assert event["category"] == category, event
            assert (("e@receiver.test", "") in suppressed(w)) == hard, (category, suppressed(w))
            if category == "mailbox_full":  # the second one is enough by the setting
                second = w.send(TEXT.format("second"), to=["e@receiver.test"])
                wait_for(lambda: w.states(second) == ["bounced"], "the second outcome")
                entry = suppressed(w)[("e@receiver.test", "")]
                assert entry["reason"] == "mailbox_full" and entry["until_ms"] > 0, entry
            if hard:
                # refused at RCPT; accepted and not tried where the stream says so
                assert refused(w, "e@receiver.test") == (550, "5.7.1 suppressed: invalid_recipient")
                # taking it off lets it in again
                w.command("suppress", "remove", "e@receiver.test")
                assert refused(w, "e@receiver.test") is None
                w.command("suppress", "add", "e@receiver.test", "--stream", "news")
                kept = w.send("X-Waybill-Stream: news\r\n" + TEXT.format("kept"), to=["e@receiver.test", "f@receiver.test"])
                assert w.states(kept)[0] == "suppressed", w.states(kept)
                # a restart forgets nothing
                w.stop()
                w.start()
                assert ("e@receiver.test", "news") in suppressed(w)
            # the stream wants mail: the sender hears of it, and that report does not bounce again
            dsns = [e for e in w.events() if e["event"] == "accepted" and e["id"] not in (first,)]
            if code.startswith("5"):
                own = [w.show(e["id"]) for e in dsns]
                assert any(s["sender"] == "" and s["recipients"][0]["address"] == "a@sender.test" for s in own), own
                assert len([s for s in own if s["sender"] == ""]) <= 2, "a bounce of a bounce"
        sink.close()


def returned(tmp):
    """What a report returns (RFC 3461 4.3): the header, or with RET=FULL the message, up to a ceiling."""
    sink, home = Sink(f"{tmp}/refuses", "--reject-rcpt", "550 5.1.1"), Sink(f"{tmp}/home")
    route = f'route "sender.test" {{ via = "127.0.0.1:{home.port}" tls = none }}\nroute "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n'
    with Waybill(settings=settings(), route=route) as w:
        large = "".join(f"line {n} {'x' * 60}\r\n" for n in range(20000))
        many = [f"r{n}@receiver.test" for n in range(100)]
        for name, ret, body, to in (("unsaid", None, "Hello.\r\n", ["h@receiver.test"]), ("hdrs", "HDRS", "Hello.\r\n", ["i@receiver.test"]),
                                    ("full", "FULL", "Gr\u00fc\u00dfe.\r\n.\r\n--x\r\n\r\n", ["j@receiver.test"]),
                                    ("large", "FULL", large, ["k@receiver.test"]),
                                    ("many", "FULL", large[:700000], many)):
            before = len(home.mails())
            text = TEXT.format(name).replace("Hello.\r\n", body)
            with w.client() as c:
                c.ehlo()
                assert c.mail("a@sender.test", [f"RET={ret}", "BODY=8BITMIME"] if ret else [])[0] == 250
                assert all(c.rcpt(r, ["NOTIFY=FAILURE"])[0] == 250 for r in to)
                assert c.data(text.encode())[0] == 250
            wait_for(lambda: len(home.mails()) == before + len(to), f"reports about {name}")
            report = home.mails()[-1]
            parts = email.message_from_bytes(report).get_payload()
            assert [p.get_content_type() for p in parts[:2]] == ["text/plain", "message/delivery-status"], report
            if name != "full":
                assert parts[2].get_content_type() == "text/rfc822-headers" and body.encode()[:40] not in report, report[:3000]
                assert f"Subject: {name}" in parts[2].get_payload()
                continue
            assert parts[2].get_content_type() == "message/rfc822" and parts[2]["Content-Transfer-Encoding"] == "8bit", report
            inner = report[report.index(b"8bit\r\n\r\nReceived:") + 8:report.rindex(b"\r\n--=_waybill_")]
            assert inner.endswith(b"\r\n\r\n" + body.encode()), inner
            path = pathlib.Path(tmp) / "report.eml"
            path.write_bytes(report[report.index(b"Date:"):])
            (read,) = map(json.loads, subprocess.run([binary(), "bounce", "--json", path], capture_output=True).stdout.splitlines())
            assert read["event"] == "failed" and read["recipients"][0]["recipient"] == to[0], read
            assert read["original"]["message_id"] == f"<{name}@sender.test>", read
    sink.close(), home.close()


def unsubscribe(tmp):
    """One-click unsubscribing (RFC 8058): the fields are there, and the signature covers them."""
    key = pathlib.Path(tmp) / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    more = f'stream news {{ unsubscribe = "https://u.test/o?m={{id}}" }}\nkey k {{ domain = sender.test selector = s file = "{key}" }}'
    sink = Sink(f"{tmp}/unsubscribe")
    with Waybill(sink.port, more) as w:
        one = w.send("X-Waybill-Stream: news\r\n" + TEXT.format("news"))
        wait_for(lambda: w.states(one) == ["delivered"], "the newsletter")
        mail = sink.mails()[-1].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
        assert f"List-Unsubscribe: <https://u.test/o?m={one}>\r\n".encode() in mail, mail
        assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail, mail
        signed = re.search(rb"DKIM-Signature:.*?h=([^;]*);", mail, re.S)[1].lower()
        assert b"list-unsubscribe:" in signed and b"list-unsubscribe-post" in signed, signed
        plain = w.send(TEXT.format("plain"))
        wait_for(lambda: w.states(plain) == ["delivered"], "the plain mail")
        assert b"List-Unsubscribe" not in sink.mails()[-1]
    sink.close()


def rules_read_again(tmp):
    """A rule of one's own decides; SIGHUP reads it again; a file with a fault leaves the old rules in place."""
    folder = pathlib.Path(tmp) / "rules"
    folder.mkdir()
    sink = Sink(f"{tmp}/own-rules", "--reject-rcpt", "550 5.0.0 The gizmo is frobbed")

    def category(w, name):
        one = w.send(TEXT.format(name), to=[f"{name}@receiver.test"])
        wait_for(lambda: w.states(one) == ["bounced"], "the refusal")
        return [e for e in w.show(one)["events"] if e["event"] == "bounced"][0]["category"]

    def reload(w, text, seen):
        (folder / "own.conf").write_text(text)
        before = (w.dir / "log").read_text().count(seen)
        os.kill(w.pids()["super"], signal.SIGHUP)
        wait_for(lambda: (w.dir / "log").read_text().count(seen) > before, f"{seen} in the log")

    (folder / "own.conf").write_text("tier provider\nprovider own\nrule gizmo mailbox_full\n  match gizmo is frobbed\n")
    with Waybill(sink.port, f'bounce_rules = "{folder}"') as w:
        assert category(w, "one") == "mailbox_full"
        reload(w, "tier provider\nprovider own\nrule gizmo no_such_category\n", "reload.refused")
        assert category(w, "two") == "mailbox_full", "a fault in the file"
        assert "own.conf:3" in (w.dir / "log").read_text(), "the log names the line"
        reload(w, "tier provider\nprovider own\nrule gizmo message_too_large\n  match gizmo is frobbed\n", "queue.rules_read")
        assert category(w, "three") == "message_too_large"
    sink.close()


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        sink = Sink(f"{tmp}/{one_process}")
        with Waybill(sink.port, settings(), one_process) as w:
            paths = deliveries(w, sink, tmp)
            seen = forgeries(w, paths)
            # the true one still works after the flood, from another address
            with smtplib.SMTP("127.0.0.1", w.port, timeout=30) as c:
                c.ehlo()
                c.docmd("MAIL FROM:<>")
                assert c.rcpt(paths["c@receiver.test"])[0] == 250
        sink.close()
    refusals(tmp)
    returned(tmp)
    unsubscribe(tmp)
    rules_read_again(tmp)
print("9 passed, 0 failed; of 1,000 forged bounces:", seen)
