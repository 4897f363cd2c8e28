/* A report out of a period: what it says of itself, and what does not fit. */
#include "role/report_making.h"

#include "base/test.h"

#define DAY INT64_C(20000)

static struct conf *conf;
static struct arena *arena;

static int set_up(void **state)
{
    struct err e;

    (void)state;
    conf = conf_parse("test", SLICE("hostname = mx.example\ndmarc_org_name = \"A & B\"\n"), &e);
    arena = arena_create(REPORT_MAKING_BYTES);
    return conf == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    conf_destroy(&conf);
    arena_destroy(&arena);
    return 0;
}

static struct ledger_dmarc_period period_of(unsigned part)
{
    return (struct ledger_dmarc_period){.id = 7,
                                        .day = DAY,
                                        .part = part,
                                        .domain = SLICE("a.example"),
                                        .policy = SLICE("p"
                                                        "reject\ts\tkr\tmtreewalk\t"),
                                        .begin_s = DAY * 86400,
                                        .messages = 3};
}

static void a_report_is_made(void **state)
{
    struct ledger_dmarc_period p = period_of(0), later = period_of(1);
    struct report_making m, again;

    (void)state;
    report_making_begin(&m, conf, &p, 1728086399, arena);
    assert_true(report_making_row(&m, SLICE("i192.0.2.1\tdpass\tkpass\tsfail\t"), 2));
    assert_true(report_making_row(&m, SLICE("i192.0.2.2\tdnone\tkfail\tsfail\t"), 1));
    report_making_end(&m);
    assert_true(slice_eq(m.report.org_name, SLICE("A & B")));
    assert_true(slice_eq(m.report.email, SLICE("dmarc-reports@mx.example")));
    assert_true(slice_eq(m.report.p, SLICE("reject")));
    assert_true(slice_eq(m.report.domain, SLICE("a.example")));
    assert_int_equal(m.report.row_count, 2);
    assert_int_equal(m.report.messages, 3);
    assert_true(slice_eq(m.report.rows->next->source_ip, SLICE("192.0.2.2")));
    assert_int_equal(m.report.error.n, 0);
    /* made again it has the same id; the next part of the day has another */
    report_making_begin(&again, conf, &p, 1728086399, arena);
    assert_true(slice_eq(again.report.report_id, m.report.report_id));
    report_making_begin(&again, conf, &later, 1728086399, arena);
    assert_false(slice_eq(again.report.report_id, m.report.report_id));
}

static void what_does_not_fit_is_told(void **state)
{
    struct ledger_dmarc_period p = period_of(0);
    struct report_making m;
    char line[4096];

    (void)state;
    memset(line, 'x', sizeof line);
    line[0] = 'h';
    p.left_out = 5; /* the ledger had no room for these */
    report_making_begin(&m, conf, &p, 1728086399, arena);
    assert_true(report_making_row(&m, SLICE("no row"), 2));
    for (size_t i = 0; i < REPORT_MAKING_BYTES / sizeof line; i++)
        assert_true(report_making_row(&m, (struct slice){line, sizeof line}, 1));
    report_making_end(&m);
    assert_true(m.report.row_count > 1000);
    assert_int_equal(m.report.messages + m.left_out, REPORT_MAKING_BYTES / sizeof line + 5 + 2);
    assert_true(m.left_out > 7);
    assert_true(slice_search(m.report.error, SLICE(" messages are left out")) != SLICE_NONE);
}

static void a_period_ends_with_its_day(void **state)
{
    struct ledger_dmarc_period p = period_of(0);

    (void)state;
    assert_int_equal(report_making_end_of(&p, DAY * 86400 + 100), DAY * 86400 + 100);
    assert_int_equal(report_making_end_of(&p, (DAY + 3) * 86400), (DAY + 1) * 86400 - 1);
}

int main(void)
{
#define CASE(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, tear_down, NULL                                                         \
    }
    static const struct CMUnitTest tests[] = {
        CASE("a report is made", a_report_is_made),
        CASE("what does not fit is told", what_does_not_fit_is_told),
        CASE("a period ends with its day", a_period_ends_with_its_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
