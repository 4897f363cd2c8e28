#!/usr/bin/env python3
"""SRS addresses of Waybill are read by Mail::SRS and postsrsd, and theirs by Waybill, with one secret."""
import pathlib, re, shutil, smtplib, socket, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

SECRET = "tops3cret+/=Bergen"
SENDERS = ("a@author.test", "Ann.Other+tag=1@Author.Test", "x-y_z@sub.author.test", "SRS0=HHHH=TT=author.test=a@first.test",
           "SRS0+HHHH=TT=author.test=a@first.test", "SRS1=HHHH=first.test==HHHH=TT=author.test=a@second.test")
PERL = r"""
use Mail::SRS; my ($what, $secret, @all) = @ARGV;
my $s = Mail::SRS->new(Secret => $secret, MaxAge => 30, HashLength => 4, HashMin => 4);
print $what eq 'forward' ? $s->forward($_, 'return.test') : $s->reverse($_), "\n" for @all;
"""


class MailSrs:
    name = "Mail::SRS"

    def __init__(self, tmp):
        if subprocess.run(["perl", "-MMail::SRS", "-e1"], stderr=subprocess.DEVNULL).returncode:
            raise LookupError("libmail-srs-perl is not installed")

    def ask(self, what, address):
        return subprocess.run(["perl", "-e", PERL, what, SECRET, address], check=True, capture_output=True, text=True).stdout.strip()

    def close(self):
        pass


class Postsrsd:
    name = "postsrsd"

    def __init__(self, tmp):
        program = shutil.which("postsrsd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not program:
            raise LookupError("postsrsd is not installed")
        (tmp / "secret").write_text(SECRET + "\n")
        self.ports = dict(zip(("forward", "reverse"), free_ports(2)))
        self.process = subprocess.Popen([program, "-4", "-s", tmp / "secret", "-d", "return.test", "-f", str(self.ports["forward"]),
                                         "-r", str(self.ports["reverse"])], stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.ports["reverse"]), "postsrsd")

    def ask(self, what, address):
        quoted = "".join(c if c.isalnum() or c in "@.-_=" else f"%{ord(c):02x}" for c in address)
        with socket.create_connection(("127.0.0.1", self.ports[what]), 5) as s:
            s.sendall(f"get {quoted}\n".encode())
            answer = s.recv(1024).decode().strip()
        assert answer.startswith("200 "), (what, address, answer)
        return re.sub("%([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), answer[4:])

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def outside(port):
    c = smtplib.SMTP("127.0.0.1", port, timeout=30, source_address=("127.0.0.2", 0))
    c.ehlo()
    return c


def give(w, sink, sender, recipient, body):
    """The next hop gets it: its sender and recipient there."""
    before = len(sink.mails())
    with outside(w.port) as c:
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
            code, reply = c.docmd(line)
            assert code == 250, (line, code, reply)
        code, reply = c.data(body)
        assert code == 250, reply
    wait_for(lambda: len(sink.mails()) > before, f"{sender} to {recipient}")
    return re.match(rb"X-Sink-From: <(.*?)>.*\r\nX-Sink-To: <(.*?)>", sink.mails()[-1]).groups()


def main(tmp):
    peers = []
    for kind in (MailSrs, Postsrsd):
        try:
            peers.append(kind(tmp))
        except LookupError as why:
            print(why)
    if not peers:
        skip("neither libmail-srs-perl nor postsrsd is installed")
    (tmp / "forwards").write_text("list@one.test far@two.test\n")
    sink = Sink(tmp / "sink")
    for length in (4, 8):
        w = Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:/dev/null"\nreturn_path_domain = "return.test"\n'
                             f'forwards_file = "{tmp}/forwards"\nforward_return_path = srs\nsrs_hash_length = {length}\n',
                    route=f'route "one.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
                          f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n')
        (w.dir / "data").mkdir()
        (w.dir / "data/srs.secret").write_text(f"# of the forwarder before\n{SECRET}\nolder\n")
        with w:
            for n, sender in enumerate(SENDERS):
                ours = give(w, sink, sender, "list@one.test", f"From: {sender}\r\nSubject: {n}\r\n\r\nx\r\n".encode())[0].decode()
                # what a bounce to it goes to: the sender, or what the first forwarder made of it
                _, back = give(w, sink, "", ours, f"From: m@two.test\r\nSubject: back {n}\r\n\r\nx\r\n".encode())
                for p in peers:
                    assert p.ask("reverse", ours) == back.decode(), (p.name, ours, back, p.ask("reverse", ours))
                    if length > 4:
                        continue  # they write four characters
                    theirs = p.ask("forward", sender)
                    assert theirs == ours, (p.name, theirs, ours)
                    assert give(w, sink, "", theirs, f"From: m@two.test\r\nSubject: {p.name} {n}\r\n\r\nx\r\n".encode())[1] == back, theirs
                if not sender.startswith("SRS"):
                    assert back.decode() == sender
            assert w.stop() == 0
    for p in peers:
        p.close()
    sink.close()
    print(f"{len(SENDERS)} senders, to and fro with {' and '.join(p.name for p in peers)}")


with tempfile.TemporaryDirectory() as folder:
    main(pathlib.Path(folder))
