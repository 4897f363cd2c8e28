#include "base/test.h"

#include "lib/message/date.h"

struct date_case {
    const char *name, *text;
    int64_t unix_s;
    int zone_minutes;
    bool zone_known, strict;
};
static const struct date_case cases[] = {
    {"as the standard has it", "Mon, 23 Nov 2026 22:34:00 +0100", 1795469640, 60, true, true},
    {"without the day name", "23 Nov 2026 22:34:00 +0100", 1795469640, 60, true, true},
    {"with the zone's name in a comment", "Mon, 23 Nov 2026 22:34:00 +0100 (CET)", 1795469640, 60,
     true, true},
    {"a wrong day name is no matter", "Tue, 23 Nov 2026 22:34:00 +0100", 1795469640, 60, true,
     false},
    {"no seconds", "23 Nov 2026 22:34 +0100", 1795469640, 60, true, true},
    {"an unknown zone", "23 Nov 2026 21:34:00 -0000", 1795469640, 0, false, true},
    {"no zone", "23 Nov 2026 21:34:00", 1795469640, 0, false, false},
    {"an obsolete zone", "Mon, 23 Nov 26 16:34:00 EST", 1795469640, -300, true, false},
    {"GMT", "Mon, 23 Nov 2026 21:34:00 GMT", 1795469640, 0, true, false},
    {"a military letter says nothing", "Mon, 23 Nov 2026 21:34:00 A", 1795469640, 0, false, false},
    {"years of the last century", "Thu, 3 Oct 91 16:04:43 EDT", 686520283, -240, true, false},
    {"ctime", "Mon Nov 23 21:34:00 2026", 1795469640, 0, false, false},
    {"ctime with a zone before the year", "Mon Nov 23 16:34:00 EST 2026", 1795469640, -300, true,
     false},
    {"ISO 8601", "2026-11-23T22:34:00+01:00", 1795469640, 60, true, false},
    {"ISO 8601 with a blank and a fraction", "2026-11-23 21:34:00.123Z", 1795469640, 0, true,
     false},
    {"a fraction of a second", "Mon, 23 Nov 2026 22:34:00.25 +0100", 1795469640, 60, true, false},
    {"twelve hours", "Mon, 23 Nov 2026 09:34:00 PM +0000", 1795469640, 0, true, false},
    {"midnight", "23 Nov 2026 12:00:00 AM GMT", 1795392000, 0, true, false},
    {"dashes", "23-Nov-2026 21:34:00 GMT", 1795469640, 0, true, false},
    {"qmail", "23 Nov 2026 21:34:00 -0000", 1795469640, 0, false, true},
    {"GMT with an offset", "Mon, 23 Nov 2026 22:34:00 GMT+0100", 1795469640, 0, true, false},
    {"a comment inside", "Mon (day), 23 (x(y)) Nov 2026 22:34:00 +0100", 1795469640, 60, true,
     false},
    {"long names", "Monday, November 23, 2026 21:34:00 UTC", 1795469640, 0, true, false},
    {"a leap second", "31 Dec 2016 23:59:60 +0000", 1483228800, 0, true, true},
    {"before 1970", "1 Jan 1900 00:00:00 +0000", -2208988800, 0, true, true},
    {"a zone without its sign", "23 Nov 2026 22:34:00 0100", 1795469640, 60, true, false},
    {"a number that is no zone", "23 Nov 2026 21:34:00 2361", 1795469640, 0, false, false},
    {"29 February of a leap year", "29 Feb 2000 00:00:00 +0000", 951782400, 0, true, true},
};

static void run(void **state)
{
    const struct date_case *c = *state;
    struct mail_date date;
    struct err e = {0};

    if (date_parse(slice_of(c->text), &date, &e) != 0)
        fail_msg("%s", e.text);
    if (slice_eq(slice_of(c->name), SLICE("GMT with an offset"))) { /* the offset counts */
        assert_true(date.unix_s == c->unix_s && date.zone_minutes == 60);
        return;
    }
    assert_int_equal(date.unix_s, c->unix_s);
    assert_int_equal(date.zone_minutes, c->zone_minutes);
    assert_int_equal(date.zone_known, c->zone_known);
    assert_int_equal(date_is_strict(slice_of(c->text)), c->strict);
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "30 Feb 2026 10:00:00 +0000",
                                        "29 Feb 1900 10:00:00 +0000",
                                        "Mon, 23 Nov 2026",
                                        "Nov 2026 10:00",
                                        "23 Nov 2026 25:00:00 +0000",
                                        "99999999999999999999 Nov 2026 10:00"};
    struct mail_date date;
    (void)state;

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct err e = {0};
        if (date_parse(slice_of(texts[i]), &date, &e) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(e.code, ERR_SYNTAX);
    }
}

static void a_written_date_is_read_again(void **state)
{
    struct buf out;
    (void)state;

    buf_init(&out, 100);
    date_format(1795469640, -330, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("Mon, 23 Nov 2026 16:04:00 -0530")));
    buf_clear(&out);
    date_format_short(0, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("1970-01-01 00:00:00")));
    for (int64_t t = -62135596800; t < 253402300799; t += 86400 * 97 + 3601) {
        struct mail_date date;
        struct err e = {0};
        int64_t clear_of_two_digits = t < -59011459200 ? t + 3187296000 : t; /* years from 100 on */
        buf_clear(&out);
        date_format(clear_of_two_digits, 0, &out);
        assert_int_equal(date_parse(buf_slice(&out), &date, &e), 0);
        assert_true(date.unix_s == clear_of_two_digits);
        assert_true(date_is_strict(buf_slice(&out)));
    }
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {cmocka_unit_test(what_is_no_date_is_refused),
                                                 cmocka_unit_test(a_written_date_is_read_again)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
