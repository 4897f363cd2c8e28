#!/usr/bin/env python3
"""Real clients send through Waybill, and real servers are its next hops: swaks, Python's smtplib,
nodemailer, Postfix's smtp-source, Postfix as a relaying client; Postfix, smtp-sink and Exim as next hops.

What is not on the machine is fetched once into WAYBILL_PEERS (default /var/tmp/waybill-peers) if we are
root, see peers.sh; without it those tests are skipped. Everything listens on 127.0.0.1 only."""
import email.message, os, pathlib, shutil, smtplib, ssl, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import lab

PEERS = pathlib.Path(os.environ.get("WAYBILL_PEERS", "/var/tmp/waybill-peers"))
SCRIPT = pathlib.Path(__file__).resolve().parent / "peers.sh"
PACKAGES = {"postfix": ["postfix"], "exim": ["exim4-daemon-light"]}


def peer(name):
    """The words that start a program of this peer; skips the test when it cannot be had."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root for a private mount namespace")
    layer = PEERS / name
    if not (layer / ".done").exists():
        result = subprocess.run([SCRIPT, "setup", PEERS, name, *PACKAGES[name]], capture_output=True, text=True)
        if result.returncode != 0:
            shutil.rmtree(layer, ignore_errors=True)
            raise unittest.SkipTest(f"cannot fetch {name}: {result.stderr[-200:]}")
        (layer / ".done").touch()
    return [SCRIPT, "run", PEERS, name]


class Case(unittest.TestCase):
    """A Waybill for each class of tests; `settings`, `route` and the next hop are its own."""
    settings, route = "", "tls = none"

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="waybill-interop-"))
        cls.folder.chmod(0o755)
        cls.cert, cls.key = lab.certificate(cls.folder)
        cls.processes, cls.waybill = [], None
        cls.sink = lab.Sink()
        try:
            cls.waybill = lab.Waybill(cls.start_next_hop(), f"""
tls_certificate = "{cls.cert}"
tls_key = "{cls.key}"
logins_file = "{lab.logins(cls.folder)}"
{cls.settings}
""", route=cls.route)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def start_next_hop(cls):
        return cls.sink.port

    @classmethod
    def start(cls, command, port):
        """Starts a server and waits until it listens."""
        with open(cls.folder / "peer.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls.processes.append(process)
        try:
            lab.wait_for(lambda: process.poll() is not None or lab.listens(port), 30, f"{command} listens")
        finally:
            if process.poll() is not None:
                raise AssertionError((cls.folder / "peer.log").read_text())
        return port

    @classmethod
    def tearDownClass(cls):
        if cls.waybill is not None:
            cls.waybill.stop()
        for process in cls.processes:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        cls.sink.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def delivered(self, marker, count=1):
        marker = marker.encode()
        return lab.wait_for(lambda: len(self.sink.find(marker)) >= count and self.sink.find(marker), 60,
                            f"{count} messages with {marker} arrive")

    def send(self, marker, sender="app@source.test", recipients=("user@target.test",), port=None):
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), marker
        message.set_content(f"{marker}\n.leading dot\n..two\nu\u0308\n")
        with smtplib.SMTP("127.0.0.1", port or self.waybill.port, timeout=30) as smtp:
            return smtp.send_message(message)

    @classmethod
    def postfix(cls, relay_port, more=""):
        """A Postfix that relays all it gets to 127.0.0.1:relay_port. Returns the port it listens on."""
        run = peer("postfix")
        port, folder = lab.free_port(), cls.folder / f"postfix-{lab.free_port()}"
        folder.mkdir()
        (folder / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{relay_port}
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
local_recipient_maps =
alias_maps =
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_tls_received_header = yes
{more}
""")
        master = subprocess.run([*run, "cat", "/etc/postfix/master.cf"], check=True, capture_output=True,
                                text=True).stdout
        (folder / "master.cf").write_text("".join(
            line.replace("smtp ", f"127.0.0.1:{port} ", 1) if line.startswith("smtp ") and "inet" in line else line
            for line in master.splitlines(keepends=True)))
        return cls.start([*run, "/usr/lib/postfix/sbin/master", "-c", str(folder), "-d"], port)


