/* Each case is a play: "S:" lines are what the server says, "X:" is the loss of the connection;
 * "C:" lines are what the client must say in between, "V:" each verdict, "F:" why the connection
 * was given up. The play is performed line by line and one byte at a time, with the same result. */
#include "base/test.h"

#include "lib/smtp/client.h"

static const struct smtp_client_settings plain = {.helo_name = "me"};
static const struct smtp_client_settings slow = {.helo_name = "me", .no_pipelining = true};
static const struct smtp_client_settings lmtp = {.helo_name = "me", .lmtp = true};
static const struct smtp_client_settings chunking = {.helo_name = "me", .use_chunking = true};
static const struct smtp_client_settings tls_maybe = {.helo_name = "me",
                                                      .tls = SMTP_TLS_IF_OFFERED};
static const struct smtp_client_settings tls_must = {.helo_name = "me", .tls = SMTP_TLS_REQUIRED};
static const struct smtp_client_settings login = {
    .helo_name = "me", .tls_from_start = true, .user = "user", .password = "pass"};
static const struct smtp_client_settings login_in_clear = {
    .helo_name = "me", .user = "user", .password = "pass"};

#define HELLO "S:220 hi\nC:EHLO me\n"
#define HELLO_FAST HELLO "S:250-x\nS:250 PIPELINING\n"
#define HELLO_SLOW HELLO "S:250 x\n"
#define SCRIPT1 "C:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\nC:DATA\n"
#define SCRIPT2 "C:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\nC:RCPT TO:<r1@y>\nC:DATA\n"
#define BODY "C:hi\nC:.\n"

struct play {
    const char *name;
    const struct smtp_client_settings *settings;
    size_t recipients;
    const char *body;
    const char *lines;
    unsigned messages; /* 0 means 1 */
    bool utf8;
    uint64_t size_bytes;
};

