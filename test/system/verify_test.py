#!/usr/bin/env python3
"""waybill verify as a tired person reads it: broken messages, and whether the text says what to change."""
import base64, pathlib, re, subprocess, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import binary

NOW = 1795600000
BODY = b"Hello,\r\n\r\nhere is your invoice.\r\n"
ZONE = """$ORIGIN example.com.
@ TXT "v=spf1 ip4:192.0.2.1 include:spf.esp.example -all"
_dmarc TXT "v=DMARC1; p=reject; sp=quarantine"
sub TXT "v=spf1 -all"
revoked._domainkey TXT "v=DKIM1; p="
;!timeout slow._domainkey TXT
spf.esp.example. TXT "v=spf1 ip4:198.51.100.0/24 -all"
esp.example. TXT "v=spf1 ip4:198.51.100.0/24 -all"
two.example. TXT "v=spf1 ip4:192.0.2.1 -all"
two.example. TXT "v=spf1 include:spf.esp.example ~all"
_dmarc.two.example. TXT "v=DMARC1; p=none"
test.example. TXT "v=spf1 -all"
_dmarc.test.example. TXT "v=DMARC1; p=reject; t=y"
co.uk. TXT "the suffix exists"
slow.example. TXT "v=spf1 a:time.example -all"
;!timeout time.example. A
_dmarc.slow.example. TXT "v=DMARC1; p=reject"
"""
# name, client (None: local mail), return path, From, signature (selector and domain) or None, what is done to the
# signed message, what the text has to say, what it must not say
STRANGER, ESP, OWN = "203.0.113.9", "198.51.100.9", "192.0.2.1"
EXPIRED = lambda m: re.sub(rb"t=\d+;", b"t=1700000000; x=1700086400;", m, count=1)
FOOTER = lambda m: m + b"-- \r\nThe list\r\n"
TWO_FROM = lambda m: m.replace(b"To:", b"From: boss@example.com\r\nTo:")
SUBJECT = lambda m: m.replace(b"Subject: ", b"Subject: [list] ")
SAME = lambda m: m
CASES = [
    ("good", OWN, "a@example.com", "a@example.com", "s1 example.com", SAME, ["Nothing to do."], ["DMARC:"]),
    ("expired", STRANGER, "a@example.com", "a@example.com", "s1 example.com", EXPIRED,
     ["expired at 2023-11-15 22:13:20 UTC", "sign for longer", 'ip4:203.0.113.9 -all"'], ["is to stand at"]),
    ("changed by a list", STRANGER, "bounce@list.example", "a@example.com", "s1 example.com", FOOTER,
     ["the body was changed", "No record", 'bounce.example.com. 3600 IN TXT "v=spf1 ip4:203.0.113.9 -all"'], ["\nlist.example."]),
    ("subject tag", STRANGER, "bounce@list.example", "a@example.com", "s1 example.com", SUBJECT, ["a signed field was changed"], []),
    ("two From fields", OWN, "a@example.com", "a@example.com", None, TWO_FROM, ["more than one From field", "exactly one"], []),
    ("SPF passes for another", ESP, "x@esp.example", "a@example.com", None, SAME,
     ["SPF passed for esp.example", 'bounce.example.com. 3600 IN TXT "v=spf1 ip4:198.51.100.9 -all"'], []),
    ("DKIM passes for another", ESP, "x@esp.example", "a@example.com", "e1 esp.example", SAME,
     ["DKIM passed for esp.example", "d=example.com"], []),
    ("no key", STRANGER, "a@example.com", "a@example.com", "s9 example.com", SAME,
     ["there is no key at s9._domainkey.example.com", "`waybill dkim record --key FILE s9 example.com`"], []),
    ("revoked", STRANGER, "a@example.com", "a@example.com", "revoked example.com", SAME, ["withdrew this key", "another selector"], []),
    ("DNS silent", STRANGER, "a@slow.example", "a@slow.example", "s1 slow.example", SAME, ["try again later"], ["asked to refuse"]),
    ("key silent", STRANGER, "a@example.com", "a@example.com", "slow example.com", SAME, ["DMARC  temperror", "try again later"], []),
    ("two SPF records", STRANGER, "a@two.example", "a@two.example", None, SAME, ["2 SPF records", "delete all SPF records"], []),
    ("t=y", STRANGER, "a@test.example", "a@test.example", None, SAME, ["one step milder by t=y", "asked to quarantine"], []),
    ("sp=", STRANGER, "a@sub.example.com", "a@sub.example.com", None, SAME, ["from sp= at _dmarc.example.com", "sub.example.com. 3600 IN TXT"], []),
    ("a public suffix", STRANGER, "a@co.uk", "a@co.uk", None, SAME, ["public suffix"], ["publish"]),
    ("local mail", None, "", "a@example.com", None, SAME, ["give --ip", "SPF was not judged"], []),
    ("a short key", OWN, "a@example.com", "a@example.com", "short example.com", SAME, ["1024 bits", "2048"], ["Nothing to do"]),
]
failed = 0


def waybill(*words):
    return subprocess.run([binary(), *map(str, words)], capture_output=True, timeout=20)


with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    zone = ZONE
    for domain, selector in (("example.com", "s1"), ("esp.example", "e1")):
        shown = waybill("dkim", "keygen", "--folder", tmp, "--algorithm", "rsa", domain, selector)
        assert shown.returncode == 0, shown.stderr
        zone = shown.stdout.decode() + "\n" + zone
    # a short key, which keygen does not make
    short = tmp / "example.com.short.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", short],
                   check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-in", short, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    zone += f'short._domainkey.example.com. TXT "v=DKIM1; p={base64.b64encode(der).decode()}"\n'
    (tmp / "zone").write_text(zone)
    for name, client, path, author, signature, change, wanted, unwanted in CASES:
        mail = (f"From: {author}\r\nTo: b@receiver.example\r\nSubject: Your invoice\r\n"
                "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n").encode() + BODY
        (tmp / "m.eml").write_bytes(mail)
        if signature:
            selector, domain = signature.split()
            key = {"e1": "esp.example.e1", "short": "example.com.short"}.get(selector, "example.com.s1")
            signed = waybill("dkim", "sign", "--now", NOW, "--key", f"{tmp}/{key}.pem:{selector}:{domain}", tmp / "m.eml")
            assert signed.returncode == 0, signed.stderr
            mail = signed.stdout
        trace = (f"Return-Path: <{path}>\r\nReceived: from mail.example.com (mail.example.com [{client}]) by mx.receiver.example\r\n"
                 "\twith ESMTPS id abc; Tue, 24 Nov 2026 10:00:00 +0000\r\n") if client else ""
        (tmp / "m.eml").write_bytes(trace.encode() + change(mail))
        text = waybill("verify", "--now", NOW, "--dns", tmp / "zone", tmp / "m.eml").stdout.decode()
        text_flat = re.sub(r"\s+", " ", text)
        bad = [w for w in wanted if w not in text and w not in text_flat] + [f"not {u!r}" for u in unwanted if u in text]
        if bad:
            failed += 1
            print(f"FAILED {name}: {bad}\n{text}")
print(f"{len(CASES) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
