/* What is added to, taken out of and read from the header of a mail that comes in. */
#include "base/test.h"

#include "mta/intake/header.h"

static const struct intake_origin origin = {
    .hostname = SLICE_INIT("mx.example.org"),
    .helo = SLICE_INIT("app(1)\r\nX: y"),
    .client_ip = SLICE_INIT("192.0.2.7"),
    .protocol = SLICE_INIT("ESMTP"),
    .id = SLICE_INIT("01JDEXAMPLE0000000000000AB"),
    .recipient = SLICE_INIT("b@example.net"),
    .unix_s = 1795471200,
};

#define RECEIVED                                                                                   \
    "Received: from app?1???X:?y ([192.0.2.7])\r\n\tby mx.example.org (Waybill) with ESMTP id "    \
    "01JDEXAMPLE0000000000000AB\r\n\tfor <b@example.net>;\r\n\tMon, 23 Nov 2026 22:00:00 "         \
    "+0000\r\n"
#define DATED "Date: Tue, 24 Nov 2026 01:00:00 +0000\r\n"

struct edit {
    const char *name, *header, *edited, *stream, *tag, *message_id;
    bool is_stranger;
};

static const struct edit edits[] = {
    {"a complete header only gets a Received field",
     "From: a@x.example\r\n" DATED "Message-ID: <1@x.example>\r\nSubject: a\r\n b\r\n",
     RECEIVED "From: a@x.example\r\n" DATED "Message-ID: <1@x.example>\r\nSubject: a\r\n b\r\n", "",
     "", "<1@x.example>", false},
    {"our own fields are read and taken out, Bcc is taken out",
     "X-Waybill-Stream: news\r\nFrom: a@x.example\r\nBcc: c@x.example,\r\n d@x.example\r\n" DATED
     "X-PM-Tag: welcome\r\nX-PM-Message-Stream: other\r\nMessage-ID: <1@x.example>\r\n",
     RECEIVED "From: a@x.example\r\n" DATED "Message-ID: <1@x.example>\r\n", "news", "welcome",
     "<1@x.example>", false},
    {"a missing Message-ID and Date are made", "From: a@x.example\r\n",
     RECEIVED "From: a@x.example\r\nMessage-ID: <01JDEXAMPLE0000000000000AB@mx.example.org>\r\n"
              "Date: Mon, 23 Nov 2026 22:00:00 +0000\r\n",
     "", "", "<01JDEXAMPLE0000000000000AB@mx.example.org>", false},
    {"a malformed Message-ID is kept", "Message-ID: no brackets\r\n" DATED,
     RECEIVED "Message-ID: no brackets\r\n" DATED, "", "", "no brackets", false},
    {"a header without a final line end gets one", DATED "Message-ID: <1@x.example>",
     RECEIVED DATED "Message-ID: <1@x.example>\r\n", "", "", "<1@x.example>", false},
    {"our own client's mail may have been in quarantine before",
     DATED "Message-ID: <1@x.example>\r\nX-Waybill-Quarantine: dmarc=fail\r\n",
     RECEIVED DATED "Message-ID: <1@x.example>\r\nX-Waybill-Quarantine: dmarc=fail\r\n", "", "",
     "<1@x.example>", false},
    {"what a stranger says to us travels on unread",
     "X-Waybill-Stream: news\r\nX-PM-Tag: welcome\r\nIdempotency-Key: 1\r\n" DATED
     "Message-ID: <1@x.example>\r\nBcc: c@x.example\r\n",
     RECEIVED "X-Waybill-Stream: news\r\nX-PM-Tag: welcome\r\nIdempotency-Key: 1\r\n" DATED
              "Message-ID: <1@x.example>\r\n",
     "", "", "<1@x.example>", true},
    {"a stranger does not say what we found out about his mail",
     "X-WAYBILL-Quarantine: none\r\n" DATED "Message-ID: <1@x.example>\r\n",
     RECEIVED DATED "Message-ID: <1@x.example>\r\n", "", "", "<1@x.example>", true},
};

