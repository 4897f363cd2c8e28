#!/usr/bin/env python3
"""sink.py PORT DIR [OPTION...]: a next hop for tests. Takes mail by SMTP and writes each message to
DIR/NUMBER.eml. Options play a bad day:
  --reject-rcpt CODE     answers RCPT with this code          --reject-data CODE   the final dot
  --silent-dot N         never answers the first N final dots (the message is written all the same)
  --drop-after-dot N     closes the connection instead        --slow SECONDS       before each reply
  --dsn 1                offers DSN (RFC 3461)                --defer N            answers the first N RCPT 451
Bounded: at most 100 connections at once. Ends with the process that started it."""
import os, socketserver, sys, threading, time

port, out = int(sys.argv[1]), sys.argv[2]
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
os.makedirs(out, exist_ok=True)
lock = threading.Lock()
state = {"n": 0, "silent": int(options.get("--silent-dot", 0)), "drop": int(options.get("--drop-after-dot", 0)),
         "defer": int(options.get("--defer", 0))}


class Session(socketserver.StreamRequestHandler):
    timeout, disable_nagle_algorithm = 900, True

    def say(self, line):
        time.sleep(float(options.get("--slow", 0)))
        self.wfile.write((line + "\r\n").encode())

    def handle(self):
        sender, recipients = "", []
        self.say("220 sink.test ESMTP")
        for raw in self.rfile:
            line = raw.decode("latin1").rstrip("\r\n")
            verb = line[:4].upper()
            if verb in ("EHLO", "LHLO"):
                self.say("250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" +
                         "250-DSN\r\n" * ("--dsn" in options) + "250 ENHANCEDSTATUSCODES")
            elif verb == "MAIL":
                sender, recipients = line[10:], []
                self.say("250 2.1.0 ok")
            elif verb == "RCPT":
                if state["defer"] > 0:
                    state["defer"] -= 1
                    self.say("451 4.3.0 come again")
                elif "--reject-rcpt" in options:
                    self.say(options["--reject-rcpt"] + " no such mailbox")
                else:
                    recipients.append(line[8:])
                    self.say("250 2.1.5 ok")
            elif verb == "DATA":
                if not recipients:
                    self.say("503 5.5.1 no recipients")
                    continue
                self.say("354 go")
                if not self.data(sender, recipients):
                    return
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 2.0.0 ok")

    def data(self, sender, recipients):
        lines = []
        for raw in self.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw[1:] if raw.startswith(b".") else raw)
        else:
            return False
        if "--reject-data" in options:
            self.say(options["--reject-data"] + " not today")
            return True
        with lock:
            state["n"] += 1
            n = state["n"]
            silent, drop = state["silent"] > 0, state["drop"] > 0
            state["silent"] -= silent
            state["drop"] -= drop
        name = os.path.join(out, f"{n:06d}.eml")
        with open(name + ".part", "wb") as f:
            f.write(b"X-Sink-From: %s\r\nX-Sink-To: %s\r\n" % (sender.encode("latin1"), ", ".join(recipients).encode("latin1")))
            f.writelines(lines)
        os.rename(name + ".part", name)
        if drop:
            return False
        if silent:
            self.rfile.read(1)
            return False
        self.say(f"250 2.0.0 stored as {n}")
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request, address):
        pass  # a client that was killed


if os.getppid() > 1:
    def watch(parent=os.getppid()):
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)
    threading.Thread(target=watch, daemon=True).start()
Server(("127.0.0.1", port), Session).serve_forever()
