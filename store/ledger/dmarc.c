#include "store/ledger/dmarc.h"

#include "store/ledger/ledger_in.h"

#define DAY_S 86400
#define FORGET_AT_ONCE 100

static bool fits(struct slice text)
{
    return text.n <= LEDGER_DMARC_TEXT_MAX;
}

/* --- what we see --- */

/* Counts what the day has, once after opening or a rollback. */
static int load_day(struct ledger *l, int64_t day, struct err *e)
{
    struct db *db = &l->db;

    if (l->dmarc.is_loaded && l->dmarc.day == day)
        return 0;
    db_bind(db, SQL_DMARC_DAY, "i", day);
    if (db_step(db, SQL_DMARC_DAY, e) != DB_ROW)
        return -1;
    l->dmarc.day = day;
    l->dmarc.periods = (uint64_t)db_int(db, SQL_DMARC_DAY, 0); /* counts */
    l->dmarc.rows = (uint64_t)db_int(db, SQL_DMARC_DAY, 1);
    l->dmarc.is_loaded = true;
    db_reset(db, SQL_DMARC_DAY);
    return 0;
}

/* The open period of a day and domain; 0: a ceiling does not allow another. */
static int find_period(struct ledger *l, const struct ledger_dmarc_count *c, int64_t day,
                       int64_t *id_out, uint64_t *rows_out, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    *id_out = 0;
    *rows_out = 0;
    db_bind(db, SQL_DMARC_PERIOD, "it", day, c->domain);
    answer = db_step(db, SQL_DMARC_PERIOD, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_ROW) {
        *id_out = db_int(db, SQL_DMARC_PERIOD, 0);
        *rows_out = (uint64_t)db_int(db, SQL_DMARC_PERIOD, 1); /* a count */
        bool same = slice_eq(db_text(db, SQL_DMARC_PERIOD, 2), c->policy) &&
                    slice_eq(db_text(db, SQL_DMARC_PERIOD, 3), c->rua);
        db_reset(db, SQL_DMARC_PERIOD);
        if (same)
            return 0;
        db_bind(db, SQL_DMARC_POLICY, "tti", c->policy, c->rua, *id_out);
        return db_run(db, SQL_DMARC_POLICY, e);
    }
    if (l->dmarc.periods >= LEDGER_DMARC_PERIODS_MAX)
        return 0;
    db_bind(db, SQL_DMARC_PARTS, "it", day, c->domain);
    if (db_step(db, SQL_DMARC_PARTS, e) != DB_ROW)
        return -1;
    int64_t parts = db_int(db, SQL_DMARC_PARTS, 0), last_s = db_int(db, SQL_DMARC_PARTS, 1);
    db_reset(db, SQL_DMARC_PARTS);
    db_bind(db, SQL_DMARC_OPEN, "ititti", day, c->domain, parts, c->policy, c->rua,
            parts == 0 ? day * DAY_S : last_s + 1);
    if (db_step(db, SQL_DMARC_OPEN, e) != DB_ROW)
        return -1;
    *id_out = db_int(db, SQL_DMARC_OPEN, 0);
    db_reset(db, SQL_DMARC_OPEN);
    l->dmarc.periods++;
    return 0;
}

static int count_row(struct ledger *l, const struct ledger_dmarc_count *c, int64_t period,
                     uint64_t rows, bool *kept_out, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_DMARC_MORE, "iit", (int64_t)c->count, period, c->row);
    if (db_run(db, SQL_DMARC_MORE, e) != 0)
        return -1;
    *kept_out = db_changes(db) > 0;
    if (*kept_out || rows >= LEDGER_DMARC_ROWS_MAX || l->dmarc.rows >= LEDGER_DMARC_DAY_ROWS_MAX)
        return 0;
    db_bind(db, SQL_DMARC_ROW, "iti", period, c->row, (int64_t)c->count);
    if (db_run(db, SQL_DMARC_ROW, e) != 0)
        return -1;
    *kept_out = true;
    l->dmarc.rows++;
    db_bind(db, SQL_DMARC_ROWS, "i", period);
    return db_run(db, SQL_DMARC_ROWS, e);
}