static void run_edit(void **state)
{
    const struct edit *c = *state;
    struct arena *a = arena_create(100000);
    struct intake_origin from = origin;
    struct intake_header found;
    struct buf out;
    struct err e;

    from.is_stranger = c->is_stranger;
    buf_init(&out, 100000);
    assert_int_equal(intake_header_edit(slice_of(c->header), &from, a, &out, &found, &e), 0);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, c->edited);
    assert_true(slice_eq(found.stream, slice_of(c->stream)));
    assert_true(slice_eq(found.tag, slice_of(c->tag)));
    assert_true(slice_eq(found.message_id, slice_of(c->message_id)));
    assert_int_equal(found.idempotency_key.n, 0);
    buf_finish(&out);
    arena_destroy(&a);
}

static void one_click(void **state)
{
    static const struct {
        const char *url, *fields; /* NULL: refused */
    } links[] = {
        {"https://u.example/o?m={id}&x=1", "List-Unsubscribe: <https://u.example/o?m=01JD&x=1>\r\n"
                                           "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"},
        {"http://u.example/", NULL},
        {"https://u.example/>\r\nX: y", NULL},
    };
    struct buf out;
    struct err e;
    (void)state;

    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(links); i++) {
        buf_clear(&out);
        int result = intake_add_unsubscribe(slice_of(links[i].url), SLICE("01JD"), &out, &e);
        assert_int_equal(result, links[i].fields == NULL ? -1 : 0);
        assert_true(slice_eq(buf_slice(&out), slice_of(links[i].fields)));
    }
    buf_finish(&out);
}

static void a_mail_in_a_loop_is_refused(void **state)
{
    struct arena *a = arena_create(1000000);
    struct intake_header found;
    struct buf out, in;
    struct err e;
    (void)state;

    buf_init(&out, 100000);
    buf_init(&in, 100000);
    for (int i = 0; i <= INTAKE_HOPS_MAX; i++)
        buf_append_text(&in, "Received: by x; Tue, 24 Nov 2026 01:00:00 +0000\r\n");
    assert_int_equal(intake_header_edit(buf_slice(&in), &origin, a, &out, &found, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_true(found.is_loop);
    buf_finish(&in);
    buf_finish(&out);
    arena_destroy(&a);
}

static void a_mail_that_is_forwarded_in_a_loop_is_refused_early(void **state)
{
    struct arena *a = arena_create(1000000);
    struct intake_origin from = origin;
    struct intake_header found;
    struct buf out, in;
    struct err e;
    (void)state;

    buf_init(&out, 100000);
    buf_init(&in, 100000);
    for (int passes = 0; passes <= INTAKE_PASSES_MAX + 1; passes++) {
        buf_clear(&in);
        for (int i = 0; i < passes; i++)
            buf_append_text(&in,
                            "Received: from y by MX.example.org (Waybill) with ESMTP id 1;\r\n\t"
                            "Tue, 24 Nov 2026 01:00:00 +0000\r\n"
                            "Received: from mx.example.org by x with ESMTP; "
                            "Tue, 24 Nov 2026 01:00:00 +0000\r\n");
        for (int forwarded = 0; forwarded <= 1; forwarded++) {
            bool is_loop = forwarded == 1 && passes > INTAKE_PASSES_MAX;

            from.is_forwarded = forwarded == 1;
            buf_clear(&out);
            int result = intake_header_edit(buf_slice(&in), &from, a, &out, &found, &e);
            assert_int_equal(result, is_loop ? -1 : 0);
            assert_int_equal(found.is_loop, is_loop);
        }
    }
    buf_finish(&in);
    buf_finish(&out);
    arena_destroy(&a);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(edits) + 3];

    for (size_t i = 0; i < COUNT(edits); i++)
        tests[i] =
            (struct CMUnitTest){edits[i].name, run_edit, NULL, NULL, (void *)(uintptr_t)&edits[i]};
    tests[COUNT(edits)] = (struct CMUnitTest)cmocka_unit_test(a_mail_in_a_loop_is_refused);
    tests[COUNT(edits) + 1] = (struct CMUnitTest)cmocka_unit_test(one_click);
    tests[COUNT(edits) + 2] =
        (struct CMUnitTest)cmocka_unit_test(a_mail_that_is_forwarded_in_a_loop_is_refused_early);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
