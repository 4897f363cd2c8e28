#!/usr/bin/python3
"""What Waybill delivers carries an RSA and an Ed25519 signature, and they hold: python3-dkim verifies both,
opendkim-testmsg the RSA one, on the messages as the next hop got them over SMTP."""
import json, pathlib, re, shutil, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

try:
    import dkim, nacl.signing
except ImportError:
    skip("python3-dkim or python3-nacl is not installed")

PEERS = pathlib.Path(__file__).resolve().parent / "dkim_peers_test.py"
BODIES = {
    "plain": "Hello.\r\n",
    "empty": "",
    "spaces": "  a \t b  \r\n \r\n\ttabs\t\r\n\r\n\r\n",
    "dots": ".\r\n..\r\n.x\r\n",
    "8bit": "Gr\u00fc\u00dfe aus K\u00f6ln\r\n" * 40,
    "large": "".join(f"{i} {'y' * 70}\r\n" for i in range(12000)),
}


def records(text):
    """name -> TXT, from what keygen printed."""
    found = {}
    for line in text.splitlines():
        name, found_one, rest = line.partition(" IN TXT ")
        if found_one and not line.startswith(";"):
            found[name.rstrip(".").lower()] = "".join(re.findall(r'"([^"]*)"', rest))
    return found


def by_dkimpy(message, zone):
    lookup = lambda name, timeout=5: zone.get(name.decode().rstrip(".").lower(), "").encode()
    count = len(re.findall(rb"(?m)^DKIM-Signature:", message))
    assert count == 2, f"{count} signatures"
    for i in range(count):
        assert dkim.DKIM(message).verify(idx=i, dnsfunc=lookup), f"signature {i}"
    assert {b"rsa-sha256", b"ed25519-sha256"} == set(re.findall(rb"\ba=([a-z0-9-]+)", message.split(b"\r\n\r\n")[0]))
    for field in (b"From", b"To", b"Subject", b"Date", b"Message-ID"): # oversigned: none can be added later
        for second in (b"added", b"a@b.test"):
            changed = field + b": " + second + b"\r\n" + message
            assert not dkim.DKIM(changed).verify(idx=0, dnsfunc=lookup), f"a second {field} was not seen"


def by_opendkim(path, zone, folder):
    (folder / "zone.json").write_text(json.dumps(zone))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    with path.open("rb") as message:
        r = subprocess.run(["unshare", "-rmn", sys.executable, PEERS, "inside", folder / "zone.json",
                            folder / "resolv.conf", "opendkim-testmsg", "-C"], stdin=message, capture_output=True)
    assert r.returncode == 0, (path, r.stdout, r.stderr)


def report_of_failure(tmp, keys):
    """What we write ourselves is signed too: by the domain above our host's."""
    bad, good = Sink(tmp / "bad", "--reject-rcpt", "550 5.1.1"), Sink(tmp / "good")
    route = "".join(f'route "{d}" {{ via = {{ "127.0.0.1:{s.port}" }} tls = none }}\n' for d, s in (("receiver.test", bad), ("*", good)))
    settings = f'hostname = "mx.sender.test"\ndefault_stream = mail\nstream mail {{ failures = mail }}\n{keys}'
    with Waybill(settings=settings, route=route) as w:
        w.send(b"From: a@other.test\r\nTo: b@receiver.test\r\nSubject: x\r\n\r\nHello.\r\n", sender="a@other.test")
        report = wait_for(good.mails, "the report")[0]
    bad.close()
    good.close()
    return report[report.index(b"DKIM-Signature:"):]


def main(tmp):
    zone = records(subprocess.run([binary(), "dkim", "keygen", "sender.test", "one", "--folder", tmp], check=True,
                                  capture_output=True, text=True).stdout)
    assert len(zone) == 2, zone
    keys = "".join(f'key k{i} {{ domain = "sender.test" selector = "{p.name[:-4].removeprefix("sender.test.")}" '
                   f'file = "{p}" }}\n' for i, p in enumerate(sorted(tmp.glob("*.pem"))))
    opendkim = shutil.which("opendkim-testmsg") and subprocess.run(
        ["unshare", "-rmn", "true"], stderr=subprocess.DEVNULL).returncode == 0
    sink = Sink(tmp / "sink")
    with Waybill(sink.port, keys) as w:
        for name, body in BODIES.items():
            w.send(f"From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: {name} \r\n\tfolded\r\n\r\n{body}".encode())
        paths = wait_for(lambda: len(sink.mails()) == len(BODIES) and sorted(sink.directory.glob("*.eml")), "all mail")
    for path in paths:
        message = path.read_bytes()
        message = message[message.index(b"Received:"):] # the sink's own fields come before
        path.write_bytes(message)
        by_dkimpy(message, zone)
        if opendkim:
            by_opendkim(path, zone, tmp)
    sink.close()
    by_dkimpy(report_of_failure(tmp, keys), zone)
    print(f"{len(paths)} messages and our own report of failure verified by python3-dkim (rsa and ed25519)" +
          (" and opendkim-testmsg (rsa)" if opendkim else "; opendkim-testmsg skipped"))


with tempfile.TemporaryDirectory() as folder:
    main(pathlib.Path(folder))
