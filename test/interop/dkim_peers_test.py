#!/usr/bin/python3
"""Do other programs accept what Waybill signs and seals?

    dkim_peers_test.py [--waybill PATH] [--only TOOL]
    dkim_peers_test.py --sealed ZONE FILE...    the same about chains on messages that are there already

Tools: dkimpy (python3-dkim), Mail::DKIM (libmail-dkim-perl), opendkim (opendkim-testmsg, in a network
of its own with a small name server), mailauth (npm, put into a temporary folder). A tool that is
missing is skipped, and that is said. Exit status 0 when nothing failed, 77 when nothing was run."""
import argparse, json, os, pathlib, re, shutil, socket, struct, subprocess, sys, tempfile, threading

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--waybill", default=os.environ.get("WAYBILL", pathlib.Path(__file__).parents[2] / "build/waybill"))
ap.add_argument("--only")
ap.add_argument("--sealed", metavar="ZONE", help="what keygen printed, for the chains on FILEs")
ap.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE")
INSIDE = len(sys.argv) > 3 and sys.argv[1] == "inside"  # see serve_and_run()
args = None if INSIDE else ap.parse_args()

# On its way through SMTP every message ends in CR LF (Mail::DKIM forgets to add one, RFC 6376 3.4.3).
MESSAGES = {
    "plain": b"Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n",
    "empty": b"",
    "spaces": b"  a \t b  \r\n \r\n\ttabs\t\r\n\r\n\r\n",
    "8bit": "Grüße \u00a0 aus\u3000Köln\r\n".encode() * 40,
    "dots": b".\r\n..\r\n.x\r\n",
}
HEADER = (
    b"Received: from a by b; Fri, 11 Jul 2003 21:00:37 -0700\r\n"
    b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzi <suzi@shopping.example.net>\r\n"
    b"Subject: Is dinner  ready?\r\n\twith a fold \r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"Resent-To: one@example.org\r\nResent-To: two@example.org\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)
DOMAIN = "football.example.com"


def waybill(*argv, data=None):
    done = subprocess.run([args.waybill, *map(str, argv)], input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout


def records(zone):
    """name -> text, from what keygen printed."""
    found = {}
    for line in zone.decode().splitlines():
        if " IN TXT " in line and not line.startswith(";"):
            name, _, rest = line.partition(" IN TXT ")
            found[name.rstrip(".")] = "".join(re.findall(r'"([^"]*)"', rest))
    return found


# --- a name server for programs that know nothing but the resolver ---


def answer(query, zone):
    end, labels = 12, []
    while query[end]:
        labels.append(query[end + 1 : end + 1 + query[end]].decode())
        end += query[end] + 1
    question = query[12 : end + 5]
    text = zone.get(".".join(labels).lower())
    wants_txt = question[-4:-2] == b"\x00\x10"
    if text is None or not wants_txt:
        return query[:2] + b"\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00" + question
    parts = [text[i : i + 255].encode() for i in range(0, len(text), 255)]
    rdata = b"".join(bytes([len(p)]) + p for p in parts)
    return (query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question
            + b"\xc0\x0c\x00\x10\x00\x01" + struct.pack(">IH", 60, len(rdata)) + rdata)


def serve_and_run(zone_path, resolv, command):
    """Runs inside a namespace of its own: loopback up, port 53 ours, our resolv.conf."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
    zone = json.loads(pathlib.Path(zone_path).read_text())
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def loop():
        while True:
            query, peer = server.recvfrom(4096)
            server.sendto(answer(query, zone), peer)

    threading.Thread(target=loop, daemon=True).start()
    return subprocess.run(command, stdin=sys.stdin).returncode


# --- the tools: each says how many of the signatures it accepts, or None if it is not here ---


class Missing(Exception):
    pass


def dkimpy(path, zone, folder):
    try:
        import dkim
    except ImportError:
        raise Missing("python3-dkim is not installed") from None
    message = path.read_bytes()
    lookup = lambda name, timeout=5: zone.get(name.decode().rstrip("."), "").encode()
    count = len(re.findall(rb"(?m)^DKIM-Signature:", message))
    good = 0
    for i in range(count):
        verifier = dkim.DKIM(message)
        good += bool(verifier.verify(idx=i, dnsfunc=lookup))
    return good == count and count > 0


PERL = r"""
use Mail::DKIM::Verifier; use Mail::DKIM::ARC::Verifier; use Mail::DKIM::DNS; use Net::DNS; use JSON::PP;
no warnings 'redefine';
my ($what, $zone, $file) = @ARGV; local $/; open my $z, '<', $zone or die; my $names = decode_json(<$z>);
*Mail::DKIM::DNS::query = sub { my ($name, $type) = @_; my $text = $names->{lc $name}; return unless defined $text;
  return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [unpack '(a255)*', $text]); };
