"""What the system tests share: a Waybill of one's own on loopback, clients, and checks.

    with Waybill(...) as w:  w.send(...), w.show(id), w.events(), w.kill("queue")

Everything lives in a temporary directory and ends with the test; processes are ended by pid."""
import contextlib, json, os, pathlib, re, shutil, signal, smtplib, socket, subprocess, sys, tempfile, time, types, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# smtplib asks the machine's resolver for its own name; a test asks nobody, and some machines take long.
socket.getfqdn = lambda name="": "client.test"


def binary():
    if os.environ.get("WAYBILL"):
        return os.environ["WAYBILL"]
    for name in ("build", "build-asan"):
        if (ROOT / name / "waybill").exists():
            return str(ROOT / name / "waybill")
    print("waybill is not built")
    sys.exit(77)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for(check, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = check()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Sink:
    """A next hop that writes what it gets to a directory; options as test/tools/sink.py has them."""

    def __init__(self, directory, *options, port=None):
        self.directory, self.port = pathlib.Path(directory), port or free_ports(1)[0]
        self.process = subprocess.Popen([sys.executable, str(ROOT / "test/tools/sink.py"), str(self.port),
                                         str(self.directory), *map(str, options)])
        wait_for(lambda: listens(self.port), "the sink")

    def mails(self):
        return [p.read_bytes() for p in sorted(self.directory.glob("*.eml"))]

    def close(self):
        self.process.kill()
        self.process.wait()


class Waybill:
    def __init__(self, sink_port=None, settings="", one_process=False, port=None, directory=None,
                 listener="", route=None, env=None, wrapper=()):
        self.own_dir = directory is None
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="waybill-test."))
        self.port, self.metrics_port = port or free_ports(1)[0], free_ports(1)[0]
        self.config = self.dir / "waybill.conf"
        self.one_process, self.env, self.wrapper = one_process, env or {}, list(wrapper)
        if route is None and sink_port:
            route = f'route "*" {{ via = {{ "127.0.0.1:{sink_port}" }} tls = none }}\n'
        self.config.write_text(
            f'hostname = "waybill.test"\ndata_dir = "{self.dir}/data"\nrun_dir = "{self.dir}/run"\n'
            f'log_file = "{self.dir}/log"\nmetrics_address = "127.0.0.1:{self.metrics_port}"\n'
            f'disk_free_min = 0\nuser = root\ndns = "127.0.0.1:1"\n{settings}\n'
            f'listener test {{ address = "127.0.0.1" port = {self.port} tls = none {listener} }}\n{route or ""}')
        self.process = None

    def start(self, seconds=30):
        argv = [*self.wrapper, binary(), "serve", "--config", str(self.config)]
        if self.one_process:
            argv.append("--one-process")
        self.process = subprocess.Popen(argv, env={**os.environ, **self.env}, stderr=open(self.dir / "stderr", "ab"),
                                        start_new_session=True)
        wait_for(lambda: self.process.poll() is not None or self.greets(), f"Waybill ({self.trouble()})", seconds)
        if self.process.poll() is not None:
            raise AssertionError(f"Waybill did not start: {self.trouble()}")
        return self

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.settimeout(2)
                return s.recv(100).startswith(b"220")
        except OSError:
            return False

    def trouble(self):
        text = ""
        for name in ("stderr", "log"):
            if (self.dir / name).exists():
                text += (self.dir / name).read_text(errors="replace")[-2000:]
        return text

    def pids(self):
        """Every process of this Waybill: name -> pid."""
        found = {}
        if self.process is None or self.process.poll() is not None:
            return found
        main = self.process.pid
        if self.wrapper:
            main = int((self.dir / "run/waybill.pid").read_text())
        found["super"] = main
        for line in subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout.splitlines()[1:]:
            pid, ppid, args = line.split(None, 2)
            if int(ppid) == main and args.startswith("waybill: "):
                found[args.removeprefix("waybill: ").strip()] = int(pid)
        return found

    def kill(self, *names):
        """kill -9: the named processes, or all of them."""
        pids = self.pids()
        for name in names or pids:
            if name in pids:
                try:
                    os.kill(pids[name], signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if not names or "super" in names:
            self.process.wait()
            for name, pid in pids.items():
                wait_for(lambda: not is_alive(pid), f"{name} to end")

    def stop(self, seconds=60):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"Waybill did not stop: {self.trouble()}")
        complaints = [l for l in (self.dir / "stderr").read_text(errors="replace").splitlines()
                      if "Sanitizer" in l or "runtime error" in l]
        assert not complaints, "\n".join(complaints[:20])
        return self.process.returncode

    def client(self, **more):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=30, **more)

    def send(self, text, sender="a@sender.test", to=("b@receiver.test",), **options):
        """One message; returns its id."""
        with self.client() as c:
            c.ehlo()
            code, reply = c.mail(sender, **options)
            assert code == 250, reply
            for address in to:
                code, reply = c.rcpt(address)
                assert code == 250, reply
            code, reply = c.data(text)
            assert code == 250, reply
        return reply.decode().split()[-1]

    def command(self, *args, ok=(0,)):
        r = subprocess.run([binary(), *args, "--config", str(self.config)], capture_output=True, text=True)
        assert r.returncode in ok, f"waybill {' '.join(args)}: status {r.returncode}: {r.stderr}{r.stdout}"
        return r.stdout

    def shim(self):
        """Call before start(): the daemon gets test/tools/disk_shim.c. order() tells it what to do."""
        library = pathlib.Path(binary()).parent / "disk_shim.so"
        if not library.exists():
            skip(f"{library} is not built")
        self.env |= {"LD_PRELOAD": str(library), "WAYBILL_SHIM_DIR": f"{self.dir}/data",
                     "WAYBILL_SHIM_ORDER": f"{self.dir}/order"}
        return self

    def order(self, text):
        (self.dir / "order.new").write_text(text)
        os.rename(self.dir / "order.new", self.dir / "order")

    def fsck(self):
        """After stop(): spool and ledger agree."""
        r = subprocess.run([binary(), "fsck", str(self.dir / "data")], capture_output=True, text=True)
        assert r.returncode == 0, f"fsck: status {r.returncode}: {r.stderr}{r.stdout}"

    def show(self, message_id):
        return json.loads(self.command("show", "--json", message_id))

    def metric(self, name):
        """The sum over all roles of a number at /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as page:
            return sum(int(float(n)) for n in re.findall(rf'^waybill_{name}{{.*}} (\S+)$', page.read().decode(), re.M))

    def states(self, message_id):
        return [r["state"] for r in self.show(message_id)["recipients"]]

    def events(self, message_id=None):
        rows = [json.loads(line) for line in self.command("events", "--json", "--since", "0").splitlines()]
        return [r for r in rows if message_id in (None, r["id"])]

    def __enter__(self):
        return self.start()

    def ending(self):
        """`with w.ending():` for a Waybill that was started before."""
        return contextlib.closing(types.SimpleNamespace(close=lambda: self.__exit__(sys.exc_info()[0])))

    def __exit__(self, kind, *rest):
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            if kind is not None:
                print(self.trouble())
            if self.own_dir and not os.environ.get("KEEP"):
                shutil.rmtree(self.dir, ignore_errors=True)


def is_alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False
