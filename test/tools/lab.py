"""lab.py -- a Waybill of its own, next hops that remember, and a raw SMTP client, for the tests of the
whole program. Python's standard library only; everything on 127.0.0.1, in a temporary folder, ended by
process id."""
import os, pathlib, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time, unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
# smtplib asks the machine's resolver for its own name; a test asks nobody, and some machines take long.
socket.getfqdn = lambda name="": "client.test"
BINARY = pathlib.Path(os.environ.get("WAYBILL", ROOT / "build" / "waybill"))
SERVE = os.environ.get("WAYBILL_SERVE", "").split() # WAYBILL_SERVE=--one-process tests that
SKIPPED = 77


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds, what):
    """Polls until `condition()` is true, and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Sink:
    """A next hop that keeps what it got: `messages` is a list of (sender, recipients, bytes), the bytes
    as they came, between DATA and CR LF . CR LF, dots and all."""

    def __init__(self, refuse_recipient=lambda address: False):
        self.messages, self.refuse_recipient = [], refuse_recipient
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        buffer, sender, recipients = b"", None, []

        def more():
            nonlocal buffer
            piece = peer.recv(65536)
            buffer += piece
            return piece

        with peer:
            peer.sendall(b"220 sink.test ESMTP\r\n")
            while True:
                while b"\r\n" not in buffer:
                    if not more():
                        return
                line, buffer = buffer.split(b"\r\n", 1)
                verb = line[:4].upper()
                if verb == b"EHLO":
                    peer.sendall(b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n")
                elif verb == b"MAIL":
                    sender, recipients = line[10:], []
                    peer.sendall(b"250 ok\r\n")
                elif verb == b"RCPT":
                    if self.refuse_recipient(line[8:]):
                        peer.sendall(b"550 5.1.1 nobody\r\n")
                    else:
                        recipients.append(line[8:].split(b">")[0].strip(b"<"))
                        peer.sendall(b"250 ok\r\n")
                elif verb == b"DATA":
                    peer.sendall(b"354 go\r\n" if recipients else b"554 nobody\r\n")
                    if not recipients:
                        continue
                    while not buffer.startswith(b".\r\n") and b"\r\n.\r\n" not in buffer:
                        if not more():
                            return
                    if buffer.startswith(b".\r\n"):
                        body, buffer = b"", buffer[3:]
                    else:
                        body, buffer = buffer.split(b"\r\n.\r\n", 1)
                    self.messages.append((sender, recipients, body + b"\r\n"))
                    peer.sendall(b"250 2.0.0 kept\r\n")
                elif verb == b"QUIT":
                    peer.sendall(b"221 bye\r\n")
                    return
                else:
                    peer.sendall(b"250 ok\r\n")

    def find(self, marker):
        """The messages that hold `marker`."""
        return [m for m in list(self.messages) if marker in m[2]]

    def close(self):
        self.listener.close()


class Waybill:
    """`waybill serve` with settings of its own. `settings` are lines for the top of the file, `listener`
    those of its listener."""

    def __init__(self, next_hop_port, settings="", listener="", route=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="waybill-lab-"))
        self.folder.chmod(0o777) # started as root, its roles become somebody else
        self.port, metrics = free_port(), free_port()
        self.config = self.folder / "waybill.conf"
        self.config.write_text(f"""hostname = "waybill.test"
data_dir = "{self.folder}/data"
run_dir = "{self.folder}/run"
log_file = "{self.folder}/waybill.log"
metrics_address = "127.0.0.1:{metrics}"
disk_free_min = 0
{settings}
listener main {{ address = "127.0.0.1" port = {self.port} {listener} }}
route "*" {{ via = "127.0.0.1:{next_hop_port}" {route} }}
""")
        with open(self.folder / "out", "wb") as out:
            self.process = subprocess.Popen([BINARY, "serve", "--config", self.config, *SERVE], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: self.process.poll() is not None or listens(self.port), 20, "waybill listens")
        except AssertionError:
            self.stop()
            raise
        if self.process.poll() is not None:
            raise AssertionError("waybill ended at once: " + (self.folder / "out").read_text())

    def tree(self):
        """The process ids of the daemon and all below it."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    parents[int(entry.name)] = int(fields[1])
                except OSError:
                    pass
        found = {self.process.pid}
        while True:
            new = {p for p, parent in parents.items() if parent in found} - found
            if not new:
                return found
            found |= new

    def memory_kib(self):
        """What all its processes hold, shared pages counted once (PSS)."""
        total = 0
        for pid in self.tree():
            try:
                for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
            except OSError:
                pass
        return total

    def run(self, *arguments):
        return subprocess.run([BINARY, *arguments, "--config", self.config], capture_output=True, text=True,
                              timeout=60)

    def log(self):
        path = self.folder / "waybill.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                for pid in self.tree():
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


class Talk:
    """A raw SMTP client: what is said is sent as it is, replies are read whole."""

    def __init__(self, port, greet=True, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.buffer = b""
        if greet:
            self.greeting = self.reply()
            self.ehlo = self.say(b"EHLO client.test\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(f"closed; read so far: {self.buffer!r}")
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def reply(self):
        """All lines of one reply, joined by LF."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"\n".join(lines)

    def say(self, data):
        self.send(data)
        return self.reply()

    def rest(self):
        """Everything until the other side closes."""
        try:
            while True:
                piece = self.socket.recv(65536)
                if not piece:
                    break
                self.buffer += piece
        except ConnectionResetError:
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


def envelope(talk, sender=b"a@source.test", recipients=(b"b@target.test",)):
    """MAIL and RCPT, which must be accepted."""
    for command in [b"MAIL FROM:<%s>\r\n" % sender, *(b"RCPT TO:<%s>\r\n" % r for r in recipients)]:
        reply = talk.say(command)
        assert reply.startswith(b"250"), (command, reply)


def certificate(folder):
    """A self-signed certificate and its key: two paths."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=waybill.test", "-days", "2", "-keyout", f"{folder}/key.pem",
                    "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    return f"{folder}/cert.pem", f"{folder}/key.pem"


def logins(folder, name="user", password="secret"):
    """A logins_file with one login."""
    path = pathlib.Path(folder) / "logins"
    hashed = subprocess.run(["openssl", "passwd", "-6", password], check=True, capture_output=True,
                            text=True).stdout.strip()
    path.write_text(f"{name}:{hashed}\n")
    return path


def main():
    """Runs the tests of the calling module; status 77 when there is no daemon to test."""
    if not BINARY.exists() or subprocess.run([BINARY, "serve", "--help"], capture_output=True).returncode != 0:
        print("no waybill serve to test")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
