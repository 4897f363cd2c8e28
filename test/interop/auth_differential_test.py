#!/usr/bin/python3
"""Does Waybill judge as others do? Some thousand made-up cases, the same in every run.

    auth_differential_test.py [--seed N] [--count N] [--only spf|dkim|arc|dmarc] [--show]

SPF records, DKIM signatures, ARC chains and DMARC records are put together from the grammar and then damaged.
libwaybill (ctypes, DNS from a table) is asked, and so are pyspf, Mail::SPF, dkimpy, Mail::DKIM and mailauth, as far as
they are here. They differ from each other, too: a case counts as failed when no peer says what Waybill says, or when
one does not and JUSTIFIED has no rule for why. Exit status 77 when no peer is here."""
import argparse, atexit, base64, collections, ctypes, functools, hashlib, ipaddress, json, os, pathlib, random, re
import shutil, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import binary

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--seed", type=int, default=20261125)
ap.add_argument("--count", type=int, default=1500, help="SPF cases; of the others a third of that each")
ap.add_argument("--only")
ap.add_argument("--show", action="store_true", help="print justified disagreements, too")
args = ap.parse_args()
NOW = 1700000000
TYPES = {1: "A", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}


# --- the world: name -> {type: [value]}, or a name that never answers ---

class Silent(Exception):
    pass


def lookup(zone, name, kind):
    """Values, following CNAMEs; None for a name that does not exist."""
    name = name.rstrip(".").lower()
    for _ in range(9):
        sets = zone.get(name)
        if sets is None:
            return [] if any(other.endswith("." + name) for other in zone) else None
        if "TIMEOUT" in sets:
            raise Silent(name)
        if kind in sets or "CNAME" not in sets:
            return sets.get(kind, [])
        name = sets["CNAME"][0]
    raise Silent(name)


# --- libwaybill ---

class Text(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t)]

    def __bytes__(self):
        return ctypes.string_at(self.bytes, self.size) if self.size else b""


class Request(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [(n, ctypes.c_char_p) for n in ("client_ip", "helo", "mail_from", "receiver")] + [
        ("time", ctypes.c_int64)]


class Question(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("name", ctypes.c_char_p), ("type", ctypes.c_int)]


class Record(ctypes.Structure):
    _fields_ = [("preference", ctypes.c_uint), ("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Answer(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("records", ctypes.POINTER(Record)), ("count", ctypes.c_size_t)]


class Spf(ctypes.Structure):
    _fields_ = [("result", ctypes.c_int)] + [(n, Text) for n in ("domain", "mechanism", "reason", "explanation")] + [
        ("lookups", ctypes.c_uint), ("voids", ctypes.c_uint), ("is_helo", ctypes.c_bool)]


class Dkim(ctypes.Structure):
    _fields_ = [("result", ctypes.c_int)] + [(n, Text) for n in ("domain", "selector", "algorithm", "reason")]


class Result(ctypes.Structure):
    _fields_ = [("spf", ctypes.POINTER(Spf)), ("dkim", ctypes.POINTER(ctypes.POINTER(Dkim))), ("dkim_count", ctypes.c_size_t), ("arc", ctypes.c_int),
                ("arc_instances", ctypes.c_uint), ("dmarc", ctypes.c_int), ("author", Text), ("organization", Text),
                ("dmarc_reason", Text), ("policy", ctypes.c_int), ("disposition", ctypes.c_int),
                ("results_field", Text), ("received_spf_field", Text)]


NAMES = ["none", "pass", "fail", "softfail", "neutral", "temperror", "permerror"]
POLICIES = ["none", "quarantine", "reject"]


class Library:
    def __init__(self):
        self.lib = ctypes.CDLL(str(pathlib.Path(binary()).resolve().parent / "libwaybill.so"))
        self.lib.waybill_verifier_create.restype = ctypes.c_void_p
        self.lib.waybill_verifier_result.restype = ctypes.POINTER(Result)
        self.lib.waybill_verifier_question.restype = ctypes.c_bool
        self.v = ctypes.c_void_p(self.lib.waybill_verifier_create())

    def answer(self, zone, q):
        name = re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1])]), q.name)
        records, status = [], 0
        try:
            values = lookup(zone, name.decode("latin-1"), TYPES[q.type])
            status = 2 if values is None else 0 if values else 1
            for value in values or []:
                if q.type in (1, 28):
                    data = ipaddress.ip_address(value).packed
                elif q.type == 15:
                    data = value[1].encode()
                else:
                    data = value if isinstance(value, bytes) else value.encode("utf-8")
                records.append(Record(10, data, len(data)))
        except Silent:
            status = 4
        array = (Record * max(1, len(records)))(*records)
        self.lib.waybill_verifier_answer(self.v, ctypes.c_uint64(q.id), ctypes.byref(Answer(status, array, len(records))))

    def verify(self, message, zone, ip="192.0.2.1", helo="mail.example.com", sender="u@example.com"):
        header, _, body = message.partition(b"\r\n\r\n")
        header += b"\r\n\r\n"
        r = Request(ctypes.sizeof(Request), ip.encode(), helo.encode(), sender.encode(), b"mx.example.net", NOW)
        error = ctypes.create_string_buffer(256)
        if self.lib.waybill_verifier_begin(self.v, ctypes.byref(r), header, ctypes.c_size_t(len(header)), error):
            raise AssertionError(error.value)
        self.lib.waybill_verifier_body(self.v, body, ctypes.c_size_t(len(body)))
        self.lib.waybill_verifier_finish(self.v)
        q = Question()
        while self.lib.waybill_verifier_question(self.v, ctypes.byref(q)):
            self.answer(zone, q)
        result = self.lib.waybill_verifier_result(self.v).contents
        check_fields(bytes(result.results_field), bytes(result.received_spf_field))
        return result


