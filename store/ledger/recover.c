#include "store/ledger/ledger_in.h"

#define BATCH 100

/* One unit with dots that nobody answered, copied out of the table. */
struct dangle {
    struct ledger_dangling face;
    int64_t due_ms;
    struct range_list ranges;
    char host[256], ip[64];
};

static struct slice keep(char *room, size_t size, struct slice text)
{
    text = slice_sub(text, 0, size);
    if (text.n > 0)
        memcpy(room, text.p, text.n);
    return (struct slice){room, text.n};
}

/* Gathers up to BATCH units; rows of one unit lie together. Bad ranges count as all of them, which
 * apply_results() would refuse, so they become the unit's own. */
static int gather(struct ledger *l, struct dangle *all, size_t *n_out, struct err *e)
{
    struct db *db = &l->db;
    struct range_list some = {0};
    enum db_answer answer;
    size_t n = 0;

    while ((answer = db_step(db, SQL_ALL_FLIGHTS, e)) == DB_ROW) {
        uint64_t hi = (uint64_t)db_int(db, SQL_ALL_FLIGHTS, 0);
        uint32_t part = (uint32_t)db_int(db, SQL_ALL_FLIGHTS, 1); /* stored as one */
        struct dangle *d = n > 0 ? &all[n - 1] : NULL;
        struct err ignored;
        if (d == NULL || d->face.id.hi != hi || d->face.part != part) {
            if (n == BATCH) {
                db_reset(db, SQL_ALL_FLIGHTS);
                answer = DB_DONE;
                break;
            }
            d = &all[n++];
            *d = (struct dangle){.due_ms = db_int(db, SQL_ALL_FLIGHTS, 3)};
            d->face.id.hi = hi;
            d->face.part = part;
            d->face.site = (uint32_t)db_int(db, SQL_ALL_FLIGHTS, 2); /* stored as one */
        }
        d->face.dot_ms = db_int(db, SQL_ALL_FLIGHTS, 5);
        d->face.host = keep(d->host, sizeof d->host, db_text(db, SQL_ALL_FLIGHTS, 6));
        d->face.ip = keep(d->ip, sizeof d->ip, db_text(db, SQL_ALL_FLIGHTS, 7));
        if (ranges_parse(db_text(db, SQL_ALL_FLIGHTS, 4), LEDGER_RECIPIENTS_MAX, &some, &ignored) ==
            0)
            range_list_add_all(&d->ranges, range_list_view(&some));
    }
    range_list_finish(&some);
    *n_out = n;
    return answer == DB_FAILED ? -1 : 0;
}

/* The unit as its work row has it. *u_out == NULL: there is none, so nothing is open. */
static int find_unit(struct ledger *l, const struct dangle *d, struct unit **u_out, struct err *e)
{
    struct db *db = &l->db;

    *u_out = NULL;
    db_bind(db, SQL_GET_WORK, "iiii", (int64_t)d->face.site, d->due_ms, (int64_t)d->face.id.hi,
            (int64_t)d->face.part);
    enum db_answer answer = db_step(db, SQL_GET_WORK, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    *u_out = unit_load(l, d->face.id.hi, d->face.part, d->face.site, d->due_ms,
                       db_text(db, SQL_GET_WORK, 0), (uint32_t)db_int(db, SQL_GET_WORK, 1),
                       db_int(db, SQL_GET_WORK, 2), e);
    db_reset(db, SQL_GET_WORK);
    return *u_out != NULL ? 0 : -1;
}

static int settle(struct ledger *l, struct dangle *d,
                  struct ledger_verdict (*decide)(void *ctx, const struct ledger_dangling *d),
                  void *ctx, int64_t now_ms, struct err *e)
{
    struct unit *u;
    int result = 0;

    if (find_unit(l, d, &u, e) != 0)
        return -1;
    if (u != NULL) {
        struct ranges dotted = range_list_view(&d->ranges);
        d->face.recipients =
            dotted.n > 0 && ranges_cover(u->face.recipients, dotted) ? dotted : u->face.recipients;
        d->face.id = u->face.id;
        d->face.attempts = u->face.attempts;
        d->face.stream = u->face.stream;
        d->face.tag = u->face.tag;
        d->face.received_ms = u->face.received_ms;
        struct ledger_verdict verdict = decide(ctx, &d->face);
        struct ledger_result unknown = {.kind = LEDGER_EV_UNKNOWN,
                                        .state = verdict.state,
                                        .recipients = d->face.recipients,
                                        .host = d->face.host,
                                        .ip = d->face.ip,
                                        .text = SLICE("stopped after the final dot was sent"),
                                        .dot_ms = d->face.dot_ms};
        int64_t due_ms = verdict.state == LEDGER_QUEUED ? verdict.due_ms : now_ms;
        result = apply_results(l, u, &unknown, 1, due_ms, now_ms, true, e);
        unit_destroy(u);
    }
    if (result != 0)
        return -1;
    db_bind(&l->db, SQL_REMOVE_FLIGHTS, "ii", (int64_t)d->face.id.hi, (int64_t)d->face.part);
    return db_run(&l->db, SQL_REMOVE_FLIGHTS, e);
}

static int recover_batch(struct ledger *l,
                         struct ledger_verdict (*decide)(void *ctx,
                                                         const struct ledger_dangling *dangling),
                         void *ctx, int64_t now_ms, size_t *n_out, struct err *e)
{
    struct dangle *all = mem_alloc(BATCH * sizeof *all);
    int result = -1;

    *n_out = 0;
    if (ledger_begin(l, e) != 0)
        goto out;
    if (gather(l, all, n_out, e) != 0) {
        ledger_rollback(l);
        goto out;
    }
    for (size_t i = 0; i < *n_out; i++) {
        if (settle(l, &all[i], decide, ctx, now_ms, e) != 0) {
            ledger_rollback(l);
            goto out;
        }
    }
    result = ledger_commit(l, e);
out:
    for (size_t i = 0; i < *n_out; i++)
        range_list_finish(&all[i].ranges);
    free(all);
    return result;
}

int ledger_recover(struct ledger *l,
                   struct ledger_verdict (*decide)(void *ctx,
                                                   const struct ledger_dangling *dangling),
                   void *ctx, int64_t now_ms, uint64_t *count_out, struct err *e)
{
    uint64_t count = 0;
    size_t n;

    do {
        if (recover_batch(l, decide, ctx, now_ms, &n, e) != 0)
            return -1;
        count += n;
    } while (n > 0);
    if (count_out != NULL)
        *count_out = count;
    return 0;
}