int ledger_dmarc_count(struct ledger *l, const struct ledger_dmarc_count *c, bool *kept_out,
                       struct err *e)
{
    int64_t day = c->now_s / DAY_S, period;
    struct db *db = &l->db;
    uint64_t rows;

    *kept_out = false;
    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (!fits(c->domain) || !fits(c->policy) || !fits(c->rua) || c->row.n > LEDGER_DMARC_LINE_MAX ||
        c->row.n == 0 || c->domain.n == 0 || c->count > INT32_MAX)
        return 0;
    if (load_day(l, day, e) != 0 || find_period(l, c, day, &period, &rows, e) != 0)
        return -1;
    if (period == 0)
        return 0;
    if (count_row(l, c, period, rows, kept_out, e) != 0)
        return -1;
    db_bind(db, SQL_DMARC_MESSAGES, "iii", (int64_t)c->count,
            *kept_out ? INT64_C(0) : (int64_t)c->count, period);
    return db_run(db, SQL_DMARC_MESSAGES, e);
}

/* --- what we report --- */

int ledger_dmarc_next(struct ledger *l, int64_t after, int64_t first_day, int64_t last_day,
                      struct arena *arena, bool *found_out, struct ledger_dmarc_period *out,
                      struct err *e)
{
    struct db *db = &l->db;

    *found_out = false;
    db_bind(db, SQL_DMARC_NEXT, "iii", after, first_day, last_day);
    enum db_answer answer = db_step(db, SQL_DMARC_NEXT, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    *out = dmarc_period(db, SQL_DMARC_NEXT, arena);
    *found_out = true;
    db_reset(db, SQL_DMARC_NEXT);
    return 0;
}

struct ledger_dmarc_period dmarc_period(const struct db *db, int statement, struct arena *arena)
{
    return (struct ledger_dmarc_period){
        .id = db_int(db, statement, 0),
        .day = db_int(db, statement, 1),
        .domain = arena_copy(arena, db_text(db, statement, 2)),
        .part = (unsigned)db_int(db, statement, 3), /* small */
        .policy = arena_copy(arena, db_text(db, statement, 4)),
        .rua = arena_copy(arena, db_text(db, statement, 5)),
        .begin_s = db_int(db, statement, 6),
        .end_s = db_int(db, statement, 7),
        .rows = (uint64_t)db_int(db, statement, 8), /* counts */
        .messages = (uint64_t)db_int(db, statement, 9),
        .left_out = (uint64_t)db_int(db, statement, 10),
        .state = (enum ledger_dmarc_state)db_int(db, statement, 11), /* stored as one */
        .note = arena_copy(arena, db_text(db, statement, 12)),
    };
}

int ledger_dmarc_rows(struct ledger *l, int64_t period,
                      bool (*row)(void *ctx, struct slice line, uint64_t count), void *ctx,
                      struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    db_bind(db, SQL_DMARC_ALL_ROWS, "i", period);
    while ((answer = db_step(db, SQL_DMARC_ALL_ROWS, e)) == DB_ROW)
        if (!row(ctx, db_text(db, SQL_DMARC_ALL_ROWS, 0),
                 (uint64_t)db_int(db, SQL_DMARC_ALL_ROWS, 1))) { /* a count */
            db_reset(db, SQL_DMARC_ALL_ROWS);
            return 0;
        }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_dmarc_close(struct ledger *l, int64_t period, enum ledger_dmarc_state state,
                       int64_t end_s, struct slice note, struct err *e)
{
    if (ledger_expect_group(l, e) != 0)
        return -1;
    db_bind(&l->db, SQL_DMARC_CLOSE, "iiti", (int64_t)state, end_s,
            slice_sub(note, 0, LEDGER_DMARC_TEXT_MAX), period);
    return db_run(&l->db, SQL_DMARC_CLOSE, e);
}

/* --- what others report --- */

static int begin_report(struct ledger *l, const struct ledger_dmarc_received *r,
                        int64_t *report_out, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_DMARC_RECEIVED_SINCE, "i", r->now_s / DAY_S * DAY_S);
    if (db_step(db, SQL_DMARC_RECEIVED_SINCE, e) != DB_ROW)
        return -1;
    int64_t today = db_int(db, SQL_DMARC_RECEIVED_SINCE, 0);
    db_reset(db, SQL_DMARC_RECEIVED_SINCE);
    if (today >= LEDGER_DMARC_RECEIVED_DAY_MAX)
        return err_set(e, ERR_LIMIT, "%d DMARC reports came today; more are not kept",
                       LEDGER_DMARC_RECEIVED_DAY_MAX);
    db_bind(db, SQL_DMARC_RECEIVE, "tttttiii", r->org, r->report_id, r->domain, r->email, r->policy,
            r->begin_s, r->end_s, r->now_s);
    if (db_step(db, SQL_DMARC_RECEIVE, e) != DB_ROW)
        return -1;
    *report_out = db_int(db, SQL_DMARC_RECEIVE, 0);
    db_reset(db, SQL_DMARC_RECEIVE);
    return 0;
}

int ledger_dmarc_store(struct ledger *l, const struct ledger_dmarc_received *r, int64_t *report_out,
                       struct err *e)
{
    struct db *db = &l->db;
    bool is_whole = false;