def check_fields(results, received):
    """The fields that we write are whole, short-lined, and say what another reader takes them for."""
    for line in (results + received).split(b"\r\n")[:-1]:
        assert len(line) <= 998 and (line[:1] == b" " or line.startswith((b"Authentication-Results: ", b"Received-SPF: "))), line
    try:
        import authres
    except ImportError:
        return
    text = results.decode("utf-8", "replace").replace("\r\n", "").strip()
    authres.AuthenticationResultsHeader.parse(text)


# --- drivers of the others, each asked once with all cases ---

PERL = r"""
use strict; use JSON::PP; use Net::DNS; my ($what) = @ARGV; local $/; my $in = decode_json(<STDIN>); my $zone; my $error;
package Resolver; sub new { bless {}, shift } sub errorstring { $error } sub udppacketsize { 0 } sub persistent_udp { 0 }
sub send { my ($self, $name, $type) = @_; $error = 'NOERROR'; $name =~ s/\.$//; my $ask = lc $name;
  my $p = Net::DNS::Packet->new($name, $type); $p->header->qr(1); my $owner = $name;
  for (1 .. 9) { my $sets = $zone->{$ask};
    if ($sets && $sets->{TIMEOUT}) { $error = 'query timed out'; return undef }
    if (!$sets) { $p->header->rcode('NXDOMAIN') unless grep { /\.\Q$ask\E$/ } keys %$zone; last }
    if ($sets->{$type} || !$sets->{CNAME}) {
      for my $v (@{ $sets->{$type} || [] }) {
        my %d = $type eq 'A' || $type eq 'AAAA' ? (address => $v) : $type eq 'MX' ? (preference => 10, exchange => $v->[1])
          : $type eq 'PTR' ? (ptrdname => $v) : (txtdata => [unpack '(a255)*', $v]);
        $p->push(answer => Net::DNS::RR->new(name => $owner, type => $type, ttl => 60, %d)) }
      last }
    $p->push(answer => Net::DNS::RR->new(name => $owner, type => 'CNAME', ttl => 60, cname => $sets->{CNAME}[0]));
    $owner = $ask = lc $sets->{CNAME}[0] }
  return $p }
package main; my @out;
if ($what eq 'spf') { require Mail::SPF;
  my $server = Mail::SPF::Server->new(dns_resolver => Resolver->new, query_rr_types => Mail::SPF::Server->query_rr_type_txt);
  for my $c (@$in) { $zone = $c->{zone}; my $r = eval {
    my $q = Mail::SPF::Request->new(versions => [1], scope => $c->{from} ne '' ? 'mfrom' : 'helo',
      identity => $c->{from} ne '' ? $c->{from} : $c->{helo}, ip_address => $c->{ip}, helo_identity => $c->{helo});
    $server->process($q)->code }; push @out, $r // "error: $@" } }
else { require Mail::DKIM::Verifier; require Mail::DKIM::ARC::Verifier; require Mail::DKIM::DNS; no warnings;
  *Mail::DKIM::DNS::query = sub { my ($name, $type) = @_; my $p = Resolver->new->send($name, $type);
    die "timeout\n" unless $p; my @r = grep { $_->type eq $type } $p->answer; $@ = $p->header->rcode; return @r };
  for my $c (@$in) { $zone = $c->{zone}; my $r = eval {
    my $v = $what eq 'arc' ? Mail::DKIM::ARC::Verifier->new : Mail::DKIM::Verifier->new; my $m = $c->{message};
    $v->PRINT($m); $v->CLOSE; $what eq 'arc' ? $v->result : [map { $_->result } $v->signatures] };
    push @out, $r // "error: $@" } }
print encode_json(\@out);
"""

