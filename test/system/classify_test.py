#!/usr/bin/env python3
"""Replies that nobody fitted a rule to are still understood: floors for the sets in test/corpus/classify, by halves.

Half B of validation.tsv is never looked at when rules are written: what it scores is how well they generalise."""
import json, pathlib, re, subprocess, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import ROOT, binary

SETS = ROOT / "test/corpus/classify"
HARD = {"invalid_recipient", "invalid_domain", "mailbox_moved"}
# least share of right categories, largest share of soft replies that are called hard
FLOORS = {"validation A": (0.95, 0.01), "validation B": (0.85, 0.01), "validation": (0.90, 0.01), "fresh": (0.90, 0.01)}


def half(reply):
    """FNV-1a: a split that does not depend on order, and that anybody can repeat."""
    h = 2166136261
    for byte in reply.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return "AB"[h >> 16 & 1]


def rows(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def ask(replies, *options):
    text = "".join(f"{host}\t{reply}\n" if host else f"{reply}\n" for host, reply, *_ in replies)
    out = subprocess.run([binary(), "classify", "--json", *options], input=text.encode(), stdout=subprocess.PIPE,
                         timeout=60, check=True).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(replies)
    return answers


def score(name, replies, answers):
    right = soft = called_hard = 0
    for (_, reply, wanted, *_), got in zip(replies, answers):
        wanted = wanted.split("|")
        right += got["category"] in wanted
        comes_again = re.match(r"[^0-9]{0,4}4\d\d[ -]", reply)
        if comes_again or not HARD & set(wanted):
            soft += 1
            called_hard += got["hard"]
    least, most = FLOORS[name]
    print(f"{name}: {right} of {len(replies)} categories ({100 * right / len(replies):.1f} %), "
          f"{called_hard} of {soft} soft ones called hard")
    assert right >= least * len(replies) and called_hard <= most * soft


def files_are_scored():
    for name in ("validation", "fresh"):
        replies = rows(SETS / f"{name}.tsv")
        answers = ask(replies)
        score(name, replies, answers)
        for part in "AB" if name == "validation" else "":
            chosen = [i for i, r in enumerate(replies) if half(r[1]) == part]
            score(f"{name} {part}", [replies[i] for i in chosen], [answers[i] for i in chosen])
    assert len(rows(SETS / "validation.tsv")) >= 400


def own_rules_are_tested_and_named():
    with tempfile.TemporaryDirectory() as tmp:
        rules, cases = pathlib.Path(tmp, "rules"), pathlib.Path(tmp, "cases.tsv")
        rules.mkdir()
        rules.joinpath("a.conf").write_text(
            "tier provider\nprovider shop\nhost customer.example\nrule paused mailbox_inactive\n  match is on pause\n")
        reply = "550 5.1.1 anna is on pause"
        asked = [("mx.customer.example", reply), ("mx.other.example", reply)]
        own, shipped = ask(asked, "--rules", str(rules))
        assert own["rule"] == "shop/paused" and own["category"] == "mailbox_inactive"
        assert shipped["rule"] == "code/5.1.1"

        def test():
            return subprocess.run([binary(), "classify", "--rules", str(rules), "--test", str(cases)],
                                  capture_output=True, text=True, timeout=60)
        cases.write_text(f"# a note\nmx.customer.example\t{reply}\tmailbox_full|mailbox_inactive\tnote\n")
        good = test()
        assert good.returncode == 0 and "1 of 1 as expected" in good.stdout, good
        cases.write_text(f"\t{reply}\tmailbox_inactive\r\n")
        bad = test()
        assert bad.returncode == 1 and "cases.tsv:1: invalid_recipient (rule code/5.1.1)" in bad.stdout, bad
        cases.write_text(f"\t{reply}\tno_such_category\n")
        refused = test()
        assert refused.returncode == 2 and "cases.tsv:1:" in refused.stderr, refused
        for wrong, line in (("rule x mailbox_full\n  match (foo\n", 2), ("rule x nosuch\n", 1), ("\n\nfrobnicate\n", 3)):
            rules.joinpath("a.conf").write_text(wrong)
            refused = test()
            assert refused.returncode == 2 and f"a.conf:{line}:" in refused.stderr, refused


def mailboxes_are_read():
    """mbox with LF and CRLF, a Maildir and standard input give the same answers."""
    mails = [(ROOT / f"test/corpus/bounce/{n}.eml").read_bytes() for n in ("qmail", "sendmail", "gmail")]
    mbox = b"".join(b"From MAILER-DAEMON Mon Nov 23 10:00:05 2026\n" + m + b"\n" for m in mails)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for folder in ("md/cur", "md/new", "md/tmp"):
            (tmp / folder).mkdir(parents=True)
        for i, m in enumerate(mails):
            (tmp / f"md/new/{i}.x").write_bytes(m)
        (tmp / "lf.mbox").write_bytes(mbox)
        (tmp / "crlf.mbox").write_bytes(mbox.replace(b"\n", b"\r\n"))

        def read(where, text=b""):
            out = subprocess.run([binary(), "bounce", "--json", str(where)], input=text, stdout=subprocess.PIPE, timeout=60)
            assert out.returncode == 1
            answers = [json.loads(line) for line in out.stdout.splitlines()]
            for a in answers:
                a.pop("file")
            return answers
        wanted = read(tmp / "md")
        assert len(wanted) == 3 and all(a["event"] == "failed" for a in wanted)
        assert read(tmp / "lf.mbox") == wanted and read(tmp / "crlf.mbox") == wanted and read("-", mbox) == wanted


files_are_scored()
own_rules_are_tested_and_named()
mailboxes_are_read()
