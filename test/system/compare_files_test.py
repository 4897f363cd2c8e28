#!/usr/bin/env python3
"""`waybill trace` and `compare` on files that are huge, broken or hostile: bounded time and memory, a clear
error, and nothing written anywhere. With WAYBILL_CONFORMANCE=FOLDER (score.py and its data) the figures too."""
import gzip, io, json, os, pathlib, pty, random, re, struct, subprocess, sys, tempfile, time, unittest, zipfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import binary

WAYBILL = binary()
CONFORMANCE = os.environ.get("WAYBILL_CONFORMANCE")
SLOWER = float(os.environ.get("WAYBILL_SLOWER", "1"))  # a busy or sanitized build may take this much longer
FROM = b"From a@sender.test Mon Nov 23 22:00:00 2026\n"


def mail(n, extra=b"", body=b"hi\n", received=True):
    path = (b"Received: from app.sender.test (app.sender.test [192.0.2.7])\n\tby mx.receiver.test (Postfix) with ESMTPS id "
            b"4F%06d\n\tfor <b@receiver.test>; Mon, 23 Nov 2026 22:00:00 +0000\n" % n) if received else b""
    return path + extra + b"From: a@sender.test\nTo: b@receiver.test\nSubject: mail %d\n" \
        b"Message-ID: <%d@sender.test>\nDate: Mon, 23 Nov 2026 22:00:00 +0000\n\n" % (n, n) + body


# The kernel counts a parent's memory as its child's until the child's first exec, and the tests hold large
# messages themselves: so a small process in between starts Waybill, and says how it ended and what it held.
BETWEEN = "import os,sys\npid=os.posix_spawn(sys.argv[2],sys.argv[2:],os.environ)\n_,s,u=os.wait4(pid,0)\n" \
          "open(sys.argv[1],'w').write(f'{os.waitstatus_to_exitcode(s)} {u.ru_maxrss} {u.ru_utime+u.ru_stime}')"


class Run:
    """One run: status, output, seconds, and the most memory it ever held."""

    def __init__(self, *argv, cwd=None, input=b"", stderr=None):
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, \
                tempfile.NamedTemporaryFile("r") as end:
            given.write(input), given.seek(0)
            start = time.monotonic()
            subprocess.run([sys.executable, "-ISc", BETWEEN, end.name, WAYBILL, *map(str, argv)], cwd=cwd, stdin=given,
                           stdout=out, stderr=stderr or err, check=True, timeout=200)
            self.seconds = time.monotonic() - start
            status, kib, self.cpu_seconds = map(float, end.read().split())
            self.status, self.mib = int(status), kib / 1024
            out.seek(0), err.seek(0)
            self.out, self.err = out.read().decode(errors="replace"), err.read().decode(errors="replace")

    def json(self):
        return json.loads(self.out)


class Base(unittest.TestCase):
    def setUp(self):
        self.held = tempfile.TemporaryDirectory(prefix="waybill-compare.")
        self.dir = pathlib.Path(self.held.name)

    def tearDown(self):
        self.held.cleanup()

    def file(self, name, data):
        (self.dir / name).write_bytes(data)
        return self.dir / name

    def bounded(self, r, seconds, mib):
        self.assertLess(r.seconds, seconds * SLOWER, r.err)
        if SLOWER == 1:
            self.assertLess(r.mib, mib, r.err)


