#include "lib/dmarc/tally.h"

#include "base/test.h"

#define ROW                                                                                        \
    "i192.0.2.1\tdquarantine\tkfail\tspass\t"                                                      \
    "ha.example\teb.example\tRlocal_policy\tcwe tag only\t"                                        \
    "Da.example\tlsel\tufail\tSb.example\tomfrom\tupass\t"

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

static void a_row_is_a_line(void **state)
{
    struct dmarc_row row;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    assert_true(dmarc_tally_read_row(SLICE(ROW), arena, &row));
    assert_true(slice_eq(row.source_ip, SLICE("192.0.2.1")));
    assert_true(slice_eq(row.disposition, SLICE("quarantine")));
    assert_true(slice_eq(row.reasons->comment, SLICE("we tag only")));
    assert_true(row.auths->is_dkim && slice_eq(row.auths->selector, SLICE("sel")));
    assert_true(!row.auths->next->is_dkim && slice_eq(row.auths->next->scope, SLICE("mfrom")));
    assert_null(row.auths->next->next);
    dmarc_tally_write_row(&row, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE(ROW)));
    buf_finish(&out);
}

static void hostile_texts_are_tamed(void **state)
{
    char longest[2000];
    struct dmarc_auth auths[50] = {{0}};
    struct dmarc_row row = {.source_ip = SLICE("1\t2\n3\0x"), .auths = auths}, again;
    struct buf out;

    (void)state;
    memset(longest, 'x', sizeof longest);
    memcpy(longest + DMARC_TALLY_TEXT_MAX - 1, "\xc3\xa4", 2); /* a character across the cut */
    row.header_from = (struct slice){longest, sizeof longest};
    row.envelope_from = SLICE("a\xff\xef\xbf\xbf");
    for (size_t i = 0; i < COUNT(auths); i++)
        auths[i] = (struct dmarc_auth){.next = i + 1 < COUNT(auths) ? &auths[i + 1] : NULL,
                                       .is_dkim = true,
                                       .domain = row.header_from,
                                       .selector = row.header_from,
                                       .result = SLICE("fail")};
    buf_init(&out, 1 << 16);
    dmarc_tally_write_row(&row, &out);
    assert_true(out.n <= DMARC_TALLY_LINE_MAX);
    assert_true(dmarc_tally_read_row(buf_slice(&out), arena, &again));
    assert_true(slice_eq(again.source_ip, SLICE("1?2?3?x")));
    assert_int_equal(again.header_from.n, DMARC_TALLY_TEXT_MAX - 1);
    assert_true(slice_eq(again.envelope_from, SLICE("a\xef\xbf\xbd???")));
    size_t n = 0;
    for (const struct dmarc_auth *a = again.auths; a; a = a->next)
        n++;
    assert_int_equal(n, DMARC_TALLY_AUTHS_MAX);
    buf_finish(&out);
}

static void what_is_no_row_is_refused(void **state)
{
    static const char *const bad[] = {"", "zwhat\t", "lselector of nothing\t", "ccomment alone\t"};
    struct dmarc_row row;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(dmarc_tally_read_row(slice_of(bad[i]), arena, &row));
}

static void a_report_travels_in_pieces(void **state)
{
    struct dmarc_row rows[200] = {{0}};
    struct dmarc_report report = {.org_name = SLICE("Org"),
                                  .report_id = SLICE("7"),
                                  .email = SLICE("r@org.example"),
                                  .begin_unix_s = 86400,
                                  .end_unix_s = 172799,
                                  .domain = SLICE("a.example"),
                                  .p = SLICE("reject"),
                                  .rows = rows};
    const struct dmarc_row *row = rows;
    uint64_t first = 0, count, total = 0, pieces = 0;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = (struct dmarc_row){.next = i + 1 < COUNT(rows) ? &rows[i + 1] : NULL,
                                     .source_ip = SLICE("192.0.2.1"),
                                     .count = i};
    buf_init(&out, 1 << 16);
    do {
        struct dmarc_piece piece;
        struct slice lines, line;

        buf_clear(&out);
        row = dmarc_tally_write_piece(&report, row, first, 1000, &out, &count);
        assert_true(out.n < 1300);
        assert_true(dmarc_tally_read_piece(buf_slice(&out), &piece, &lines));
        assert_int_equal(piece.first, first);
        assert_int_equal(piece.is_last, row == NULL);
        assert_int_equal(piece.report.end_unix_s, 172799);
        assert_true(slice_eq(piece.report.org_name, report.org_name));
        assert_true(slice_eq(piece.report.p, report.p));
        first += count;
        pieces++;
        while (dmarc_tally_next_row(&lines, &line, &count)) {
            assert_true(slice_eq(line, SLICE("i192.0.2.1\t")));
            assert_int_equal(count, total++);
        }
        assert_int_equal(total, first);
    } while (row != NULL);
    assert_int_equal(total, COUNT(rows));
    assert_true(pieces > 2);
    buf_finish(&out);
}

int main(void)
{
#define CASE(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, tear_down, NULL                                                         \
    }
    static const struct CMUnitTest tests[] = {
        CASE("a row is a line", a_row_is_a_line),
        CASE("hostile texts are tamed", hostile_texts_are_tamed),
        CASE("what is no row is refused", what_is_no_row_is_refused),
        CASE("a report travels in pieces", a_report_travels_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
