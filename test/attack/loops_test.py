#!/usr/bin/env python3
"""Two of us that forward to each other, and report to each other: what goes round ends soon, and does not multiply."""
import pathlib, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *


def make(tmp, name, other, port, other_port, sink, forwards, mode):
    folder = pathlib.Path(tmp, f"{name}-{mode}")
    folder.mkdir()
    (folder / "forwards").write_text(forwards)
    (folder / "zone").write_text("".join(f'{d}. TXT "v=spf1 ip4:127.0.0.0/8 -all"\n' for d in ("good.test", "back.one.test", "back.two.test")))
    w = Waybill(port=port, settings=f'relay_networks = {{ "192.0.2.0/24" }}\ndns = "zone:{folder}/zone"\nforwards_file = "{folder}/forwards"\n'
                                    f'return_path_domain = "back.{name}"\nforward_return_path = {mode}\ndefault_stream = s\nstream s {{ failures = mail }}\n',
                route="".join(f'route "{d}" {{ via = "127.0.0.1:{other_port}" tls = none }}\n' for d in (other, f"back.{other}")) +
                      f'route "{name}" {{ via = "127.0.0.1:{sink.port}" tls = none local = yes }}\n'
                      f'route "*" {{ via = "127.0.0.1:{sink.port}" tls = none }}\n')
    w.config.write_text(w.config.read_text().replace('"waybill.test"', f'"mx.{name}"', 1))
    return w


def bring(w, to, number):
    with w.client(local_hostname="client.test") as c:
        c.ehlo()
        c.mail("a@good.test", ["RET=FULL"])
        code, reply = c.rcpt(to, ["NOTIFY=SUCCESS,FAILURE,DELAY"])
        assert code == 250, reply
        return c.data(f"From: a@good.test\r\nSubject: x\r\nMessage-ID: <{number}@good.test>\r\n\r\nHello.\r\n")[0]


def is_quiet(*all):
    before = [len(w.events()) for w in all]
    time.sleep(1)
    return before == [len(w.events()) for w in all] and all[0].command("queue") == all[1].command("queue") == "Nothing is waiting.\n"


with tempfile.TemporaryDirectory() as tmp:
    for mode in ("signed", "srs", "original"):
        sink = Sink(f"{tmp}/sink-{mode}")
        first, second = free_ports(2)
        one = make(tmp, "one.test", "two.test", first, second, sink, "round@one.test round@two.test\ndouble@one.test left@two.test right@two.test\n"
                   "self@one.test self@one.test\nwide@one.test " + " ".join(f"w{n}@two.test" for n in range(100)) + "\n", mode)
        two = make(tmp, "two.test", "one.test", second, first, sink, "round@two.test round@one.test\nleft@two.test double@one.test\n"
                   "right@two.test double@one.test\n" + "".join(f"w{n}@two.test round@one.test\n" for n in range(100)), mode)
        with one, two:
            for number, to in enumerate(("round@one.test", "double@one.test", "self@one.test")):
                assert bring(one, to, number) == 250, to
            wait_for(lambda: is_quiet(one, two), "the end of it", 20)
            counts = [len(one.events()), len(two.events())]
            assert max(counts) < 400, (mode, counts)
            # each that was lost is told to its sender, who wrote three mails
            told = [m for m in sink.mails() if b"X-Sink-To: <a@good.test>" in m]
            assert 0 < len(told) < 60, (mode, len(told))
            assert sum(b"X-Sink-To: <self@one.test>" in m for m in sink.mails()) == 1
            assert bring(one, "wide@one.test", 9) == 250
            wait_for(lambda: is_quiet(one, two), "the end of the wide one", 20)
            counts = [len(one.events()), len(two.events())]
            assert max(counts) < 4000, (mode, counts)
        sink.close()
print("3 passed, 0 failed")