class Scale(Base):
    """10,000 messages, 1 GB, every hundredth of them twice."""

    def body(self):
        line = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz   ", k=71)) + b"\n"
        return line * 1400

    def check(self, path):
        master, slave = pty.openpty()
        r = Run("compare", "--json", path, stderr=slave)
        os.close(slave)
        shown = os.read(master, 65536)
        os.close(master)
        self.assertEqual(r.status, 1)
        self.bounded(r, 20, 300)
        answer = r.json()
        self.assertEqual(answer["messages"], 10000)
        pairs = [g for g in answer["groups"] if len(g["copies"]) == 2]
        self.assertEqual(len(pairs), 99)
        self.assertIn(b"%", shown, "no progress bar")
        self.assertIn(b"#", shown)
        print(f"{path.name}: {path.stat().st_size >> 20} MiB, {r.seconds:.1f} s, {r.mib:.0f} MiB", file=sys.stderr)

    def number(self, i):
        return i - 1 if i % 101 == 100 else i

    def test_mbox(self):
        body = self.body()
        with open(self.dir / "all.mbox", "wb") as f:
            for i in range(10000):
                f.write(FROM + mail(self.number(i), body=body) + b"\n")
        self.assertGreater((self.dir / "all.mbox").stat().st_size, 950 << 20)
        self.check(self.dir / "all.mbox")

    def test_zip(self):
        body = self.body()
        with zipfile.ZipFile(self.dir / "all.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
            for i in range(10000):
                z.writestr(f"folder{i % 10}/{i}.eml", mail(self.number(i), body=body))
        self.check(self.dir / "all.zip")


class Archives(Base):
    """Every refusal is one sentence, status 2, and leaves the folder as it was."""

    def refused(self, data, *words, name="x.zip"):
        path = self.file(name, data)
        before = sorted(p.name for p in self.dir.iterdir())
        r = Run("compare", "--json", path, cwd=self.dir)
        self.assertEqual(r.status, 2, r.out + r.err)
        self.assertTrue(any(w in r.err for w in words), r.err)
        self.assertEqual(r.out, "")
        self.assertEqual(before, sorted(p.name for p in self.dir.iterdir()))
        self.assertFalse((self.dir.parent / "evil.eml").exists())
        self.bounded(r, 10, 400)

    def zip(self, *entries, how=zipfile.ZIP_DEFLATED):
        b = io.BytesIO()
        with zipfile.ZipFile(b, "w", how) as z:
            for name, data in entries:
                z.writestr(name, data)
        return b.getvalue()

    def test_names_that_climb_out(self):
        for name in ("../evil.eml", "a/../../evil.eml", "/tmp/evil.eml", "..\\evil.eml", "C:\\evil.eml"):
            with self.subTest(name):
                self.refused(self.zip((name, mail(1))), "outside")

    def test_a_bomb(self):
        self.refused(self.zip(("a.eml", b"A: 1\n\n" + b"0" * (100 << 20))), "bomb", "grows")

    def test_a_bomb_of_many_entries(self):
        one = b"A: 1\n\n" + b"0" * (31 << 20)
        self.refused(self.zip(*[(f"{i}.eml", one) for i in range(4)], ("last.eml", one + one)), "bomb", "grows")

    def test_a_bomb_in_gzip(self):
        self.refused(gzip.compress(b"A: 1\n\n" + b"0" * (200 << 20), 6), "bomb", "grows", "larger", name="x.gz")

    def test_encrypted(self):
        data = bytearray(self.zip(("a.eml", mail(1))))
        struct.pack_into("<H", data, 6, 1)
        struct.pack_into("<H", data, data.index(b"PK\1\2") + 8, 1)
        self.refused(bytes(data), "encrypted", "password")

    def test_broken(self):
        good = self.zip(*[(f"{i}.eml", mail(i, body=bytes(random.Random(i).randbytes(3000)))) for i in range(20)])
        self.refused(good[:len(good) // 2], "broken")
        self.refused(b"PK\3\4" + random.Random(1).randbytes(5000), "broken", "no mail")
        self.refused(gzip.compress(mail(1, body=random.Random(2).randbytes(9000)))[:2000], "broken", name="x.gz")

    def test_an_archive_in_an_archive(self):
        self.refused(self.zip(("a.zip", self.zip(("a.eml", mail(1))))), "no mail")

    def test_a_good_one_is_read_from_memory(self):
        self.file("x.zip", self.zip(("in/a.eml", mail(1)), ("in/deep/er/b.eml", mail(1))))
        r = Run("compare", "--json", self.dir / "x.zip", cwd=self.dir)
        self.assertEqual((r.status, r.json()["groups"][0]["cause"]), (1, "delivered_twice"))
        self.assertEqual([p.name for p in self.dir.iterdir()], ["x.zip"])


class Strange(Base):
    """Mail that no program should have made. 0 and 1 are answers, 2 a refusal; never a crash, never long."""

    def both(self, data, seconds=5, mib=400):
        path = self.file("x.eml", data)
        trace = Run("trace", "--json", path)
        self.assertIn(trace.status, (0, 1, 2), trace.err)
        if trace.status != 2:
            trace.json()
        self.bounded(trace, seconds, mib)
        compare = Run("compare", "--json", path, path)
        self.assertIn(compare.status, (0, 1, 2), compare.err)
        self.bounded(compare, seconds, mib)
        return trace, compare

    def test_cut_anywhere(self):
        whole = mail(1, extra=b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n",
                     body=b"--b\nContent-Type: text/plain\n\nhi\n--b\nContent-Type: message/rfc822\n\n" + mail(2) + b"--b--\n")
        for i in range(1, len(whole), 29):
            for command in ("trace", "compare"):
                r = Run(command, "--json", "-", input=whole[:i])
                self.assertIn(r.status, (0, 1, 2), r.err)

    def test_binary(self):
        noise = random.Random(3).randbytes(20 << 20)
        trace, _ = self.both(noise)
        self.both(mail(1, extra=b"X-N: " + noise[:300000].replace(b"\n", b"") + b"\n", body=noise))
        self.both(b"Received: " + noise[:60000] + b"\nSubject: x\n\n\n")
        self.both(bytes(1 << 20))

    def test_one_line_of_100_MB(self):
        trace, compare = self.both(b"Received: from " + b"a" * (100 << 20) + b"\n\nhi\n", 10)
        trace, compare = self.both(mail(1, body=b"x" * (100 << 20)), 10)
        self.assertEqual((trace.status, compare.status), (0, 1), trace.err + compare.err)
        self.both(b"a" * (100 << 20), 10)

    def test_100_000_headers(self):
        self.both(b"".join(b"X-%d: %d\n" % (i, i) for i in range(100000)) + mail(1))
        received = mail(1)[:mail(1).index(b"From:")]
        trace, _ = self.both(received * 100000 + mail(1, received=False))
        self.assertLessEqual(len(trace.json()["hops"]), 1000)
        self.both(b"Received: from a by b" + b"\n\tid 1" * 100000 + b"\n\nx\n")

    def test_deep_nesting(self):
        multi = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(20000))
        self.both(mail(1)[:mail(1).index(b"\n\n") + 1] + multi)
        self.both(b"Subject: x\nContent-Type: message/rfc822\n\n" * 20000 + b"hi\n")
        self.both(mail(1, extra=b"Subject: " + b"(" * 500000 + b"\n"))
        self.both(b"Received: from a (" + b"(" * 500000 + b" by b; Mon, 23 Nov 2026 22:00:00 +0000\n\n")
        self.both(mail(1, extra=b"Content-Type: multipart/mixed; boundary=b\n", body=b"--b\n\n" * 300000))


def without_comments(text):
    while True:
        shorter = re.sub(r"\([^()]*\)", " ", text)
        if shorter == text:
            return text
        text = shorter


@unittest.skipUnless(CONFORMANCE, "WAYBILL_CONFORMANCE is not set")
class Conformance(Base):
    def score(self, suite):
        r = subprocess.run([sys.executable, f"{CONFORMANCE}/score.py", "--waybill", WAYBILL, suite],
                           capture_output=True, text=True, timeout=300)
        print(r.stdout.strip(), file=sys.stderr)
        return [float(x) for x in re.findall(r"\(([\d.]+)%\)", r.stdout)]

    def test_received(self):
        self.assertGreaterEqual(self.score("received")[0], 97)

    def test_duplicates(self):
        last, cause, real = self.score("duplicates")
        self.assertGreaterEqual(last, 98)
        self.assertGreaterEqual(cause, 95)
        self.assertEqual(real, 100)

    def test_3000_fields_without_labels(self):
        lines = pathlib.Path(CONFORMANCE, "received/raw.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line)["header"] for line in lines if line]
        named = found = 0
        for i in range(0, len(rows), 100):
            part = [" ".join(h.split()) for h in rows[i:i + 100]]
            r = Run("trace", "--json", "-", input=b"".join(
                b"Received: " + h.encode("utf-8", "surrogateescape") + b"\n" for h in part) + b"Subject: x\n\nx\n")
            self.assertIn(r.status, (0, 1), r.err)
            hops = r.json()["hops"][::-1]
            self.assertEqual(len(hops), len(part))
            for h, hop in zip(part, hops):
                if not {"by", "from"} & set(without_comments(h).lower().split()):  # "(qmail 7 invoked from network)"
                    continue
                named += 1
                good = bool(hop["by"]) or any((hop["from"] or {}).values())
                found += good
                if not good:
                    print("not found:", h[:160], file=sys.stderr)
        print(f"received: {len(rows)} fields, by or from found in {found} of {named}", file=sys.stderr)
        self.assertGreaterEqual(found / named, 0.99)


if __name__ == "__main__":
    unittest.main()
