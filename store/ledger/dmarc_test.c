/* DMARC rows are counted, reported once, and have ceilings; received reports count once. */
#include "store/ledger/dmarc.h"

#include "store/ledger/house_test.h"

#define DAY_S INT64_C(86400)
#define DAY INT64_C(20000)
#define T0 (DAY * DAY_S + 100)

static struct arena *arena;

static void reopen(void)
{
    ledger_reader_close(&reader);
    ledger_close(&l);
    house_open((struct ledger_settings){.now_ms = T0 * 1000});
    OK(ledger_reader_open(path, &reader, &e));
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(1 << 20);
    return house_set_up((struct ledger_settings){.now_ms = T0 * 1000});
}

static int leave(void **state)
{
    arena_destroy(&arena);
    return tear_down(state);
}

static bool count(const char *domain, const char *row, uint64_t n, int64_t now_s)
{
    const struct ledger_dmarc_count c = {.now_s = now_s,
                                         .domain = slice_of(domain),
                                         .policy = SLICE("p"
                                                         "reject\t"),
                                         .rua = SLICE("mailto:d@a.example"),
                                         .row = slice_of(row),
                                         .count = n};
    bool kept;

    OK(ledger_dmarc_count(l, &c, &kept, &e));
    return kept;
}

static struct ledger_dmarc_period next_period(int64_t after, bool expected)
{
    struct ledger_dmarc_period p = {0};
    bool found;

    OK(ledger_dmarc_next(l, after, 0, DAY, arena, &found, &p, &e));
    assert_int_equal(found, expected);
    return p;
}

struct rows {
    size_t n;
    uint64_t messages;
    char first[64];
};

static bool see_row(void *ctx, struct slice line, uint64_t n)
{
    struct rows *rows = ctx;

    if (rows->n++ == 0)
        snprintf(rows->first, sizeof rows->first, "%.*s", SLICE_ARG(line));
    rows->messages += n;
    return true;
}

static void equal_rows_are_counted(void **state)
{
    struct rows rows = {0};

    (void)state;
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0));
    assert_true(count("a.example", "two", 2, T0));
    assert_true(count("b.example", "one", 4, T0 + 5));
    OK(ledger_commit(l, &e));
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 7, T0 + 9));
    assert_true(count("a.example", "one", 1, T0 + DAY_S)); /* another day's */
    OK(ledger_commit(l, &e));
    struct ledger_dmarc_period p = next_period(0, true);
    assert_true(slice_eq(p.domain, SLICE("a.example")));
    assert_int_equal(p.day, DAY);
    assert_int_equal(p.begin_s, DAY * DAY_S);
    assert_int_equal(p.rows, 2);
    assert_int_equal(p.messages, 10);
    OK(ledger_dmarc_rows(l, p.id, see_row, &rows, &e));
    assert_int_equal(rows.n, 2);
    assert_int_equal(rows.messages, 10);
    assert_string_equal(rows.first, "one"); /* the most frequent */
    p = next_period(p.id, true);
    assert_true(slice_eq(p.domain, SLICE("b.example")));
    (void)next_period(p.id, false);
}

static void a_closed_period_is_reported_once(void **state)
{
    (void)state;
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0));
    OK(ledger_commit(l, &e));
    struct ledger_dmarc_period p = next_period(0, true);
    /* the group with the mail about it failed: it is open as before */
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_close(l, p.id, LEDGER_DMARC_SENT, T0 + 50, SLICE("d@a.example"), &e));
    ledger_rollback(l);
    assert_int_equal(next_period(0, true).id, p.id);
    /* so it is when we died before the commit */
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_close(l, p.id, LEDGER_DMARC_SENT, T0 + 50, SLICE("d@a.example"), &e));
    reopen();
    assert_int_equal(next_period(0, true).id, p.id);
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_close(l, p.id, LEDGER_DMARC_SENT, T0 + 50, SLICE("d@a.example"), &e));
    OK(ledger_commit(l, &e));
    reopen();
    (void)next_period(0, false);
    /* what comes later that day is the next part */
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0 + 60));
    OK(ledger_commit(l, &e));
    struct ledger_dmarc_period second = next_period(0, true);
    assert_int_equal(second.part, 1);
    assert_int_equal(second.begin_s, T0 + 51);
    assert_int_equal(second.messages, 1);
}

static void ceilings_hold(void **state)
{
    char long_row[LEDGER_DMARC_LINE_MAX + 2], row[32];

    (void)state;
    memset(long_row, 'x', sizeof long_row);
    long_row[sizeof long_row - 1] = '\0';
    OK(ledger_begin(l, &e));
    assert_false(count("a.example", long_row, 1, T0));
    for (unsigned i = 0; i < LEDGER_DMARC_ROWS_MAX; i++) {
        snprintf(row, sizeof row, "row %u", i);
        assert_true(count("a.example", row, 1, T0));
    }
    assert_false(count("a.example", "one too many", 3, T0));
    assert_true(count("a.example", "row 7", 1, T0)); /* known rows go on */
    assert_true(count("b.example", "one", 1, T0));   /* others too */
    for (unsigned i = 2; i < LEDGER_DMARC_PERIODS_MAX; i++) {
        snprintf(row, sizeof row, "d%u.example", i);
        assert_true(count(row, "one", 1, T0));
    }
    assert_false(count("last.example", "one", 1, T0));
    OK(ledger_commit(l, &e));
}

