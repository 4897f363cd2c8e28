#!/usr/bin/env python3
"""waybill init makes a set-up that waybill doctor finds nothing in, and doctor finds each of many
broken ones.

    doctor_test.py [--waybill PATH]"""
import argparse, json, pathlib, re, subprocess, sys, tempfile

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--waybill", default=str(pathlib.Path(__file__).resolve().parents[2] / "build" / "waybill"))
args = ap.parse_args()
failed = 0


def run(*argv):
    return subprocess.run([args.waybill, *map(str, argv)], stdout=subprocess.PIPE, timeout=60)


def check(what, good, detail=""):
    global failed
    failed += not good
    print(f"{'ok    ' if good else 'FAILED'} {what} {'' if good else detail}")


def replace(pattern, by):
    def change(zone):
        changed = re.sub(pattern, by, zone, flags=re.M)
        assert changed != zone, pattern
        return changed
    return change


def add(text):
    return lambda zone: zone + text + "\n"


def short_key(zone):
    """A key of 1024 bits, signing and published."""
    pem = folder / "short.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(pem), "1024"], check=True, stderr=subprocess.DEVNULL)
    record = run("dkim", "record", "--key", pem, "short", "example.com").stdout.decode()
    return zone + "".join(l + "\n" for l in record.splitlines() if " TXT " in l)


ELEVEN = "\n".join(f'i{n}.e.org. TXT "v=spf1 ip4:203.0.113.{n} ~all"' for n in range(11)) + "\n"
SPF = r'^(bounces\.example\.com\. .* TXT) ".*"'
KEY = r'^(waybill1\._domainkey\.example\.com\. .* TXT) .*'
CASES = [  # what is broken, the rule that says so, how, and options in place of the usual ones
    ("the service changed and SPF was not updated", "spf-missing-address",
     lambda z: replace(SPF, r'\1 "v=spf1 include:old.example.org -all"')(z) + 'old.example.org. TXT "v=spf1 ip4:203.0.113.0/24 ~all"\n', ()),
    ("a service that is no longer used is still allowed", "spf-unused-include",
     lambda z: replace(SPF, r'\1 "v=spf1 ip4:192.0.2.1 include:old.example.org -all"')(z) + 'old.example.org. TXT "v=spf1 ip4:203.0.113.0/24 ~all"\n', ()),
    ("eleven lookups", "spf-lookups",
     lambda z: replace(SPF, r'\1 "v=spf1 ip4:192.0.2.1 ' + " ".join(f"include:i{n}.e.org" for n in range(11)) + ' -all"')(z) + ELEVEN, ()),
    ("an include that went away", "spf-no-record", replace(SPF, r'\1 "v=spf1 ip4:192.0.2.1 include:gone.example.org -all"'), ()),
    ("two SPF records", "spf-two-records", add('bounces.example.com. TXT "v=spf1 ip4:192.0.2.1 ~all"'), ()),
    ("+all", "spf-plus-all", replace(SPF, r'\1 "v=spf1 +all"'), ()),
    ("a revoked key", "dkim-revoked", replace(KEY, r'\1 "v=DKIM1; k=rsa; p="'), ()),
    ("a key of 1024 bits", "dkim-short-key", short_key, ("short",)),
    ("another key than the one that signs", "dkim-wrong-key", None, ()),
    ("DMARC under the wrong name", "dmarc-wrong-name", replace(r"^_dmarc\.example\.com", "example.com"), ()),
    ("no MX for the return path", "return-path-mx", replace(r"^bounces.* MX .*\n", ""), ()),
    ("a PTR that says another name", "ptr-mismatch",
     lambda z: replace(r"PTR mail", "PTR host")(z) + "host.example.com. A 192.0.2.1\n", ()),
    ("a PTR that does not lead back", "ptr-not-confirmed", replace(r"PTR mail", "PTR host"), ()),
    ("DKIM's testing flag left on", "dkim-testing", replace("v=DKIM1; k=ed25519;", "v=DKIM1; t=y; k=ed25519;"), ()),
    ("DMARC's testing flag left on", "dmarc-testing", replace(r"p=none;", "p=none; t=y;"), ()),
    ("a key record cut at 255 characters", "dkim-cut",
     replace(r'^(waybill1\._domainkey\.example\.com\. \d+ IN TXT "[^"]*").*', r"\1"), ()),
    ("two MTA-STS records", "mta-sts-two-records", add('_mta-sts.example.com. TXT "v=STSv1; id=2"'), ()),
    ("an MTA-STS policy whose host went away", "mta-sts-host", replace(r"^mta-sts\.example\.com\..*\n", ""), ()),
    ("a TLS-RPT record without an address", "tls-rpt-broken", replace(r'"v=TLSRPTv1; .*"', '"v=TLSRPTv1; rua=nobody"'), ()),
]

