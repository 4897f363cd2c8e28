#!/usr/bin/env python3
"""DMARC reports both ways: what strangers send to a local domain is counted and reported, signed, to those who ask for it
and may be asked; that very report, mailed back to an address for reports, is what `waybill dmarc report` shows."""
import base64, datetime, email, gzip, io, pathlib, re, sys, tempfile, zipfile, xml.etree.ElementTree as ET
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

ZONE = """good.test. TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.good.test. TXT "v=DMARC1; p=reject; adkim=s; rua=mailto:d@good.test"
bad.test. TXT "v=spf1 -all"
_dmarc.bad.test. TXT "v=DMARC1; p=reject; sp=none; rua=mailto:r@red.test,mailto:d@blue.test!10m,https://bad.test/"
bad.test._report._dmarc.blue.test. TXT "v=DMARC1; rua=mailto:moved@blue.test"
silent.test. TXT "v=spf1 -all"
_dmarc.silent.test. TXT "v=DMARC1; p=none"
later.test. TXT "v=spf1 -all"
_dmarc.later.test. TXT "v=DMARC1; p=none; rua=mailto:d@slow.test"
;!timeout later.test._report._dmarc.slow.test.
"""
DKIM = ("DKIM-Signature: v=1; a=rsa-sha256; d=nokey.test; s=s1; c=relaxed/relaxed; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; d=bad<&>.test; s=; h=from; bh=x; b=y\r\nDKIM-Signature: what\r\n")
NS = "{urn:ietf:params:xml:ns:dmarc-2.0}"
if time.time() % 86400 > 86400 - 40:
    time.sleep(86401 - time.time() % 86400)  # all of it happens on one day
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + \
       b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(8)) + b"]><feedback>&i;</feedback>"


def give(w, sender, recipient, text):
    with smtplib.SMTP("127.0.0.1", w.port, timeout=30, local_hostname="client.test") as s:
        s.ehlo()
        s.mail(sender)
        code, reply = s.rcpt(recipient)
        return (code, reply) if code != 250 else s.data(text)


def mail(domain, n):
    return f"From: a@{domain}\r\nTo: b@local.test\r\nSubject: x\r\nMessage-ID: <{n}@{domain}>\r\n\r\nHello {n}.\r\n"


def attach(content, kind="application/gzip"):
    return (f"From: r@reporter.test\r\nTo: d@good.test\r\nSubject: Report Domain: good.test\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def memory_kib(w):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{w.pids()['inbound-0']}/status").read_text())[1])


def unpack(message):
    """The attachment's name and its XML."""
    parts = [p for p in email.message_from_bytes(message).walk() if p.get_content_type() == "application/gzip"]
    assert len(parts) == 1, message
    return parts[0].get_filename(), gzip.decompress(parts[0].get_payload(decode=True))


def rows_of(xml):
    if shutil.which("xmllint"):
        r = subprocess.run(["xmllint", "--noout", "--schema", str(ROOT / "test/tools/dmarc-report.xsd"), "-"], input=xml, capture_output=True)
        assert r.returncode == 0, r.stderr + xml
    root = ET.fromstring(xml)
    assert root.tag == NS + "feedback" and [c.tag for c in root][:3] == [NS + n for n in ("version", "report_metadata", "policy_published")]
    found = []
    for r in root.findall(NS + "record"):
        assert [c.tag for c in r] == [NS + n for n in ("row", "identifiers", "auth_results")]
        get = lambda path: r.findtext("/".join(NS + p for p in path.split("/")))
        found.append({"n": int(get("row/count")), "ip": get("row/source_ip"), "disposition": get("row/policy_evaluated/disposition"),
                      "dkim": get("row/policy_evaluated/dkim"), "spf": get("row/policy_evaluated/spf"),
                      "reason": get("row/policy_evaluated/reason/type"), "from": get("identifiers/header_from"),
                      "raw_spf": get("auth_results/spf/result"), "scope": get("auth_results/spf/scope")})
    return root, found


def meta(root, path):
    return root.findtext("/".join(NS + p for p in path.split("/")))


