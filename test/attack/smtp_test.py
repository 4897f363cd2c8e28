#!/usr/bin/env python3
"""What hostile clients try: smuggling, injection before TLS, lines and envelopes without end, sockets
half closed, bytes that come too slowly, relaying. Each must meet a clear reply and bounded memory."""
import pathlib, shutil, socket, sys, tempfile, threading, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import lab

# What servers have taken for the end of DATA (CVE-2023-51764, -51765, -51766 and the lists after them).
SMUGGLING = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r.\n", b"\n.\r",
    b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\r\n\r.\r\n", b"\n\n.\r\n", b"\r\n\x00\r.\r\n", b"\r\x00\n.\r\n",
    b"\r\n.\r\x00\n", b"\r\n.\x00\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\r\n. \r\n", b"\r\n..\r\n",
    b"\r\n.\t\r\n", b"\r\n.\x0b\r\n", b"\r\n.\x0c\r\n", b"\r\n.\xff\r\n", b"\r\n.\x1a\r\n", b"\r\n\xef\xbb\xbf.\r\n",
]
INSIDE = b"MAIL FROM:<evil@source.test>\r\nRCPT TO:<victim@target.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"


class Attacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="waybill-attack-")
        cert, key = lab.certificate(cls.folder)
        cls.sink = lab.Sink()
        cls.waybill = lab.Waybill(cls.sink.port, f"""
tls_certificate = "{cert}"
tls_key = "{key}"
logins_file = "{lab.logins(cls.folder)}"
idempotency_window = "0s"
message_size_max = "20MiB"
""")

    @classmethod
    def tearDownClass(cls):
        cls.waybill.stop()
        cls.sink.close()
        shutil.rmtree(cls.folder)

    def talk(self, **options):
        talk = lab.Talk(self.waybill.port, **options)
        self.addCleanup(talk.close)
        return talk

    def send(self, marker):
        """An honest message, to show that all is still well."""
        with lab.Talk(self.waybill.port) as talk:
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            reply = talk.say(b"Subject: x\r\n\r\n%s\r\n.\r\n" % marker)
            self.assertTrue(reply.startswith(b"250 2."), reply)
            self.assertTrue(talk.say(b"QUIT\r\n").startswith(b"221"))
        return lab.wait_for(lambda: self.sink.find(marker), 20, f"{marker} is delivered")[0]

    def smuggle(self, waybill, end, number):
        """One try. Returns all replies behind 354."""
        with lab.Talk(waybill.port) as talk:
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            talk.send(b"Subject: outer\r\n\r\nouter-%d" % number + end + INSIDE + b"QUIT\r\n")
            return talk.rest()

    def test_smuggled_messages_are_never_delivered(self):
        for number, end in enumerate(SMUGGLING):
            with self.subTest(end=end):
                replies = self.smuggle(self.waybill, end, number)
                taken = [r for r in replies.split(b"\r\n") if r.startswith(b"250")]
                self.assertLessEqual(len(taken), 1, replies)
                if any(bad in end for bad in (b"\r\n.\n", b"\n.\n", b"\r.\r")):
                    self.assertTrue(replies.startswith(b"550 5.6.11"), replies)
        self.send(b"after-smuggling")
        for sender, recipients, body in list(self.sink.messages):
            self.assertNotIn(b"evil@source.test", sender)
            self.assertNotIn(b"victim@target.test", recipients)
            self.assertNotIn(b"\n", body.replace(b"\r\n", b""))
            self.assertNotIn(b"\r", body.replace(b"\r\n", b""))

    def test_smuggled_messages_stay_one_message_when_bare_newlines_are_taken(self):
        lax = lab.Waybill(self.sink.port, 'bare_newline = "accept"\nidempotency_window = "0s"\n')
        try:
            for number, end in enumerate(SMUGGLING, 100):
                with self.subTest(end=end):
                    replies = self.smuggle(lax, end, number)
                    self.assertEqual(len([r for r in replies.split(b"\r\n") if r.startswith(b"250")]), 1, replies)
                    sender, recipients, body = lab.wait_for(
                        lambda: self.sink.find(b"outer-%d" % number), 20, "the message is delivered")[0]
                    self.assertEqual(recipients, [b"b@target.test"])
                    self.assertIn(b"MAIL FROM:<evil@source.test>\r\n", body)
                    self.assertNotIn(b"\n", body.replace(b"\r\n", b""))
                    self.assertNotIn(b"\r", body.replace(b"\r\n", b""))
            self.assertFalse([m for m in self.sink.messages if b"victim@target.test" in m[1]])
        finally:
            lax.stop()

    def test_commands_before_tls_are_dropped(self):
        for injected in (b"EHLO evil\r\n", b"MAIL FROM:<evil@source.test>\r\n", b"RSET\r\nNOOP\r\n"):
            talk = self.talk()
            self.assertIn(b"STARTTLS", talk.ehlo)
            self.assertTrue(talk.say(b"STARTTLS\r\n" + injected).startswith(b"220"))
            talk.start_tls()
            self.assertTrue(talk.say(b"MAIL FROM:<a@source.test>\r\n").startswith(b"503"))
            reply = talk.say(b"EHLO client.test\r\n")
            self.assertIn(b"250-waybill.test", reply)
            self.assertNotIn(b"STARTTLS", reply)
            self.assertTrue(talk.say(b"NOOP\r\n").startswith(b"250"))

    def test_a_session_begun_in_clear_is_forgotten_under_tls(self):
        talk = self.talk()
        lab.envelope(talk)
        self.assertTrue(talk.say(b"STARTTLS\r\n").startswith(b"503"))
        self.assertTrue(talk.say(b"RSET\r\n").startswith(b"250"))
        self.assertTrue(talk.say(b"STARTTLS\r\n").startswith(b"220"))
        talk.start_tls()
        self.assertTrue(talk.say(b"RCPT TO:<b@target.test>\r\n").startswith(b"503"))

    def test_an_endless_command_line_costs_no_memory(self):
        talk = self.talk()
        before = self.waybill.memory_kib()
        for _ in range(320):
            talk.send(b"A" * 65536)
        self.assertTrue(talk.say(b"\r\n").startswith(b"500 5.5.2"))
        self.assertLess(self.waybill.memory_kib() - before, 4096)
        self.assertTrue(talk.say(b"NOOP\r\n").startswith(b"250"))

    def test_an_endless_body_line_is_answered(self):
        talk = self.talk()
        lab.envelope(talk)
        self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
        talk.send(b"Subject: long\r\n\r\n")
        for _ in range(80):
            talk.send(b"B" * 65536)
        self.assertRegex(talk.say(b"\r\n.\r\n"), rb"^(250|55[024]) ")
        self.assertTrue(talk.say(b"NOOP\r\n").startswith(b"250"))

    def test_a_message_over_the_limit_is_refused_and_forgotten(self):
        talk = self.talk()
        self.assertTrue(talk.say(b"MAIL FROM:<a@source.test> SIZE=99999999\r\n").startswith(b"552 5.3.4"))
        lab.envelope(talk)
        self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
        line = b"C" * 998 + b"\r\n"
        for _ in range(22):
            talk.send(line * 1024)
        self.assertTrue(talk.say(b".\r\n").startswith(b"552 5.3.4"))
        lab.envelope(talk)
        self.assertTrue(talk.say(b"RSET\r\n").startswith(b"250"))

    def test_ten_thousand_recipients_are_taken_or_put_off(self):
        talk = self.talk(timeout=60)
        before = self.waybill.memory_kib()
        self.assertTrue(talk.say(b"MAIL FROM:<a@source.test>\r\n").startswith(b"250"))
        taken = 0
        for block in range(12):
            talk.send(b"".join(b"RCPT TO:<r%d@target.test>\r\n" % (block * 1000 + i) for i in range(1000)))
            for _ in range(1000):
                reply = talk.reply()
                self.assertRegex(reply, rb"^(250|452 4\.5\.3)")
                taken += reply.startswith(b"250")
        self.assertGreaterEqual(taken, 1000)
        self.assertLess(taken, 12000)
        self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
        self.assertTrue(talk.say(b"Subject: many\r\n\r\nmany-recipients\r\n.\r\n").startswith(b"250"))
        self.assertLess(self.waybill.memory_kib() - before, 64 * 1024)
        arrived = lambda: sum(len(m[1]) for m in self.sink.find(b"many-recipients"))
        lab.wait_for(lambda: arrived() >= taken, 60, f"{taken} recipients have it")
        self.assertEqual(arrived(), taken)

    def test_a_half_closed_connection_gets_its_answers(self):
        talk = self.talk()
        talk.send(b"MAIL FROM:<a@source.test>\r\nRCPT TO:<b@target.test>\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            self.assertTrue(talk.reply().startswith(code))
        talk.send(b"Subject: half\r\n\r\nhalf-closed\r\n.\r\n")
        talk.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(talk.reply().startswith(b"250"))
        self.assertEqual(talk.rest(), b"")
        self.assertEqual(len(lab.wait_for(lambda: self.sink.find(b"half-closed"), 20, "delivered")), 1)

    def test_a_connection_cut_in_a_message_delivers_nothing(self):
        for cut in (b"Subject: cut\r\n\r\ncut-message\r\n", b"Subject: cut\r\n\r\ncut-message\r\n.", b""):
            talk = self.talk()
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            talk.send(cut)
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            talk.close()
        self.send(b"after-the-cut")
        self.assertFalse(self.sink.find(b"cut-message"))

    def test_a_client_that_never_reads_is_bounded(self):
        talk = self.talk()
        before = self.waybill.memory_kib()
        talk.socket.settimeout(3)
        try:
            talk.send(b"NOOP\r\n" * 2_000_000)
        except OSError:
            pass # closed, or pushed back: both are well
        self.assertLess(self.waybill.memory_kib() - before, 16 * 1024)
        self.send(b"after-the-deaf")

    def test_errors_and_foreign_protocols_are_sent_away(self):
        talk = self.talk()
        talk.send(b"XYZZY\r\n" * 200)
        self.assertTrue(talk.rest().splitlines()[-1].startswith(b"421 4.7.0"))
        talk = self.talk(greet=False)
        talk.reply()
        talk.send(b"POST / HTTP/1.1\r\nHost: waybill.test\r\n\r\nMAIL FROM:<evil@source.test>\r\n")
        self.assertTrue(talk.rest().startswith(b"421 4.7.0"))

    def test_injected_lines_and_bytes_in_addresses(self):
        talk = self.talk()
        for bad in (b"<a@b\x00.test>", b"<a\x01@b.test>", b"<a b@c.test>", b"<a@b.test", b"<@>", b"<a@b.test>x",
                    b"<" + b"a" * 300 + b"@b.test>", b"<\xff@b.test>", b"<a@b..test>", b"<a@-b.test>"):
            self.assertRegex(talk.say(b"MAIL FROM:" + bad + b"\r\n"), rb"^5\d\d 5\.")

    def test_bdat_is_no_way_around(self):
        talk = self.talk()
        lab.envelope(talk)
        self.assertTrue(talk.say(b"BDAT 20 LAST\r\n\r\na\n.\nMAIL FROM:<evi").startswith(b"550 5.6.11"))
        lab.envelope(talk)
        body = b"Subject: x\r\n\r\nbdat-dots\r\n.\r\n..\r\nend"
        self.assertTrue(talk.say(b"BDAT %d LAST\r\n" % len(body) + body).startswith(b"250"))
        got = lab.wait_for(lambda: self.sink.find(b"bdat-dots"), 20, "delivered")[0]
        self.assertTrue(got[2].endswith(b"bdat-dots\r\n..\r\n...\r\nend\r\n"), got[2])
        self.assertTrue(talk.say(b"BDAT x\r\n").startswith(b"501"))
        self.assertEqual(talk.rest(), b"")


class NoRelay(unittest.TestCase):
    """A server that lets nobody relay who is not logged in."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="waybill-attack-")
        cls.sink = lab.Sink()
        cls.waybill = lab.Waybill(cls.sink.port, f"""relay_networks = {{}}
logins_file = "{lab.logins(cls.folder)}"
""", listener="auth_plaintext = yes")

    @classmethod
    def tearDownClass(cls):
        cls.waybill.stop()
        cls.sink.close()
        shutil.rmtree(cls.folder)

    def test_nothing_is_relayed_without_a_login(self):
        for sender in (b"", b"a@source.test", b"a@waybill.test", b"postmaster@waybill.test", b"a@[127.0.0.1]"):
            for recipient in (b"v@target.test", b"v%target.test@waybill.test", b"@waybill.test:v@target.test",
                              b"target.test!v@waybill.test", b'"v@target.test"', b'"v@target.test"@waybill.test',
                              b"v@target.test@waybill.test", b"v@[127.0.0.1]", b"v"):
                with lab.Talk(self.waybill.port) as talk:
                    mail = talk.say(b"MAIL FROM:<%s>\r\n" % sender)
                    rcpt = talk.say(b"RCPT TO:<%s>\r\n" % recipient)
                    data = talk.say(b"DATA\r\n")
                    self.assertRegex(rcpt, rb"^5\d\d 5\.", (sender, recipient, mail))
                    self.assertRegex(data, rb"^5\d\d 5\.")
        self.assertEqual(self.sink.messages, [])

    def test_a_wrong_login_opens_nothing(self):
        with lab.Talk(self.waybill.port) as talk:
            # user with a wrong password, a wrong user, an empty password
            for secret in (b"AHVzZXIAd3Jvbmc=", b"AG5vYm9keQBzZWNyZXQ=", b"AHVzZXIA"):
                self.assertTrue(talk.say(b"AUTH PLAIN " + secret + b"\r\n").startswith(b"535 5.7.8"))
            self.assertRegex(talk.say(b"MAIL FROM:<a@source.test>\r\nRCPT TO:<v@target.test>\r\n"), rb"^5")

    def test_the_login_opens_it(self):
        with lab.Talk(self.waybill.port) as talk:
            self.assertTrue(talk.say(b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n").startswith(b"235"))
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            self.assertTrue(talk.say(b"Subject: in\r\n\r\nlogged-in\r\n.\r\n").startswith(b"250"))
        lab.wait_for(lambda: self.sink.find(b"logged-in"), 20, "delivered")


class Slow(unittest.TestCase):
    """Patience is short here: 2 s for a command, 2 s for bytes of a message, 6 s for all of it."""

    @classmethod
    def setUpClass(cls):
        cls.sink = lab.Sink()
        cls.waybill = lab.Waybill(cls.sink.port, 'inbound_command_timeout = "2s"\ninbound_data_timeout = "2s"\n'
                                  'inbound_message_timeout = "6s"\n')

    @classmethod
    def tearDownClass(cls):
        cls.waybill.stop()
        cls.sink.close()

    def ends_within(self, talk, seconds, drip):
        """Sends one byte of `drip` every 0.4 s. What the server said until it closed."""
        start, said = time.monotonic(), b""
        talk.socket.settimeout(0.4)
        for i in range(int(seconds / 0.4)):
            try:
                talk.send(drip[i % len(drip):][:1])
                piece = talk.socket.recv(4096)
                if not piece:
                    return said
                said += piece
            except TimeoutError:
                pass
            except OSError:
                return said
        self.fail(f"still open after {time.monotonic() - start:.0f} s, said {said!r}")

    def test_silence_is_ended_with_421(self):
        with lab.Talk(self.waybill.port) as talk:
            self.assertTrue(talk.rest().startswith(b"421 4.4.2"))
        with lab.Talk(self.waybill.port) as talk:
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            self.assertTrue(talk.rest().startswith(b"421 4.4.2"))

    def test_a_command_byte_by_byte_is_ended(self):
        with lab.Talk(self.waybill.port) as talk:
            self.assertIn(b"421", self.ends_within(talk, 12, b"NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))

    def test_a_message_byte_by_byte_is_ended(self):
        with lab.Talk(self.waybill.port) as talk:
            lab.envelope(talk)
            self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
            self.assertIn(b"421", self.ends_within(talk, 20, b"slow body "))
        self.assertEqual(self.sink.find(b"slow"), [])

    def test_many_slow_clients_do_not_stop_a_quick_one(self):
        before = self.waybill.memory_kib()
        slow = [lab.Talk(self.waybill.port) for _ in range(400)]
        stop = threading.Event()

        def drip():
            while not stop.is_set():
                for talk in slow:
                    try:
                        talk.send(b"M")
                    except OSError:
                        pass
                stop.wait(0.5)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            start = time.monotonic()
            with lab.Talk(self.waybill.port) as talk:
                lab.envelope(talk)
                self.assertTrue(talk.say(b"DATA\r\n").startswith(b"354"))
                self.assertTrue(talk.say(b"Subject: quick\r\n\r\nquick-one\r\n.\r\n").startswith(b"250"))
            self.assertLess(time.monotonic() - start, 2)
            self.assertLess((self.waybill.memory_kib() - before) / len(slow), 32)
        finally:
            stop.set()
            thread.join()
            for talk in slow:
                talk.close()


if __name__ == "__main__":
    lab.main()