*Mail::DKIM::DNS::query_async = sub { my ($name, $type, %c) = @_; my @r = Mail::DKIM::DNS::query($name, $type);
  my $r = $c{Callbacks}{Success} ? $c{Callbacks}{Success}->(@r) : $r[0]; return sub { $r }; };
open my $f, '<', $file or die; binmode $f; my $text = <$f>;
my $v = $what eq 'arc' ? Mail::DKIM::ARC::Verifier->new() : Mail::DKIM::Verifier->new(); $v->PRINT($text); $v->CLOSE;
if ($what eq 'arc') { print $v->result, "\n"; exit($v->result eq 'pass' ? 0 : 1); }
my @bad = grep { $_->result ne 'pass' } $v->signatures; print join(' ', map { $_->result_detail } $v->signatures), "\n";
exit(@bad || !$v->signatures ? 1 : 0);
"""


def perl(what, path, zone, folder):
    if subprocess.run(["perl", "-MMail::DKIM", "-MNet::DNS", "-e1"], stderr=subprocess.DEVNULL).returncode:
        raise Missing("libmail-dkim-perl is not installed")
    zone_path = folder / "zone.json"
    zone_path.write_text(json.dumps({k.lower(): v for k, v in zone.items()}))
    done = subprocess.run(["perl", "-e", PERL, what, zone_path, path], stdout=subprocess.PIPE)
    return done.returncode == 0


def mail_dkim(path, zone, folder):
    message = path.read_bytes()
    if b"a=ed25519" in message:  # versions before 1.20230630 call it an unknown algorithm
        version = subprocess.run(["perl", "-MMail::DKIM", "-e", "print $Mail::DKIM::VERSION"], stdout=subprocess.PIPE)
        if version.stdout < b"1.20230630":
            raise Missing("this Mail::DKIM does not know Ed25519")
    return perl("dkim", path, zone, folder)


def mail_dkim_arc(path, zone, folder):
    return perl("arc", path, zone, folder)


def opendkim(path, zone, folder):
    if b"a=ed25519" in path.read_bytes() and b"a=rsa" not in path.read_bytes():
        raise Missing("opendkim 2.11 does not know Ed25519")
    if not shutil.which("opendkim-testmsg"):
        raise Missing("opendkim-tools is not installed")
    if subprocess.run(["unshare", "-rmn", "true"], stderr=subprocess.DEVNULL).returncode:
        raise Missing("no namespace may be made here (unshare)")
    zone_path, resolv = folder / "zone.json", folder / "resolv.conf"
    zone_path.write_text(json.dumps({k.lower(): v for k, v in zone.items()}))
    resolv.write_text("nameserver 127.0.0.1\n")
    with path.open("rb") as message:
        done = subprocess.run(["unshare", "-rmn", sys.executable, __file__, "inside", zone_path, resolv,
                               "opendkim-testmsg", "-C"], stdin=message)
    return done.returncode == 0


NODE = r"""
const { authenticate } = require('mailauth'); const fs = require('fs');
const [what, zone, file] = process.argv.slice(1); const names = JSON.parse(fs.readFileSync(zone));
const resolver = async (name, type) => { const text = names[name.toLowerCase()];
  if (type !== 'TXT' || text === undefined) { const e = new Error('none'); e.code = 'ENOTFOUND'; throw e; }
  return [text.match(/.{1,255}/g)]; };
authenticate(fs.readFileSync(file), { resolver, ip: '192.0.2.1', helo: 'a.example', sender: 'a@a.example', disableBimi: true })
  .then(r => { if (what === 'arc') { console.log(r.arc.status.result, r.arc.status.comment || '');
      process.exit(r.arc.status.result === 'pass' ? 0 : 1); }
    const all = r.dkim.results.map(x => x.status.result); console.log(all.join(' '));
    process.exit(all.length && all.every(x => x === 'pass') ? 0 : 1); })
  .catch(e => { console.log(e.message); process.exit(1); });