static const struct play plays[] = {
    {"a message in two round trips", &plain, 1, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT1 "S:250 2.1.0 ok\nS:250 2.1.5 ok\nS:354 go\n" BODY
                            "S:250 2.0.0 queued as 1\nV:delivered DOT 250 2.0.0 queued as 1\n"},
    {"a message without pipelining", &slow, 1, "hi\r\n",
     .lines = HELLO_FAST
     "C:MAIL FROM:<a@x>\nS:250 ok\nC:RCPT TO:<r0@y>\nS:250 ok\nC:DATA\nS:354 go\n" BODY
     "S:250 ok\nV:delivered DOT 250 ok\n"},
    {"a server that offers no pipelining gets none", &plain, 1, "hi\r\n",
     .lines = HELLO_SLOW
     "C:MAIL FROM:<a@x>\nS:250 ok\nC:RCPT TO:<r0@y>\nS:250 ok\nC:DATA\nS:354 go\n" BODY
     "S:250 ok\nV:delivered DOT 250 ok\n"},
    {"two messages on one connection", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1
     "S:250 ok\nS:250 ok\nS:354 go\n" BODY "S:250 ok\nV:delivered DOT 250 ok\n" SCRIPT1
     "S:250 ok\nS:250 ok\nS:354 go\n" BODY "S:450 no\nV:deferred DOT 450 no\n",
     .messages = 2},
    {"dots are added, and line ends made whole", &plain, 1, ".\r\n..\na\rb\r\n\n.c",
     .lines =
         HELLO_FAST SCRIPT1 "S:250 ok\nS:250 ok\nS:354 go\nC:..\nC:...\nC:a\nC:b\nC:\nC:..c\nC:.\n"
                            "S:250 ok\nV:delivered DOT 250 ok\n"},
    {"an empty message", &plain, 1, "",
     .lines = HELLO_FAST SCRIPT1
     "S:250 ok\nS:250 ok\nS:354 go\nC:.\nS:250 ok\nV:delivered DOT 250 ok\n"},
    {"one recipient of two is refused", &plain, 2, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT2 "S:250 ok\nS:550 5.1.1 nobody\nS:250 ok\nS:354 go\n" BODY
                            "S:250 ok\nV:refused RCPT 550 5.1.1 nobody\nV:delivered DOT 250 ok\n"},
    {"the final reply refuses all", &plain, 2, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT2 "S:250 ok\nS:250 ok\nS:250 ok\nS:354 go\n" BODY
                            "S:554-5.6.0 bad\nS:554 5.6.0 mail\nV:refused DOT 554 5.6.0 bad mail\n"
                            "V:refused DOT 554 5.6.0 bad mail\n"},
    {"all recipients are refused, and DATA too", &plain, 2, "hi\r\n",
     .lines = HELLO_FAST SCRIPT2 "S:250 ok\nS:550 a\nS:450 b\nS:554 none\nV:refused RCPT 550 a\n"
                                 "V:deferred RCPT 450 b\nC:RSET\nS:250 ok\n"},
    {"all recipients are refused, and DATA is not: an empty message for nobody", &plain, 1,
     "hi\r\n",
     .lines = HELLO_FAST SCRIPT1
     "S:250 ok\nS:550 a\nS:354 go\nC:.\nS:250 queued\nV:refused RCPT 550 a\n"},
    {"without pipelining nothing follows a refused sender", &slow, 1, "hi\r\n",
     .lines = HELLO_FAST "C:MAIL FROM:<a@x>\nS:550 5.7.1 no\nV:refused MAIL 550 5.7.1 no\n"},
    {"without pipelining nothing follows refused recipients", &slow, 2, "hi\r\n",
     .lines =
         HELLO_FAST "C:MAIL FROM:<a@x>\nS:250 ok\nC:RCPT TO:<r0@y>\nS:550 a\nC:RCPT TO:<r1@y>\n"
                    "S:450 b\nV:refused RCPT 550 a\nV:deferred RCPT 450 b\nC:RSET\nS:250 ok\n"},
    {"a refused sender refuses all recipients", &plain, 2, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT2 "S:450 4.7.1 later\nS:503 a\nS:503 b\nS:503 c\n"
                            "V:deferred MAIL 450 4.7.1 later\nV:deferred MAIL 450 4.7.1 later\n"},
    {"DATA is refused", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1
     "S:250 ok\nS:250 ok\nS:451 full\nV:deferred DATA 451 full\nC:RSET\nS:250 ok\n"},
    {"too many recipients are for later (552 is 452)", &plain, 2, "hi\r\n",
     .lines = HELLO_FAST SCRIPT2
     "S:250 ok\nS:552 many\nS:552 5.2.2 full\nS:554 none\n"
     "V:deferred RCPT 552 many\nV:refused RCPT 552 5.2.2 full\nC:RSET\nS:250 ok\n"},
    {"a 421 in the middle is the verdict of the rest", &plain, 2, "hi\r\n",
     .lines = HELLO_FAST SCRIPT2 "S:250 ok\nS:550 a\nS:421 4.3.2 bye\nV:refused RCPT 550 a\n"
                                 "V:deferred RCPT 421 4.3.2 bye\nF:RCPT 421 4.3.2 bye\n"},
    {"a 421 after the dot is a reply", &plain, 1, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT1 "S:250 ok\nS:250 ok\nS:354 go\n" BODY
                            "S:421 4.3.2 bye\nV:deferred DOT 421 4.3.2 bye\nF:DOT 421 4.3.2 bye\n"},
    {"no reply after the dot is unknown", &plain, 2, "hi\r\n",
     .lines = HELLO_FAST SCRIPT2
     "S:250 ok\nS:550 a\nS:250 ok\nS:354 go\n" BODY
     "X:timeout\nV:refused RCPT 550 a\nV:unknown DOT 0 timeout\nF:DOT 0 timeout\n"},
    {"a connection lost before the dot is for later", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1 "S:250 ok\nX:reset\nV:deferred RCPT 0 reset\nF:RCPT 0 reset\n"},
    {"nonsense after the dot is unknown", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1 "S:250 ok\nS:250 ok\nS:354 go\n" BODY
                                 "S:what?\nV:unknown DOT 0 not an SMTP reply: \"what?\"\n"
                                 "F:DOT 0 not an SMTP reply: \"what?\"\n"},
    {"354 after the dot is unknown", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1 "S:250 ok\nS:250 ok\nS:354 go\n" BODY
                                 "S:354 more\nV:unknown DOT 354 more\nF:DOT 354 more\n"},
    {"250 to DATA is a server out of step", &plain, 1, "hi\r\n",
     .lines = HELLO_FAST SCRIPT1
     "S:250 ok\nS:250 ok\nS:250 ok\nV:deferred DATA 250 ok\nF:DATA 250 ok\n"},

    {"LMTP answers for each recipient", &lmtp, 3, "hi\r\n",
     .lines = "S:220 hi\nC:LHLO me\nS:250-x\nS:250 PIPELINING\n"
              "C:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\nC:RCPT TO:<r1@y>\nC:RCPT TO:<r2@y>\nC:DATA\n"
              "S:250 ok\nS:250 ok\nS:550 a\nS:250 ok\nS:354 go\n" BODY "S:250 b\nS:452 4.2.2 full\n"
              "V:delivered DOT 250 b\nV:refused RCPT 550 a\nV:deferred DOT 452 4.2.2 full\n"},
    {"LMTP: lost between two final replies", &lmtp, 2, "hi\r\n",
     .lines = "S:220 hi\nC:LHLO me\nS:250-x\nS:250 PIPELINING\n" SCRIPT2
              "S:250 ok\nS:250 ok\nS:250 ok\nS:354 go\n" BODY "S:250 b\nX:gone\n"
              "V:delivered DOT 250 b\nV:unknown DOT 0 gone\nF:DOT 0 gone\n"},
    {"LMTP does not fall back to HELO", &lmtp, 1, "hi\r\n",
     .lines = "S:220 hi\nC:LHLO me\nS:500 what\nF:EHLO 500 what\nC:QUIT\n"},

    {"BDAT where it is offered and wanted", &chunking, 1, "hi\r\n",
     .lines =
         HELLO "S:250-x\nS:250-CHUNKING\nS:250 PIPELINING\nC:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\n"
               "S:250 ok\nS:250 ok\nC:BDAT 4\nC:hi\nC:BDAT 0 LAST\nS:250 chunk\nS:250 all\n"
               "V:delivered DOT 250 all\n"},
    {"a refused chunk refuses the message", &chunking, 1, "hi\r\n",
     .lines =
         HELLO "S:250-x\nS:250-CHUNKING\nS:250 PIPELINING\nC:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\n"
               "S:250 ok\nS:250 ok\nC:BDAT 4\nC:hi\nC:BDAT 0 LAST\nS:552 big\n"
               "V:refused DOT 552 big\nF:DOT 552 big\n"},
    {"BDAT to nobody is not sent", &chunking, 1, "hi\r\n",
     .lines =
         HELLO "S:250-x\nS:250-CHUNKING\nS:250 PIPELINING\nC:MAIL FROM:<a@x>\nC:RCPT TO:<r0@y>\n"
               "S:250 ok\nS:550 no\nV:refused RCPT 550 no\nC:RSET\nS:250 ok\n"},

    {"EHLO refused: HELO, and no extensions", &plain, 1, "hi\r\n",
     .lines = HELLO
     "S:502 what\nC:HELO me\nS:250 SIZE 10\nC:MAIL FROM:<a@x>\nX:end\nV:deferred MAIL 0 end\n"
     "F:MAIL 0 end\n"},
    {"a greeting that refuses", &plain, 1, "hi\r\n",
     .lines = "S:554 5.7.1 no\nF:CONNECT 554 5.7.1 no\nC:QUIT\n"},
    {"a greeting of 421 needs no QUIT", &plain, 1, "hi\r\n",
     .lines = "S:421 busy\nF:CONNECT 421 busy\n"},
    {"EHLO deferred", &plain, 1, "hi\r\n", .lines = HELLO "S:450 wait\nF:EHLO 450 wait\nC:QUIT\n"},
    {"a web server is no mail server", &plain, 1, "hi\r\n",
     .lines = "S:HTTP/1.1 400 Bad\nF:CONNECT 0 not an SMTP reply: \"HTTP/1.1 400 Bad\"\n"},
    {"a server that leaves between messages", &plain, 1, "hi\r\n",
     .lines =
         HELLO_FAST SCRIPT1 "S:250 ok\nS:250 ok\nS:354 go\n" BODY
                            "S:250 ok\nV:delivered DOT 250 ok\nS:421 idle\nF:READY 421 idle\n"},

    {"TLS where it is offered", &tls_maybe, 1, "hi\r\n",
     .lines =
         HELLO "S:250-x\nS:250-PIPELINING\nS:250 STARTTLS\nC:STARTTLS\nS:220 go\nT:\nC:EHLO me\n"
               "S:250 x\nC:MAIL FROM:<a@x>\nX:end\nV:deferred MAIL 0 end\nF:MAIL 0 end\n"},
    {"TLS that is refused is no obstacle", &tls_maybe, 1, "hi\r\n",
     .lines =
         HELLO "S:250 STARTTLS\nC:MAIL FROM:<a@x>\nX:end\nV:deferred MAIL 0 end\nF:MAIL 0 end\n"},
    {"TLS that is refused is an obstacle where it is required", &tls_must, 1, "hi\r\n",
     .lines = HELLO
     "S:250-x\nS:250 STARTTLS\nC:STARTTLS\nS:454 4.7.0 no\nF:STARTTLS 454 4.7.0 no\nC:QUIT\n"},
    {"TLS that is not offered and required", &tls_must, 1, "hi\r\n",
     .lines = HELLO
     "S:250 x\nF:STARTTLS 0 TLS is required, and the server does not offer STARTTLS\nC:QUIT\n"},

    {"AUTH PLAIN", &login, 1, "hi\r\n",
     .lines = HELLO "S:250-x\nS:250 AUTH LOGIN PLAIN\nC:AUTH PLAIN AHVzZXIAcGFzcw==\nS:235 in\n"
                    "C:MAIL FROM:<a@x>\nX:end\nV:deferred MAIL 0 end\nF:MAIL 0 end\n"},
    {"AUTH LOGIN", &login, 1, "hi\r\n",
     .lines =
         HELLO "S:250-x\nS:250 AUTH=LOGIN\nC:AUTH LOGIN\nS:334 u\nC:dXNlcg==\nS:334 p\nC:cGFzcw==\n"
               "S:535 5.7.8 no\nF:AUTH 535 5.7.8 no\nC:QUIT\n"},
    {"no password in clear", &login_in_clear, 1, "hi\r\n",
     .lines = HELLO "S:250-x\nS:250 AUTH PLAIN\n"
                    "F:AUTH 0 logging in needs TLS, and the server offers none\nC:QUIT\n"},
    {"no mechanism that we know", &login, 1, "hi\r\n",
     .lines = HELLO "S:250-x\nS:250 AUTH GSSAPI\n"
                    "F:AUTH 0 the server offers neither AUTH PLAIN nor AUTH LOGIN\nC:QUIT\n"},

    {"what the message needs is said where it is offered", &plain, 1, "hi\r\n",
     .lines = HELLO
     "S:250-x\nS:250-SMTPUTF8\nS:250-8BITMIME\nS:250-DSN\nS:250 SIZE 100\n"
     "C:MAIL FROM:<a@x> SIZE=50 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e\nS:250 ok\n"
     "C:RCPT TO:<r0@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@z\nX:end\nV:deferred RCPT 0 end\n"
     "F:RCPT 0 end\n",
     .utf8 = true, .size_bytes = 50},
    {"no SMTPUTF8, no such message", &plain, 1, "hi\r\n",
     .lines = HELLO "S:250 x\nV:refused MAIL 0 5.6.7 the server does not offer SMTPUTF8\n",
     .utf8 = true},
    {"a message beyond SIZE is not offered", &plain, 1, "hi\r\n",
     .lines = HELLO "S:250-x\nS:250 SIZE 100\n"
                    "V:refused MAIL 0 5.3.4 the message is larger than the SIZE of the server\n",
     .size_bytes = 101},
};

