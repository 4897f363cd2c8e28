/* store/ledger/dmarc.h -- DMARC aggregate reports: the rows of ours that fill up, those of others.
 *
 *     mail of strangers --ledger_dmarc_count()--> period (day, policy domain) and its rows
 *     the day is over --ledger_dmarc_next(), _rows()--> a report --ledger_dmarc_close()
 *     reports that come --ledger_dmarc_store()--> read by reader.h
 *
 * Rows and policies are lines of text that only lib/dmarc/tally.h understands. Strangers decide
 * what is counted here, so everything has a ceiling; what lies beyond is counted as left out. All
 * changes happen inside a group: a period is closed in the transaction that stores the mail about
 * it. */
#ifndef STORE_LEDGER_DMARC_H
#define STORE_LEDGER_DMARC_H

#include "store/ledger/ledger.h"

#define LEDGER_DMARC_ROWS_MAX 5000           /* of one period */
#define LEDGER_DMARC_PERIODS_MAX 10000       /* of one day */
#define LEDGER_DMARC_DAY_ROWS_MAX 200000     /* of all periods of one day */
#define LEDGER_DMARC_LINE_MAX 12288          /* bytes of a row */
#define LEDGER_DMARC_TEXT_MAX 4096           /* of any other text */
#define LEDGER_DMARC_RECEIVED_DAY_MAX 5000   /* reports received on one day */
#define LEDGER_DMARC_RECEIVED_ROWS_MAX 10000 /* kept of one received report */

struct ledger_dmarc_count {
    int64_t now_s;
    struct slice domain, policy, rua; /* whose policy, what it says, who wants to know */
    struct slice row;
    uint64_t count;
};
/* Adds to the open period of that day and domain. The newest policy and rua stay. False in
 * *kept_out: a ceiling was reached, and it was left out. */
MUST_USE int ledger_dmarc_count(struct ledger *l, const struct ledger_dmarc_count *c,
                                bool *kept_out, struct err *e);

enum ledger_dmarc_state {
    LEDGER_DMARC_OPEN,
    LEDGER_DMARC_SENT,
    LEDGER_DMARC_SKIPPED, /* nobody may be sent to */
};

/* What was seen of one policy domain on one day, or on a part of it. */
struct ledger_dmarc_period {
    int64_t id, day; /* days since 1970, UTC */
    unsigned part;   /* from 0; a day has several if it was reported before its end */
    struct slice domain, policy, rua, note;
    int64_t begin_s, end_s; /* end_s: 0 while it is open */
    uint64_t rows, messages, left_out;
    enum ledger_dmarc_state state;
};
/* The first open period with an id above `after` on days first to last; *found_out: there is one.
 */
MUST_USE int ledger_dmarc_next(struct ledger *l, int64_t after, int64_t first_day, int64_t last_day,
                               struct arena *arena, bool *found_out,
                               struct ledger_dmarc_period *out, struct err *e);
MUST_USE int ledger_dmarc_rows(struct ledger *l, int64_t period,
                               bool (*row)(void *ctx, struct slice line, uint64_t count), void *ctx,
                               struct err *e);
/* `note` says to whom it went, or why to nobody. */
MUST_USE int ledger_dmarc_close(struct ledger *l, int64_t period, enum ledger_dmarc_state state,
                                int64_t end_s, struct slice note, struct err *e);

/* A received report, or a piece of it. */
struct ledger_dmarc_received {
    struct slice org, report_id, domain, email, policy;
    int64_t begin_s, end_s, now_s;
    uint64_t first; /* number of the first row that follows */
    bool is_last;
};
/* Begins or goes on; *report_out: its number for ledger_dmarc_add_row(), 0: it is there already,
 * and its rows must not be added again. ERR_LIMIT (that alone does not spoil a group): too many
 * today. A report counts for readers when its last piece is there. */
MUST_USE int ledger_dmarc_store(struct ledger *l, const struct ledger_dmarc_received *r,
                                int64_t *report_out, struct err *e);
MUST_USE int ledger_dmarc_add_row(struct ledger *l, int64_t report, uint64_t n, struct slice line,
                                  uint64_t count, struct err *e);

/* Forgets periods of days before `periods_s` and reports received before `reports_s`; at most 100
 * of each at once. */
MUST_USE int ledger_dmarc_forget(struct ledger *l, int64_t periods_s, int64_t reports_s,
                                 struct err *e);

#endif