NODE = r"""
const { authenticate } = require('mailauth'); const { dmarc } = require('mailauth/lib/dmarc'); const fs = require('fs');
const cases = JSON.parse(fs.readFileSync(0)); const what = process.argv[1];
const fail = code => { const e = new Error(code); e.code = code; throw e; };
const resolver = zone => async (name, type) => { let ask = name.toLowerCase().replace(/\.$/, '');
  for (let i = 0; i < 9; i++) { const sets = zone[ask];
    if (!sets) fail(Object.keys(zone).some(x => x.endsWith('.' + ask)) ? 'ENODATA' : 'ENOTFOUND');
    if (sets.TIMEOUT) fail('ETIMEOUT');
    if (sets[type]) return type === 'TXT' ? sets.TXT.map(t => t.match(/[^]{1,255}/g) || ['']) :
      type === 'MX' ? sets.MX.map(m => ({ priority: 10, exchange: m[1] })) : sets[type];
    if (!sets.CNAME) fail('ENODATA'); ask = sets.CNAME[0].toLowerCase(); } fail('ESERVFAIL'); };
const hang = () => new Promise(done => setTimeout(done, 100));
(async () => { const out = []; for (const c of cases) { try { const r = resolver(c.zone);
  if (what === 'dmarc') { const d = await dmarc({ headerFrom: ['u@' + c.author], resolver: r,
      spfDomains: c.spf ? [{ domain: c.spf, aligned: false }] : [], dkimDomains: c.dkim.map(d => ({ domain: d })) });
    out.push([d.status.result, d.policy || 'none']); continue; }
  const m = await Promise.race([hang(), authenticate(Buffer.from(c.message, 'latin1'), { resolver: r, ip: c.ip || '192.0.2.1',
    helo: c.helo || 'mail.example.com', sender: c.from === undefined ? 'u@example.com' : c.from, disableBimi: true,
    mta: 'mx.example.net', minBitLength: 1024, trustReceived: false })]);
  if (!m) { out.push('error: never ends'); continue; }
  out.push(what === 'spf' ? m.spf.status.result : what === 'arc' ? m.arc.status.result : m.dkim.results.map(x => x.status.result));
  } catch (e) { out.push('error: ' + e.message); } } fs.writeFileSync(1, "\n" + JSON.stringify(out)); process.exit(0); })();
"""


def ask(command, cases, **more):
    # octets of messages travel as Latin-1, so that JSON holds them
    data = json.dumps([{k: v.decode("latin-1") if isinstance(v, bytes) else v for k, v in c.items()} for c in cases])
    done = subprocess.run(command, input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=50, **more)
    if done.returncode:
        raise AssertionError(done.stderr.decode()[-500:])
    return json.loads(done.stdout.splitlines()[-1])  # mailauth prints remarks of its own above


def has_perl(module):
    return shutil.which("perl") and not subprocess.run(["perl", f"-M{module}", "-MNet::DNS", "-e1"],
                                                       stderr=subprocess.DEVNULL).returncode


@functools.cache
def node_home():
    """Where mailauth is: MAILAUTH_HOME, or fetched into a folder of its own."""
    home = os.environ.get("MAILAUTH_HOME")
    if not shutil.which("node") or not (home or shutil.which("npm")):
        return None
    if not home:
        keep = tempfile.TemporaryDirectory(prefix="mailauth-")
        atexit.register(keep.cleanup)
        home = keep.name
        try:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "mailauth"], cwd=home, check=True,
                           timeout=25, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError):
            return None
    return home if pathlib.Path(home, "node_modules/mailauth").exists() else None


def by_node(what):
    return lambda cases: ask(["node", "-e", NODE, "--", what], cases,
                             env=dict(os.environ, NODE_PATH=node_home() + "/node_modules"))


def by_perl(what):
    return lambda cases: ask(["perl", "-e", PERL, what], cases)


def by_pyspf(cases):
    import spf

    def one(c):
        def dns(name, kind, strict=True, timeout=20):
            try:
                values = lookup(c["zone"], name, kind)
            except Silent as why:
                raise spf.TempError("DNS timeout") from why
            own = c["zone"].get(name.rstrip(".").lower(), {})
            if "CNAME" in own and kind not in own:
                return [((name, "CNAME"), own["CNAME"][0])] + [((own["CNAME"][0], kind), wrap(v, kind)) for v in values or []]
            return [((name, kind), wrap(v, kind)) for v in values or []]

        def wrap(v, kind):
            return [v.encode()] if kind == "TXT" else (v[0], v[1]) if kind == "MX" else v

        spf.DNSLookup = dns
        try:
            return spf.query(i=c["ip"], s=c["from"], h=c["helo"], strict=1, querytime=0).check()[0]
        except Exception as why:  # pyspf raises what it does not foresee
            return f"error: {why}"

    return [one(c) for c in cases]


def by_dkimpy(what):
    import dkim

    def one(c):
        def dns(name, timeout=5):
            try:
                values = lookup(c["zone"], name.decode("latin-1"), "TXT")
            except Silent as why:
                raise dkim.DnsTimeoutError("timeout") from why
            return values[0].encode() if values else None

        try:
            if what == "arc":
                return {b"pass": "pass", b"fail": "fail"}.get(dkim.ARC(c["message"]).verify(dnsfunc=dns)[0], "none")
            count = len(re.findall(rb"(?mi)^DKIM-Signature[ \t]*:", c["message"].partition(b"\r\n\r\n")[0]))
            out = []
            for i in range(count):
                try:
                    out.append("pass" if dkim.DKIM(c["message"]).verify(idx=i, dnsfunc=dns) else "fail")
                except dkim.DKIMException:
                    out.append("fail")
            return out
        except Exception as why:
            return f"error: {why}"

    return lambda cases: [one(c) for c in cases]