static const char *const phase_words[] = {"CONNECT", "EHLO", "STARTTLS", "AUTH", "READY", "MAIL",
                                          "RCPT",    "DATA", "BODY",     "DOT",  "RESET", "QUIT"};
static const char *const outcome_words[] = {"delivered", "deferred", "refused", "unknown"};

struct stage {
    struct smtp_client *c;
    const struct play *play;
    unsigned messages;
    bool has_failed;
    struct buf lines;
};

static void show_response(struct stage *s, struct smtp_response r)
{
    buf_printf(&s->lines, " %u %.*s%s%.*s\n", r.code, SLICE_ARG(r.enhanced),
               r.enhanced.n > 0 ? " " : "", SLICE_ARG(r.text));
}

static void show_output(struct stage *s)
{
    struct slice rest = smtp_client_output(s->c);

    while (rest.n > 0) {
        size_t end = slice_search(rest, SLICE("\r\n"));
        assert_true(end != SLICE_NONE);
        buf_printf(&s->lines, "C:%.*s\n", SLICE_ARG(slice_sub(rest, 0, end)));
        rest = slice_from(rest, end + 2);
    }
    smtp_client_sent(s->c, smtp_client_output(s->c).n);
}

static void begin(struct stage *s)
{
    char paths[4][10];
    struct smtp_recipient recipients[4];
    struct err e;
    struct smtp_envelope envelope = {
        .sender = {SLICE("a@x"),
                   s->play->size_bytes,
                   SMTP_BODY_8BITMIME,
                   s->play->utf8,
                   SMTP_RET_HDRS,
                   SLICE("e"),
                   {NULL, 0}},
        .recipients = recipients,
        .recipient_count = s->play->recipients,
    };

    for (size_t i = 0; i < s->play->recipients; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "r%zu@y", i);
        recipients[i] = (struct smtp_recipient){
            slice_of(paths[i]), SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY, SLICE("rfc822;o@z")};
    }
    assert_int_equal(smtp_client_begin(s->c, &envelope, &e), 0);
}

