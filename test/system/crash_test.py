#!/usr/bin/env python3
"""kill -9, at random times, under load with 20 connections: of each process in turn, of the super, of all.
What was answered 250 arrives; a second copy stands in the ledger as `unknown`.

WAYBILL_ROUNDS=20 for all rounds (9 by default), WAYBILL_SEED to repeat a run."""
import os, pathlib, random, sys, tempfile, time
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from load import Load, judge
from waybill_test import *

ROUNDS = int(os.environ.get("WAYBILL_ROUNDS", 9))
SEED = int(os.environ.get("WAYBILL_SEED", time.time()))
SETTINGS = 'retry = "1s"\nretry_jitter = 0\noutbound_processes = 2\nack_budget = "10s"\n'


def one_round(w, load, victims):
    before = len(load.acked)
    wait_for(lambda: len(load.acked) >= before + 20, "twenty messages after the last crash")
    time.sleep(random.uniform(0.1, 0.8))
    w.kill(*victims)
    if w.process.poll() is not None:
        w.start()


def main(tmp):
    random.seed(SEED)
    sink = Sink(f"{tmp}/sink")
    with Waybill(sink.port, SETTINGS) as w:
        load = Load(w.port, 20, rest=0.02)
        wait_for(lambda: len(load.acked) > 20, "the load to begin")
        names = [n for n in w.pids() if n not in ("super", "api")]
        assert len(names) >= 5, names
        order = [[name] for name in names] + [["super"], [], names[:2]]
        for i in range(ROUNDS):
            one_round(w, load, order[i % len(order)])
        load.stop()
        assert not load.failures, f"never answered 250: {load.failures[:5]}"
        wait_for(lambda: w.command("queue", "list").startswith("Nothing"), "an empty queue", 60)
        events = w.events()
        wrong, extra = judge(load, f"{tmp}/sink", events)
        told = sum(e["event"] in ("unknown", "duplicate") for e in events)
        print(f"{ROUNDS} rounds, {len(load.acked)} messages answered 250 in {load.tries} tries, {extra} copies too many, "
              f"{told} unknown or duplicate events, seed {SEED}")
        assert not wrong, f"{len(wrong)} wrong, such as " + "\n".join(wrong[:5])
        assert w.stop() == 0
        w.fsck()
    sink.close()


with tempfile.TemporaryDirectory() as tmp:
    main(tmp)
