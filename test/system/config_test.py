#!/usr/bin/env python3
"""Settings that name what is not there end the start at once, with a sentence; a command that cannot read one file
reads the others."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *

count = 0
with tempfile.TemporaryDirectory() as tmp:
    bad = pathlib.Path(tmp, "bad")
    bad.write_text("this is no key\n")
    rules = pathlib.Path(tmp, "rules")
    rules.mkdir()
    (rules / "own.conf").write_text("tier provider\nrule x no_such_category\n")
    for settings, words in ((f'key k {{ domain = a.test selector = s file = "{tmp}/none.pem" }}', ("none.pem", "No such file")),
                            (f'key k {{ domain = a.test selector = s file = "{bad}" }}', ("key k", str(bad))),
                            (f'forwards_file = "{tmp}/nowhere"', ("nowhere",)),
                            (f'bounce_rules = "{rules}"', ("own.conf:2", "no_such_category")),
                            ('suppress = { "mailbox_full sometimes" }', ("sometimes",))):
        w = Waybill(settings=settings)
        for arguments in (["serve"], ["serve", "--one-process"], ["config", "check"]):
            r = subprocess.run([binary(), *arguments, "--config", str(w.config)], capture_output=True, text=True, timeout=20)
            assert r.returncode == (1 if arguments[0] == "config" else 2), (arguments, settings, r)
            assert all(word in r.stderr for word in words), (arguments, words, r.stderr)
            count += 1
        shutil.rmtree(w.dir)

    report = ROOT / "doc/examples/bounce.eml"
    r = subprocess.run([binary(), "bounce", "--json", f"{tmp}/none.eml", str(report), tmp + "/none"], capture_output=True, text=True)
    assert r.returncode == 2 and "none.eml" in r.stderr and len(r.stdout.splitlines()) == 1, r
    assert json.loads(r.stdout)["file"] == str(report), r.stdout
    count += 1
print(f"{count} passed, 0 failed")