static void show_verdicts(struct stage *s)
{
    for (size_t i = 0; i < s->play->recipients; i++) {
        struct smtp_verdict v = smtp_client_verdict(s->c, i);

        buf_printf(&s->lines, "V:%s %s", outcome_words[v.outcome], phase_words[v.phase]);
        assert_true(v.outcome != SMTP_UNKNOWN || v.dot_sent);
        assert_true(v.outcome != SMTP_DELIVERED || v.dot_sent);
        show_response(s, v.response);
    }
    smtp_client_done(s->c);
}

/* Does what the client wants, until it wants bytes. */
static void please(struct stage *s, size_t piece)
{
    for (;;) {
        switch (smtp_client_want(s->c)) {
        case SMTP_WANT_BYTES:
            show_output(s);
            return;
        case SMTP_WANT_TRANSACTION:
            show_output(s);
            if (s->messages == 0)
                return;
            s->messages--;
            begin(s);
            break;
        case SMTP_WANT_TLS:
            show_output(s);
            buf_append_text(&s->lines, "T:\n");
            smtp_client_recv(s->c, SLICE("250 injected\r\n"));
            smtp_client_tls_started(s->c);
            break;
        case SMTP_WANT_BODY:
            for (struct slice rest = slice_of(s->play->body); rest.n > 0;)
                rest = slice_from(rest, smtp_client_body(s->c, slice_sub(rest, 0, piece)));
            smtp_client_body_end(s->c);
            break;
        case SMTP_WANT_DOT:
            assert_false(smtp_client_dot_sent(s->c));
            smtp_client_send_dot(s->c);
            assert_true(smtp_client_dot_sent(s->c));
            break;
        case SMTP_WANT_RESULT_TAKEN:
            show_verdicts(s);
            break;
        case SMTP_WANT_CLOSE:
            if (!s->has_failed) {
                s->has_failed = true;
                buf_printf(&s->lines, "F:%s", phase_words[smtp_client_failure(s->c).phase]);
                show_response(s, smtp_client_failure(s->c).response);
            }
            show_output(s);
            return;
        }
    }
}

