/* lib/message/date.h -- date and time in header fields (RFC 5322 3.3 and 4.3), and as found. */
#ifndef LIB_MESSAGE_DATE_H
#define LIB_MESSAGE_DATE_H

#include "base/base.h"

struct mail_date {
    int64_t unix_s;   /* seconds since 1970, UTC */
    int zone_minutes; /* east of Greenwich; 0 when unknown */
    bool zone_known;  /* false: "-0000", none given, or a name that says nothing */
};

/* Reads the whole of `text` (leading and trailing white space, comments and missing or wrong day
 * names are fine). Also: two- and three-digit years, obsolete zones (EST, GMT, Z, military letters
 * as unknown), zone before year and other ctime() orders, ISO 8601, 12-hour clocks with AM/PM,
 * fractions of a second, missing seconds, missing zone. ERR_SYNTAX names what is missing. */
MUST_USE int date_parse(struct slice text, struct mail_date *date_out, struct err *e);

/* The same grammar strictly: RFC 5322 3.3 with or without day name, known zone form, day name that
 * fits, no obsolete part. */
bool date_is_strict(struct slice text);

/* Appends "Mon, 23 Nov 2026 22:34:00 +0100". Years 1 to 9999; others are clipped. */
void date_format(int64_t unix_s, int zone_minutes, struct buf *out);
/* Appends "2026-11-23 21:34:00" in UTC, for people. */
void date_format_short(int64_t unix_s, struct buf *out);

/* Calendar to seconds and back, proleptic Gregorian, UTC; month and day count from 1. */
int64_t date_from_civil(int64_t year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                        unsigned second);
struct date_civil {
    int64_t year;
    unsigned month, day, hour, minute, second, weekday; /* weekday: 0 is Sunday */
};
struct date_civil date_to_civil(int64_t unix_s);

#endif
