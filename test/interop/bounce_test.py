#!/usr/bin/env python3
"""A real Postfix refuses one recipient at RCPT and bounces another later, by mail: the later bounce finds its way to
the return path, the ledger shows both, both are suppressed, and the next send is refused by SMTP. A third gets its mail.
Needs root (smtp_test.py tells why). Everything listens on 127.0.0.0/8 only."""
import email, json, pathlib, smtplib, socket, subprocess, sys, threading, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import smtp_test
from smtp_test import lab


class Forwarder:
    """Carries connections to Waybill as if they came from 127.0.0.3, which may not relay."""

    def __init__(self):
        self.target = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.target), source_address=("127.0.0.3", 0))
            for a, b in ((peer, there), (there, peer)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Bounces(smtp_test.Case):
    settings = """relay_networks = { "127.0.0.1/32" }
return_path_domain = "return.test"
default_stream = shop
stream shop { failures = events }
stream other { }
"""

    @classmethod
    def start_next_hop(cls):
        cls.forwarder, cls.behind = Forwarder(), lab.Sink(lambda address: b"later" in address)
        return cls.postfix(cls.forwarder.port, f"""smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{refused@target.test = 550 5.1.1 No such user here}} }}
    permit_mynetworks, reject
transport_maps = inline:{{ {{later@target.test = smtp:[127.0.0.1]:{cls.behind.port}}}
    {{fine@target.test = discard:}} }}
""")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.forwarder.target = cls.waybill.port

    def command(self, *words):
        r = subprocess.run([lab.BINARY, *words, "--config", self.waybill.config], capture_output=True, text=True)
        return r.stdout

    def states(self, message_id):
        story = json.loads(self.command("show", "--json", message_id))
        return [r["state"] for r in story["recipients"]], story

    def test_now_and_later(self):
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=30) as c:
            c.ehlo()
            c.mail("shop@source.test")
            for who in ("refused", "later", "fine"):
                self.assertEqual(c.rcpt(f"{who}@target.test")[0], 250)
            code, reply = c.data("From: shop@source.test\r\nSubject: hi\r\nMessage-ID: <1@source.test>\r\n\r\nhi\r\n")
            self.assertEqual(code, 250, reply)
        message_id = reply.decode().split()[-1]
        lab.wait_for(lambda: self.states(message_id)[0] == ["bounced", "bounced", "delivered"], 60, "both failures")
        story = self.states(message_id)[1]
        refused = [e for e in story["events"] if e["event"] == "bounced"]
        reported = [e for e in story["events"] if e["event"] == "reported"]
        self.assertEqual([(e["recipients"], e["reply_code"], e["category"]) for e in refused],
                         [("1", 550, "invalid_recipient")], story)
        self.assertEqual([(e["recipients"], e["category"]) for e in reported], [("2", "invalid_recipient")], story)
        listed = [json.loads(line) for line in self.command("suppress", "list", "--json").splitlines()]
        self.assertEqual({(r["address"], r["scope"], r["source"]) for r in listed},
                         {("refused@target.test", "", "bounce"), ("later@target.test", "", "report")})
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=30) as c:
            c.ehlo()
            c.mail("shop@source.test")
            for who, expected in (("refused", 550), ("later", 550), ("fine", 250)):
                code, text = c.rcpt(f"{who}@target.test")
                self.assertEqual(code, expected, text)
                if expected == 550:
                    self.assertEqual(text, b"5.7.1 suppressed: invalid_recipient")


class OurReports(smtp_test.Case):
    """A report that Waybill writes is read by others as it was meant."""
    settings = """default_stream = shop
stream shop { failures = mail }
"""

    @classmethod
    def start_next_hop(cls):
        cls.hop = lab.Sink(lambda address: b"gone" in address)
        return cls.hop.port

    def report(self, who):
        """The report about `who`, who does not exist."""
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=30) as c:
            c.ehlo()
            self.assertEqual(c.docmd("MAIL FROM:<shop@source.test> RET=HDRS ENVID=order7")[0], 250)
            self.assertEqual(c.docmd(f"RCPT TO:<gone-{who}@target.test> NOTIFY=FAILURE ORCPT=rfc822;alias@target.test")[0], 250)
            code, reply = c.data("From: shop@source.test\r\nSubject: hi\r\nMessage-ID: <7@source.test>\r\n\r\nhi\r\n")
            self.assertEqual(code, 250, reply)
        mails = lab.wait_for(lambda: self.hop.find(f"<gone-{who}@target.test>:".encode()), 30, "the report")
        self.assertEqual(mails[0][0].split()[0], b"<>")
        self.assertEqual(mails[0][1], [b"shop@source.test"])
        return mails[0][2]

    def test_others_read_it(self):
        text = self.report("a")
        path = self.folder / "report.eml"
        path.write_bytes(b"Return-Path: <>\r\n" + text)
        mail = email.message_from_bytes(text)
        self.assertEqual(mail.get_content_type(), "multipart/report")
        fields = mail.get_payload()[1].get_payload()
        self.assertEqual(fields[0]["Original-Envelope-Id"], "order7")
        self.assertEqual(fields[1]["Original-Recipient"], "rfc822;alias@target.test")
        self.assertEqual((fields[1]["Action"], fields[1]["Status"]), ("failed", "5.1.1"))
        r = subprocess.run([lab.BINARY, "bounce", "--json", path], capture_output=True, text=True)
        ours = json.loads(r.stdout)["recipients"]
        self.assertEqual([(x["recipient"], x["category"], x["hard"]) for x in ours],
                         [("gone-a@target.test", "invalid_recipient", True)])
        self.assertEqual(json.loads(r.stdout)["original"]["message_id"], "<7@source.test>")

    def test_flufl_bounce_reads_it(self):
        path = self.folder / "flufl.eml"
        path.write_bytes(self.report("b"))
        script = "import sys, email; from flufl.bounce import all_failures; " \
                 "t, p = all_failures(email.message_from_binary_file(open(sys.argv[1], 'rb'))); print(len(t), *p)"
        r = subprocess.run(["/usr/bin/python3", "-c", script, path], capture_output=True, text=True)
        if "No module named" in r.stderr:
            self.skipTest("python3-flufl.bounce is not here")
        # it prefers the address that the sender wrote
        self.assertIn(r.stdout.split(), (["0", "b'gone-b@target.test'"], ["0", "b'alias@target.test'"]), r.stderr)

    def test_sisimai_reads_it(self):
        path = self.folder / "sisimai.eml"
        path.write_bytes(self.report("c"))
        script = 'use Sisimai; my $r = Sisimai->rise($ARGV[0]) or exit 9; ' \
                 'print join(" ", $_->recipient->address, $_->reason, $_->deliverystatus), "\\n" for @$r'
        r = subprocess.run(["perl", "-e", script, str(path)], capture_output=True, text=True)
        if "Can't locate Sisimai" in r.stderr or r.returncode == 127:
            self.skipTest("libsisimai-perl is not here")
        if "rise" in r.stderr:
            r = subprocess.run(["perl", "-e", script.replace("rise", "make"), str(path)], capture_output=True, text=True)
        self.assertEqual(r.stdout.split(), ["gone-c@target.test", "userunknown", "5.1.1"], r.stderr)


if __name__ == "__main__":
    unittest.main()
