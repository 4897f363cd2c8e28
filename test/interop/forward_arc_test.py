#!/usr/bin/python3
"""The chains on forwarded mail hold for others: messages that passed two Waybills, one daemon each, are judged by
python3-dkim, Mail::DKIM and mailauth, as the last next hop got them."""
import pathlib, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

PEERS = pathlib.Path(__file__).resolve().parent / "dkim_peers_test.py"
BODIES = {
    "plain": "Hello.\r\n",
    "empty": "",
    "spaces": "  a \t b  \r\n \r\n\ttabs\t\r\n\r\n\r\n",
    "dots": ".\r\n..\r\n.x\r\n",
    "8bit": "Gr\u00fc\u00dfe aus K\u00f6ln\r\n" * 40,
    "large": "".join(f"{i} {'y' * 70}\r\n" for i in range(12000)),
}


def keygen(domain, selector, tmp):
    return subprocess.run([binary(), "dkim", "keygen", domain, selector, "--folder", tmp], check=True,
                          capture_output=True, text=True).stdout


def hop(domain, next_port, zone, tmp):
    (tmp / f"forwards.{domain}").write_text("list@one.test far@two.test\nfar@two.test end@three.test\n")
    return Waybill(settings=f'dns = "zone:{zone}"\nrelay_networks = {{ "192.0.2.0/24" }}\n'
                            f'forwards_file = "{tmp}/forwards.{domain}"\nreturn_path_domain = "bounce.{domain}"\n'
                            f'key k {{ domain = "{domain}" selector = "s" file = "{tmp}/{domain}.s.pem" }}\n',
                   route=f'route "{domain}" {{ via = "127.0.0.1:{next_port}" tls = none local = yes }}\n'
                         f'route "*" {{ via = "127.0.0.1:{next_port}" tls = none }}\n')


def send(port, name, body, tmp):
    path = tmp / f"{name}.eml"
    path.write_bytes(f"From: a@author.test\r\nTo: list@one.test\r\nSubject: {name} \r\n\tfolded\r\nMIME-Version: 1.0\r\n"
                     f"Date: Tue, 24 Nov 2026 23:00:00 +0000\r\nMessage-ID: <{name}@author.test>\r\n\r\n{body}".encode())
    signed = subprocess.run([binary(), "dkim", "sign", "--key", f"{tmp}/author.test.s.pem:s:author.test", str(path)],
                            capture_output=True, check=True).stdout
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
        s.sendmail("a@author.test", ["list@one.test"], signed, mail_options=["BODY=8BITMIME"])


def main(tmp):
    zone = tmp / "zone"
    zone.write_text("".join(keygen(d, "s", tmp) for d in ("author.test", "one.test", "two.test")))
    sink = Sink(tmp / "sink")
    with hop("two.test", sink.port, zone, tmp) as second, hop("one.test", second.port, zone, tmp) as first:
        for name, body in BODIES.items():
            send(first.port, name, body, tmp)
        paths = wait_for(lambda: len(sink.mails()) == len(BODIES) and sorted(sink.directory.glob("*.eml")), "all mail")
    sink.close()
    for path in paths:
        message = path.read_bytes()
        message = message[message.index(b"ARC-Seal:"):] # the sink's own fields come before
        assert message.count(b"\r\nARC-Seal: i=1;") == 1 and message.startswith(b"ARC-Seal: i=2;"), message[:400]
        path.write_bytes(message)
    r = subprocess.run([sys.executable, PEERS, "--sealed", zone, *paths], capture_output=True, text=True)
    print(r.stdout + r.stderr, end="")
    return r.returncode


if subprocess.run([binary(), "arc", "verify", "/dev/null"], capture_output=True).returncode == 2:
    skip("this build leaves ARC out")
with tempfile.TemporaryDirectory() as folder:
    sys.exit(main(pathlib.Path(folder)))
