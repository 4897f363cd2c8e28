#!/usr/bin/env python3
"""The daemon looks at its set-up on a schedule: a record that changes is one event, its mending another, a silent
name server none; and the addresses that mail really left from are known."""
import pathlib, re, socketserver, sys, tempfile, threading
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *
from nameserver import NameServer

TEXT = "From: a@example.com\r\nTo: b@receiver.test\r\nSubject: hello\r\n\r\nHello {}.\r\n"
SPF = 'bounces.example.com. 3600 IN TXT "v=spf1 ip4:192.0.2.1 -all"'
WORLD = "\nreceiver.test. MX 10 mx.receiver.test.\nmx.receiver.test. A 127.3.0.1\n"
passed = 0


class Receiver(socketserver.StreamRequestHandler):
    """Takes everything, at the port that MX hosts have."""
    timeout = 30

    def handle(self):
        self.wfile.write(b"220 mx.receiver.test\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


def good(what):
    global passed
    passed += 1
    print("ok", what)


def runs_on(w, n=5):
    """Waits for n more whole runs."""
    before = w.metric("doctor_runs_total")
    wait_for(lambda: w.metric("doctor_runs_total") >= before + n, "the next look", 20)


def notices(w):
    return [e for e in w.events() if e["event"] in ("drift", "mended")]


def last(w):
    return json.loads(w.command("doctor", "--last", "--json", ok=(0, 1)))


def bad(answer):
    return [f["rule"] for f in answer["findings"] if f["severity"] != "good"]


with tempfile.TemporaryDirectory(prefix="doctor-daemon.") as tmp:
    subprocess.run([binary(), "init", "example.com", "--ip", "192.0.2.1", "--folder", tmp], check=True,
                   stdout=subprocess.DEVNULL)
    zone = (pathlib.Path(tmp) / "example.com.zone").read_text() + WORLD
    assert SPF in zone, zone
    keys = "\n".join(re.findall(r"^key \w+ \{.*?^\}", (pathlib.Path(tmp) / "waybill.conf").read_text(), re.M | re.S))
    with NameServer(zone) as ns:
        sink = Sink(f"{tmp}/sink")

        def daemon(**more):
            w = Waybill(settings=f'return_path_domain = "bounces.example.com"\npublic_addresses = {{ "192.0.2.1" }}\n'
                        f'doctor_interval = 300ms\nsource_address = "127.0.0.2"\nretry = {{ 1s }}\n{keys}\n',
                        route=f'route "relayed.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none }}\n', **more)
            w.config.write_text(w.config.read_text().replace("waybill.test", "mail.example.com")
                                .replace("127.0.0.1:1\"", f"127.0.0.1:{ns.port}\""))
            return w

        with daemon() as w:
            runs_on(w, 1)
            answer = last(w)
            assert bad(answer) == [] and answer["time_ms"] > 0, answer
            assert {f["domain"] for f in answer["findings"]} == {"example.com", "bounces.example.com"}, answer
            assert {f["rule"] for f in answer["findings"]} >= {"spf", "dkim", "dmarc", "mx", "ptr"}, answer
            runs_on(w)
            assert notices(w) == [], notices(w)
            good("what is right is no event")

            follow = subprocess.Popen([binary(), "events", "-f", "--json", "--since", "0", "--config", str(w.config)],
                                      stdout=subprocess.PIPE, text=True)
            ns.zone = zone.replace(SPF, 'bounces.example.com. TXT "v=spf1 -all"')
            wait_for(lambda: notices(w), "a drift event", 20)
            runs_on(w)
            found = notices(w)
            assert [(e["event"], e["rule"], e["domain"]) for e in found] == [
                ("drift", "spf-missing-address", "bounces.example.com")], found
            assert "192.0.2.1" in found[0]["text"] and "ip4:192.0.2.1" in found[0]["publish"], found
            assert json.loads(follow.stdout.readline())["event"] == "drift"
            follow.kill()
            follow.wait()
            assert bad(last(w)) == ["spf-missing-address"], last(w)
            assert w.metric("doctor_errors") == 1 and w.metric("doctor_notices_total") == 1
            assert "doctor.drift" in (w.dir / "log").read_text()
            text = w.command("events", "--event", "drift")
            assert "bounces.example.com (spf-missing-address)" in text and w.command("events", "--event", "mended") == "", text
            assert "since" in w.command("doctor", "--last", ok=(1,))
            good("a record that changed is one event")

            ns.failing = {"bounces.example.com"}
            wait_for(lambda: "dns" in bad(last(w)), "a name server's silence to be seen", 20)
            runs_on(w)
            assert len(notices(w)) == 1 and "spf-missing-address" in bad(last(w)), (notices(w), last(w))
            ns.failing = set()
            runs_on(w)
            assert len(notices(w)) == 1, notices(w)
            good("a silent name server is none")

            w.kill("queue")
            wait_for(lambda: "queue" in w.pids() and w.greets(), "the queue to come back")
            wait_for(lambda: w.metric("doctor_errors") == 1, "its numbers", 10) # a new process begins with none
            runs_on(w)
            w.kill("outbound-0")
            runs_on(w)
            assert len(notices(w)) == 1, notices(w)
            good("what was known survives, and looks go on when processes died")

            ns.zone = zone
            wait_for(lambda: len(notices(w)) == 2, "the mending", 20)
            runs_on(w)
            assert [e["event"] for e in notices(w)] == ["drift", "mended"], notices(w)
            assert bad(last(w)) == [] and w.metric("doctor_errors") == 0, last(w)
            good("and its mending is another")

            direct = socketserver.ThreadingTCPServer.__new__(socketserver.ThreadingTCPServer)
            socketserver.ThreadingTCPServer.allow_reuse_address = socketserver.ThreadingTCPServer.daemon_threads = True
            try:
                direct.__init__(("127.3.0.1", 25), Receiver)
                threading.Thread(target=direct.serve_forever, daemon=True).start()
            except OSError as e:
                direct = None
                print("port 25 cannot be had here, so nothing is delivered by MX:", e)
            ids = [w.send(TEXT.format(i), sender="a@example.com", to=["b@relayed.test"]) for i in range(2)]
            if direct:
                ids += [w.send(TEXT.format(i), sender="a@example.com", to=["b@receiver.test"]) for i in range(3)]
            wait_for(lambda: all(w.states(i) == ["delivered"] for i in ids), "the mail to arrive")
            (pathlib.Path(tmp) / "try.zone").write_text(zone)
            # what all goes through a smart host needs an include of its owner
            trouble = [] if direct else ["spf-smart-host"] * 2
            status = (1,) if trouble else (0,)
            answer = json.loads(w.command("doctor", "--json", "--dns", f"{tmp}/try.zone", "example.com", ok=status))
            seen = {(a["address"], a["class"], a["from"], a["domain"], a["via"], a["messages"]) for a in answer["addresses"]}
            wanted = {("192.0.2.1", "public", "public_addresses", "", "", 0),
                      ("127.0.0.2", "loopback", "ledger", "bounces.example.com", f"127.0.0.1:{sink.port}", 2)}
            if direct:
                wanted.add(("127.0.0.2", "loopback", "ledger", "bounces.example.com", "", 3))
                direct.shutdown()
                direct.server_close()
            assert seen == wanted and bad(answer) == trouble, (seen, answer)
            text = w.command("doctor", "--dns", f"{tmp}/try.zone", "example.com", ok=status)
            assert "from the ledger: used until 20" in text and ", 2 messages of bounces.example.com, handed to" in text, text
            hidden = pathlib.Path(tmp) / "hidden.conf"  # the same ledger, without knowing what the world sees
            hidden.write_text(re.sub("public_addresses = .*", "", w.config.read_text()))
            r = subprocess.run([binary(), "doctor", "--json", "--dns", f"{tmp}/try.zone", "--config", str(hidden), "example.com"],
                               capture_output=True, text=True)
            hints = {f["rule"] for f in json.loads(r.stdout)["findings"] if f["hint"]}
            assert r.returncode == 0 and ("loopback-address" in hints) == bool(direct), r.stdout
            os.kill(w.process.pid, signal.SIGHUP)
            wait_for(lambda: "reloaded" in (w.dir / "log").read_text(), "the reload")
            runs_on(w)
            assert len(notices(w)) == 2 + len(trouble), notices(w)
            good("the addresses that mail really left from are known")

        with daemon(one_process=True) as w:
            ns.zone = zone.replace("v=DKIM1; k=ed25519; p=", "v=DKIM1; k=ed25519; p=A")
            found = wait_for(lambda: notices(w), "a drift event", 20)
            assert {e["rule"] for e in found} == {"dkim-broken"} or {e["rule"] for e in found} == {"dkim-wrong-key"}, found
            assert {e["domain"] for e in found} == {"example.com"}, found
            good("all in one process")
        sink.close()
print(f"{passed} passed, 0 failed")
