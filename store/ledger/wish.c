/* What an operator wishes for one message: hold, release, retry, drop. What we wish for one of our
 * own: that it leaves signed. */
#include "store/ledger/ledger_in.h"

/* A unit of the message that is not taken. */
struct waiting {
    uint32_t part, site;
    int64_t due_ms;
    struct range_list ranges;
};

struct waiting_list {
    struct waiting *p;
    size_t n, cap;
};

static void waiting_finish(struct waiting_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        range_list_finish(&list->p[i].ranges);
    free(list->p);
}

static struct waiting *waiting_find(struct waiting_list *list, uint32_t part, uint32_t site,
                                    int64_t due_ms)
{
    for (size_t i = list->n; i-- > 0;)
        if (list->p[i].part == part)
            return &list->p[i];
    if (list->n == list->cap) {
        list->cap = list->cap == 0 ? 4 : 2 * list->cap;
        list->p = mem_resize(list->p, list->cap * sizeof *list->p);
    }
    list->p[list->n] = (struct waiting){.part = part, .site = site, .due_ms = due_ms};
    return &list->p[list->n++];
}

struct wish {
    enum ledger_kind kind;
    unsigned from; /* states it concerns, as bits */
    enum ledger_state to;
    struct slice text; /* of the event */
};

static const struct wish hold = {LEDGER_EV_HELD, 1u << LEDGER_QUEUED, LEDGER_HELD, {NULL, 0}};
static const struct wish release_held = {
    LEDGER_EV_RELEASED, 1u << LEDGER_HELD | 1u << LEDGER_UNKNOWN_HELD, LEDGER_QUEUED, {NULL, 0}};
static const struct wish retry = {LEDGER_EV_RETRY, 1u << LEDGER_QUEUED, LEDGER_QUEUED, {NULL, 0}};
static const struct wish drop = {LEDGER_EV_DROPPED,
                                 1u << LEDGER_QUEUED | 1u << LEDGER_HELD |
                                     1u << LEDGER_UNKNOWN_HELD,
                                 LEDGER_DROPPED,
                                 {NULL, 0}};

/* The units that the wish concerns; those in flight are only counted. */
static int find_units(struct ledger *l, const struct wish *wish, uint64_t hi, int64_t first,
                      int64_t last, struct waiting_list *list, uint32_t *busy, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    db_bind(db, SQL_OPEN_RECIPIENTS, "ii", first, last);
    while ((answer = db_step(db, SQL_OPEN_RECIPIENTS, e)) == DB_ROW) {
        int64_t state = db_int(db, SQL_OPEN_RECIPIENTS, 1);
        uint32_t part = (uint32_t)db_int(db, SQL_OPEN_RECIPIENTS, 4); /* stored as one */
        if ((wish->from >> state & 1) == 0)
            continue;
        if (unit_find(l, hi, part) != NULL) {
            ++*busy;
            continue;
        }
        struct waiting *w = waiting_find(
            list, part, (uint32_t)db_int(db, SQL_OPEN_RECIPIENTS, 2), /* stored as one */
            db_int(db, SQL_OPEN_RECIPIENTS, 3));
        uint32_t n = (uint32_t)(db_int(db, SQL_OPEN_RECIPIENTS, 0) - first + 1); /* in message */
        range_list_add(&w->ranges, n, n);
    }
    return answer == DB_DONE ? 0 : -1;
}

static int grant(struct ledger *l, const struct wish *wish, const struct unit *message,
                 const struct waiting *w, int64_t now_ms, struct err *e)
{
    struct db *db = &l->db;
    struct ranges ranges = range_list_view(&w->ranges);
    int64_t due_ms = wish->to == LEDGER_HELD ? LEDGER_NEVER : now_ms;
    int64_t hi = (int64_t)message->face.id.hi, seq;

    db_bind(db, SQL_GET_WORK, "iiii", (int64_t)w->site, w->due_ms, hi, (int64_t)w->part);
    enum db_answer answer = db_step(db, SQL_GET_WORK, e);
    if (answer != DB_ROW)
        return answer == DB_FAILED ? -1
                                   : err_set(e, ERR_FOUND, "work is missing; run waybill fsck");
    int64_t attempts = db_int(db, SQL_GET_WORK, 1);
    struct event_row row = {.time_ms = now_ms,
                            .hi = message->face.id.hi,
                            .kind = wish->kind,
                            .recipients = ranges_text(l, ranges),
                            .text = wish->text,
                            .prev = db_int(db, SQL_GET_WORK, 2)};
    db_reset(db, SQL_GET_WORK);
    if (add_event(l, &row, &seq, e) != 0)
        return -1;
    if (wish->to == LEDGER_DROPPED) {
        db_bind(db, SQL_REMOVE_WORK, "iiii", (int64_t)w->site, w->due_ms, hi, (int64_t)w->part);
        l->now.units--;
        if (db_run(db, SQL_REMOVE_WORK, e) != 0)
            return -1;
    } else {
        db_bind(db, SQL_MOVE_WORK, "iiiiii", due_ms, seq, (int64_t)w->site, w->due_ms, hi,
                (int64_t)w->part);
        if (db_run(db, SQL_MOVE_WORK, e) != 0)
            return -1;
    }
    for (size_t i = 0; i < ranges.n; i++) {
        db_bind(db, SQL_SET_RECIPIENTS, "iiiiiii", (int64_t)wish->to, attempts, due_ms,
                (int64_t)w->part, seq, message->first + ranges.p[i].first - 1,
                message->first + ranges.p[i].last - 1);
        if (db_run(db, SQL_SET_RECIPIENTS, e) != 0)
            return -1;
    }
    if (wish->to == LEDGER_DROPPED)
        return finish_recipients(l, message, ranges_count(ranges), now_ms, e);
    return 0;
}