    *report_out = 0;
    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (!fits(r->org) || !fits(r->report_id) || !fits(r->domain) || !fits(r->email) ||
        !fits(r->policy))
        return err_set(e, ERR_LIMIT, "a text of the DMARC report is too long");
    db_bind(db, SQL_DMARC_FIND_REPORT, "ttt", r->org, r->report_id, r->domain);
    enum db_answer answer = db_step(db, SQL_DMARC_FIND_REPORT, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_ROW) {
        *report_out = db_int(db, SQL_DMARC_FIND_REPORT, 0);
        is_whole = db_int(db, SQL_DMARC_FIND_REPORT, 1) != 0;
        db_reset(db, SQL_DMARC_FIND_REPORT);
    }
    if (is_whole) {
        *report_out = 0;
        return 0;
    }
    if (answer == DB_DONE && begin_report(l, r, report_out, e) != 0)
        return -1;
    if (!r->is_last)
        return 0;
    db_bind(db, SQL_DMARC_WHOLE, "i", *report_out);
    return db_run(db, SQL_DMARC_WHOLE, e);
}

int ledger_dmarc_add_row(struct ledger *l, int64_t report, uint64_t n, struct slice line,
                         uint64_t count, struct err *e)
{
    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (n >= LEDGER_DMARC_RECEIVED_ROWS_MAX || line.n > LEDGER_DMARC_LINE_MAX || line.n == 0)
        return 0;
    if (count > INT32_MAX)
        count = INT32_MAX; /* sums stay far from the end of 64 bits, whatever a report claims */
    db_bind(&l->db, SQL_DMARC_RECEIVED_ROW, "iiti", report, (int64_t)n, line, (int64_t)count);
    return db_run(&l->db, SQL_DMARC_RECEIVED_ROW, e);
}

/* --- and forgets --- */

static int forget_some(struct ledger *l, int find, int rows, int whole, int64_t before_s,
                       struct err *e)
{
    int64_t ids[FORGET_AT_ONCE];
    struct db *db = &l->db;
    enum db_answer answer;
    size_t n = 0;

    db_bind(db, find, "ii", before_s, (int64_t)FORGET_AT_ONCE);
    while ((answer = db_step(db, find, e)) == DB_ROW)
        if (n < FORGET_AT_ONCE)
            ids[n++] = db_int(db, find, 0);
    if (answer == DB_FAILED)
        return -1;
    for (size_t i = 0; i < n; i++) {
        db_bind(db, rows, "i", ids[i]);
        if (db_run(db, rows, e) != 0)
            return -1;
        db_bind(db, whole, "i", ids[i]);
        if (db_run(db, whole, e) != 0)
            return -1;
    }
    return 0;
}

int ledger_dmarc_forget(struct ledger *l, int64_t periods_s, int64_t reports_s, struct err *e)
{
    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (forget_some(l, SQL_DMARC_OLD_PERIODS, SQL_DMARC_REMOVE_ROWS, SQL_DMARC_REMOVE_PERIOD,
                    periods_s, e) != 0)
        return -1;
    return forget_some(l, SQL_DMARC_OLD_REPORTS, SQL_DMARC_REMOVE_RECEIVED_ROWS,
                       SQL_DMARC_REMOVE_RECEIVED, reports_s, e);
}