static void perform(const struct play *play, size_t piece)
{
    struct stage s = {.c = smtp_client_create(play->settings),
                      .play = play,
                      .messages = play->messages != 0 ? play->messages : 1};
    struct slice rest = slice_of(play->lines);
    struct buf said;

    buf_init(&s.lines, 1 << 16);
    buf_init(&said, 4096);
    while (rest.n > 0) {
        struct slice line = slice_cut(&rest, '\n');

        if (line.p[0] != 'S' && line.p[0] != 'X')
            continue;
        buf_printf(&s.lines, "%.*s\n", SLICE_ARG(line));
        buf_clear(&said);
        buf_printf(&said, "%.*s\r\n", SLICE_ARG(slice_from(line, 2)));
        if (line.p[0] == 'X') {
            said.p[said.n - 2] = '\0';
            smtp_client_lost(s.c, said.p);
        }
        for (struct slice in = buf_slice(&said); in.n > 0 && line.p[0] == 'S';
             in = slice_from(in, piece))
            smtp_client_recv(s.c, slice_sub(in, 0, piece));
        please(&s, play->settings->use_chunking ? SIZE_MAX : piece);
    }
    buf_append_char(&s.lines, '\0');
    assert_string_equal(s.lines.p, play->lines);
    buf_finish(&s.lines);
    buf_finish(&said);
    smtp_client_destroy(&s.c);
}