"""
mailauth_home = {}


def find_mailauth():
    if "path" in mailauth_home:
        return mailauth_home["path"]
    mailauth_home["path"] = None
    home = os.environ.get("MAILAUTH_HOME")
    if not home and shutil.which("npm"):
        mailauth_home["keep"] = tempfile.TemporaryDirectory(prefix="mailauth-")
        home = mailauth_home["keep"].name
        try:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "mailauth"], cwd=home, check=True,
                           timeout=180, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError):
            home = None
    mailauth_home["path"] = home
    return home


def mailauth(path, zone, folder, what="dkim"):
    if not shutil.which("node") or not find_mailauth():
        raise Missing("mailauth is not here, and npm cannot fetch it")
    zone_path = folder / "zone.json"
    zone_path.write_text(json.dumps({k.lower(): v for k, v in zone.items()}))
    done = subprocess.run(["node", "-e", NODE, "--", what, str(zone_path), str(path)], stdout=subprocess.PIPE,
                          env=dict(os.environ, NODE_PATH=find_mailauth() + "/node_modules"))
    return done.returncode == 0


def mailauth_arc(path, zone, folder):
    return mailauth(path, zone, folder, "arc")


def dkimpy_arc(path, zone, folder):
    try:
        import dkim
    except ImportError:
        raise Missing("python3-dkim is not installed") from None
    lookup = lambda name, timeout=5: zone.get(name.decode().rstrip("."), "").encode()
    cv, _, comment = dkim.ARC(path.read_bytes()).verify(dnsfunc=lookup)
    return cv == dkim.CV_Pass


SIGNATURES = {"dkimpy": dkimpy, "Mail::DKIM": mail_dkim, "opendkim": opendkim, "mailauth": mailauth}
SEALS = {"dkimpy": dkimpy_arc, "Mail::DKIM": mail_dkim_arc, "mailauth": mailauth_arc}


def make_messages(folder):
    """Signed in each way, and sealed once, twice and thrice."""
    (folder / "zone").write_bytes(waybill("dkim", "keygen", "--folder", folder, DOMAIN, "s1"))
    rsa, ed = f"{folder}/{DOMAIN}.s1.pem", f"{folder}/{DOMAIN}.s1-ed.pem"
    keys = {"rsa": [f"{rsa}:s1:{DOMAIN}"], "ed25519": [f"{ed}:s1-ed:{DOMAIN}"]}
    keys["both"] = keys["rsa"] + keys["ed25519"]
    signed, sealed = [], []
    for name, body in MESSAGES.items():
        plain = folder / f"{name}.eml"
        plain.write_bytes(HEADER + body)
        for kind, list_of_keys in keys.items():
            for canon in ([], ["--simple"]):
                path = folder / f"{name}-{kind}{''.join(canon)}.eml"
                options = [o for key in list_of_keys for o in ("--key", key)]
                path.write_bytes(waybill("dkim", "sign", *canon, *options, plain))
                signed.append(path)
        path = folder / f"{name}-rsa.eml"
        for hop in (1, 2, 3):
            out = folder / f"{name}-hop{hop}.eml"
            out.write_bytes(waybill("arc", "seal", "--dns", folder / "zone", "--key", rsa, "--domain", DOMAIN,
                                    "--selector", "s1", "--results", f"mx{hop}.example.com; dkim=pass header.d={DOMAIN}",
                                    path))
            sealed.append(out)
            path = out
    return signed, sealed


def run(title, tools, paths, zone, folder):
    failed = ran = 0
    for name, tool in tools.items():
        if args.only and args.only != name:
            continue
        good, bad, skipped = 0, [], {}
        for path in paths:
            try:
                if tool(path, zone, folder):
                    good += 1
                else:
                    bad.append(path.name)
            except Missing as why:
                skipped[str(why)] = skipped.get(str(why), 0) + 1
        ran += good + len(bad)
        failed += len(bad)
        line = f"{title}: {name}: {good} of {good + len(bad)} accepted"
        for why, count in skipped.items():
            line += f"; {count} skipped: {why}"
        print(line + "".join(f"\n    refused: {b}" for b in bad), flush=True)
    return failed, ran


def main():
    if INSIDE:
        return serve_and_run(sys.argv[2], sys.argv[3], sys.argv[4:])
    with tempfile.TemporaryDirectory(prefix="dkim-interop-") as name:
        folder = pathlib.Path(name)
        if args.sealed:
            failed, ran = run("seals", SEALS, args.files, records(pathlib.Path(args.sealed).read_bytes()), folder)
            return 77 if ran == 0 else failed > 0
        signed, sealed = make_messages(folder)
        zone = records((folder / "zone").read_bytes())
        one = run("signatures", SIGNATURES, signed, zone, folder)
        two = run("seals", SEALS, sealed, zone, folder)
    if one[1] + two[1] == 0:
        print("nothing was run")
        return 77
    return 1 if one[0] + two[0] else 0


sys.exit(main())