with tempfile.TemporaryDirectory(prefix="doctor-test-") as name:
    folder = pathlib.Path(name)
    made = run("init", "example.com", "--ip", "192.0.2.1", "--folder", folder)
    check("init", made.returncode == 0)
    config, zone_file = folder / "waybill.conf", folder / "example.com.zone"
    zone = zone_file.read_text()
    config.write_text(config.read_text() + f'data_dir = "{folder}"\n')  # whatever ledger this machine has is not ours
    check("--last without a ledger", run("doctor", "--last", "--config", config).returncode == 2)
    check("init prints the zone file", made.stdout.decode().startswith(zone))
    check("keys are for their owner only", all(p.stat().st_mode & 0o77 == 0 for p in folder.glob("*.pem")))
    check("the settings are good", run("config", "check", "--config", config).returncode == 0)
    lost = folder / "lost.conf"
    lost.write_text(config.read_text().replace(".waybill1.pem", ".gone.pem"))
    check("a key that is not there is bad settings", run("config", "check", "--config", lost).returncode == 1)
    check("a second init changes nothing", run("init", "example.com", "--folder", folder).returncode == 2 and zone_file.read_text() == zone)

    # Settings name keys from wherever the daemon starts, and half of a set-up is never made.
    made = subprocess.run([args.waybill, "init", "example.org", "--folder", "new"], stdout=subprocess.PIPE, cwd=folder, timeout=60)
    check("init makes its folder", made.returncode == 0 and (folder / "new" / "example.org.zone").exists())
    check("keys are named by absolute paths", f'file = "{folder}/new/example.org.waybill1.pem"' in (folder / "new" / "waybill.conf").read_text())
    check("init without addresses says so", b";mail.example.org. 3600 IN A" in made.stdout)
    run("init", "example.net", "--ip", "127.0.0.1", "--folder", folder / "here")
    check("mail leaves from an address that is ours", '\nsource_address = "127.0.0.1"' in (folder / "here" / "waybill.conf").read_text())
    check("and from none that only NAT has", '\npublic_addresses = {"192.0.2.1"}' in config.read_text() and "source_address" not in config.read_text())
    refused = run("init", "example.net", "--folder", folder)
    check("init for one more domain leaves no keys behind", refused.returncode == 2 and not list(folder.glob("example.net*")))

    def doctor(text, extra=()):
        path = folder / "try.zone"
        path.write_text(text)
        done = run("doctor", "--config", config, "--return-path", "bounces.example.com", "--dns", f"zone:{path}", "--json", "example.com", *extra)
        answer = json.loads(done.stdout)
        return done.returncode, [f for f in answer["findings"] if f["severity"] != "good"]

    status, findings = doctor(zone)
    check("doctor finds nothing in what init made", status == 0 and not findings, findings)
    other = folder / "other"
    other.mkdir()
    run("init", "example.com", "--ip", "192.0.2.1", "--folder", other)
    for what, rule, change, extra in CASES:
        broken = (other / "example.com.zone").read_text() if change is None else change(zone)
        options = ("--key", f"{folder}/short.pem:short:example.com") if extra else ()
        status, findings = doctor(broken, options)
        found = [f for f in findings if f["rule"] == rule]
        check(f"{what}: {rule}", status == 1 and found, findings)
        check("   and nothing that is not so", not {f["rule"] for f in findings} - {rule, "spf-unused-include", "spf-no-record", "spf-voids"}, findings)
    # What doctor says to publish heals what it found.
    status, findings = doctor(replace(SPF, r'\1 "v=spf1 -all"')(zone))
    healed = re.sub(SPF, "", zone, flags=re.M) + findings[0]["publish"] + "\n"
    check("the record to publish heals", doctor(healed) == (0, []), doctor(healed))
sys.exit(failed > 0)
