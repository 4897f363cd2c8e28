/* What happened, in order: events of messages, and notices about the set-up. */
#include "store/ledger/reader_in.h"

static struct ledger_event read_log_event(const struct db *db)
{
    struct ledger_event found = reader_event(db, READ_EVENTS, NULL);

    found.id.lo = (uint64_t)db_int(db, READ_EVENTS, 14);
    found.stream = db_text(db, READ_EVENTS, 15);
    found.tag = db_text(db, READ_EVENTS, 16);
    found.address = db_text(db, READ_EVENTS, 18);
    found.has_others = db_int(db, READ_EVENTS, 19) != 0;
    if (found.kind == LEDGER_EV_ACCEPTED)
        found.ip = db_text(db, READ_EVENTS, 17);
    return found;
}

int ledger_events(struct ledger_reader *r, uint64_t since, uint64_t limit,
                  bool (*event)(void *ctx, const struct ledger_event *event), void *ctx,
                  struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;
    bool more = true;

    db_bind(db, READ_EVENTS, "ii", (int64_t)since, (int64_t)limit);
    while ((answer = db_step(db, READ_EVENTS, e)) == DB_ROW && more) {
        struct ledger_event found = read_log_event(db);
        more = event(ctx, &found);
    }
    if (answer == DB_FAILED)
        return -1;
    db_reset(db, READ_EVENTS);
    return 0;
}

int ledger_last_seq(struct ledger_reader *r, uint64_t *seq_out, struct err *e)
{
    enum db_answer answer = db_step(&r->db, READ_LAST_SEQ, e);

    if (answer == DB_FAILED)
        return -1;
    *seq_out = answer == DB_ROW ? (uint64_t)db_int(&r->db, READ_LAST_SEQ, 0) : 0;
    db_reset(&r->db, READ_LAST_SEQ);
    return 0;
}

static struct ledger_notice read_notice(const struct db *db)
{
    return (struct ledger_notice){
        .seq = (uint64_t)db_int(db, READ_NOTICES, 0),
        .time_ms = db_int(db, READ_NOTICES, 1),
        .kind = db_int(db, READ_NOTICES, 2) == LEDGER_NOTICE_DRIFT ? LEDGER_NOTICE_DRIFT
                                                                   : LEDGER_NOTICE_MENDED,
        .severity = (enum ledger_severity)db_int(db, READ_NOTICES, 3), /* stored as one */
        .domain = db_text(db, READ_NOTICES, 4),
        .rule = db_text(db, READ_NOTICES, 5),
        .name = db_text(db, READ_NOTICES, 6),
        .text = db_text(db, READ_NOTICES, 7),
        .publish = db_text(db, READ_NOTICES, 8),
    };
}

/* Two sorted lists, merged. Each ends early at its limit, so what follows its last number in the
 * other list waits for the next call. */
static int merge_log(struct ledger_reader *r, uint64_t limit, const struct ledger_log_handlers *h,
                     void *ctx, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer event = db_step(db, READ_EVENTS, e), notice = db_step(db, READ_NOTICES, e);
    uint64_t events = 0, notices = 0;
    bool more = true;

    while (more && event != DB_FAILED && notice != DB_FAILED &&
           (event == DB_ROW || notice == DB_ROW)) {
        if ((event != DB_ROW && events == limit) || (notice != DB_ROW && notices == limit))
            break;
        if (notice != DB_ROW ||
            (event == DB_ROW && db_int(db, READ_EVENTS, 0) < db_int(db, READ_NOTICES, 0))) {
            struct ledger_event found = read_log_event(db);
            more = h->event(ctx, &found);
            events++;
            event = db_step(db, READ_EVENTS, e);
        } else {
            struct ledger_notice found = read_notice(db);
            more = h->notice(ctx, &found);
            notices++;
            notice = db_step(db, READ_NOTICES, e);
        }
    }
    db_reset(db, READ_EVENTS);
    db_reset(db, READ_NOTICES);
    return event == DB_FAILED || notice == DB_FAILED ? -1 : 0;
}

int ledger_log(struct ledger_reader *r, uint64_t since, uint64_t limit,
               const struct ledger_log_handlers *handlers, void *ctx, struct err *e)
{
    if (reader_begin(r, e) != 0)
        return -1;
    db_bind(&r->db, READ_EVENTS, "ii", (int64_t)since, (int64_t)limit);
    db_bind(&r->db, READ_NOTICES, "ii", (int64_t)since, (int64_t)limit);
    return reader_end(r, merge_log(r, limit, handlers, ctx, e));
}