# --- made-up SPF ---

def damage(rng, text, alphabet):
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + rng.choice(alphabet) + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1:]
    return text[:at] + rng.choice(alphabet) + text[at + 1:]


HOSTS = ["a.example", "b.example", "six.example", "both.example", "cname.example", "none.example", "slow.example",
         "mail.a.example", "mx.example", "nullmx.example", "Mixed.Example"]
MACROS = ["%{i}", "%{d}", "%{l}", "%{o}", "%{s}", "%{h}", "%{v}", "%{p}", "%{ir}", "%{d2}", "%{l1r-}", "%{lr+-}", "%{d1r}",
          "%{L}", "%{o1}", "%{d3r}", "%{i-}"] * 3 + ["%%", "%-", "%_", "%{d0}", "%{x}", "%{c}", "%", "%{}"]


def spf_domain(rng):
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(HOSTS)
    if roll < 0.9:
        return rng.choice(MACROS) + "." + rng.choice(HOSTS)
    if rng.random() < 0.6:
        return rng.choice(HOSTS)
    return rng.choice([rng.choice(MACROS), "museum", "a.example.", "x" * 64 + ".example", "a..example", "1.2.3.4", "a-b.example",
                       "-.example", "foo.123", "foo.1a", "foo.-a", ".".join(["abcdefghi"] * 26) + ".a.example", "a_b.example"])


def spf_term(rng, records):
    name = rng.choice(["a", "mx", "ptr", "include", "exists", "ip4", "ip6", "all", "redirect", "exp", "other", "a", "ip4", "include"])
    q = rng.choice(["", "", "+", "-", "~", "?"])
    cidr = rng.choice(["", "", "", "/24", "/32", "/0", "//64", "/24//64"]) if rng.random() < 0.9 else \
        rng.choice(["/33", "/032", "//129", "/", "//", "/24/24", "//0", "/0//0"])
    if name in ("a", "mx"):
        return q + name + rng.choice(["", ":" + spf_domain(rng)]) + cidr
    if name == "ptr":
        return q + name + rng.choice(["", ":" + spf_domain(rng)])
    if name == "ip4":
        return q + "ip4:" + rng.choice(["192.0.2.1", "192.0.2.0", "198.51.100.0"] * 6 + ["1.2.3", "192.0.2.01", "256.1.1.1"]) + \
            rng.choice(["", "/24", "/32", "/0"] * 6 + ["/33", "/", "/024"])
    if name == "ip6":
        return q + "ip6:" + rng.choice(["2001:db8::1", "2001:db8::", "::1", "::192.0.2.1", "::ffff:192.0.2.1"] * 4 + ["2001:db8"]) + \
            rng.choice(["", "/32", "/128", "/0"] * 6 + ["/129", "/"])
    if name == "all":
        return q + rng.choice(["all"] * 12 + ["ALL", "all.", "all:a", "all/8"])
    if name in ("include", "exists"):
        target = rng.choice(records) if name == "include" and rng.random() < 0.8 else spf_domain(rng)
        return q + name + ":" + target
    if name == "redirect":
        return "redirect=" + (rng.choice(records) if rng.random() < 0.8 else spf_domain(rng))
    if name == "exp":
        return "exp=" + rng.choice(["why.example", "none.example", "%{d}.example"])
    return rng.choice(["moo=cow", "x.y-z_1=%{d}", "x=", "ra=1", "op=%{s}"] * 3 + ["unknown", "moo=%{x}", "1x=y", "=y"])