class Clients(Case):
    def swaks(self, marker, *arguments):
        result = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(self.waybill.port), "--from",
                                 "swaks@source.test", "--to", "user@target.test", "--header", f"Subject: {marker}",
                                 *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return self.delivered(marker)

    @unittest.skipUnless(shutil.which("swaks"), "swaks is not installed")
    def test_swaks(self):
        self.swaks("swaks-plain")
        self.assertIn(b"ESMTPS", self.swaks("swaks-tls", "--tls")[0][2])
        self.assertIn(b"ESMTPSA", self.swaks("swaks-auth", "--tls", "--auth", "PLAIN", "--auth-user", "user",
                                             "--auth-password", "secret")[0][2])
        self.swaks("swaks-login", "--tls", "--auth", "LOGIN", "--auth-user", "user", "--auth-password", "secret")
        self.swaks("swaks-pipeline", "--pipeline")

    @unittest.skipUnless(shutil.which("swaks"), "swaks is not installed")
    def test_swaks_with_a_wrong_password(self):
        result = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(self.waybill.port), "--from",
                                 "a@source.test", "--to", "b@target.test", "--tls", "--auth", "PLAIN", "--auth-user",
                                 "user", "--auth-password", "wrong"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 28, result.stdout) # swaks: no authentication
        self.assertIn("535 5.7.8", result.stdout)

    def test_smtplib(self):
        self.assertEqual(self.send("smtplib-plain", recipients=("a@target.test", "b@target.test")), {})
        body = self.delivered("smtplib-plain")[0][2]
        self.assertIn(b"\r\n..leading dot\r\n...two\r\n", body)
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=30) as smtp:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            smtp.starttls(context=context)
            smtp.login("user", "secret")
            for i in range(20): # one connection, many messages
                smtp.sendmail("a@source.test", ["b@target.test"], f"Subject: {i}\r\n\r\nsmtplib-many-{i}.\r\n")
        for i in range(20):
            self.delivered(f"smtplib-many-{i}.")
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=30) as smtp:
            smtp.sendmail("j\u00fcrgen@source.test", ["\u7528\u6237@target.test"], b"Subject: smtplib-utf8\r\n\r\nx\r\n",
                          mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        self.assertEqual(self.delivered("smtplib-utf8")[0][1], ["\u7528\u6237@target.test".encode()])

    def test_a_large_message(self):
        body = "Subject: large-one\r\n\r\n" + "0123456789abcdef" * 4 + "\r\n"
        body += ("." * 70 + "\r\n") * 100000
        with smtplib.SMTP("127.0.0.1", self.waybill.port, timeout=60) as smtp:
            smtp.sendmail("a@source.test", ["b@target.test"], body)
        got = self.delivered("large-one")[0][2]
        self.assertTrue(got.endswith(("." * 71 + "\r\n").encode() * 100000))

    def test_nodemailer(self):
        if not shutil.which("node"):
            self.skipTest("node is not installed")
        modules = PEERS / "npm"
        if not (modules / "node_modules" / "nodemailer").exists():
            modules.mkdir(parents=True, exist_ok=True)
            npm = shutil.which("npm")
            if not npm or subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund", "nodemailer"],
                                         cwd=modules, capture_output=True, timeout=120).returncode != 0:
                self.skipTest("cannot fetch nodemailer")
        script = """
const transport = require("nodemailer").createTransport({host: "127.0.0.1", port: %d, pool: true,
  tls: {rejectUnauthorized: false}, auth: {user: "user", pass: "secret"}});
Promise.all([...Array(20).keys()].map(i => transport.sendMail({from: "a@source.test", to: "b@target.test",
  subject: "nodemailer-" + i + ".", text: ".dots\\n.", attachments: [{filename: "x", content: "y".repeat(5000)}]})))
  .then(r => { console.log(r[0].response); transport.close(); })
  .catch(e => { console.error(e); process.exit(1); });
""" % self.waybill.port
        result = subprocess.run(["node", "-e", script], cwd=modules, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, "^250 2")
        for i in range(20):
            self.delivered(f"nodemailer-{i}.")

    def test_smtp_source(self):
        result = subprocess.run([*peer("postfix"), "smtp-source", "-s", "10", "-m", "500", "-l", "4000", "-N", "-f",
                                 "a@source.test", "-t", "source@target.test", f"127.0.0.1:{self.waybill.port}"],
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        recipients = lambda: [m[1][0] for m in list(self.sink.messages) if m[1][0].endswith(b"source@target.test")]
        lab.wait_for(lambda: len(recipients()) >= 500, 60, "500 messages arrive")
        time.sleep(0.5)
        self.assertEqual(len(recipients()), 500)
        self.assertEqual(len(set(recipients())), 500)

    def test_postfix_relays_through_waybill(self):
        port = self.postfix(self.waybill.port, "smtp_tls_security_level = may")
        for i in range(5):
            self.send(f"through-postfix-{i}.", port=port, recipients=("a@target.test", "b@target.test"))
        for i in range(5):
            body = self.delivered(f"through-postfix-{i}.")[0][2]
            self.assertIn(b"by postfix.test", body)
            self.assertIn(b"ESMTPS", body)


class ToPostfix(Case):
    route = "tls = may"

    @classmethod
    def start_next_hop(cls):
        cls.postfix_port = cls.postfix(cls.sink.port, f"smtpd_tls_security_level = may\n"
                                       f"smtpd_tls_chain_files = {cls.key}, {cls.cert}\n")
        return cls.postfix_port

    def test_mail_goes_on_through_postfix_under_tls(self):
        for i in range(10):
            self.send(f"to-postfix-{i}.", recipients=("a@target.test", "b@target.test"))
        for i in range(10):
            body = self.delivered(f"to-postfix-{i}.")[0][2]
            self.assertIn(b"by postfix.test (Postfix) with ESMTPS", body)
            self.assertIn(b"\r\n..leading dot\r\n...two\r\n", body)

    def test_smtp_source_through_both(self):
        result = subprocess.run([*peer("postfix"), "smtp-source", "-s", "10", "-m", "200", "-l", "20000", "-N", "-f",
                                 "a@source.test", "-t", "c@target.test", f"127.0.0.1:{self.waybill.port}"],
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        lab.wait_for(lambda: len({m[1][0] for m in list(self.sink.messages) if m[1][0].endswith(b"c@target.test")})
                     == 200, 60, "200 messages arrive")


class ToSmtpSink(Case):
    @classmethod
    def start_next_hop(cls):
        port = lab.free_port()
        cls.dump = cls.folder / "dump"
        cls.dump.mkdir()
        cls.dump.chmod(0o777)
        return cls.start([*peer("postfix"), "smtp-sink", "-u", "nobody", "-d", f"{cls.dump}/", f"127.0.0.1:{port}",
                          "100"], port)

    def test_smtp_source_to_smtp_sink(self):
        result = subprocess.run([*peer("postfix"), "smtp-source", "-s", "10", "-m", "300", "-l", "3000", "-N", "-f",
                                 "a@source.test", "-t", "d@target.test", f"127.0.0.1:{self.waybill.port}"],
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        lab.wait_for(lambda: len(list(self.dump.iterdir())) >= 300, 60, "300 messages arrive")
        time.sleep(0.5)
        self.assertEqual(len(list(self.dump.iterdir())), 300)


class ToExim(Case):
    @classmethod
    def start_next_hop(cls):
        port = lab.free_port()
        config = cls.folder / "exim4.conf"
        config.write_text(f"""primary_hostname = exim.test
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
tls_advertise_hosts =
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny local_parts = refused
       message = nobody of that name
  accept hosts = 127.0.0.1
acl_data:
  accept
begin routers
onwards:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1
  self = send
begin transports
out:
  driver = smtp
  port = {cls.sink.port}
  allow_localhost
  hosts_try_prdr =
begin retry
* * F,1h,1m
""")
        # Exim trusts its built-in path only.
        start = f"cp {config} /etc/exim4/exim4.conf && chmod 644 /etc/exim4/exim4.conf && exec exim4 -bdf -q1m"
        return cls.start([*peer("exim"), "sh", "-c", start], port)

    def test_mail_goes_on_through_exim(self):
        for i in range(5):
            self.send(f"to-exim-{i}.", recipients=("a@target.test", "b@target.test"))
        for i in range(5):
            body = self.delivered(f"to-exim-{i}.")[0][2]
            self.assertIn(b"by exim.test", body)
            self.assertIn(b"\r\n..leading dot\r\n...two\r\n", body)

    def test_a_refused_recipient_does_not_stop_the_others(self):
        self.send("exim-refuses-one", recipients=("refused@target.test", "good@target.test"))
        self.delivered("exim-refuses-one")
        lab.wait_for(lambda: "550" in self.waybill.run("events").stdout, 20, "the refusal is an event")


if __name__ == "__main__":
    lab.main()
