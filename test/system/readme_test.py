#!/usr/bin/env python3
"""What README.md shows is what the program prints: every block that begins with `$ waybill ... doc/examples/...` is
run and compared, word for word."""
import pathlib, re, shlex, subprocess, sys
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import ROOT, binary

count = 0
for block in re.findall(r"^```\n(\$ waybill .*?)\n```$", (ROOT / "README.md").read_text(), re.S | re.M):
    command, _, shown = block.partition("\n")
    words = shlex.split(command[2:])
    if not any(w.startswith("doc/examples/") for w in words):
        continue
    real = subprocess.run([binary(), *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert real.returncode in (0, 1), (command, real.stderr)
    assert real.stdout.rstrip("\n") == shown, f"{command}\n--- README.md\n{shown}\n--- now\n{real.stdout}"
    count += 1
assert count >= 2, count
print(f"{count} passed, 0 failed")
