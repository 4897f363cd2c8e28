#!/usr/bin/env python3
"""What hostile reports try: a bounce address used without end, reports for third parties, loops between two of us, DMARC
reports that are bombs, forgeries or floods, and policies that would have us write to somebody else."""
import base64, gzip, io, pathlib, re, socket, struct, sys, tempfile, xml.etree.ElementTree as ET, zipfile, zlib
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = """good.test. TXT "v=spf1 ip4:127.0.0.2 -all"
nobody.test. TXT "v=spf1 ?all"
"""
TEXT = b"From: a@good.test\r\nTo: b@local.test\r\nSubject: %s\r\nMessage-ID: <%s@good.test>\r\n\r\nHello.\r\n"
DSN = b"From: MAILER-DAEMON@mx.test\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report;" \
      b" report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" \
      b"Reporting-MTA: dns; mx.test\r\n\r\n%s--b\r\n\r\n"
FAILED = b"Final-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n\r\n"


class Raw:
    def __init__(self, port, source="127.0.0.2"):
        self.socket = socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        self.reply()
        self.say(b"EHLO client.test")

    def reply(self):
        line = self.file.readline()
        while line[3:4] == b"-":
            line = self.file.readline()
        return line

    def say(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def give(self, sender, recipient, text, options=b"", more=b""):
        self.socket.sendall(b"MAIL FROM:<%s>%s\r\nRCPT TO:<%s>%s\r\nDATA\r\n" % (sender, options, recipient, more))
        replies = [self.reply(), self.reply(), self.reply()]
        if not replies[2].startswith(b"354"):
            return replies[1] if replies[1][:1] != b"2" else replies[0]
        return self.say(text + b"\r\n.")

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.file.close(), self.socket.close()


def memory_kib(w, role):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{w.pids()[role]}/status").read_text())[1])


def sender_of(mail):
    return re.search(rb"X-Sink-From: <([^>]*)>", mail)[1]


def endless_bounces(tmp):
    """One good bounce address, used 2,000 times: bounded events, one failure, one report, nobody else."""
    folder = pathlib.Path(tmp, "endless")
    folder.mkdir()
    (folder / "zone").write_text(ZONE)
    (folder / "forwards").write_text("list@local.test far@two.test\n")
    sink = Sink(folder / "sink")
    with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{folder}/zone"\nreturn_path_domain = "return.test"\n'
                          f'forwards_file = "{folder}/forwards"\nforward_return_path = signed\nsuppress = {{ "mailbox_full 2/14d" }}\n',
                 route=f'route "local.test" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
                       f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n') as w:
        with Raw(w.port) as c:
            assert c.give(b"a@good.test", b"list@local.test", TEXT % (b"one", b"one")).startswith(b"250")
        mail, = wait_for(sink.mails, "the forwarded mail")
        address = sender_of(mail)
        id = address.split(b"+")[1].split(b".")[0].decode()
        wait_for(lambda: w.states(id) == ["delivered"], "its outcome")
        others = b"".join(FAILED % (b"victim%d@elsewhere.test" % n) for n in range(200))
        with Raw(w.port) as c:
            assert c.give(b"", address, DSN % (FAILED % b"far@two.test")).startswith(b"250")
            assert c.give(b"", address, DSN % others).startswith(b"250")
            for n in range(2000):
                # a mailbox that is full: twice is enough, but not by saying it twice
                said = DSN % FAILED.replace(b"5.1.1", b"5.2.2").replace(b"No such user", b"mailbox full") if n % 2 else b"x: %d\r\n\r\n" % n
                said = said.replace(b"%s", b"far@two.test")
                assert c.give(b"", address, said).startswith(b"250")
        story = w.show(id)
        assert story["recipients"][0]["state"] == "bounced"
        assert len(story["events"]) < 60, f"{len(story['events'])} events"
        suppressed = [json.loads(l) for l in w.command("suppress", "list", "--json").splitlines()]
        assert {s["address"] for s in suppressed} == {"far@two.test"} and {s["reason"] for s in suppressed} == {"invalid_recipient"}, suppressed
        time.sleep(0.3)
        told = sink.mails()[1:]
        assert len(told) == 1 and b"X-Sink-To: <a@good.test>" in told[0], told
        bounced = [int(n) for n in re.findall(r'"bounced": ?(\d+)', w.command("streams", "--json"))]
        assert sum(bounced) <= 1, ("the statistics believe each of them", bounced)
        assert w.stop() == 0
        w.fsck()
    sink.close()


def third_parties(tmp):
    """A report goes to nobody who did not write: not with NOTIFY, not with ORCPT, and nothing is put into it."""
    folder = pathlib.Path(tmp, "third")
    (folder / "mail/local.test/ann").mkdir(parents=True)
    (folder / "zone").write_text(ZONE)
    sink = Sink(folder / "sink")
    with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{folder}/zone"\n'
                          'default_stream = default\nstream default { failures = mail }\n',
                 route=f'route "local.test" {{ via = {{ "maildir:{folder}/mail/%d/%u" }} local = yes }}\n'
                       f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n') as w:
        with Raw(w.port) as c:
            for n, sender in enumerate((b"victim@nobody.test", b"victim@absent.test", b"x@[192.0.2.1]", b'"a b"@nobody.test')):
                reply = c.give(sender, b"ann@local.test", TEXT % (b"forged", b"f%d" % n), b" RET=FULL ENVID=x", b" NOTIFY=SUCCESS,FAILURE,DELAY")
                assert reply.startswith(b"250"), reply
            # its own sender may have a report; nothing of what it says becomes a field or a part
            hostile = b"rfc822;a+0D+0AX-Evil:+20yes+0D+0A+0D+0A--+3D_waybill_+00+1B[31m@b"
            reply = c.give(b"me@good.test", b"ann@local.test",
                           b"From: me@good.test\r\nSubject: x \xff\"\x1b[31m--=_waybill_\r\nMessage-ID: <mine@good.test>\r\n\r\nHello.",
                           b" RET=HDRS ENVID=e+0D+0AX-Evil:+20yes+0D+0A", b" NOTIFY=SUCCESS ORCPT=" + hostile)
            assert reply.startswith(b"250"), reply
        report, = wait_for(sink.mails, "the report")
        time.sleep(0.3)
        assert len(sink.mails()) == 1 and b"X-Sink-To: <me@good.test>" in report, sink.mails()
        assert not re.search(rb"(?m)^X-Evil", report) and b"\0" not in report and b"\x1b" not in report.split(b"Header of")[0], report
        assert b"Original-Envelope-Id: e  X-Evil: yes  \r\n" in report, report
        assert w.stop() == 0
    sink.close()


def stored_zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for i, m in enumerate(members):
            z.writestr(f"{i}", m)
    return out.getvalue()


def many_times(data, size):
    """gzip of `data` over and over, `size` bytes, without making it."""
    packer, out = zlib.compressobj(9, zlib.DEFLATED, 31), []
    block = data * (1 << 20)
    for _ in range(size // len(block)):
        out.append(packer.compress(block))
    return b"".join(out) + packer.flush()


def attach(content, kind=b"application/gzip"):
    return b"From: r@reporter.test\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + \
        base64.encodebytes(content).replace(b"\n", b"\r\n")


def xml(org, id, domain="local.test", rows="", begin=None, end=None, head=""):
    now = int(time.time())
    return (f"<?xml version='1.0'?>{head}<feedback><report_metadata><org_name>{org}</org_name><email>x@y</email><report_id>{id}</report_id>"
            f"<date_range><begin>{now - 90000 if begin is None else begin}</begin><end>{now - 3600 if end is None else end}</end></date_range></report_metadata>"
            f"<policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>").encode()


ROW = "<record><row><source_ip>192.0.2.{0}</source_ip><count>{1}</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim>" \
      "<spf>fail</spf></policy_evaluated></row><identifiers><header_from>local.test</header_from></identifiers></record>"


def bombs(tmp):
    folder = pathlib.Path(tmp, "bombs")
    folder.mkdir()
    (folder / "zone").write_text(ZONE)
    with Waybill(settings=f'relay_networks = {{ "127.0.0.1/32" }}\ndns = "zone:{folder}/zone"\ndmarc_reports_address = {{ "d@local.test" }}\n'
                          'forged_bounces_max = 30\n') as w:
        before, start = memory_kib(w, "inbound-0"), time.monotonic()
        room = 16 << 20
        bomb = many_times(b" ", 1 << 30)
        used_up = [gzip.compress(b"<x/>" + b" " * (room - (200 << 10))), b"y" * (300 << 10)]
        nested = gzip.compress(xml("o", "1"))
        for _ in range(10):
            nested = gzip.compress(nested)
        deep = b"<feedback>" + b"<a>" * 200000
        cases = {"a bomb behind what used up the room": stored_zip(used_up + [bomb]), "1 GiB": bomb, "nested": nested, "deep": gzip.compress(deep),
                 "100 members": stored_zip([b"<feedback/>"] * 100), "101 members": stored_zip([b"<feedback/>"] * 101),
                 "an attribute": gzip.compress(b"<feedback a='" + b"x" * (8 << 20) + b"'/>"),
                 "attributes": gzip.compress(b"<feedback " + b" ".join(b"a%d='1'" % n for n in range(200000)) + b"/>"),
                 "entities": gzip.compress(xml("&b;", "1", head="<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>")),
                 "external": gzip.compress(xml("&b;", "1", head="<!DOCTYPE x [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>")),
                 "zeros": gzip.compress(b"\0" * 1000), "UTF-16": gzip.compress("<a/>".encode("utf-16")),
                 "a zip that says 4 GiB": stored_zip([b"<feedback/>"]).replace(struct.pack("<I", 11), b"\xff\xff\xff\xff"), "nothing": b"", "half": nested[:50]}
        for what, content in cases.items():
            with Raw(w.port) as c:
                reply = c.give(b"x@y.test", b"d@local.test", attach(content))
                assert reply[:3] in (b"550", b"552"), (what, reply)
        for what, mail in {"garbage": b"Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=!" * 400, "no header": b"\r\n\r\n",
                           "parts": b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 20000,
                           "depth": b"MIME-Version: 1.0\r\n" + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000))}.items():
            with Raw(w.port) as c:
                reply = c.give(b"x@y.test", b"d@local.test", mail)
                assert reply[:3] in (b"550", b"552"), (what, reply)
        grown = memory_kib(w, "inbound-0") - before
        assert grown < 160 << 10 or "asan" in binary(), f"{grown} KiB"
        assert time.monotonic() - start < 60
        # unpacking is work: whoever brings only what is none is sent away for a minute
        def refused():
            with Raw(w.port, "127.0.0.9") as c:
                return c.give(b"x@y.test", b"d@local.test", attach(cases["deep"]))[:3]
        codes = [refused() for _ in range(65)]  # more than twice as many: a minute may end amidst them
        assert set(codes) == {b"552", b"421"} and codes[0] == b"552", codes
        # numbers and dates without sense cannot spoil sums; the same id of another organization is another report
        day = 86400
        for n, content in enumerate([xml("o", "1", rows=ROW.format(1, 5)), xml("o", "1", rows=ROW.format(1, 7)), xml("p", "1", rows=ROW.format(2, 3)),
                                     xml("q", "1", begin=0, end=2 ** 63 - 1, rows=ROW.format(3, 2 ** 64 - 1)), xml("r", "1", begin=-5, end=-9, rows=ROW.format(4, -1)),
                                     xml("s", "1", begin=2 ** 70, end="x", rows=ROW.format(5, "1e9")), xml("x" * (8 << 20), "1"), xml("&#27;[31m&#10;x", "1", "b&#9;d.test", rows=ROW.format("&#10;", 1)),
                                     xml("t", "1", "x" * 300 + ".test", rows=ROW.format(6, 1) * 2000)]):
            with Raw(w.port) as c:
                reply = c.give(b"x@y.test", b"d@local.test", attach(gzip.compress(content)))
                assert reply[:3] in (b"250", b"550"), (n, reply)
        shown = w.command("dmarc", "report", "--since", "36500", ok=(0, 1))
        assert "\x1b" not in shown and "192.0.2.1" in shown, shown
        sources = {s["source_ip"]: s["messages"] for d in json.loads(w.command("dmarc", "report", "--json", "--since", "36500", ok=(0, 1)))["domains"]
                   for s in d["sources"]}
        assert sources["192.0.2.1"] == 5 and sources["192.0.2.2"] == 3, sources
        assert w.stop() == 0
        w.fsck()


with tempfile.TemporaryDirectory() as tmp:
    endless_bounces(tmp)
    third_parties(tmp)
    bombs(tmp)
print("3 passed, 0 failed")
