#!/usr/bin/env python3
"""What strangers try at the door of local domains: to say our own words (header fields, internal options, results), to get out
of a Maildir's folder, to guess bounce addresses from a network of their own, to relay behind a balancer, to lose others' mail."""
import email, pathlib, re, socket, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = """good.test. TXT "v=spf1 ip4:203.0.113.5 ip4:127.0.0.2 -all"
bad.test. TXT "v=spf1 -all"
_dmarc.bad.test. TXT "v=DMARC1; p=quarantine"
evil.test. TXT "v=spf1 exp=e.evil.test -all"
e.evil.test. TXT "no\\013\\010X-Evil: yes\\013\\010 ; dmarc=pass (\\034"
"""
FIELDS = b"From: a@%s\r\nTo: b@local.test\r\nMessage-ID: <%d@x.test>\r\nDate: Tue, 24 Nov 2026 01:00:00 +0000\r\n"


class Raw:
    """A client that sends whatever bytes it is told to."""

    def __init__(self, port, first=b"", helo=b"client.test", source="127.0.0.2"):
        self.socket = socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        self.socket.sendall(first)
        self.greeting = self.reply()
        self.hello = self.say(b"EHLO " + helo)

    def reply(self):
        lines = [self.file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self.file.readline())
        return b"".join(lines)

    def say(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def give(self, sender, recipients, text, options=b""):
        """The replies to RCPT, and to the dot."""
        replies = [self.say(b"MAIL FROM:<" + sender + b">" + options)]
        replies += [self.say(b"RCPT TO:" + r) for r in recipients]
        if not any(r.startswith(b"250") for r in replies[1:]) or not replies[0].startswith(b"250"):
            return replies
        assert self.say(b"DATA").startswith(b"354")
        return replies + [self.say(text + b".")]

    def close(self):
        self.file.close(), self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.close()


def text(domain, number, extra=b""):
    return FIELDS % (domain, number) + extra + b"\r\nmail-%d.\r\n" % number


def files(folder):
    return [p.read_bytes() for p in sorted((folder / "new").glob("*"))]


def own_words(w, box):
    """Each of a list's transactions arrives, whatever key its author wrote; nobody says what only we may say."""
    before = len(files(box))
    for n in range(3):  # one mail for three subscribers, in three transactions from one address
        with Raw(w.port) as c:
            assert c.give(b"list-%d@good.test" % n, [b"<ann@local.test>"], text(b"good.test", 1, b"Idempotency-Key: k\r\n"
                          b"X-Waybill-Idempotency-Key: k\r\nX-Waybill-Tag: theirs\r\nX-PM-Tag: theirs\r\n"))[-1].startswith(b"250")
    wait_for(lambda: len(files(box)) == before + 3, "all three")
    assert "theirs" not in w.command("streams"), "a stranger's tag is in the statistics"
    with Raw(w.port) as c:
        assert c.give(b"x@good.test", [b"<ann@local.test>"], text(b"good.test", 2, b"X-Waybill-Quarantine: none\r\nx-waybill-quarantine:\r\n"
                      b" dmarc=fail\r\nAuthentication-Results: waybill.test; dmarc=pass header.from=bank.test\r\n"
                      b"Authentication-Results: WAYBILL.test (x) ; spf=pass\r\n"))[-1].startswith(b"250")
    wait_for(lambda: len(files(box)) == before + 4, "the fourth")
    got = next(f for f in files(box) if b"mail-2." in f)
    assert b"uarantine" not in got and b"bank.test" not in got, got
    # internal options cannot be said
    for sender in (b" X-FROM=PROVEN", b" ENVID=a+20X-FROM=PROVEN", b" ENVID=a\tX-FROM=PROVEN", b" BODY=8BITMIME=X-FROM", b" RET=FULL X-FORWARDED",
                   b" ENVID=a\x0bX-FROM", b" ENVID=\xc2\xa0X-FROM=PROVEN SMTPUTF8"):
        with Raw(w.port) as c:
            reply = c.give(b"x@good.test", [], b"", sender)[0]
            assert reply[:1] == b"5" or b"+20X" in sender, (sender, reply)
    for recipient in (b" X-FORWARDED", b" ORCPT=rfc822;a\tX-FORWARDED", b" ORCPT=rfc822;a\x00X-FORWARDED", b" ORCPT=rfc822;a NOTIFY=SUCCESS X-FORWARDED",
                      b" NOTIFY=NEVER,X-FORWARDED", b" ORCPT=rfc822;a=X-FORWARDED"):
        with Raw(w.port) as c:
            reply = c.give(b"x@good.test", [b"<ann@local.test>" + recipient], b"")[1]
            assert reply[:1] == b"5", (recipient, reply)


def results(w, box):
    """HELO, MAIL FROM, DKIM's tags and explanations stay one value of one field."""
    hostile = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=x\"; dmarc=pass (; h=from; bh=AA==; b=AA==\r\n" \
              b"DKIM-Signature: v=1; a=rsa-sha256; d=(dmarc=pass).test; s=s; h=from; bh=AA==; b=AA==\r\n" \
              b"DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; i=\"x; spf=pass\"@a.test; h=from; bh=AA==; b=AA==\r\n"
    for n, (helo, sender) in enumerate([(b"x;dmarc=pass(", b"a@evil.test"), (b"a\"b", b'"a;dmarc=pass header.from=(x)"@evil.test'),
                                        (b"[IPv6:::1]", b'"\\"; dmarc=pass"@evil.test'), (b"x" * 900, b"e" * 60 + b"@evil.test"),
                                        (b"a\\", b'"a\\\\"@evil.test'), (b"\xff\xfe", b"a@evil.test"), (b"(", b""), (b"a=b;\x01c", b'"(("@evil.test')]):
        count = len(files(box))
        try:
            c = Raw(w.port, helo=helo)
        except OSError:
            continue
        with c:
            if not c.hello.startswith(b"250"):
                c.say(b"HELO client.test")
            replies = c.give(sender, [b"<ann@local.test>"], text(b"evil.test", 100 + n, hostile))
            if not replies[-1].startswith(b"250"):
                continue
        wait_for(lambda: len(files(box)) == count + 1, "it")
        got = next(f for f in files(box) if b"mail-%d." % (100 + n) in f)
        head = got.split(b"\n\n")[0]
        assert b"\nX-Evil" not in head and b"\0" not in head, head
        fields = re.findall(rb"(?ms)^Authentication-Results: (.*?)\n(?=\S)", head + b"\nX: y")
        assert len(fields) == 1, (helo, sender, head)
        bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", fields[0])  # without quoted strings, then without comments
        for _ in range(4):
            bare = re.sub(rb"\((?:[^()\\]|\\.)*\)", b"", bare)
        assert not re.search(rb"dmarc\s*=\s*pass|spf\s*=\s*pass", bare), (helo, sender, fields[0])
        for line in head.split(b"\n"):
            assert re.match(rb"[!-9;-~]+:|[ \t]+\S", line) and len(line) < 998, line
        assert [l for l in head.split(b"\n") if l.startswith(b"Received-SPF:")] or sender == b"", head


def paths(w, root, box):
    """No local part leads out of the folders of its domain, and none makes one."""
    before = sorted(p for p in root.rglob("*") if "new" not in p.parts and "tmp" not in p.parts)
    names = [b"../ann", b"..", b".", b"/etc", b"ann/", b"ann/new", b"./ann", b'"../ann"', b'"ann/../ann"', b'".."', b'"."', b'""', b'" "',
             b'"ann\x00x"', b'"\\../ann"', b'"%2e%2e"', b"%u", b"a" * 64, b"a" * 65, b"a" * 300, b"ann\x00", b"ann+/../../x", b"..+ann", b".+ann",
             b'"ann"', b"\xc3\xa4nn", b"\xd0\xb0nn", b"ann\xe2\x80\xae", b"link", b"link+x", b"cur", b"local.test"]
    taken = set()
    for name in names:
        with Raw(w.port, source="127.0.0.3") as c:
            c.say(b"MAIL FROM:<x@good.test>" + (b" SMTPUTF8" if max(name) > 127 else b""))
            reply = c.say(b"RCPT TO:<" + name + b"@local.test>")
            if reply.startswith(b"250"):
                taken.add(name)
            else:
                assert reply[:1] == b"5", (name, reply)
    assert taken <= {b"link", b"link+x", b'"ann"'}, taken
    assert sorted(p for p in root.rglob("*") if "new" not in p.parts and "tmp" not in p.parts) == before


def frames(w, sink):
    """Recipients, header, results and body at their ceilings, all at once, still are one message."""
    pids, long = w.pids(), b"d" * 60
    name = b".".join([long] * 4)[:240] + b".test"
    signatures = b"".join(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=%s;\r\n s=%s%d;\r\n i=%s@%s;\r\n h=from; bh=AA==; b=AAAAAAAA%04d==\r\n" %
                          (name, b"s" * 50, n, b"i" * 60, name, n) for n in range(100))
    for size, number in ((262144, 301), (258000, 302)):
        with Raw(w.port) as c:
            c.say(b"MAIL FROM:<x@good.test>")
            for n in range(1200):
                reply = c.say(b"RCPT TO:<ann+%d@lmtp.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;%s" % (n, b"o" * 480))
                if not reply.startswith(b"250"):
                    break
            assert reply.startswith(b"452") and n > 800, (n, reply)
            head = signatures + FIELDS % (b"good.test", number)
            while len(head) < size - 1000:
                head += b"X-Filler: " + b"f" * 900 + b"\r\n"
            assert c.say(b"DATA").startswith(b"354")
            reply = c.say(head + b"X-Last: %s\r\n\r\nmail-%d.\r\n" % (b"l" * (size - len(head) - 12), number) + (b"b" * 98 + b"\r\n") * 1950 + b".")
        assert reply[:3] in (b"250", b"552"), reply
        if reply.startswith(b"250"):
            got = b"\nmail-%d." % number
            got = wait_for(lambda: [m for m in sink.mails() if got in m], "it")[0]
            assert b"\nX-Last: " in got and got.count(b"b" * 98 + b"\r\n") == 1950 and got.count(b"DKIM-Signature:") == 100, len(got)
    assert w.pids() == pids, "a process ended"


def guesses(w, door):
    """One who has a /64 is one: he guesses no more bounce addresses than one who has one address."""
    codes = []
    for n in range(12):
        with Raw(door, b"PROXY TCP6 2001:db8:1:2::%x 2001:db8::1 4000 25\r\n" % (n + 1)) as c:
            c.say(b"MAIL FROM:<>")
            codes.append(c.say(b"RCPT TO:<SRS0=AAAA=AA=victim.test=a@return.test>")[:3])
    assert codes[0] == b"550" and b"421" in codes, codes  # a minute may end amidst them
    with Raw(door, b"PROXY TCP6 2001:db8:1:3::1 2001:db8::1 4000 25\r\n") as c:
        c.say(b"MAIL FROM:<>")
        assert c.say(b"RCPT TO:<bounces+x@return.test>").startswith(b"550"), "another network"


def behind_balancer(w, door, box):
    """Who may relay is the client, not the balancer before it (which may, as loopback does)."""
    for first, may in ((b"PROXY TCP4 203.0.113.5 192.0.2.1 4000 25\r\n", False), (b"PROXY TCP6 2001:db8::9 2001:db8::1 4000 25\r\n", False),
                       (b"PROXY TCP4 127.0.0.1 192.0.2.1 4000 25\r\n", True)):
        with Raw(door, first, source="127.0.0.1") as c:
            c.say(b"MAIL FROM:<x@good.test>")
            reply = c.say(b"RCPT TO:<someone@elsewhere.test>")
            assert reply.startswith(b"250") == may, (first, reply)
    count = len(files(box))
    with Raw(door, b"PROXY TCP4 203.0.113.5 192.0.2.1 4000 25\r\n", source="127.0.0.1") as c:
        assert c.give(b"x@good.test", [b"<ann@local.test>"], text(b"good.test", 7))[-1].startswith(b"250")
    wait_for(lambda: len(files(box)) == count + 1, "it")
    got = next(f for f in files(box) if b"mail-7." in f)
    assert b"spf=pass" in got and b"([203.0.113.5])" in got and b"127.0.0.1" not in got, got
    for bad in (b"PROXY TCP4 203.0.113.5\r\n", b"EHLO x\r\n", b"PROXY TCP4 127.0.0.1 192.0.2.1 4000 25 \r\n", b"PROXY TCP4 127.0.0.1\0 1.2.3.4 1 2\r\n"):
        with socket.create_connection(("127.0.0.1", door), 20) as s:
            s.sendall(bad)
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(100) == b"", bad


with tempfile.TemporaryDirectory() as tmp:
    root = pathlib.Path(tmp)
    box = root / "mail/local.test/ann"
    box.mkdir(parents=True)
    (root / "mail/local.test/link").symlink_to(box)
    (root / "secret").mkdir()
    (root / "zone").write_text(ZONE)
    door, sink = free_ports(1)[0], Sink(root / "sink")
    with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{root}/zone"\nreturn_path_domain = "return.test"\n'
                          f'forged_bounces_max = 5\nlistener balanced {{ address = "127.0.0.1" port = {door} tls = none proxy = yes }}\n',
                 route=f'route "local.test" {{ via = {{ "maildir:{root}/mail/%d/%u" }} local = yes unproven = accept }}\n'
                       f'route "lmtp.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n') as w:
        own_words(w, box)
        results(w, box)
        paths(w, root, box)
        frames(w, sink)
        guesses(w, door)
        behind_balancer(w, door, box)
        opened = [p for p in [*(w.dir / "data").rglob("*"), *(w.dir / "run").rglob("*")] if p.stat().st_mode & 0o7 and not p.is_symlink()]
        assert not opened, ("who may not read the mail can read about it", opened)
        assert w.stop() == 0
        w.fsck()
    sink.close()
print("6 passed, 0 failed")
