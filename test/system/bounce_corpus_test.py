#!/usr/bin/env python3
"""Bounce mails of many dialects are read as expected, and no change of their form changes what they say.

test/corpus/bounce holds mails of ours with the expected answers. With a folder of other people's mails (the
environment's WAYBILL_BOUNCES, or ../shared/conformance/bounce/mail beside the project) the changes of form are
tried on those, too; there a few mails may differ, for some of them are ambiguous to begin with."""
import base64, json, os, pathlib, quopri, re, subprocess, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import ROOT, binary

OURS = ROOT / "test/corpus/bounce"
THEIRS = pathlib.Path(os.environ.get("WAYBILL_BOUNCES") or ROOT.parent / "shared/conformance/bounce/mail")
AT_ONCE = 200     # files in one call
OTHERS_MAY_DIFFER = 0.01


def lf(mail):
    return mail.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def halves(mail):
    head, blank, body = mail.partition(b"\n\n")
    return head + b"\n", blank[1:] + body


def field(head, name):
    found = re.search(rb"(?im)^" + name + rb":((?:.*)(?:\n[ \t].*)*)\n", head)
    return found and found[1].strip()


def without(head, name):
    return re.sub(rb"(?im)^" + name + rb":.*\n(?:[ \t].*\n)*", b"", head)


def is_plain(head):
    kind = field(head, b"Content-Type")
    return (kind is None or kind.lower().startswith(b"text/plain")) and field(head, b"Content-Transfer-Encoding") in (
        None, b"7bit", b"8bit", b"7BIT", b"8BIT")


def folded(mail):
    """Every field that can be folded at a blank is."""
    head, body = halves(mail)
    lines = []
    for line in re.sub(rb"\n[ \t]+", b" ", head).splitlines():
        if line.lower().startswith(b"content-type"):
            line = re.sub(rb";\s*", b";\n\t", line)
        elif not line.startswith(b"From ") and b'"' not in line and len(line) > 40:
            cut = line.find(b" ", line.find(b":") + 8)
            line = line if cut < 0 or not line[cut:].strip() else line[:cut] + b"\n" + line[cut:]
        lines.append(line + b"\n")
    return b"".join(lines) + body


def footer(mail):
    head, body = halves(mail)
    kind = field(head, b"Content-Type")
    if kind and not kind.lower().startswith((b"text/plain", b"multipart/")):
        return None
    if b"base64" in (field(head, b"Content-Transfer-Encoding") or b"").lower():
        return None
    return mail.rstrip(b"\n") + b"\n\n-- \nThis mail was checked by gate.example.\n"


def other_encoding(mail, encode, name):
    """The first plain text part in another transfer encoding."""
    head, body = halves(mail)
    if is_plain(head):
        head = without(without(head, b"Content-Transfer-Encoding"), b"MIME-Version")
        return head + b"MIME-Version: 1.0\nContent-Transfer-Encoding: " + name + b"\n\n" + encode(body[1:])
    boundary = re.search(rb'(?i)boundary="?([^";\n]+)"?', field(head, b"Content-Type") or b"")
    if not boundary:
        return None
    parts = body.split(b"\n--" + boundary[1])
    for i, part in enumerate(parts[1:-1], 1):
        if not part.startswith(b"\n") or part.startswith(b"\n\n"):  # a part without a header is left alone
            continue
        part_head, part_body = halves(part[1:])
        if b"\n\n" in part and is_plain(part_head):
            part_head = without(part_head, b"Content-Transfer-Encoding")
            parts[i] = b"\n" + part_head + b"Content-Transfer-Encoding: " + name + b"\n\n" + encode(part_body[1:])
            return head + (b"\n--" + boundary[1]).join(parts)
    return None


def without_type(mail):
    head, body = halves(mail)
    kind = field(head, b"Content-Type")
    if not kind or not kind.lower().startswith(b"multipart/report"):
        return None
    return without(head, b"Content-Type") + body


def forwarded(mail):
    """A person passes the report on as an attachment."""
    kind = field(halves(mail)[0], b"Content-Type")
    if not kind or not kind.lower().startswith(b"multipart/report") or mail.startswith(b"From "):
        return None
    return (b"From: Hans <hans@sender.example>\nTo: list@sender.example\nSubject: Fwd: a report\nMIME-Version: 1.0\n"
            b"Content-Type: multipart/mixed; boundary=\"=_outermost\"\n\n--=_outermost\nContent-Type: text/plain\n\n"
            b"Please look at this.\n\n--=_outermost\nContent-Type: message/rfc822\n\n" + mail +
            b"\n--=_outermost--\n")


