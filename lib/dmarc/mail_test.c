/* What is written is mail as the RFC wants it, and what unpack.h reads. */
#include "lib/dmarc/mail.h"

#include "base/test.h"
#include "lib/dmarc/unpack.h"

struct taken {
    struct arena *arena;
    struct dmarc_report report;
};

static void take_xml(void *ctx, struct slice xml)
{
    struct taken *t = ctx;
    struct err e;

    if (dmarc_report_read(xml, t->arena, &t->report, &e) != 0)
        fail_msg("%s", e.text);
}

static bool holds(const struct buf *b, const char *text)
{
    return slice_search(buf_slice(b), slice_of(text)) != SLICE_NONE;
}

static void a_report_is_mailed(void **state)
{
    struct arena *arena = arena_create((size_t)1 << 24);
    struct taken taken = {.arena = arena};
    struct dmarc_row row = {.source_ip = SLICE("192.0.2.1"),
                            .count = 7,
                            .disposition = SLICE("pass"),
                            .header_from = SLICE("example.com")};
    struct dmarc_report report = {.org_name = SLICE("Org"),
                                  .email = SLICE("dmarc-reports@mx.example"),
                                  .report_id = SLICE("1f2e"),
                                  .domain = SLICE("example.com"),
                                  .begin_unix_s = 1013644800,
                                  .end_unix_s = 1013731199,
                                  .rows = &row,
                                  .row_count = 1,
                                  .messages = 7};
    const struct dmarc_mail mail = {.from = SLICE("dmarc-reports@mx.example"),
                                    .to = SLICE("d@example.com\r\nBcc: victim@example.net"),
                                    .submitter = SLICE("mx.example"),
                                    .id = SLICE("01ABC"),
                                    .report = &report,
                                    .now_s = 1013731300};
    struct buf xml, head, body, all;
    struct err e;

    (void)state;
    buf_init(&xml, 1 << 20);
    buf_init(&head, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_init(&all, 1 << 20);
    dmarc_report_write(&report, &xml);
    assert_int_equal(dmarc_mail_write(&mail, buf_slice(&xml), &head, &body, &e), 0);
    assert_true(holds(&head, "Subject: Report Domain: example.com\r\n Submitter: mx.example\r\n"
                             " Report-ID: <1f2e>\r\n"));
    assert_true(holds(&head, "\r\nAuto-Submitted: auto-generated\r\n"));
    assert_false(holds(&head, "\nBcc"));
    assert_true(
        holds(&body, "filename=\"mx.example!example.com!1013644800!1013731199!1f2e.xml.gz\"\r\n"));
    assert_true(holds(&body, "Content-Type: application/gzip;"));
    buf_append(&all, buf_slice(&head));
    buf_append_text(&all, "\r\n");
    buf_append(&all, buf_slice(&body));
    if (dmarc_unpack(buf_slice(&all), 1 << 20, arena, take_xml, &taken, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(taken.report.is_rfc9990);
    assert_int_equal(taken.report.messages, 7);
    assert_true(slice_eq(taken.report.rows->source_ip, row.source_ip));
    assert_true(slice_eq(taken.report.report_id, report.report_id));
    buf_finish(&xml);
    buf_finish(&head);
    buf_finish(&body);
    buf_finish(&all);
    arena_destroy(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        {"a report is mailed", a_report_is_mailed, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
