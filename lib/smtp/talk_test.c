/* Our client against our server, over memory: what goes in comes out. */
#include "base/test.h"

#include "lib/smtp/talk_in.h"

struct payload {
    const char *name;
    struct slice body;
};
static const struct payload payloads[] = {
    {"an empty message", SLICE_INIT("")},
    {"a line", SLICE_INIT("hello\r\n")},
    {"no end at the last line", SLICE_INIT("hello")},
    {"dots everywhere", SLICE_INIT(".\r\n..\r\n.a\r\n\r\n.\r\n")},
    {"a dot without a line end", SLICE_INIT(".")},
    {"line ends of all kinds", SLICE_INIT("a\nb\rc\r\nd\n\re\r\r\nf\n\n.\n.\r")},
    {"what looks like the end of DATA", SLICE_INIT("x\n.\nMAIL FROM:<evil@x>\n\r.\r\ny\r\n.\n")},
    {"bytes of all kinds", SLICE_INIT("\x01\x7f\x80\xff\t \r\n")},
};

static const struct smtp_server_settings servers[] = {
    {.hostname = "mx.example"},
    {.hostname = "mx.example", .offer_starttls = true, .hide_pipelining = true},
    {.hostname = "mx.example", .hide_chunking = true, .bare_line_end = SMTP_BARE_NORMALISE},
};
static const struct smtp_client_settings clients[] = {
    {.helo_name = "c.example", .tls = SMTP_TLS_IF_OFFERED},
    {.helo_name = "c.example", .use_chunking = true},
};
static const size_t pieces[] = {SIZE_MAX, 1, 2, 5};

static void run_one(struct slice body, size_t server, size_t client, size_t piece)
{
    const struct smtp_recipient recipients[] = {{.path = SLICE("!no@y.example")},
                                                {.path = SLICE("b@y.example")},
                                                {.path = SLICE("\"c d\"@y.example")}};
    const struct smtp_envelope envelope = {
        .sender.path = SLICE("a@x.example"), .recipients = recipients, .recipient_count = 3};
    struct talk t;
    struct buf expected;

    buf_init(&expected, 1u << 24);
    talk_normalise(body, &expected);
    talk_run(&t, &clients[client], &servers[server], &envelope, body, piece);
    assert_true(t.has_ended);
    assert_int_equal(t.verdict.outcome, SMTP_REFUSED); /* the first recipient */
    assert_true(slice_eq(buf_slice(&t.message), buf_slice(&expected)));
    assert_true(slice_eq(buf_slice(&t.sender), SLICE("a@x.example")));
    assert_true(slice_eq(buf_slice(&t.recipients), SLICE("b@y.example\n\"c d\"@y.example\n")));
    buf_finish(&expected);
    talk_finish(&t);
}

static void run_payload(void **state)
{
    const struct payload *p = *state;

    for (size_t s = 0; s < COUNT(servers); s++)
        for (size_t c = 0; c < COUNT(clients); c++)
            for (size_t i = 0; i < COUNT(pieces); i++)
                run_one(p->body, s, c, pieces[i]);
}

static void a_large_message_with_many_dots(void **state)
{
    struct buf body;
    uint32_t seed = 1;
    (void)state;

    buf_init(&body, 1u << 22);
    while (body.n < 1000000) {
        seed = seed * 1664525 + 1013904223;
        buf_append(&body, seed >> 30 == 0   ? SLICE("\r\n.")
                          : seed >> 30 == 1 ? SLICE("\r\n..")
                                            : SLICE("some words of text"));
    }
    run_one(buf_slice(&body), 0, 0, 4096);
    run_one(buf_slice(&body), 0, 0, 1u << 20);
    run_one(buf_slice(&body), 0, 1, 65536);
    buf_finish(&body);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(payloads) + 1];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(payloads); i++)
        tests[n++] = (struct CMUnitTest){payloads[i].name, run_payload, NULL, NULL,
                                         (void *)(uintptr_t)&payloads[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_large_message_with_many_dots);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
