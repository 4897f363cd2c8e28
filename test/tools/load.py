"""load.py -- clients that never give up: each message is sent again, byte for byte, until it is answered
250, however often the server dies under it. What was answered stands in `acked`."""
import pathlib, re, socket, threading, time


class Reader:
    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def reply(self):
        """The code of the next reply, and its last line."""
        while True:
            while b"\n" not in self.buffer:
                piece = self.connection.recv(4096)
                if not piece:
                    raise ConnectionError("closed")
                self.buffer += piece
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line[3:4] != b"-":
                return int(line[:3]), line


class Load:
    """`connections` clients; `bytes` is the size of a body, `rest` the pause after each message in
    seconds. Markers are MARK-client-number."""

    def __init__(self, port, connections=20, size=2000, rest=0.0, mark="load", patience=15):
        self.port, self.size, self.rest, self.mark, self.patience = port, size, rest, mark, patience
        self.acked, self.tries, self.lock = {}, 0, threading.Lock()
        self.ending = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.client, args=(i,), daemon=True) for i in range(connections)]
        for thread in self.threads:
            thread.start()

    def body(self, marker):
        return (f"From: a@source.test\r\nTo: b@target.test\r\nSubject: {marker}\r\nMessage-ID: <{marker}@source.test>\r\n"
                f"Date: Mon, 23 Nov 2026 22:00:00 +0000\r\n\r\n" + (("x" * 70 + "\r\n") * (self.size // 72)) + ".\r\n").encode()

    def client(self, number):
        count, connection = 0, None
        while not self.ending.is_set():
            marker = f"{self.mark}-{number}-{count}."
            count += 1
            connection = self.until_acked(marker, connection)
            time.sleep(self.rest)
        if connection is not None:
            connection.connection.close()

    def until_acked(self, marker, connection):
        end = None
        while True:
            try:
                connection = connection or self.connect()
                self.tries += 1
                if self.transaction(connection, marker):
                    return connection
            except (OSError, ValueError):
                pass
            if connection is not None:
                connection.connection.close()
            connection = None
            time.sleep(0.05)
            if self.ending.is_set():
                end = end or time.monotonic() + self.patience
                if time.monotonic() > end:
                    self.failures.append(marker)
                    return None

    def connect(self):
        reader = Reader(socket.create_connection(("127.0.0.1", self.port), self.patience))
        reader.connection.settimeout(self.patience)
        try:
            if reader.reply()[0] != 220:
                raise ValueError("no greeting")
            reader.connection.sendall(b"EHLO load.test\r\n")
            if reader.reply()[0] != 250:
                raise ValueError("no EHLO")
        except BaseException:
            reader.connection.close()
            raise
        return reader

    def transaction(self, reader, marker):
        reader.connection.sendall(b"MAIL FROM:<a@source.test>\r\nRCPT TO:<b@target.test>\r\nDATA\r\n")
        codes = [reader.reply()[0] for _ in range(3)]
        if codes != [250, 250, 354]:
            return False
        reader.connection.sendall(self.body(marker))
        code, line = reader.reply()
        if code != 250:
            return False
        with self.lock:
            self.acked[marker] = line.decode().split()[-1]
        return True

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(self.patience * 3)


def copies(directory, mark="load"):
    """What a sink got: marker -> the ids in our Received lines, one for each copy."""
    found = {}
    for path in pathlib.Path(directory).glob("*.eml"):
        text = path.read_bytes()
        marker = re.search(rb"Subject: (%s-[0-9-]+\.)" % mark.encode(), text)
        ours = re.search(rb"by waybill\.test [^;]*?\bid ([0-9A-Za-z]{26})", text)
        if marker:
            found.setdefault(marker[1].decode(), []).append(ours[1].decode() if ours else "?")
    return found


def judge(load, directory, events):
    """What is wrong: a list of sentences, and the number of copies too many. `events` is what
    `waybill events --json` says."""
    by_id = {}
    for event in events:
        by_id.setdefault(event["id"], []).append(event["event"])
    found, wrong, extra = copies(directory, load.mark), [], 0
    for marker, id in load.acked.items():
        if marker not in found:
            wrong.append(f"{marker} was answered 250 as {id} and never came; events {by_id.get(id)}")
        elif id not in found[marker]:
            wrong.append(f"{marker} was answered with {id}, and came as {found[marker]}")
    for marker, ids in found.items():
        extra += len(ids) - 1
        for id in set(ids):
            if ids.count(id) > 1 and by_id.get(id, []).count("unknown") < ids.count(id) - 1:
                wrong.append(f"{marker} came {ids.count(id)} times as {id} without a word: {by_id.get(id)}")
        if len(set(ids)) > 1:
            wrong.append(f"{marker} was stored {len(set(ids))} times: {[(i, by_id.get(i)) for i in set(ids)]}")
    return wrong, extra
