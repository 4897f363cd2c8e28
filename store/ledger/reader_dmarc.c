/* DMARC reports for whoever reads the ledger beside its writer. */
#include "store/ledger/reader_in.h"

int ledger_each_dmarc_period(struct ledger_reader *r, int64_t first_day, int64_t last_day,
                             struct arena *arena,
                             bool (*period)(void *ctx, const struct ledger_dmarc_period *p),
                             void *ctx, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;

    db_bind(db, READ_DMARC_PERIODS, "ii", first_day, last_day);
    while ((answer = db_step(db, READ_DMARC_PERIODS, e)) == DB_ROW) {
        struct ledger_dmarc_period p = dmarc_period(db, READ_DMARC_PERIODS, arena);
        if (!period(ctx, &p)) {
            db_reset(db, READ_DMARC_PERIODS);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}

static int each_row(struct ledger_reader *r, int statement, int64_t id,
                    bool (*row)(void *ctx, struct slice line, uint64_t count), void *ctx,
                    struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;

    db_bind(db, statement, "i", id);
    while ((answer = db_step(db, statement, e)) == DB_ROW)
        if (!row(ctx, db_text(db, statement, 0), (uint64_t)db_int(db, statement, 1))) {
            db_reset(db, statement);
            return 0;
        }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_each_dmarc_row(struct ledger_reader *r, int64_t period,
                          bool (*row)(void *ctx, struct slice line, uint64_t count), void *ctx,
                          struct err *e)
{
    return each_row(r, READ_DMARC_ROWS, period, row, ctx, e);
}

int ledger_each_dmarc_report(struct ledger_reader *r, int64_t since_s, struct arena *arena,
                             bool (*report)(void *ctx, const struct ledger_dmarc_report *d),
                             void *ctx, struct err *e)
{
    struct db *db = &r->db;
    int statement = READ_DMARC_REPORTS;
    enum db_answer answer;

    db_bind(db, statement, "i", since_s);
    while ((answer = db_step(db, statement, e)) == DB_ROW) {
        const struct ledger_dmarc_report d = {
            .id = db_int(db, statement, 0),
            .org = arena_copy(arena, db_text(db, statement, 1)),
            .report_id = arena_copy(arena, db_text(db, statement, 2)),
            .domain = arena_copy(arena, db_text(db, statement, 3)),
            .email = arena_copy(arena, db_text(db, statement, 4)),
            .policy = arena_copy(arena, db_text(db, statement, 5)),
            .begin_s = db_int(db, statement, 6),
            .end_s = db_int(db, statement, 7),
            .received_s = db_int(db, statement, 8),
        };
        if (!report(ctx, &d)) {
            db_reset(db, statement);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_each_dmarc_report_row(struct ledger_reader *r, int64_t report,
                                 bool (*row)(void *ctx, struct slice line, uint64_t count),
                                 void *ctx, struct err *e)
{
    return each_row(r, READ_DMARC_RECEIVED_ROWS, report, row, ctx, e);
}