def spf_cases(rng, count):
    base = {
        "a.example": {"A": ["192.0.2.1"]}, "b.example": {"A": ["198.51.100.7", "198.51.100.8"]},
        "six.example": {"AAAA": ["2001:db8::1"]}, "both.example": {"A": ["203.0.113.1"], "AAAA": ["2001:db8::2"]},
        "cname.example": {"CNAME": ["a.example"]}, "slow.example": {"TIMEOUT": []}, "mail.a.example": {"A": ["192.0.2.1"]},
        "mx.example": {"MX": [[10, "a.example"], [10, "six.example"]]}, "nullmx.example": {"MX": [[0, ""]]},
        "mixed.example": {"A": ["192.0.2.1"], "MX": [[10, "b.example"]]}, "why.example": {"TXT": ["no %{i}"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["mail.a.example", "a.example", "liar.example"]},
        "liar.example": {"A": ["203.0.113.99"]},
        "_v.in-addr.example": {"A": ["127.0.0.2"]}, "192.0.2.1.a.example": {"A": ["127.0.0.2"]},
        "u.a.example": {"A": ["127.0.0.2"]}, "r0.example.b.example": {"A": ["127.0.0.2"]},
    }
    for n in range(count):
        zone = dict(base)
        records = [f"r{i}.example" for i in range(3)]
        for i, name in enumerate(records):
            below = records[i + 1:] + (records if rng.random() < 0.1 else []) or HOSTS
            terms = [spf_term(rng, below) for _ in range(rng.randrange(1, 5))]
            text = rng.choice(["v=spf1 ", "v=spf1 ", "v=spf1 ", "V=SPF1 "]) + rng.choice([" ", "  "]).join(terms)
            if rng.random() < 0.6:
                text += rng.choice([" -all", " ~all", " ?all", " +all"])
            if rng.random() < 0.15:
                text = damage(rng, text, ":/=%{}.-+~? \tax1")
            zone[name] = {"TXT": [text]}
            if rng.random() < 0.03:
                zone[name]["TXT"].append(rng.choice(["v=spf1 -all", "v=spf10 -all", "hello"]))
        sender = rng.choice(["u@r0.example", "u@r0.example", "a-b+c@r0.example", "", "@r0.example"])
        yield {"zone": zone, "from": sender, "helo": "r0.example" if sender == "" else "mail.a.example",
               "ip": rng.choice(["192.0.2.1", "192.0.2.1", "198.51.100.7", "2001:db8::1", "203.0.113.5"]),
               "message": b"From: u@r0.example\r\n\r\n", "what": " | ".join(zone[r]["TXT"][0] for r in records)}


# --- made-up DKIM and ARC ---

def relax(field):
    name, _, value = field.partition(b":")
    return name.strip(b" \t").lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t") + b"\r\n"


def canon_body(kind, body):
    if kind == b"relaxed":
        body = re.sub(rb"[ \t]+(?=\r\n|$)", b"", re.sub(rb"[ \t]+", b" ", body))
    body = re.sub(rb"(\r\n)*$", b"", body)
    return body + b"\r\n" if body or kind == b"simple" else b""


class Signer:
    def __init__(self):
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        der = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.record = base64.b64encode(der).decode()
        self.make = lambda data: base64.b64encode(self.key.sign(data, padding.PKCS1v15(), hashes.SHA256()))

    def field(self, rng, name, tags, fields, body, header_kind, body_kind, names):
        """Signs as the tags say; `fields` lie below."""
        left, data = list(fields), b""
        if names is not None:
            digest = base64.b64encode(hashlib.sha256(canon_body(body_kind, body)).digest())
            tags = tags + [b"bh=" + digest, b"h=" + names]
            for wanted in names.split(b":"):
                for i in range(len(left) - 1, -1, -1):
                    if left[i].partition(b":")[0].strip(b" \t").lower() == wanted.strip(b" \t\r\n").lower():
                        data += relax(left[i]) if header_kind == b"relaxed" else left.pop(i) and fields[i]
                        if header_kind == b"relaxed":
                            left.pop(i)
                        break
        else:
            data = b"".join(relax(f) for f in fields)
        rng.shuffle(tags)
        own = name + b": " + rng.choice([b"; ", b";\r\n\t", b" ; "]).join(tags + [b"b="])
        data += (relax(own) if header_kind == b"relaxed" else own + b"\r\n")[:-2]
        signature = self.make(data)
        if rng.random() < 0.3:
            signature = signature[:60] + b"\r\n\t" + signature[60:]
        return own + signature + rng.choice([b"", b"", b";"]) + b"\r\n"


KEY_RECORDS = ["v=DKIM1; p=%s", "p=%s", "v=DKIM1; k=rsa; p=%s", "v=DKIM1; h=sha256; p=%s", "v=DKIM1; h=sha1; p=%s", "k=rsa; v=DKIM1; p=%s",
               "v=DKIM1; p=", "v=DKIM1; s=email; p=%s", "v=DKIM1; s=*; p=%s", "v=DKIM1; s=tlsrpt; p=%s", "v=DKIM1; t=s; p=%s",
               "v=DKIM1; t=y; p=%s", "v=DKIM2; p=%s", "v=DKIM1; k=ed25519; p=%s", "v=DKIM1; g=; p=%s", "v=DKIM1; n=a note; p=%s;",
               "v=DKIM1;p=%s;x=y", "v=DKIM1; p=%s; p=%s", "hello", "v=DKIM1; h=sha1:sha256 ; p= %s"]
BODIES = [b"Hello.\r\n", b"", b"\r\n", b"a  b \t\r\n\r\n\r\n", b" \r\n", b"no end", b"x\r\n" * 20, b"\r\nafter\r\n\r\n.\r\n", b"tab\tand  space \r\n"]


def message_fields(rng):
    fields = [b"From: Joe <joe@d.example>\r\n", b"To: a@b.example,\r\n  c@d.example\r\n", b"Subject: two  words\t\r\n" if rng.random() < 0.8 else b"Subject : two\r\n",
              b"X-A: one\r\n", b"X-A: two\r\n", b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", b"X-Empty:\r\n"]
    rng.shuffle(fields)
    return fields


def alter(rng, fields, body):
    """What may happen on the way: much of it is nothing to relaxed."""
    kind = rng.randrange(12)
    if kind == 0:
        body = body.replace(b" ", b"  ", 1)
    elif kind == 1:
        body += b"\r\n"
    elif kind == 2:
        body = body.replace(b"l", b"L", 1)
    elif kind == 3:
        i = rng.randrange(len(fields))
        fields[i] = fields[i].replace(b":", b":  ", 1)
    elif kind == 4:
        i = rng.randrange(len(fields))
        name, _, rest = fields[i].partition(b":")
        fields[i] = name.upper() + b":" + rest
    elif kind == 5:
        fields.insert(rng.randrange(len(fields) + 1), rng.choice([b"X-A: three\r\n", b"X-New: x\r\n", b"From: eve@e.example\r\n"]))
    elif kind == 6:
        fields.pop(rng.randrange(len(fields)))
    elif kind == 7:
        rng.shuffle(fields)
    return fields, body


def dkim_cases(rng, count, signer):
    for n in range(count):
        fields, body = message_fields(rng), rng.choice(BODIES)
        hc, bc = rng.choice([b"relaxed", b"simple"]), rng.choice([b"relaxed", b"simple"])
        c = hc + b"/" + bc if bc == b"relaxed" or rng.random() < 0.7 else hc
        tags = [b"v=1", b"a=rsa-sha256", b"d=d.example", b"s=s"]
        if c != b"simple" or rng.random() < 0.5:
            tags.append(b"c=" + c)
        roll = rng.random()
        if roll < 0.35:
            tags.append(rng.choice([b"i=@d.example", b"i=joe@sub.d.example", b"i=@e.example", b"i=joe=40d.example@d.example", b"q=dns/txt",
                                    b"q=http", b"t=1699999999", b"t=1699999999; x=4102444800", b"x=1699999999", b"t=1699999999; x=1699999998", b"z=From:a",
                                    b"xb=1", b"B=2", b"v=1", b"i=@D.EXAMPLE", b"l=x", b"x_1=a", b"1x=a", b"x=", b"l=99999"]))
        elif roll < 0.45:
            which = rng.randrange(len(tags))
            tags[which] = rng.choice([b"v=2", b"v=1.0", b"a=rsa-sha1", b"a=RSA-SHA256", b"d=example", b"d=d.example.", b"d=e.example", b"s=none",
                                      b"c=relaxed/other", b"c=Relaxed", b"a=rsa-sha512"])
        names = rng.choice([b"from", b"From:To:Subject", b"from:x-a", b"from:x-a:x-a", b"from:x-a:x-a:x-a", b"from:from", b"subject:from:none",
                            b"to : from", b"x-a", b"from:\r\n\tsubject", b"from:x-empty:date", b"FROM:DATE"])
        sig = signer.field(rng, rng.choice([b"DKIM-Signature", b"dkim-signature"]), tags, fields, body, hc, bc, names)
        if rng.random() < 0.08:
            sig = damage(rng, sig.decode(), ";= \tab1").encode()
        fields, body = alter(rng, fields, body)
        record = KEY_RECORDS[0] if rng.random() < 0.6 else rng.choice(KEY_RECORDS)
        record = record.replace("%s", signer.record)
        zone = {"s._domainkey.d.example": {"TXT": [record]}}
        if rng.random() < 0.03:
            zone["s._domainkey.d.example"] = {"TIMEOUT": []}
        yield {"zone": zone, "message": sig + b"".join(fields) + b"\r\n" + body, "what": sig.decode("latin-1") + " || " + record[:60]}


def arc_cases(rng, count, signer):
    zone = {"s._domainkey.d.example": {"TXT": ["v=DKIM1; p=" + signer.record]}}
    for n in range(count):
        fields, body, sets = message_fields(rng), rng.choice(BODIES[:5]), []
        bad = rng.random() < 0.7
        depth = rng.randrange(1, 4)
        for i in range(1, depth + 1):
            odd = bad and i == depth
            number = b"%d" % (rng.choice([i, i, i, i, i + 1, 0, 51, max(1, i - 1)]) if odd else i)
            cv = b"none" if i == 1 else b"pass"
            if odd and rng.random() < 0.3:
                cv = rng.choice([b"none", b"pass", b"fail", b"PASS", b""])
            aar = b"ARC-Authentication-Results: i=%s; mx.example; spf=pass\r\n" % number
            names = rng.choice([b"from:subject", b"from:arc-seal", b"from:dkim-signature", b"subject"]) if odd else b"from:subject"
            ams = signer.field(rng, b"ARC-Message-Signature", [b"i=" + number, b"a=rsa-sha256", b"c=relaxed/relaxed", b"d=d.example", b"s=s"],
                               fields, body, b"relaxed", b"relaxed", names)
            extra = [rng.choice([b"t=1699999999", b"h=from", b"x=1", b"v=1"])] if odd and rng.random() < 0.3 else []
            seal = signer.field(rng, b"ARC-Seal", [b"i=" + number, b"a=rsa-sha256", b"cv=" + cv, b"d=d.example", b"s=s"] + extra,
                                [f for s in sets for f in s] + [aar, ams], b"", b"relaxed", b"", None)
            sets.append([aar, ams, seal])
        flat = [f for s in reversed(sets) for f in (s[2], s[1], s[0])]
        roll = rng.random()
        if roll < 0.1:
            flat.pop(rng.randrange(len(flat)))
        elif roll < 0.2:
            flat.insert(0, rng.choice(flat))
        elif roll < 0.3:
            rng.shuffle(flat)
        elif roll < 0.4:
            i = rng.randrange(len(flat))
            flat[i] = damage(rng, flat[i].decode(), "; =a1").encode()
        if rng.random() < 0.3:
            fields, body = alter(rng, fields, body)
        yield {"zone": zone, "message": b"".join(flat + fields) + b"\r\n" + body,
               "what": " ".join(re.sub(r"\s+", " ", f.decode("latin-1"))[:90] for f in flat)}


# --- made-up DMARC: names of one level below a public suffix, where the tree walk and the list agree ---

def dmarc_cases(rng, count):
    for n in range(count):
        tags = [rng.choice(["p=none", "p=quarantine", "p=reject", "P=reject", "p=Reject", "p = reject"])]
        for _ in range(rng.randrange(3)):
            tags.append(rng.choice(["sp=none", "sp=quarantine", "sp=reject", "adkim=s", "aspf=s", "adkim=r", "rua=mailto:a@example.com",
                                    "pct=100", "fo=1", "x=y", "ri=86400", "adkim=S", "ruf=mailto:b@example.com!10m"]))
        text = rng.choice(["v=DMARC1", "v=DMARC1", "v=DMARC1", "v = DMARC1", "v=dmarc1", "v=DMARC2", "V=DMARC1"]) + ";" + rng.choice([" ", "", "  "]) + \
            rng.choice(["; ", ";", " ; "]).join(tags) + rng.choice(["", ";", "; "])
        zone = {"_dmarc.example.com": {"TXT": [text]}, "example.com": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "A": ["192.0.2.1"]},
                "sub.example.com": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "A": ["192.0.2.1"]},
                "other.net": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}
        if rng.random() < 0.05:
            zone["_dmarc.example.com"]["TXT"].append(rng.choice(["v=DMARC1; p=none", "hello"]))
            text = " + ".join(zone["_dmarc.example.com"]["TXT"])
        author = rng.choice(["example.com", "example.com", "sub.example.com"])
        spf = rng.choice([None, "example.com", "sub.example.com", "other.net"])
        yield {"zone": zone, "author": author, "spf": spf, "dkim": [], "what": f"{text} author {author} spf {spf}",
               "message": f"From: u@{author}\r\n\r\n".encode()}