static void a_rollback_forgets_counts(void **state)
{
    (void)state;
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0));
    ledger_rollback(l);
    (void)next_period(0, false);
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0));
    OK(ledger_commit(l, &e));
    assert_int_equal(next_period(0, true).messages, 1);
}

/* --- received --- */

static int64_t store(const char *org, const char *id, bool is_last, uint64_t rows)
{
    const struct ledger_dmarc_received r = {.org = slice_of(org),
                                            .report_id = slice_of(id),
                                            .domain = SLICE("a.example"),
                                            .begin_s = T0,
                                            .end_s = T0 + 10,
                                            .now_s = T0 + DAY_S,
                                            .is_last = is_last};
    int64_t report;

    OK(ledger_dmarc_store(l, &r, &report, &e));
    for (uint64_t i = 0; report != 0 && i < rows; i++)
        OK(ledger_dmarc_add_row(l, report, i, SLICE("row"), 2, &e));
    return report;
}

struct reports {
    size_t n;
    int64_t last;
};

static bool see_report(void *ctx, const struct ledger_dmarc_report *d)
{
    struct reports *reports = ctx;

    reports->n++;
    reports->last = d->id;
    return true;
}

static struct reports read_reports(void)
{
    struct reports reports = {0};

    OK(ledger_each_dmarc_report(reader, T0, arena, see_report, &reports, &e));
    return reports;
}

static void a_received_report_counts_once(void **state)
{
    struct rows rows = {0};

    (void)state;
    OK(ledger_begin(l, &e));
    assert_int_not_equal(store("org", "7", false, 3), 0);
    OK(ledger_commit(l, &e));
    assert_int_equal(read_reports().n, 0); /* its last piece is missing */
    OK(ledger_begin(l, &e));
    assert_int_not_equal(store("org", "7", true, 3), 0); /* begun again: the same rows */
    OK(ledger_commit(l, &e));
    OK(ledger_begin(l, &e));
    assert_int_equal(store("org", "7", true, 3), 0); /* mailed twice */
    assert_int_not_equal(store("org", "8", true, 1), 0);
    assert_int_not_equal(store("other", "7", true, 1), 0);
    OK(ledger_commit(l, &e));
    struct reports reports = read_reports();
    assert_int_equal(reports.n, 3);
    OK(ledger_each_dmarc_report_row(reader, 1, see_row, &rows, &e));
    assert_int_equal(rows.n, 3);
    assert_int_equal(rows.messages, 6);
}

static void received_reports_have_a_ceiling(void **state)
{
    struct ledger_dmarc_received r = {.org = SLICE("org"), .domain = SLICE("d"), .now_s = T0};
    char id[32];
    int64_t report;

    (void)state;
    OK(ledger_begin(l, &e));
    for (unsigned i = 0; i < LEDGER_DMARC_RECEIVED_DAY_MAX; i++) {
        snprintf(id, sizeof id, "%u", i);
        r.report_id = slice_of(id);
        OK(ledger_dmarc_store(l, &r, &report, &e));
    }
    r.report_id = SLICE("one too many");
    assert_int_equal(ledger_dmarc_store(l, &r, &report, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    OK(ledger_dmarc_add_row(l, 1, LEDGER_DMARC_RECEIVED_ROWS_MAX, SLICE("row"), 1, &e));
    OK(ledger_commit(l, &e)); /* that did not spoil it */
    struct rows rows = {0};
    OK(ledger_each_dmarc_report_row(reader, 1, see_row, &rows, &e));
    assert_int_equal(rows.n, 0); /* beyond what is kept */
    r.now_s += DAY_S;
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_store(l, &r, &report, &e)); /* a new day */
    OK(ledger_commit(l, &e));
}

static void old_reports_are_forgotten(void **state)
{
    (void)state;
    OK(ledger_begin(l, &e));
    assert_true(count("a.example", "one", 1, T0));
    assert_int_not_equal(store("org", "7", true, 3), 0);
    OK(ledger_commit(l, &e));
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_forget(l, T0 - 10 * DAY_S, T0 - 10 * DAY_S, &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(read_reports().n, 1);
    OK(ledger_begin(l, &e));
    OK(ledger_dmarc_forget(l, T0 + 10 * DAY_S, T0 + 10 * DAY_S, &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(read_reports().n, 0);
    (void)next_period(0, false);
}

int main(void)
{
#define CASE(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, leave, NULL                                                             \
    }
    static const struct CMUnitTest tests[] = {
        CASE("equal rows are counted", equal_rows_are_counted),
        CASE("a closed period is reported once", a_closed_period_is_reported_once),
        CASE("ceilings hold", ceilings_hold),
        CASE("a rollback forgets counts", a_rollback_forgets_counts),
        CASE("a received report counts once", a_received_report_counts_once),
        CASE("received reports have a ceiling", received_reports_have_a_ceiling),
        CASE("old reports are forgotten", old_reports_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