CHANGES = {
    "CRLF": lambda m: m.replace(b"\n", b"\r\n"),
    "CR": lambda m: m.replace(b"\n", b"\r"),
    "folded header": folded,
    "footer": footer,
    "base64": lambda m: other_encoding(m, base64.encodebytes, b"base64"),
    "quoted-printable": lambda m: other_encoding(m, lambda t: quopri.encodestring(t), b"quoted-printable"),
    "no Content-Type": without_type,
    "forwarded": forwarded,
}
LINE_ENDS = ("CRLF", "CR")  # here the whole answer must be the same


def read(mails):
    """The answers to many mails, in order."""
    answers = []
    with tempfile.TemporaryDirectory() as tmp:
        for start in range(0, len(mails), AT_ONCE):
            paths = []
            for i, mail in enumerate(mails[start:start + AT_ONCE]):
                paths.append(pathlib.Path(tmp, f"{i}.eml"))
                paths[-1].write_bytes(mail)
            out = subprocess.run([binary(), "bounce", "--json", *map(str, paths)], stdout=subprocess.PIPE, timeout=120).stdout
            rows = [json.loads(line) for line in out.splitlines()]
            by_file = {}
            for row in rows:  # a file that is an mbox of several gives several: the first counts
                by_file.setdefault(row.pop("file"), row)
            answers += [by_file[str(p)] for p in paths]
    return answers


def verdict(answer):
    return answer["event"], sorted((r["recipient"], r["event"], r["category"]) for r in answer["recipients"])


def expected_ones():
    rows = [json.loads(line) for line in (OURS / "expected.jsonl").read_text(encoding="utf-8").splitlines()]
    wrong = 0
    for row, got in zip(rows, read([(OURS / r["file"]).read_bytes() for r in rows])):
        want = [(r["recipient"], r["event"], r["category"].split("|")) for r in row["recipients"]]
        have = [(r["recipient"], r["event"], r["category"]) for r in got["recipients"]]
        if row["event"].split("|")[0] in ("auto_reply", "challenge"):
            have = []  # who answered is of no interest
        same = len(want) == len(have) and all(any(h[:2] == w[:2] and h[2] in w[2] for h in have) for w in want)
        same = same and got["event"] in row["event"].split("|")
        if not same or row.get("message_id") not in (None, got["original"]["message_id"]):
            print(f"   {row['file']}: {verdict(got)} {got['original']['message_id']}, wanted {row}")
            wrong += 1
    print(f"{len(rows) - wrong} of {len(rows)} mails of ours are read as expected")
    assert len(rows) >= 40 and wrong == 0


def unchanged(name, mails, may_differ, show):
    first = read([m for _, m in mails])
    for change, apply in CHANGES.items():
        changed = [(i, apply(m)) for i, (_, m) in enumerate(mails)]
        changed = [(i, m) for i, m in changed if m is not None]
        differ = 0
        for (i, _), got in zip(changed, read([m for _, m in changed])):
            same = got == first[i] if change in LINE_ENDS else verdict(got) == verdict(first[i])
            differ += not same
            if not same and show:
                print(f"   {change}: {mails[i][0]}: {verdict(got)}, before {verdict(first[i])}")
        allowed = 0 if change in LINE_ENDS else may_differ * len(changed)
        print(f"{name}, {change}: {len(changed) - differ} of {len(changed)} the same")
        assert changed and differ <= allowed


def main():
    show = "-v" in sys.argv
    expected_ones()
    ours = [(p.name, lf(p.read_bytes())) for p in sorted(OURS.glob("*.eml"))]
    unchanged("ours", ours, 0, True)
    if not THEIRS.is_dir():
        print("no folder of other mails: skipped")
        return
    theirs = [(str(p.relative_to(THEIRS)), lf(p.read_bytes())) for p in sorted(THEIRS.rglob("*")) if p.is_file()]
    unchanged("others", theirs, OTHERS_MAY_DIFFER, show)


main()