# --- who is right where they differ: what the peer, what Waybill says; a pattern of the case; why Waybill is right ---

BROKEN_MACRO = r"%(?![-_%{])|%\{(?![slodiphvSLODIPHV]\d*[rR]?[-.+,/_=]*\})|%\{\w0+[rR]?[-.+,/_=]*\}"
JUSTIFIED = [
    ("spf", None, None, "permerror", BROKEN_MACRO + r"|\t", "takes broken macros (RFC 7208 7.1), or a tab for a space (12)"),
    ("spf", "pyspf", "permerror", None, r"([\w.-]+=\S*) .*\1", "no modifier but redirect and exp is limited to one (RFC 7208 6)"),
    ("spf", "pyspf", "permerror", None, r"r(\d)\.example", "refuses a circle of includes before it comes to it (RFC 7208 4.6.4)"),
    ("spf", "pyspf", "permerror", None, r"cname\.example", "counts an alias without data as two void lookups (RFC 7208 4.6.4)"),
    ("dkim", "dkimpy", ["fail"], ["pass"], None, "no white space before the colon of any field (RFC 5322 4.5)"),
    ("dkim", "Mail::DKIM", None, ["pass"], r"g=;", "wants g= of RFC 4871, which RFC 6376 dropped (C.2)"),
    ("dkim", None, ["pass"], ["fail"], r"h=x-a(?![:a-z])", "without From in h= it is no signature (RFC 6376 6.1.1)"),
    ("dkim", None, ["pass"], ["fail"], r"[ ;\t|]([a-z]+)=[^|]*;\s*\1=", "a tag twice makes the list invalid (RFC 6376 3.2)"),
    ("dkim", None, ["pass"], ["fail"], r"1x=", "the name of a tag begins with a letter (RFC 6376 3.2)"),
    ("dkim", None, ["pass"], ["fail"], r"a=RSA|c=Relaxed", "values are case-sensitive (RFC 6376 3.2)"),
    ("dkim", None, ["pass"], ["fail"], r"l=(99999|x)", "l= is a number, and no more than the body has (RFC 6376 3.5)"),
    ("dkim", None, ["pass"], ["fail"], r"d=d\.example\.[ ;\r]", "d= has no root dot (RFC 6376 3.5)"),
    ("dkim", None, ["pass"], ["fail"], r"k=rsa; v=DKIM1", "v= is the first tag of a key record (RFC 6376 3.6.1)"),
    ("dkim", None, ["pass"], ["fail"], r"h=sha1; p=", "the key is for another hash (RFC 6376 3.6.1)"),
    ("dkim", "Mail::DKIM", ["fail"], ["pass"], r"DPtq8IYpnX5f3lS41Dyy8AB9rByWYkxflimp5qbli9w=|c=simple|relaxed/simple",
     "a body without a last line end gets one (RFC 6376 3.4.3)"),
    ("arc", None, "none", "fail", r"i=0", "ARC fields that make no chain are a broken one (RFC 8617 5.2)"),
    ("arc", None, "fail", "pass", r"x=1", "a seal has no x=, and unknown tags are ignored (RFC 8617 4.1.3)"),
    ("dmarc", "mailauth", None, ["none", "none"], r"^v ?= ?dmarc1", "the version is case-sensitive (RFC 9989 4.7)"),
    ("dmarc", "mailauth", None, None, r" \+ v=DMARC1", "several records are none, and one that is invalid does not count (4.10)"),
    ("dmarc", "mailauth", None, None, r"sp=.*sp=", "the first of two tags counts: the second is the error (RFC 9989 4.8)"),
    ("dmarc", "mailauth", None, None, r"aspf=s", "strict alignment wants the same name (RFC 9989 4.4.2)"),
    ("dmarc", "mailauth", ["none", "none"], None, r"^v = ", "white space around '=' is allowed (RFC 9989 4.8)"),
]