def send_reports(w, sink):
    for n in range(3):
        assert give(w, "a@good.test", "b@local.test", mail("good.test", n))[0] == 250
    assert give(w, "a@bad.test", "b@local.test", DKIM + mail("bad.test", 1))[0] == 550
    for n in range(2):
        assert give(w, "a@bad.test", "b@tagging.test", mail("bad.test", n))[0] == 250
    assert give(w, "a@silent.test", "b@local.test", mail("silent.test", 1))[0] == 250
    assert give(w, "a@later.test", "b@local.test", mail("later.test", 1))[0] == 250
    wait_for(lambda: len(sink.mails()) == 7, "the mail itself")
    dry = wait_for(lambda: w.command("dmarc", "send", "--dry-run", "--day", str(TODAY)), "what was counted", 15)
    assert dry.count("<feedback") == 3 and "silent.test" not in dry, dry
    assert len(sink.mails()) == 7, "a dry run sent something"
    said = w.command("dmarc", "send", "--day", str(TODAY), ok=(1,))
    assert "sent: to d@good.test as" in said and "r@red.test: red.test does not say" in said and "moved@blue.test as" in said, said
    assert "later.test  1 message in 1 row: not yet" in said and len(said.splitlines()) == 3, said
    reports = wait_for(lambda: len(sink.mails()) == 9 and sink.mails()[7:], "the reports")
    assert w.command("dmarc", "send") == "There is nothing to report.\n"
    assert len(w.command("dmarc", "send", "--day", str(TODAY), ok=(1,)).splitlines()) == 1, "only what DNS did not answer"
    return {re.search(rb"X-Sink-To: <([^>]*)>", r)[1].decode(): r for r in reports}


def check_report(w, report, zone, tmp):
    text = report[report.index(b"DKIM-Signature"):]
    path = pathlib.Path(tmp, "report.eml")
    path.write_bytes(text)
    r = subprocess.run([binary(), "dkim", "verify", "--json", "--dns", str(zone), str(path)], capture_output=True, text=True)
    assert [(s["result"], s["domain"]) for s in json.loads(r.stdout)["signatures"]] == [("pass", "waybill.test")], r.stdout
    assert re.search(rb"X-Sink-From: <bounces\+[^>]*@return\.waybill\.test>", report), report
    m = email.message_from_bytes(text)
    assert m["From"] == "<dmarc-reports@return.waybill.test>" and m["Auto-Submitted"] == "auto-generated", text
    name, xml = unpack(text)
    root, rows = rows_of(xml)
    begin, end, rid = (meta(root, f"report_metadata/{x}") for x in ("date_range/begin", "date_range/end", "report_id"))
    domain = meta(root, "policy_published/domain")
    assert re.sub(r"\s+", " ", m["Subject"]) == f"Report Domain: {domain} Submitter: waybill.test Report-ID: <{rid}>", m["Subject"]
    assert name == f"waybill.test!{domain}!{begin}!{end}!{rid}.xml.gz" and int(begin) % 86400 == 0 and begin < end, name
    assert meta(root, "report_metadata/generator").startswith("Waybill ") and meta(root, "report_metadata/org_name") == "Testers & Co"
    assert meta(root, "policy_published/discovery_method") == "treewalk"
    return domain, root, rows, text


def receive(w, reports, tmp):
    assert give(w, "a@x.test", "nobody@good.test", mail("x.test", 1))[0] == 550, "an open relay"
    for _ in range(2):  # the same report again counts once
        code, reply = give(w, "", "D@good.test", reports["good.test"])
        assert code == 250, reply
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("bad.xml", unpack(reports["bad.test"])[1])
    assert give(w, "", "d@good.test", attach(zipped.getvalue(), "application/zip"))[0] == 250
    # a report of an older kind, from a file, over the control socket
    old = pathlib.Path(tmp, "old.xml")
    old.write_text("<feedback><report_metadata><org_name>Old &lt;Org&gt;</org_name><report_id>1</report_id><date_range><begin>%d</begin>"
                   "<end>%d</end></date_range></report_metadata><policy_published><domain>Good.test</domain><p>none</p></policy_published>"
                   "<record><row><source_ip>198.51.100.7</source_ip><count>120</count><policy_evaluated><disposition>none</disposition>"
                   "<dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>good.test</header_from></identifiers>"
                   "</record></feedback>" % (time.time() - 90000, time.time() - 3600))
    for _ in range(2):
        assert "198.51.100.7" in w.command("dmarc", "report", "--store", str(old), ok=(1,))
    seen = json.loads(w.command("dmarc", "report", "--json", ok=(1,)))
    domains = {d["domain"]: d for d in seen["domains"]}
    assert set(domains) == {"good.test", "bad.test"}, seen
    good, bad = domains["good.test"], domains["bad.test"]
    assert (good["messages"], good["failing"], good["reports"]) == (123, 120, 2) and bad["messages"] == 3 == bad["failing"], seen
    assert set(good["reporters"]) == {"Testers & Co", "Old <Org>"}, good
    by_ip = {s["source_ip"]: s for s in good["sources"]}
    assert by_ip["127.0.0.1"]["spf_aligned"] == 3 and by_ip["127.0.0.1"]["passed_for"] == ["spf:good.test"], by_ip
    assert bad["sources"][0]["refused"] == 3, bad
    text = w.command("dmarc", "report", ok=(1,))
    assert "198.51.100.7 sends as good.test without passing: 120 messages" in text, text
    newest = json.loads(w.command("dmarc", "report", "--json", "--since", "0", ok=(0, 1)))["domains"]
    assert "198.51.100.7" not in str(newest), "--since"


