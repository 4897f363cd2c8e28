#!/usr/bin/env python3
"""A real chain: an application -> Waybill -> Postfix -> Exim -> Dovecot (LMTP), with a content filter that stalls
after the dot, so that the host before it sends again. Two copies lie in the mailbox; `waybill compare` must name
the host that sent twice, and say retry_after_lost_reply.

The filter stands in front of each of the three receivers in turn: a policy service of Postfix, and a proxy before
Exim and before Dovecot that holds back the reply to the dot. Programs: see peers.sh; skipped where they cannot be had."""
import email.message, email.utils, json, os, pathlib, smtplib, socket, subprocess, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import lab
from smtp_test import PACKAGES, Case, peer

PACKAGES["dovecot"] = ["dovecot-lmtpd"]
STALL_S = 6  # how long the filter takes with the first copy
PATIENCE_S = 2  # how long every sender waits for the reply to its dot


class Policy:
    """A policy service for Postfix's smtpd_end_of_data_restrictions. It thinks long about the first message of the
    sender stall-postfix@..., and lets everything pass."""

    def __init__(self):
        self.stalled = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as lines:
            sender = b""
            for line in lines:
                if line.startswith(b"sender="):
                    sender = line
                elif line == b"\n":
                    if b"stall-postfix" in sender and not self.stalled:
                        self.stalled = True
                        time.sleep(STALL_S)
                    client.sendall(b"action=DUNNO\n\n")

    def close(self):
        self.listener.close()


class Filter:
    """A proxy before a mail server. Of the first message that holds `marker`, it keeps the reply to the dot for itself
    until it is too late."""

    def __init__(self, server_port, marker):
        self.server_port, self.marker, self.stalled = server_port, marker, False
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
            state = {"stall": False}
            threading.Thread(target=self.upwards, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self.downwards, args=(client, server, state), daemon=True).start()

    def upwards(self, client, server, state):
        seen = b""
        try:
            while data := client.recv(65536):
                seen = (seen + data)[-200000:]
                if not self.stalled and self.marker in seen and b"\r\n.\r\n" in seen:
                    self.stalled = state["stall"] = True
                server.sendall(data)
        except OSError:
            pass
        if state["stall"]:  # the server finishes in peace, whatever its client does
            time.sleep(STALL_S)
        try:
            server.shutdown(socket.SHUT_WR)  # Exim says no more behind QUIT, but listens
        except OSError:
            pass

    def downwards(self, client, server, state):
        try:
            while data := server.recv(65536):
                if state["stall"]:
                    time.sleep(STALL_S)
                client.sendall(data)
        except OSError:
            pass
        client.close()
        server.close()

    def close(self):
        self.listener.close()