static void run_play(void **state)
{
    perform(*state, SIZE_MAX);
    perform(*state, 1);
}

static struct smtp_client *ready_client(const char *ehlo)
{
    struct smtp_client *c = smtp_client_create(&plain);

    smtp_client_recv(c, SLICE("220 hi\r\n"));
    smtp_client_recv(c, slice_of(ehlo));
    smtp_client_sent(c, smtp_client_output(c).n);
    assert_int_equal(smtp_client_want(c), SMTP_WANT_TRANSACTION);
    return c;
}

/* An address must not be able to become a command. */
static void what_cannot_stand_in_a_command_is_refused(void **state)
{
    static const struct slice bad[] = {
        SLICE_INIT(""),      SLICE_INIT("a@x\r\nDATA"),
        SLICE_INIT("a\n@x"), SLICE_INIT("a\0b@x"),
        SLICE_INIT("a b@x"), SLICE_INIT("a>@x"),
        SLICE_INIT("\"a@x"), SLICE_INIT("\"a\\\r\"@x"),
        SLICE_INIT("a<b@x"), SLICE_INIT("\"a\\\\\" @x"),
    };
    struct smtp_client *c = ready_client("250 x\r\n");
    struct smtp_recipient good = {.path = SLICE("\"a >\\\"\"@x")};
    struct smtp_envelope envelope = {.recipients = &good, .recipient_count = 0};
    struct err e;
    (void)state;

    assert_int_equal(smtp_client_begin(c, &envelope, &e), -1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct smtp_recipient r = {.path = bad[i]};
        struct smtp_envelope one = {.recipients = &r, .recipient_count = 1};
        assert_int_equal(smtp_client_begin(c, &one, &e), -1);
        assert_int_equal(e.code, ERR_SYNTAX);
    }
    envelope.recipient_count = SMTP_CLIENT_RECIPIENTS_MAX + 1;
    assert_int_equal(smtp_client_begin(c, &envelope, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(smtp_client_output(c).n, 0);
    envelope.recipient_count = 1;
    assert_int_equal(smtp_client_begin(c, &envelope, &e), 0);
    smtp_client_destroy(&c);
    smtp_client_destroy(&c); /* NULL is fine */
}

static void a_reply_in_the_middle_of_the_body_ends_it(void **state)
{
    struct smtp_client *c = ready_client("250-x\r\n250 PIPELINING\r\n");
    struct smtp_recipient r = {.path = SLICE("r@y")};
    struct smtp_envelope envelope = {.recipients = &r, .recipient_count = 1};
    struct err e;
    (void)state;

    assert_int_equal(smtp_client_begin(c, &envelope, &e), 0);
    smtp_client_recv(c, SLICE("250 ok\r\n250 ok\r\n354 go\r\n"));
    assert_int_equal(smtp_client_body(c, SLICE("abc")), 3);
    assert_string_equal(smtp_client_state_name(c), "sending the message");
    smtp_client_recv(c, SLICE("552 5.3.4 too big\r\n"));
    assert_int_equal(smtp_client_want(c), SMTP_WANT_RESULT_TAKEN);
    assert_int_equal(smtp_client_verdict(c, 0).outcome, SMTP_REFUSED);
    assert_int_equal(smtp_client_verdict(c, 0).phase, SMTP_PHASE_BODY);
    smtp_client_done(c);
    assert_int_equal(smtp_client_want(c), SMTP_WANT_CLOSE);
    smtp_client_destroy(&c);
}

static void the_body_stops_at_the_ceiling_of_the_output(void **state)
{
    struct smtp_client *c = ready_client("250-x\r\n250 PIPELINING\r\n");
    struct smtp_recipient r = {.path = SLICE("r@y")};
    struct smtp_envelope envelope = {.recipients = &r, .recipient_count = 1};
    struct buf dots;
    struct err e;
    (void)state;

    buf_init(&dots, 1 << 20);
    while (dots.n < 600000)
        buf_append(&dots, SLICE(".\r\n"));
    assert_int_equal(smtp_client_begin(c, &envelope, &e), 0);
    smtp_client_recv(c, SLICE("250 ok\r\n250 ok\r\n354 go\r\n"));
    smtp_client_sent(c, smtp_client_output(c).n);
    assert_int_equal(smtp_client_body(c, buf_slice(&dots)), SMTP_CLIENT_OUTPUT_MAX);
    assert_true(smtp_client_output(c).n < 2 * SMTP_CLIENT_OUTPUT_MAX);
    assert_int_equal(smtp_client_body(c, buf_slice(&dots)), 0);
    smtp_client_abort(c, "changed my mind");
    assert_int_equal(smtp_client_verdict(c, 0).outcome, SMTP_DEFERRED);
    buf_finish(&dots);
    smtp_client_destroy(&c);
}

static void quit_is_said(void **state)
{
    struct smtp_client *c = ready_client("250 x\r\n");
    (void)state;

    smtp_client_quit(c);
    assert_true(slice_eq(smtp_client_output(c), SLICE("QUIT\r\n")));
    assert_int_equal(smtp_client_want(c), SMTP_WANT_CLOSE);
    assert_string_equal(smtp_phase_name(SMTP_PHASE_DOT),
                        "sending the final dot: the message may be delivered more than once");
    smtp_client_destroy(&c);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(plays) + 4];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(plays); i++)
        tests[n++] =
            (struct CMUnitTest){plays[i].name, run_play, NULL, NULL, (void *)(uintptr_t)&plays[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_cannot_stand_in_a_command_is_refused);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_reply_in_the_middle_of_the_body_ends_it);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_body_stops_at_the_ceiling_of_the_output);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(quit_is_said);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