def refuse(w):
    before = memory_kib(w)
    gz = gzip.compress
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(4):
            z.writestr(f"{i}.xml", b"<feedback>" + b" " * (100 << 20))
    for what, content in (("an entity bomb", gz(BOMB)), ("a gzip bomb", gz(gz(b"\0" * (200 << 20)))), ("a zip bomb", zipped.getvalue()),
                          ("no report", gz(b"<html/>")), ("cut", gz(b"<feedback/>")[:-5]), ("text", b"hello")):
        code, reply = give(w, "x@y.test", "d@good.test", attach(content))
        assert code in (550, 552) and b"No DMARC report can be read here" in reply, (what, code, reply)
    code, reply = give(w, "x@y.test", "d@good.test", b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200000)
    assert code == 552, reply
    grown = memory_kib(w) - before
    assert grown < 60 << 10 or "asan" in binary(), f"{grown} KiB"
    assert w.command("dmarc", "report", "--json", ok=(0, 1)).count("reporter.test") == 0
    assert (w.dir / "log").read_text().count("inbound.dmarc_refused") == 7


with tempfile.TemporaryDirectory() as tmp:
    zone = pathlib.Path(tmp, "zone")
    for one_process in (False, True):
        folder = pathlib.Path(tmp, str(one_process))
        folder.mkdir()
        made = subprocess.run([binary(), "dkim", "keygen", "--algorithm", "ed25519", "--folder", str(folder), "waybill.test", "s"],
                              capture_output=True, check=True).stdout.decode()
        zone.write_text(ZONE + made)
        sink = Sink(folder / "sink")
        route = "".join(f'route "{d}.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none local = yes unproven = {how} }}\n'
                        for d, how in (("local", "obey"), ("tagging", "tag")))
        route += f'route "*" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none }}\n'
        settings = (f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{zone}"\nreturn_path_domain = "return.waybill.test"\n'
                    f'dmarc_reports = yes\ndmarc_org_name = "Testers & Co"\ndmarc_reports_address = {{ "d@good.test" }}\n'
                    f'key s {{ domain = "waybill.test" selector = "s-ed" file = "{next(folder.glob("*.pem"))}" }}\n')
        with Waybill(settings=settings, route=route, one_process=one_process) as w:
            mails = send_reports(w, sink)
            assert set(mails) == {"d@good.test", "moved@blue.test"}, mails.keys()
            reports = {}
            for report in mails.values():
                domain, root, rows, text = check_report(w, report, zone, tmp)
                reports[domain] = text
                if domain == "good.test":
                    assert rows == [{"n": 3, "ip": "127.0.0.1", "disposition": "pass", "dkim": "fail", "spf": "pass", "reason": None,
                                     "from": "good.test", "raw_spf": "pass", "scope": "mfrom"}], rows
                    assert meta(root, "policy_published/adkim") == "s" and meta(root, "policy_published/p") == "reject"
                else:
                    assert sorted((r["n"], r["disposition"], r["reason"]) for r in rows) == [(1, "reject", None), (2, "quarantine", "local_policy")], rows
                    assert meta(root, "policy_published/sp") == "none"
            receive(w, reports, tmp)
            if not one_process:
                refuse(w)
            assert w.stop() == 0
            w.fsck()
        sink.close()
print("6 passed, 0 failed")
