#!/usr/bin/env python3
"""DMARC reports are sent once, however often the queue dies meanwhile, and after midnight without anybody asking."""
import datetime, pathlib, sqlite3, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

if time.time() % 86400 > 86400 - 40:
    time.sleep(86401 - time.time() % 86400)  # all of it happens on one day
TODAY = datetime.datetime.now(datetime.timezone.utc).date()


def give(w, sender, recipient, text):
    with smtplib.SMTP("127.0.0.1", w.port, timeout=30, local_hostname="client.test") as s:
        s.ehlo()
        s.mail(sender)
        code, reply = s.rcpt(recipient)
        return (code, reply) if code != 250 else s.data(text)


def mail(domain, n):
    return f"From: a@{domain}\r\nTo: b@local.test\r\nSubject: x\r\nMessage-ID: <{n}@{domain}>\r\n\r\nHello {n}.\r\n"


def by_itself(w):
    """A day that is over is reported without anybody asking, soon after the start."""
    assert give(w, "a@d0.test", "b@local.test", mail("d0.test", 2))[0] == 250
    wait_for(lambda: w.command("dmarc", "send", "--dry-run", "--day", str(TODAY)), "what was counted")
    assert w.stop() == 0
    with sqlite3.connect(w.dir / "data/ledger.sqlite") as ledger:
        ledger.execute("UPDATE dmarc_period SET day = day - 1, begin = begin - 86400 WHERE state = 0")
        ledger.execute("UPDATE message SET subject = 'first' WHERE subject = 'Report Domain: d0.test'")
    w.start()
    states = lambda: sqlite3.connect(w.dir / "data/ledger.sqlite").execute("SELECT DISTINCT state FROM dmarc_period").fetchall()
    wait_for(lambda: states() == [(1,)], "yesterday's report", 15)


def die_between(tmp):
    """The queue dies again and again while it reports about 200 domains: each report is stored once."""
    zone, names = pathlib.Path(tmp, "many"), [f"d{i}.test" for i in range(200)]
    zone.write_text("".join(f'{n}. TXT "v=spf1 -all"\n_dmarc.{n}. TXT "v=DMARC1; p=none; rua=mailto:d@{n}"\n' for n in names))
    sink = Sink(pathlib.Path(tmp, "sink-many"))
    closed = free_ports(1)[0]
    route = (f'route "local.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none local = yes }}\n'
             f'route "*" {{ via = {{ "127.0.0.1:{closed}" }} tls = none }}\n')
    with Waybill(settings=f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{zone}"\ndmarc_reports = yes\n', route=route) as w:
        for n in names:
            assert give(w, f"a@{n}", "b@local.test", mail(n, 1))[0] == 250
        wait_for(lambda: w.command("dmarc", "send", "--dry-run", "--day", str(TODAY)).count("<feedback") == len(names), "what was counted")
        ledger = sqlite3.connect(w.dir / "data/ledger.sqlite")
        done = lambda: ledger.execute("SELECT count(*) FROM dmarc_period WHERE state = 1").fetchone()[0]
        for until in (5, 60, 120):
            queue = w.pids()["queue"]
            sending = subprocess.Popen([binary(), "dmarc", "send", "--day", str(TODAY), "--config", str(w.config)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while done() < until and sending.poll() is None:
                pass
            os.kill(queue, signal.SIGKILL)
            sending.wait(60)
            wait_for(lambda: w.pids().get("queue", queue) != queue, "the queue")
            assert until <= done() < len(names), "it died too late"

        def rest():
            r = subprocess.run([binary(), "dmarc", "send", "--day", str(TODAY), "--config", str(w.config)], capture_output=True, text=True)
            return "nothing to report" in r.stdout
        wait_for(rest, "the end")
        by_itself(w)
        assert w.stop() == 0
        rows = ledger.execute(
            "SELECT subject, count(*) FROM message WHERE stream = 'reports' GROUP BY subject").fetchall()
        assert sorted(rows) == sorted([(f"Report Domain: {n}", 1) for n in names] + [("first", 1)]), rows
        w.fsck()
    sink.close()


with tempfile.TemporaryDirectory() as tmp:
    die_between(tmp)
print("2 passed, 0 failed")