static int grant_all(struct ledger *l, const struct wish *wish, struct id id, int64_t now_ms,
                     uint32_t *changed_out, uint32_t *busy_out, struct err *e)
{
    struct waiting_list list = {0};
    uint32_t changed = 0, busy = 0;
    int result = -1;

    if (ledger_expect_group(l, e) != 0)
        return -1;
    struct unit *message = unit_load(l, id.hi, 1, 0, 0, (struct slice){0}, 0, 0, e);
    if (message == NULL || message->face.id.lo != id.lo) {
        if (!l->db.failed) {
            char text[ID_TEXT_N + 1];
            id_encode(id, text);
            err_set(e, ERR_FOUND, "there is no message %s", text);
        }
        goto out;
    }
    if (find_units(l, wish, id.hi, message->first, message->first + message->recipient_count - 1,
                   &list, &busy, e) != 0)
        goto out;
    for (size_t i = 0; i < list.n; i++) {
        if (grant(l, wish, message, &list.p[i], now_ms, e) != 0)
            goto out;
        changed += (uint32_t)ranges_count(range_list_view(&list.p[i].ranges)); /* of a message */
    }
    if (changed_out != NULL)
        *changed_out = changed;
    if (busy_out != NULL)
        *busy_out = busy;
    result = 0;
out:
    if (message != NULL)
        unit_destroy(message);
    waiting_finish(&list);
    return result;
}

int ledger_hold(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                uint32_t *busy_out, struct err *e)
{
    return grant_all(l, &hold, id, now_ms, changed_out, busy_out, e);
}

int ledger_release(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                   uint32_t *busy_out, struct err *e)
{
    return grant_all(l, &release_held, id, now_ms, changed_out, busy_out, e);
}

int ledger_retry(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                 uint32_t *busy_out, struct err *e)
{
    return grant_all(l, &retry, id, now_ms, changed_out, busy_out, e);
}

int ledger_drop(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                uint32_t *busy_out, struct err *e)
{
    return grant_all(l, &drop, id, now_ms, changed_out, busy_out, e);
}

int ledger_sign(struct ledger *l, struct id id, const struct spool_place *to, struct slice text,
                int64_t now_ms, struct err *e)
{
    const struct wish sign = {LEDGER_EV_SIGNED, 1u << LEDGER_QUEUED, LEDGER_QUEUED, text};
    struct db *db = &l->db;
    int64_t hi = (int64_t)id.hi;
    uint32_t changed = 0;

    if (grant_all(l, &sign, id, now_ms, &changed, NULL, e) != 0)
        return -1;
    if (changed == 0)
        return err_set(e, ERR_FOUND, "the message is being delivered, or held");
    db_bind(db, SQL_UNIT_MESSAGE, "i", hi);
    if (db_step(db, SQL_UNIT_MESSAGE, e) != DB_ROW)
        return -1;
    uint64_t from = (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 4);
    uint64_t bytes = SPOOL_RECORD_HEADER_BYTES + (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 5);
    db_reset(db, SQL_UNIT_MESSAGE);
    segment_leave(l, from, bytes, now_ms);
    segment_enter(l, to->segment, spool_place_bytes(to), id.hi, now_ms);
    db_bind(db, SQL_REPLACE_BYTES, "iiiiii", (int64_t)to->segment, (int64_t)to->offset,
            (int64_t)to->body_n, (int64_t)to->head_n, (int64_t)(to->body_n + to->head_n), hi);
    return db_run(db, SQL_REPLACE_BYTES, e);
}

#define RETRY_AT_ONCE 10000 /* messages of one site in one call */

int ledger_retry_site(struct ledger *l, uint32_t site, int64_t now_ms, uint64_t *changed_out,
                      struct err *e)
{
    struct db *db = &l->db;
    struct id *ids = mem_alloc(RETRY_AT_ONCE * sizeof *ids);
    enum db_answer answer;
    size_t n = 0;
    int result = 0;

    *changed_out = 0;
    db_bind(db, SQL_LATE_WORK, "iiii", (int64_t)site, now_ms, LEDGER_NEVER, (int64_t)RETRY_AT_ONCE);
    while ((answer = db_step(db, SQL_LATE_WORK, e)) == DB_ROW && n < RETRY_AT_ONCE) {
        ids[n++] = (struct id){(uint64_t)db_int(db, SQL_LATE_WORK, 0), /* stored as these */
                               (uint64_t)db_int(db, SQL_LATE_WORK, 1)};
    }
    db_reset(db, SQL_LATE_WORK);
    if (answer == DB_FAILED)
        result = -1;
    for (size_t i = 0; i < n && result == 0; i++) {
        uint32_t changed = 0;

        result = grant_all(l, &retry, ids[i], now_ms, &changed, NULL, e);
        *changed_out += changed;
    }
    free(ids);
    return result;
}