def justified(kind, peer, theirs, ours, what):
    for k, p, t, o, pattern, why in JUSTIFIED:
        if k == kind and p in (None, peer) and t in (None, theirs) and o in (None, ours) and (
                pattern is None or re.search(pattern, what)):
            return why
    return None


def ours_of(kind, library, c):
    if kind == "spf":
        return NAMES[library.verify(c["message"], c["zone"], c["ip"], c["helo"], c["from"]).spf.contents.result]
    if kind == "dmarc":
        r = library.verify(c["message"], c["zone"], sender="u@" + (c["spf"] or "none.invalid"))
        return [NAMES[r.dmarc], POLICIES[r.policy]]
    r = library.verify(c["message"], c["zone"])
    if kind == "arc":
        return NAMES[r.arc]
    return ["pass" if r.dkim[i].contents.result == 1 else "fail" for i in range(r.dkim_count)]


def alike(kind, theirs):
    """Their words in ours."""
    if kind == "dkim" and isinstance(theirs, list):
        return ["pass" if x == "pass" else "fail" for x in theirs]
    if kind == "arc" and theirs not in ("pass", "none"):
        return "fail"
    if kind == "dmarc" and isinstance(theirs, list):
        return [theirs[0], theirs[1].strip().lower()]
    return theirs


