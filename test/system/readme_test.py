#!/usr/bin/env python3
"""What README.md shows is what the program prints: every block that begins with `$ waybill ... doc/examples/...` is
run and compared, word for word; what ./quickstart --once prints is compared without its names, numbers and times."""
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
assert count >= 3, count


def shape(text):
    """The lines with ids, ports, dates and durations taken out."""
    text = re.sub(r"\b[0-9A-Z]{26}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}|\d+(\.\d+)? (ms|s|bytes)\b|(?<=port )\d+", "N", text)
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines() if line.strip()]


if binary() == str(ROOT / "build" / "waybill"):  # quickstart builds there
    shown = re.search(r"^```\n(== 4/4 .*?)\n```$", (ROOT / "README.md").read_text(), re.S | re.M).group(1)
    real = subprocess.run([ROOT / "quickstart", "--once"], capture_output=True, text=True, timeout=120)
    assert real.returncode == 0, real.stderr
    printed = real.stdout[real.stdout.index("== 4/4"):real.stdout.index("== as the next hop got it")]
    assert shape(printed) == shape(shown), f"--- README.md\n{shown}\n--- now\n{printed}"
    count += 1
print(f"{count} passed, 0 failed")
