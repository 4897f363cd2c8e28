/* What is known about the set-up: the addresses in use, and what the doctor found last. */
#include "store/ledger/reader_in.h"

int ledger_each_source(struct ledger_reader *r,
                       bool (*row)(void *ctx, const struct ledger_source *row), void *ctx,
                       struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;

    while ((answer = db_step(db, READ_SOURCES, e)) == DB_ROW) {
        const struct ledger_source source = source_of_row(db, READ_SOURCES);

        if (!row(ctx, &source)) {
            db_reset(db, READ_SOURCES);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}

static int each_finding(struct ledger_reader *r, struct slice domain,
                        bool (*finding)(void *ctx, const struct ledger_finding *finding), void *ctx,
                        bool *more, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer = DB_DONE;

    db_bind(db, READ_FINDINGS, "t", domain);
    while (*more && (answer = db_step(db, READ_FINDINGS, e)) == DB_ROW) {
        struct ledger_finding f = finding_of_row(db, READ_FINDINGS);

        f.domain = domain;
        *more = finding(ctx, &f);
    }
    db_reset(db, READ_FINDINGS);
    return answer == DB_FAILED ? -1 : 0;
}

int ledger_each_checkup(struct ledger_reader *r, struct slice domain,
                        bool (*checkup)(void *ctx, const struct ledger_checkup *checkup),
                        bool (*finding)(void *ctx, const struct ledger_finding *finding), void *ctx,
                        struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer = DB_DONE;
    bool more = true;
    int result = 0;

    if (reader_begin(r, e) != 0)
        return -1;
    while (more && result == 0 && (answer = db_step(db, READ_DOCTOR_RUNS, e)) == DB_ROW) {
        const struct ledger_checkup c = {.domain = db_text(db, READ_DOCTOR_RUNS, 0),
                                         .time_ms = db_int(db, READ_DOCTOR_RUNS, 1)};

        if (domain.n > 0 && !slice_eq_nocase(domain, c.domain))
            continue;
        more = checkup(ctx, &c);
        if (more)
            result = each_finding(r, c.domain, finding, ctx, &more, e);
    }
    db_reset(db, READ_DOCTOR_RUNS);
    return reader_end(r, answer == DB_FAILED ? -1 : result);
}
