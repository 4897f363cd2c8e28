"""A small name server on loopback for tests, whose zone can be changed while it runs.

    with NameServer(zone_text) as ns:  ns.port, ns.zone = new_text, ns.failing = {"a.test"}

The zone has one record a line, `NAME. [TTL] [IN] TYPE RDATA`, as waybill init writes them. Answers hold for
one second. CNAMEs are followed inside the zone. UDP only; bounded by the thread that serves it."""
import ipaddress, re, shlex, socket, struct, threading

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
TTL = 1


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def rdata(kind, text):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if kind in ("CNAME", "PTR"):
        return wire_name(text)
    if kind == "MX":
        preference, host = text.split()
        return struct.pack(">H", int(preference)) + wire_name(host)
    return b"".join(bytes([len(s)]) + s.encode() for s in shlex.split(text))


def read_zone(text):
    records = {}
    for line in text.splitlines():
        m = re.match(r"(\S+)\.\s+(?:\d+\s+)?(?:IN\s+)?(A|AAAA|CNAME|MX|PTR|TXT)\s+(.*)$", line)
        if m and not line.startswith(";"):
            records.setdefault((m[1].lower(), m[2]), []).append(m[3])
    return records


class NameServer:
    def __init__(self, zone=""):
        self.zone, self.failing, self.asked = zone, set(), 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port, self.open = self.socket.getsockname()[1], True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while self.open:
            try:
                query, peer = self.socket.recvfrom(4096)
                self.asked += 1
                self.socket.sendto(self.answer(query), peer)
            except socket.timeout:
                pass

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin1").lower())
            at += 1 + query[at]
        kind, question = struct.unpack(">H", query[at + 1:at + 3])[0], query[12:at + 5]
        name, records = ".".join(labels), read_zone(self.zone)
        if name in self.failing:
            return query[:2] + struct.pack(">HHHHH", 0x8182, 1, 0, 0, 0) + question
        out, word = b"", next((w for w, n in TYPES.items() if n == kind), None)
        count = 0
        for _ in range(5):
            alias = records.get((name, "CNAME"))
            for value in records.get((name, word), alias or []):
                which = word if (name, word) in records else "CNAME"
                data = rdata(which, value)
                out += wire_name(name) + struct.pack(">HHIH", TYPES[which], 1, TTL, len(data)) + data
                count += 1
            if not alias or (name, word) in records:
                break
            name = alias[0].rstrip(".").lower()
        exists = any(n == name or n.endswith("." + name) for n, _ in records)
        soa = b""
        if count == 0:
            data = wire_name("ns.test") + wire_name("root.test") + struct.pack(">IIIII", 1, 1, 1, 1, TTL)
            soa = wire_name(name.split(".")[-1]) + struct.pack(">HHIH", 6, 1, TTL, len(data)) + data
        flags = 0x8180 | (0 if exists or count else 3)
        return query[:2] + struct.pack(">HHHHH", flags, 1, count, bool(soa), 0) + question + out + soa

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open = False
        self.thread.join()
        self.socket.close()
