#!/usr/bin/env python3
"""Public suites with expected results, where a folder of them lies beside the clone (../shared/conformance, or
$WAYBILL_CONFORMANCE); skipped without one. The floors are what this program has to reach, not what it reaches."""
import json, os, pathlib, re, subprocess, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import ROOT, binary, skip

DATA = pathlib.Path(os.environ.get("WAYBILL_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
if not (DATA / "score.py").exists():
    skip(f"no suites in {DATA}")

# Which figure of which line of a scorer, and its floor in per cent. "delayed kept apart" is not here: 14 of its 26
# labels call an expiry a delay (doc/decisions/2026-11-24-final-is-not-delayed.md, which names the cases).
SCORES = [
    ("score.py", "bounce", {"files with all recipients right": 99, "hard/soft": 98, "category": 93,
                            "non-failures kept apart": 94}),
    ("score.py", "flufl", {"files with all recipients right": 95, "other mails where three readers agree": 98}),
    ("score.py", "replies", {"category": 85, "soft called hard": -1}),
    ("score.py", "received", {"all fields": 97}),
    ("score.py", "duplicates", {}),
    ("score_auth.py", "spf", {"result": 100, "explanation": 100}),
    ("score_auth.py", "dkim", {"pass/not pass": 100, "exact result": 97}),
    ("score_auth.py", "arc", {"": 99}),
    ("score_auth.py", "dmarc", {"": 100}),
]
passed = failed = 0


def check(name, good, why=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {why}")


def run(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=250, **more)


def score(script, suite, floors):
    """A positive floor is the least, a negative one the most per cent."""
    shown = run(sys.executable, DATA / script, "--waybill", binary(), suite).stdout
    print(shown, end="")
    figures = re.findall(r"(?:^|[:;] )([a-zA-Z/ -]*?):? ?(\d+)/(\d+) \(", shown, re.M)
    check(f"{script} {suite}", figures, "it printed no figures")
    for name, got, of in figures:
        floor = floors.get(name.strip(), floors.get(""))
        if floor is not None:
            share = 100 * int(got) / max(int(of), 1)
            check(f"{suite}: {name}", share >= floor if floor > 0 else share <= -floor,
                  f"{share:.1f} % where the limit is {abs(floor)} %")


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def probe(kind, texts):
    tool = pathlib.Path(binary()).with_name("grammar_probe")
    shown = run(tool, input="".join(f"{kind}\t{escape(t)}\n" for t in texts))
    return [json.loads(line) for line in shown.stdout.splitlines()]


def authentication_results():
    cases = json.loads((DATA / "auth/authres/cases.json").read_text())
    for case, got in zip(cases["abnf"], probe("authres", [c["value"] for c in cases["abnf"]])):
        # Some labels are a sentence: only an unknown version is to be refused among these.
        valid = case["valid"] if isinstance(case["valid"], bool) else "version" not in case["valid"]
        check(f"A-R {case['value']!r}", (got["error"] == "") == valid, got["error"])
        check(f"A-R {case['value']!r}: nothing injected", all(r["method"] != "dmarc" for r in got.get("results", [])))
    read = [c for c in cases["parse"] if c.get("authres_python")]
    values = [re.sub(r"^authentication-results:", "", c["header"], flags=re.I) for c in read]
    for case, got in zip(read, probe("authres", values)):
        want = case["authres_python"]
        shape = [(r["method"].lower(), r["result"].lower(), [tuple(p) for p in r["properties"]]) for r in want["results"]]
        have = [(r["method"].lower(), r["result"].lower(),
                 [(t.lower(), n.lower(), v) for t, n, v in r["properties"]]) for r in got.get("results", [])]
        # Its properties without a type ("x-tls=pass version=TLSv1.2") are dropped by that reader.
        same = [a[:2] for a in shape] == [b[:2] for b in have] and all(set(a[2]) <= set(b[2]) for a, b in zip(shape, have))
        check(f"A-R {case['header']!r}", got.get("authserv_id") == want["authserv_id"] and same, f"{got} wanted {want}")


def dkim_fields():
    cases = json.loads((DATA / "auth/dkim-parse/cases.json").read_text())
    for case, got in zip(cases["key_record"], probe("key", [c["txt"] for c in cases["key_record"]])):
        good = got["error"] == "" and got["revoked"] == (case["expect"] == "revoked")
        check(f"key record {case['txt']!r}", good == (not case["expect"].startswith("error")), got)
    with tempfile.TemporaryDirectory() as folder:
        zone, mail = pathlib.Path(folder, "zone"), pathlib.Path(folder, "mail.eml")
        zone.write_text("unused.example. TXT \"\"\n")
        for case in cases["signature"]:
            mail.write_bytes(f"DKIM-Signature: {case['value']}\r\nFrom: a@mox.example\r\n\r\nx\r\n".encode())
            shown = run(binary(), "dkim", "verify", "--json", "--dns", zone, "--now", 50, mail).stdout
            [got] = json.loads(shown)["signatures"]
            # The syntax is judged before the key is asked for: what is well-formed fails for its key or its time.
            good = got["result"] == "permerror" and (case["expect"].startswith("permerror") or
                                                     re.search(r"no key|expired|future", got["reason"]))
            check(f"signature {case['value']!r}", good, got)


def dmarc_reports():
    """Each file is read, or refused with a sentence; what another reader counted in it is counted here."""
    folder = DATA / "auth/dmarc-reports"
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".xml", ".gz", ".zip", ".eml")):
        if "arf" in path.parts or "failure" in path.parts:
            continue
        shown = run(binary(), "dmarc", "report", "--json", path)
        check(f"report {path.name}", shown.returncode in (0, 1) or shown.returncode == 2 and shown.stderr.strip(),
              f"status {shown.returncode} {shown.stderr}")
        expected = path.with_suffix(".json")
        if expected.exists():
            want, got = json.loads(expected.read_text()), json.loads(shown.stdout)
            got = got[0] if isinstance(got, list) else got
            check(f"report {path.name}: domain", got["domain"] == want["policy_published"]["domain"], got["domain"])
            check(f"report {path.name}: rows",
                  [r["count"] for r in got["records"]] == [r["row"]["count"] for r in want["record"]],
                  [r["count"] for r in got["records"]])
    for path in sorted((folder / "mail-auth/arf").glob("*.eml")):
        shown = json.loads(run(binary(), "bounce", "--json", path).stdout)
        want = json.loads(path.with_suffix(".json").read_text())
        kind = "auth_failure_report" if want.get("feedback_type") == "AuthFailure" else "complaint"
        check(f"feedback {path.name}", shown["event"] == kind, f"{shown['event']} wanted {kind}")


for script, suite, floors in SCORES:
    score(script, suite, floors)
authentication_results()
dkim_fields()
dmarc_reports()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
