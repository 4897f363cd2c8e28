#!/usr/bin/env python3
"""Mail that is forwarded carries an ARC set of each Waybill that it passed, and its chain holds."""
import pathlib, re, smtplib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = 'author.test. TXT "v=spf1 ip4:127.0.0.2 -all"\n_dmarc.author.test. TXT "v=DMARC1; p=none"\n'


def keygen(domain, folder):
    """The records; the RSA key lies in folder/DOMAIN.s.pem."""
    return subprocess.run([binary(), "dkim", "keygen", domain, "s", "--folder", folder], check=True,
                          capture_output=True, text=True).stdout


def key(domain, folder, name="k"):
    return f'key {name} {{ domain = "{domain}" selector = "s" file = "{folder}/{domain}.s.pem" }}\n'


def give(port, sender, recipient, text):
    with smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.test", source_address=("127.0.0.2", 0)) as s:
        s.sendmail(sender, [recipient], text)


def text(subject, extra=""):
    return (f"{extra}From: a@author.test\r\nTo: list@one.test\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject}@author.test>\r\n\r\nHello.\r\n\r\n\r\n").encode()


def of_sink(mail):
    """Without the sink's own fields."""
    return mail[mail.index(b"\r\n", mail.index(b"X-Sink-To:")) + 2:]


def judge(mail, zone, folder):
    path = pathlib.Path(folder, "got.eml")
    path.write_bytes(mail)
    return json.loads(subprocess.run([binary(), "arc", "verify", "--json", "--dns", str(zone), str(path)],
                                     capture_output=True).stdout)


def names(mail):
    return re.findall(rb"(?m)^([A-Za-z-]+):", mail.split(b"\r\n\r\n")[0])


def two_hops(tmp, one_process):
    """stranger -> one.test -> two.test -> the sink; one daemon each."""
    zone, folder = pathlib.Path(tmp, "zone"), pathlib.Path(tmp, f"hops-{one_process}")
    folder.mkdir()
    zone.write_text(ZONE + keygen("one.test", folder) + keygen("two.test", folder))
    sink = Sink(folder / "sink")
    (folder / "forwards-1").write_text("list@one.test far@two.test\nclosed@one.test here@one.test\n"
                                       "both@one.test here@one.test far@two.test\n")
    (folder / "forwards-2").write_text("far@two.test end@three.test\n")
    common = f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{zone}"\nreturn_path_domain = "bounce.%s"\n' \
             f'forwards_file = "{folder}/forwards-%s"\n'
    second = Waybill(sink.port, common % ("two.test", 2) + key("two.test", folder), one_process,
                     route=f'route "two.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
                           f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n')
    first = Waybill(sink.port, common % ("one.test", 1) + key("one.test", folder), one_process,
                    route=f'route "one.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
                          f'route "*" {{ via = "127.0.0.1:{second.port}" tls = none }}\n')

    def passes(subject, recipient="list@one.test", extra=""):
        before = len(sink.mails())
        give(first.port, "a@author.test", recipient, text(subject, extra))
        wait_for(lambda: len(sink.mails()) > before, subject)
        return of_sink(sink.mails()[-1])

    with second, first:
        got = passes("two-hops")
        assert names(got)[:4] == [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results", b"Received"], names(got)
        fors = re.findall(rb"\tfor <(.*?)>", got)
        assert fors == [b"far@two.test", b"list@one.test"], ("the address that was written to, not its target", fors)
        verdict = judge(got, zone, folder)
        assert verdict["result"] == "pass" and verdict["instances"] == 2, verdict
        results = dict(re.findall(rb"ARC-Authentication-Results: i=(\d); waybill.test;(.*?)\r\n(?=\S)", got, re.S))
        assert b"spf=pass" in results[b"1"] and b" arc=" not in results[b"1"], results
        assert b" arc=pass" in results[b"2"], results
        seals = dict(re.findall(rb"ARC-Seal: i=(\d);[^;]*; cv=(\w+)", got))
        assert seals == {b"1": b"none", b"2": b"pass"}, seals
        assert b" arc=pass" in re.search(rb"(?m)^Authentication-Results:(.*?)\r\n\S", got, re.S)[1], got
        # a chain that does not hold is sealed once more, as failed
        broken = passes("broken", extra="ARC-Seal: i=1; a=rsa-sha256; b=YWJj\r\n")
        seals = dict(re.findall(rb"ARC-Seal: i=(\d);[^;]*; cv=(\w+)", broken))
        assert seals == {b"2": b"fail"}, ("a closed chain was sealed", seals)
        # what stays here gets none, unless a copy of it goes on
        here = passes("here", "closed@one.test")
        assert b"ARC-Seal" not in here, here
        before = len(sink.mails())
        give(first.port, "a@author.test", "both@one.test", text("both"))
        wait_for(lambda: len(sink.mails()) == before + 2, "both copies")
        sealed = sorted(of_sink(m).count(b"ARC-Seal:") for m in sink.mails()[before:])
        assert sealed == [1, 2], sealed
        signed = [e for e in first.events() if e["event"] == "signed"]
        assert len(signed) == 3 and "ARC one.test/s (rsa-sha256)" in signed[0]["text"], signed
        assert first.stop() == 0 and second.stop() == 0
    sink.close()


def keys_of_domains(tmp):
    """A parent's key seals too; without a key, or switched off, mail goes on unsealed."""
    zone, folder = pathlib.Path(tmp, "zone"), pathlib.Path(tmp, "keys")
    folder.mkdir()
    zone.write_text(ZONE + keygen("one.test", folder) + keygen("other.test", folder))
    (folder / "forwards").write_text("list@sub.one.test far@two.test\n")
    for name, more, sealer in (("parent", key("one.test", folder), b"one.test"), ("stranger", key("other.test", folder), None),
                               ("off", key("one.test", folder) + "arc_seal = no\n", None)):
        sink = Sink(folder / name)
        route = f'route "sub.one.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
        settings = f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{zone}"\nforwards_file = "{folder}/forwards"\n{more}'
        with Waybill(settings=settings, route=route + f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n') as w:
            for n in range(2):
                give(w.port, "a@author.test", "list@sub.one.test", text(f"{name}{n}"))
            wait_for(lambda: len(sink.mails()) == 2, name)
            got = sink.mails()[-1]
            assert (re.findall(rb"ARC-Seal:[^=]*i=1.*?d=([^;]*);", got, re.S) or [None]) == [sealer], got
            assert (w.dir / "log").read_text().count("inbound.no_seal") == (name == "stranger")
            # the keys process is replaced, and seals again
            if name == "parent":
                w.kill("keys")
                wait_for(lambda: "keys" in w.pids(), "the keys role")
                wait_for(lambda: retry(lambda: give(w.port, "a@author.test", "list@sub.one.test", text("again"))), "sealing again")
                wait_for(lambda: len(sink.mails()) == 3, "the mail after that")
                assert b"ARC-Seal: i=1" in sink.mails()[-1]
            assert w.stop() == 0
        sink.close()


def retry(action):
    try:
        action()
        return True
    except (smtplib.SMTPException, OSError):
        return False


if subprocess.run([binary(), "arc", "verify", "/dev/null"], capture_output=True).returncode == 2:
    skip("this build leaves ARC out")
with tempfile.TemporaryDirectory() as tmp:
    for one_process in (False, True):
        two_hops(tmp, one_process)
    keys_of_domains(tmp)
print("3 passed, 0 failed")