class Chain(Case):
    settings = f"retry = {{ 1s }}\nretry_jitter = 0\noutbound_dot_timeout = {PATIENCE_S}s\n"

    @classmethod
    def start_next_hop(cls):
        cls.mail = cls.folder / "mail"
        cls.mail.mkdir()
        cls.mail.chmod(0o777)
        cls.doors = []
        dovecot = cls.dovecot()
        before_dovecot = Filter(dovecot, b"stall-dovecot")
        exim = cls.exim(before_dovecot.port)
        before_exim = Filter(exim, b"stall-exim")
        policy = Policy()
        cls.doors = [before_dovecot, before_exim, policy]
        return cls.postfix(before_exim.port, f"""
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{policy.port}
smtp_data_done_timeout = {PATIENCE_S}s
minimal_backoff_time = 2s
maximal_backoff_time = 3s
queue_run_delay = 1s
""")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for door in getattr(cls, "doors", []):
            door.close()

    @classmethod
    def dovecot(cls):
        run, port = peer("dovecot"), lab.free_port()
        config = cls.folder / "dovecot.conf"
        config.write_text(f"""protocols = lmtp
log_path = {cls.folder}/dovecot.log
hostname = dovecot.test
ssl = no
mail_location = maildir:{cls.mail}/%n
first_valid_uid = 1
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={cls.mail}/%n allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
""")
        return cls.start([*run, "dovecot", "-F", "-c", str(config)], port)

    @classmethod
    def exim(cls, lmtp_port):
        run, port = peer("exim"), lab.free_port()
        (cls.folder / "exim").mkdir()
        (cls.folder / "exim").chmod(0o777)
        config = cls.folder / "exim4.conf"
        config.write_text(f"""primary_hostname = exim.test
log_file_path = {cls.folder}/exim/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
tls_advertise_hosts =
acl_smtp_rcpt = acl_accept
acl_smtp_data = acl_accept
begin acl
acl_accept:
  accept hosts = 127.0.0.1
begin routers
mailbox:
  driver = manualroute
  transport = lmtp
  route_list = * 127.0.0.1
  self = send
begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = {lmtp_port}
  final_timeout = {PATIENCE_S}s
  hosts_try_chunking =
  allow_localhost
begin retry
* * F,1h,1s
""")
        start = f"cp {config} /etc/exim4/exim4.conf && chmod 644 /etc/exim4/exim4.conf && exec exim4 -bdf -q1s"
        return cls.start([*run, "sh", "-c", start], port)

    def deliver(self, marker, copies):
        """Sends one message and returns the files that lie in the mailbox afterwards."""
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = f"{marker}@source.test", f"{marker}@target.test", "Your order"
        message["Message-ID"], message["Date"] = f"<{marker}@source.test>", email.utils.formatdate()
        message.set_content("Thank you.\n")
        with smtplib.SMTP("127.0.0.1", self.waybill.port, local_hostname="app.source.test", timeout=30) as smtp:
            smtp.send_message(message, from_addr=f"{marker}@source.test", to_addrs=[f"{marker}@target.test"])
        box = self.mail / marker / "new"
        found = lambda: sorted(box.iterdir()) if box.is_dir() else []
        try:
            lab.wait_for(lambda: len(found()) >= copies, 60, f"{copies} copies for {marker}")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.logs()}") from None
        time.sleep(0.5 if copies > 1 else PATIENCE_S)
        self.assertEqual(len(found()), copies, self.logs())
        return found()

    def logs(self):
        text = self.waybill.log()[-2500:]
        for name in ("dovecot.log", "peer.log", "exim/mainlog"):
            if (self.folder / name).exists():
                lines = (self.folder / name).read_text(errors="replace").splitlines(keepends=True)
                text += "".join(line for line in lines if "queue run" not in line)[-2500:]
        return text

    def compare(self, files, *more):
        run = subprocess.run([lab.BINARY, "compare", "--json", *more, *files], capture_output=True, text=True)
        self.assertIn(run.returncode, (0, 1), run.stderr)
        keep = os.environ.get("WAYBILL_KEEP_COPIES")
        if keep:
            for i, file in enumerate(files):
                pathlib.Path(keep, f"{file.parent.parent.name}-{i}.eml").write_bytes(file.read_bytes())
        return json.loads(run.stdout)["groups"][0], run.returncode

    def check_stall(self, marker, culprit, receiver, common):
        files = self.deliver(marker, 2)
        group, status = self.compare(files)
        self.assertEqual((status, group["verdict"]), (1, "duplicated"), group)
        self.assertEqual(group["cause"], "retry_after_lost_reply", group)
        self.assertEqual(group["culprit"], culprit, group)
        self.assertEqual(group["common_hops"], common, group)
        self.assertEqual({d["by"] for d in group["diverge"]}, {receiver}, group)
        return files, group

    def test_nothing_stalls(self):
        files = self.deliver("calm", 1)
        group, status = self.compare(files)
        self.assertEqual((status, group["verdict"]), (0, "single"), group)
        trace = json.loads(subprocess.run([lab.BINARY, "trace", "--json", *files], capture_output=True,
                                          check=True).stdout)
        self.assertEqual([h["by"] for h in trace["hops"]],
                         ["waybill.test", "postfix.test", "exim.test", "dovecot.test"], trace)

    def test_a_filter_in_postfix(self):
        files, group = self.check_stall("stall-postfix", "waybill.test", "postfix.test", 1)
        self.assertFalse(group["confirmed_by_ledger"])
        group, _ = self.compare(files, "--config", self.waybill.config)
        self.assertTrue(group["confirmed_by_ledger"], group)
        self.assertEqual([e["event"] for e in group["ledger"]], ["accepted", "unknown", "delivered"])

    def test_a_filter_before_exim(self):
        files, _ = self.check_stall("stall-exim", "postfix.test", "exim.test", 2)
        group, _ = self.compare(files, "--config", self.waybill.config)
        self.assertFalse(group["confirmed_by_ledger"], group)  # it was not our doing: one attempt, answered
        self.assertEqual([e["event"] for e in group["ledger"]], ["accepted", "delivered"])

    def test_a_filter_before_dovecot(self):
        self.check_stall("stall-dovecot", "exim.test", "dovecot.test", 3)


if __name__ == "__main__":
    lab.main()
