#!/usr/bin/env python3
"""Real DNS: NSD on loopback answers the toolbox, with CNAME chains inside a zone and across zones,
answers that do not fit UDP, SERVFAIL, names that do not exist, and a server that never answers.

    dns_test.py [--waybill PATH]

Exit status 77 when NSD is not installed."""
import argparse, json, os, pathlib, shutil, socket, subprocess, sys, tempfile, time

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--waybill", default=str(pathlib.Path(__file__).resolve().parents[2] / "build" / "waybill"))
args = ap.parse_args()
NSD = shutil.which("nsd") or "/usr/sbin/nsd"
if not os.path.exists(NSD):
    print("nsd is not installed")
    sys.exit(77)

LONG = " ".join(f"ip4:198.51.100.{n}" for n in range(1, 120))  # about 2 KB: does not fit 512 octets


def strings(text):
    return " ".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))


ZONES = {
    "a.test": f"""$TTL 300
@ SOA ns.a.test. root.a.test. 1 3600 600 86400 60
@ NS ns.a.test.
ns A 127.0.0.1
@ TXT "v=spf1 include:chain.a.test -all"
chain CNAME chain2
chain2 CNAME spf.b.test.
long TXT {strings("v=spf1 " + LONG + " ip4:192.0.2.1 -all")}
broken TXT "v=spf1 include:x.broken.test ip4:192.0.2.1 -all"
gone TXT "v=spf1 include:nowhere.a.test -all"
loop CNAME loop2
loop2 CNAME loop
looped TXT "v=spf1 include:loop.a.test -all"
_dmarc TXT "v=DMARC1; p=reject"
""",
    "b.test": """$TTL 300
@ SOA ns.b.test. root.b.test. 1 3600 600 86400 60
@ NS ns.b.test.
ns A 127.0.0.1
spf TXT "v=spf1 ip4:192.0.2.1 ~all"
""",
    "broken.test": None,  # configured, but its file is not there: SERVFAIL
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(folder):
    port = free_port()
    zones = ""
    for name, text in ZONES.items():
        if text is not None:
            (folder / name).write_text(text)
        zones += f'zone:\n  name: "{name}"\n  zonefile: "{folder}/{name}"\n'
    (folder / "nsd.conf").write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  username: ""\n  database: ""\n  zonesdir: "{folder}"\n'
        f'  pidfile: "{folder}/nsd.pid"\n  xfrdfile: "{folder}/xfrd"\n  zonelistfile: "{folder}/list"\n'
        f"  ipv4-edns-size: 512\n  server-count: 1\n  xfrdir: \"{folder}\"\nremote-control:\n  control-enable: no\n{zones}"
    )
    process = subprocess.Popen([NSD, "-d", "-c", str(folder / "nsd.conf")], stdout=subprocess.DEVNULL,
                               stderr=open(folder / "log", "w"))
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    print((folder / "log").read_text())
    process.kill()
    sys.exit("nsd does not start")


def spf(port, domain):
    done = subprocess.run(
        [args.waybill, "spf", "check", "--json", "--ip", "192.0.2.1", "--helo", "h.test", "--from", f"u@{domain}",
         "--dns", f"@127.0.0.1:{port}"], stdout=subprocess.PIPE, timeout=60)
    return json.loads(done.stdout)["result"]


failed = 0


def check(what, got, wanted):
    global failed
    failed += got != wanted
    print(f"{'ok    ' if got == wanted else 'FAILED'} {what}: {got}" + ("" if got == wanted else f", wanted {wanted}"))


with tempfile.TemporaryDirectory(prefix="dns-test-") as name:
    folder = pathlib.Path(name)
    server, port = start(folder)
    try:
        check("an include behind CNAMEs that lead into another zone", spf(port, "a.test"), "pass")
        check("a record of 2 KB that UDP cuts is fetched over TCP", spf(port, "long.a.test"), "pass")
        check("SERVFAIL below an include is temporary", spf(port, "broken.a.test"), "temperror")
        check("an include that does not exist is permanent", spf(port, "gone.a.test"), "permerror")
        check("a circle of CNAMEs is temporary", spf(port, "looped.a.test"), "temperror")
        check("a domain that does not exist has no record", spf(port, "nothing.a.test"), "none")
        message = folder / "m.eml"
        message.write_bytes(b"From: u@a.test\r\nSubject: x\r\n\r\nHello.\r\n")
        done = subprocess.run([args.waybill, "verify", "--json", "--ip", "192.0.2.1", "--mail-from", "u@a.test", "--helo",
                               "h.test", "--dns", f"@127.0.0.1:{port}", str(message)], stdout=subprocess.PIPE, timeout=60)
        check("a whole message", json.loads(done.stdout)["dmarc"]["result"], "pass")
        (folder / "none.conf").write_text(f'data_dir = "{folder}/none"\n')
        done = subprocess.run([args.waybill, "doctor", "--json", "--ip", "192.0.2.1", "--config", str(folder / "none.conf"),
                               "--dns", f"@127.0.0.1:{port}", "broken.a.test"], stdout=subprocess.PIPE, timeout=60)
        found = json.loads(done.stdout)["findings"]
        check("doctor: SERVFAIL below an include is no fault of the record",
              ([f["rule"] for f in found if "x.broken.test" in f["text"]], [f["rule"] for f in found if f["rule"].startswith("spf-")]),
              (["dns"], []))
        done = subprocess.run([args.waybill, "doctor", "--json", "--ip", "192.0.2.1", "--config", str(folder / "none.conf"),
                               "--dns", f"@127.0.0.1:{port}", "a.test"], stdout=subprocess.PIPE, timeout=60)
        found = {f["rule"] for f in json.loads(done.stdout)["findings"]}
        check("doctor: SPF through CNAMEs and zones, DMARC without reports, no MX", found >= {"spf", "dmarc-no-reports", "return-path-mx"}, True)
    finally:
        server.terminate()
        server.wait(10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        began = time.monotonic()
        check("a server that never answers is temporary", spf(silent.getsockname()[1], "a.test"), "temperror")
        check("and it takes less than 30 s to say so", time.monotonic() - began < 30, True)
sys.exit(failed > 0)
