#!/usr/bin/env python3
"""The daemon, in one process, ends at each call that changes its disk, one after the other: killed before
the call, in the middle of a write, and by a power cut that takes back what was not synced (all of it, or a
random half). After each end it starts again; what was answered 250 arrives, and spool and ledger agree.

A message makes about 60 calls: its acceptance, its dot, its outcome. Every fifth is tried in each way, or
with WAYBILL_ALL=1 each."""
import os, pathlib, sys, tempfile, time
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from load import Load, judge
from waybill_test import *

CALLS, STRIDE = 60, 1 if os.environ.get("WAYBILL_ALL") else 5
MODES = ["kill", "half", "power", "torn"]
SETTINGS = 'retry = "1s"\nsegment_size = "1MiB"\n'


class Few(Load):
    """Two clients with two messages each, which do not try again: what dies is for the ledger to tell."""

    def client(self, number):
        for count in range(2):
            try:
                connection = self.connect()
                self.transaction(connection, f"{self.mark}-{number}-{count}.")
                connection.connection.close()
            except (OSError, ValueError):
                return


def until_it_ends(w, order, mark):
    """Gives the order, and some mail. Returns the load, and whether the daemon ended by it."""
    w.order(order)
    load = Few(w.port, 2, size=3000, mark=mark, patience=5)
    load.ending.set()
    for thread in load.threads:
        thread.join()
    end = time.monotonic() + 0.3
    while w.process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    return load, w.process.poll() is not None


def main(tmp):
    sink = Sink(f"{tmp}/sink")
    w = Waybill(sink.port, SETTINGS, one_process=True).shim().start()
    loads, ended, stayed = [], 0, 0
    with w.ending():
        for offset, mode in enumerate(MODES):
            for call in range(1 + offset % STRIDE, CALLS + 1, STRIDE):
                order = f"{mode} {call} {call * 7919}"
                load, is_over = until_it_ends(w, order, f"{mode}{call}x")
                loads.append(load)
                w.order("")
                if is_over:
                    ended += 1
                    assert w.process.returncode in (-9, 137), (order, w.process.returncode, w.trouble())
                    w.start()
                    w.fsck()
                else:
                    stayed += 1
        wait_for(lambda: w.command("queue", "list").startswith("Nothing"), "an empty queue", 30)
        acked, extra, wrong, events = 0, 0, [], w.events()
        for load in loads:
            acked += len(load.acked)
            bad, more = judge(load, f"{tmp}/sink", events)
            wrong += bad
            extra += more
        print(f"{ended} ends, {stayed} orders not reached; {acked} messages answered 250, {extra} copies too many")
        assert not wrong, f"{len(wrong)} wrong, such as " + "\n".join(wrong[:5])
        assert ended > 2 * stayed and len(loads) // 2 < acked, "this was no test"
        assert w.stop() == 0
        w.fsck()
    sink.close()


with tempfile.TemporaryDirectory() as tmp:
    main(tmp)
