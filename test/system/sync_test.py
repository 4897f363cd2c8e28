#!/usr/bin/env python3
"""strace looks on: no `250` for a message leaves before the fdatasync that covers its bytes, neither in the
spool nor in the ledger; and with 20 connections many messages share one."""
import pathlib, re, shutil, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from load import Load, judge
from waybill_test import *

if not shutil.which("strace"):
    skip("strace is not installed")

CALL = re.compile(r"^(?:\d+ +)?(\w+)\((\d+)(?:<([^>]*)>)?(.*)$")
SECONDS = 3


def events_of(trace):
    """(name, what the descriptor is, arguments) of each call, in order. A call is where it ended, but a
    write is where it began: a promise counts from then on. (strace stops the process at both.)"""
    begun = {}
    for line in open(trace, errors="replace"):
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest[:-len("<unfinished ...>")]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed and pid in begun:
            rest = begun.pop(pid) + resumed[1]
        call = CALL.match(rest)
        if call:
            yield call[1], call[3] or "", call[4]


def check(trace):
    """Walks through the trace. Returns how many 250 for messages, and how many syncs of data there were."""
    dirty, promised, syncs = {}, 0, 0
    for name, path, arguments in events_of(trace):
        kind = "spool" if path.endswith(".seg") else "ledger" if path.endswith("-wal") else None
        if kind and name in ("pwrite64", "pwritev", "write", "ftruncate"):
            dirty[path] = kind
        elif kind and name in ("fdatasync", "fsync"):
            dirty.pop(path, None)
            syncs += 1
        elif "250 2.0.0 Ok: queued" in arguments and name in ("write", "sendto", "sendmsg", "writev"):
            promised += arguments.count("250 2.0.0 Ok: queued")
            assert not dirty, f"a 250 left while these were not synced: {dirty}: {arguments[:200]}"
    return promised, syncs


with tempfile.TemporaryDirectory() as tmp:
    sink = Sink(f"{tmp}/sink")
    tracer = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", f"{tmp}/trace", "-e",
              "trace=pwrite64,pwritev,write,ftruncate,fdatasync,fsync,sendto,sendmsg,writev"]
    w = Waybill(sink.port, 'retry = "1s"\n', one_process=True, wrapper=tracer).start()
    with w.ending():
        load = Load(w.port, 20, size=3000)
        time.sleep(SECONDS)
        load.stop()
        wait_for(lambda: w.command("queue", "list").startswith("Nothing"), "an empty queue", 60)
        wrong, extra = judge(load, f"{tmp}/sink", w.events())
        assert not wrong and not extra, (wrong[:5], extra)
        os.kill(w.pids()["super"], signal.SIGTERM)
        w.process.wait(30)
    promised, syncs = check(f"{tmp}/trace")
    print(f"{promised} messages answered 250, {syncs} fdatasync, {syncs / promised:.2f} for each, deliveries included")
    assert promised == len(load.acked) > 50, (promised, len(load.acked))
    assert 10 < syncs < promised
    sink.close()
