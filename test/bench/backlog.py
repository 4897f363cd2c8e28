#!/usr/bin/env python3
"""backlog.py [STORE_BENCH] [MESSAGES...]: start time, memory, and CPU per message with a queue of each size.

A ledger with that many queued messages for 1,000 sites is made by store_bench, Waybill is started on it, and
then 10,000 messages of 1 KB are relayed to a site that answers. What is queued is for sites that nobody
resolves, so each rests and is tried again now and then, as in a bad night.

    ninja -C build-release store_bench && WAYBILL=build-release/waybill test/bench/backlog.py"""
import os, pathlib, shutil, socket, subprocess, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import ROOT, Waybill, wait_for

RELAYED, CLIENTS = 10000, 20
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def pss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


class Sink:
    """Takes everything and counts the dots; one thread, since it is not what is measured."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port, self.count = self.listener.getsockname()[1], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(b"220 sink ESMTP\r\n")
        lines, in_data = s.makefile("rb"), False
        for line in lines:
            if in_data:
                if line == b".\r\n":
                    in_data = False
                    self.count += 1
                    s.sendall(b"250 2.0.0 ok\r\n")
            elif line[:4].upper() == b"DATA":
                in_data = True
                s.sendall(b"354 go\r\n")
            elif line[:4].upper() == b"EHLO":
                s.sendall(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            else:
                s.sendall(b"250 2.0.0 ok\r\n")


def client(port, k, n):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    replies = s.makefile("rb")

    def reply():
        while True:
            line = replies.readline()
            if line[3:4] == b" ":
                return line
            if not line:
                raise SystemExit("the connection was closed")

    reply()
    s.sendall(b"EHLO bench.test\r\n")
    reply()
    body = b"x" * 76 + b"\r\n"
    for i in range(n):
        s.sendall(b"MAIL FROM:<a@source.test>\r\nRCPT TO:<b@live.test>\r\nDATA\r\n")
        reply(), reply(), reply()
        s.sendall(b"From: a@source.test\r\nSubject: %d %d\r\n\r\n" % (k, i) + body * 12 + b".\r\n")
        answer = reply()
        if not answer.startswith(b"250"):
            raise SystemExit(answer.decode())


def measure(store_bench, queued):
    folder = tempfile.mkdtemp(prefix="waybill-backlog.", dir=os.environ.get("BENCH_TMP", "/var/tmp"))
    sink = Sink()
    waybill = Waybill(directory=folder, settings="expire = 60d\nretention = 60d\nlog_level = error\n",
                      route=f'route "live.test" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none }}\n')
    os.makedirs(f"{folder}/data")
    subprocess.run([store_bench, f"{folder}/data", "0", "1", "1024", "1", str(queued)], check=True,
                   stdout=subprocess.DEVNULL)
    began = time.monotonic()
    waybill.start(seconds=120)
    waybill.send(b"Subject: the first\r\n\r\none\r\n", to=("b@live.test",))
    started = time.monotonic() - began
    try:
        pids = waybill.pids()
        time.sleep(5)  # the first round of attempts
        quiet = cpu_seconds(pids.values())
        time.sleep(3)
        idle = (cpu_seconds(pids.values()) - quiet) / 3
        before, began = cpu_seconds(pids.values()), time.monotonic()
        clients = [threading.Thread(target=client, args=(waybill.port, k, RELAYED // CLIENTS)) for k in range(CLIENTS)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        wait_for(lambda: sink.count > RELAYED, "the sink", 120)
        time.sleep(0.5)
        spent = cpu_seconds(pids.values()) - before - idle * (time.monotonic() - began)
        memory = {name: pss_mib(pid) for name, pid in pids.items()}
        print(f"{queued:>9} queued: start {started:.2f} s, {spent / RELAYED * 1e6:.0f} us CPU a message, "
              f"idle {idle * 100:.1f} % CPU, queue {memory.get('queue', 0):.0f} MiB, all {sum(memory.values()):.0f} MiB", flush=True)
    finally:
        waybill.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    bench = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build-release/store_bench")
    for size in [int(n) for n in sys.argv[2:]] or [1000, 1000000]:
        measure(bench, size)
