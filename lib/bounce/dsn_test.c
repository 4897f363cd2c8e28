/* What we write is read back equal by our own reader. */
#include "lib/bounce/dsn.h"

#include "base/test.h"
#include "lib/bounce/report.h"

static struct bounce_reader *reader;

static const struct dsn_recipient gone = {.address = SLICE_INIT("a@b.example"),
                                          .origin = SLICE_INIT("rfc822;x+2By@b.example"),
                                          .action = DSN_FAILED,
                                          .status = SLICE_INIT("5.1.1"),
                                          .reply_code = 550,
                                          .diagnostic = SLICE_INIT("no such user"),
                                          .remote_mta = SLICE_INIT("mx.b.example")};
static const struct dsn_recipient slow = {.address = SLICE_INIT("c@d.example"),
                                          .action = DSN_DELAYED,
                                          .status = SLICE_INIT("4.4.1"),
                                          .diagnostic = SLICE_INIT("connection timed out")};
static const struct dsn_recipient accent = {.address = SLICE_INIT("\xc3\xa9t\xc3\xa9@b.example"),
                                            .action = DSN_FAILED,
                                            .status = SLICE_INIT("5.1.1"),
                                            .reply_code = 550,
                                            .diagnostic = SLICE_INIT("inconnu: \xc3\xa9t\xc3\xa9")};
static const struct dsn_recipient sly = {
    .address = SLICE_INIT("a@b.example"),
    .action = DSN_FAILED,
    .reply_code = 550,
    .diagnostic = SLICE_INIT("no\r\nFinal-Recipient: rfc822; evil@x.example\r\n\r\n--=_waybill_9")};

struct dsn_case {
    const char *name;
    const struct dsn_recipient *recipients[2]; /* pointers: clang takes no copy here */
    size_t count;
    const char *event, *category;
    bool utf8, full;
};

/* A report inside, which is not to be taken for the one that is read. */
#define WHOLE                                                                                      \
    "Message-ID: <1@s.example>\r\nFrom: me@s.example\r\n"                                          \
    "Content-Type: multipart/report; report-type=delivery-status; "                                \
    "boundary=\"=_waybill_8\"\r\n\r\n"                                                             \
    "--=_waybill_8\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "           \
    "x.example\r\n"                                                                                \
    "\r\nFinal-Recipient: rfc822; evil@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"       \
    "--=_waybill_8--\r\n"

static const struct dsn_case cases[] = {
    {"a failure", {&gone}, 1, "failed", "invalid_recipient", false, false},
    {"a delay", {&slow}, 1, "delayed", NULL, false, false},
    {"a failure beside a delay", {&gone, &slow}, 2, "failed", "invalid_recipient", false, false},
    {"an address that is not ASCII (RFC 6533)", {&accent}, 1, "failed", NULL, true, false},
    {"a reply cannot add recipients", {&sly}, 1, "failed", NULL, false, false},
    {"the whole message (RFC 3461 4.3)", {&gone}, 1, "failed", "invalid_recipient", false, true},
    {"the whole message, not ASCII", {&accent}, 1, "failed", NULL, true, true},
};

static void check(void **state)
{
    const struct dsn_case *c = *state;
    struct dsn_recipient recipients[COUNT(c->recipients)];

    for (size_t i = 0; i < c->count; i++)
        recipients[i] = *c->recipients[i];
    const struct dsn d = {.hostname = SLICE("mail.example"),
                          .to = SLICE("me@s.example"),
                          .id = SLICE("9"),
                          .original_id = SLICE("01J9Z3K8Q0ABCDEFGHJKMNPQRS"),
                          .envelope_id = SLICE("q+2Bq"),
                          .header = SLICE("Message-ID: <1@s.example>\r\nFrom: me@s.example\r\n"),
                          .message = c->full ? SLICE(WHOLE) : SLICE(""),
                          .arrival_s = 1700000000,
                          .now_s = 1700000060,
                          .recipients = recipients,
                          .count = c->count};
    struct bounce_report report;
    struct buf mail, body;
    struct err e;

    buf_init(&mail, 65536);
    buf_init(&body, 65536);
    dsn_write(&d, &mail, &body);
    buf_append_text(&mail, "\r\n");
    buf_append(&mail, buf_slice(&body));
    assert_int_equal(dsn_is_utf8(&d), c->utf8);
    assert_int_equal(bounce_read(reader, buf_slice(&mail), &report, &e), 0);
    assert_string_equal(bounce_event_name(report.event), c->event);
    assert_int_equal(report.count, c->count);
    for (size_t i = 0; i < c->count; i++) {
        assert_true(slice_eq(report.recipients[i].recipient, c->recipients[i]->address));
        if (c->recipients[i]->status.n > 0)
            assert_true(slice_eq(report.recipients[i].status, c->recipients[i]->status));
        assert_true(slice_eq(report.recipients[i].remote_mta, c->recipients[i]->remote_mta));
    }
    if (c->category != NULL)
        assert_string_equal(bounce_meaning(report.recipients[0].verdict.category)->name,
                            c->category);
    if (c->recipients[0]->origin.n > 0)
        assert_true(slice_eq(report.recipients[0].original_recipient, SLICE("x+y@b.example")));
    assert_true(slice_eq(report.message_id, SLICE("<1@s.example>")));
    assert_int_equal(slice_search(buf_slice(&body), SLICE(WHOLE "\r\n--=_waybill_9--\r\n")) !=
                         SLICE_NONE,
                     c->full);
    buf_finish(&mail);
    buf_finish(&body);
}

static void wanted(void **state)
{
    (void)state;
    assert_false(dsn_is_wanted(SLICE(""), false, true, true));
    assert_false(dsn_is_wanted(SLICE("MAILER-DAEMON@x.example"), false, true, true));
    assert_false(dsn_is_wanted(SLICE("a@x.example"), true, false, true));
    assert_true(dsn_is_wanted(SLICE("a@x.example"), false, true, false));
    assert_true(dsn_is_wanted(SLICE("a@x.example"), false, false, true));
    assert_false(dsn_is_wanted(SLICE("a@x.example"), false, false, false));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1];
    struct bounce_rules *rules = bounce_rules_create();
    struct err e;

    if (bounce_rules_add_shipped(rules, &e) < 0 || bounce_rules_compile(rules, &e) < 0)
        return 1;
    reader = bounce_reader_create(rules);
    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, check, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] =
        (struct CMUnitTest){"never a bounce of a bounce", wanted, NULL, NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