def compare(kind, cases, peers, library):
    ours = [ours_of(kind, library, c) for c in cases]
    said = {name: [alike(kind, raw) for raw in peer(cases)] for name, peer in peers.items()}
    failed = 0
    for name, theirs in said.items():
        counts = collections.Counter()
        for i, c in enumerate(cases):
            if theirs[i] == ours[i]:
                counts["agree"] += 1
                continue
            why = justified(kind, name, theirs[i], ours[i], c["what"])
            if why is None and any(other[i] == ours[i] for other in said.values()):
                why = "another one says what Waybill says"
            counts[why or "UNEXPLAINED"] += 1
            failed += why is None
            if why is None or args.show:
                print(f"{kind}: {name} says {theirs[i]}, Waybill {ours[i]}{': ' + why if why else ''}\n    {c['what']!r}"
                      + (f"\n    {c['from']!r} {c['ip']}" if kind == "spf" else ""))
        print(f"{kind}: {name}: {counts.pop('agree', 0)} of {len(cases)} agree"
              + "".join(f"\n    {n}: {why}" for why, n in counts.most_common()), flush=True)
    return failed


def main():
    library = Library()
    python = {}
    for module in ("spf", "dkim", "cryptography"):
        try:
            python[module] = __import__(module)
        except ImportError:
            print(f"python3-{module} is not here")
    peers = {kind: {} for kind in ("spf", "dkim", "arc", "dmarc")}
    if "spf" in python:
        peers["spf"]["pyspf"] = by_pyspf
    if has_perl("Mail::SPF"):
        peers["spf"]["Mail::SPF"] = by_perl("spf")
    if "cryptography" in python:
        for kind in ("dkim", "arc"):
            if "dkim" in python:
                peers[kind]["dkimpy"] = by_dkimpy(kind)
            if has_perl("Mail::DKIM"):
                peers[kind]["Mail::DKIM"] = by_perl(kind)
    if node_home():
        for kind in peers:
            if kind in ("spf", "dmarc") or "cryptography" in python:
                peers[kind]["mailauth"] = by_node(kind)
    if not any(peers.values()):
        print("no other verifier is here")
        return 77
    failed, third = 0, max(1, args.count // 3)
    signer = Signer() if "cryptography" in python else None
    for kind, make in (("spf", lambda r: spf_cases(r, args.count)), ("dkim", lambda r: dkim_cases(r, third, signer)),
                       ("arc", lambda r: arc_cases(r, third, signer)), ("dmarc", lambda r: dmarc_cases(r, third))):
        if peers[kind] and args.only in (None, kind):
            failed += compare(kind, list(make(random.Random(args.seed))), peers[kind], library)
    print(f"{failed} disagreements without a reason")
    return 1 if failed else 0


sys.exit(main())
