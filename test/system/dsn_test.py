#!/usr/bin/env python3
"""Delivery reports that a sender asked for (RFC 3461): success, from us where the next hop will not report itself;
delay, once; never where nobody may be answered."""
import pathlib, re, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {0}\r\nMessage-ID: <{0}@sender.test>\r\n\r\nHello.\r\n"


def send(w, name, recipients, sender="a@sender.test", parameters="ENVID=QQ+2B314 RET=HDRS"):
    """`recipients`: address -> the parameters of its RCPT."""
    with w.client() as c:
        c.ehlo()
        code, reply = c.docmd(f"MAIL FROM:<{sender}> {parameters}")
        assert code == 250, reply
        for address, options in recipients.items():
            code, reply = c.docmd(f"RCPT TO:<{address}> {options}")
            assert code == 250, reply
        code, reply = c.data(TEXT.format(name))
        assert code == 250, reply
    return reply.decode().split()[-1]


def fields(report):
    """The fields of message/delivery-status: those of the message, then a dict for each recipient."""
    part = report.split(b"message/delivery-status\r\n", 1)[1].split(b"\r\n--=_", 1)[0].strip().decode()
    groups = [dict(line.split(": ", 1) for line in group.split("\r\n")) for group in part.split("\r\n\r\n")]
    return groups[0], groups[1:]


def reports_in(sink):
    return [m for m in sink.mails() if b"report-type=delivery-status" in m]


def read_back(report, tmp):
    path = pathlib.Path(tmp, "report.eml")
    path.write_bytes(report)
    return json.loads(subprocess.run([binary(), "bounce", "--json", str(path)], capture_output=True, text=True).stdout)


with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        here = pathlib.Path(tmp, str(one_process))
        plain, asked = Sink(here / "plain"), Sink(here / "asked", "--dsn", "1")
        late = Sink(here / "late", "--defer", "4")
        senders = Sink(here / "senders")
        routes = "".join(f'route "{d}" {{ via = {{ "127.0.0.1:{s.port}" }} tls = none }}\n' for d, s in
                         (("plain.test", plain), ("asked.test", asked), ("late.test", late), ("sender.test", senders)))
        routes += f'route "local.test" {{ local = yes via = "maildir:{here}/mail/%u" }}\n'
        (here / "mail/u").mkdir(parents=True)
        settings = 'retry = { "1s" }\nretry_jitter = 0\ndelay_report = "2s"\nstream quiet { failures = events }\n'
        with Waybill(settings=settings, route=routes, one_process=one_process) as w:
            # the next hop knows nothing of reports: ours says "relayed", for those who asked
            one = send(w, "relayed", {"b@plain.test": "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B+40first.test",
                                      "c@plain.test": "NOTIFY=FAILURE", "d@plain.test": ""})
            [report] = wait_for(lambda: reports_in(senders), "the report of success")
            about, recipients = fields(report)
            assert about["Original-Envelope-Id"] == "QQ+314" and about["X-Waybill-ID"] == one, about
            assert [(r["Action"], r["Final-Recipient"], r["Original-Recipient"]) for r in recipients] == [
                ("relayed", "rfc822; b@plain.test", "rfc822;B@first.test")], recipients
            assert recipients[0]["Status"].startswith("2.") and recipients[0]["Remote-MTA"] == "dns; [127.0.0.1]", recipients
            assert b"Subject: Relayed mail" in report and b"X-Sink-From: <>" in report, report
            read = read_back(report, tmp)
            assert read["event"] == "relayed" and read["original"]["message_id"] == "<relayed@sender.test>", read

            # the next hop reports itself: it is told what was asked, and we are silent
            two = send(w, "asked", {"b@asked.test": "NOTIFY=SUCCESS"})
            wait_for(lambda: w.states(two) == ["delivered"], "the second delivery")
            assert b"NOTIFY=SUCCESS" in asked.mails()[0].split(b"\r\n")[1], asked.mails()[0]

            # here it ends: "delivered"
            three = send(w, "local", {"u@local.test": "NOTIFY=SUCCESS"})
            wait_for(lambda: len(reports_in(senders)) == 2, "the report of final delivery")
            assert [r["Action"] for r in fields(reports_in(senders)[1])[1]] == ["delivered"]

            # nobody is answered who may not be, or did not ask
            for name, options, sender in (("never", "NOTIFY=NEVER", "a@sender.test"), ("null", "NOTIFY=SUCCESS", ""),
                                          ("silent", "", "a@sender.test")):
                quiet = send(w, name, {"b@plain.test": options}, sender)
                wait_for(lambda: w.states(quiet) == ["delivered"], name)

            # late: one report that it waits, however often it is tried; and then one that it arrived
            four = send(w, "late", {"b@late.test": "NOTIFY=DELAY,SUCCESS"})
            wait_for(lambda: w.states(four) == ["delivered"], "the late delivery")
            wait_for(lambda: len(reports_in(senders)) == 4, "both reports about the late one")
            late_reports = [fields(r) for r in reports_in(senders) if four.encode() in r]
            assert [r[1][0]["Action"] for r in late_reports] == ["delayed", "relayed"], late_reports
            assert "Will-Retry-Until" in late_reports[0][1][0] and late_reports[0][1][0]["Status"].startswith("4."), late_reports
            assert read_back(reports_in(senders)[2], tmp)["event"] == "delayed"
            assert len(reports_in(senders)) == 4, "a report too many"
            assert w.stop() == 0
            w.fsck()
        for s in (plain, asked, late, senders):
            s.close()
print("2 passed, 0 failed")
