#include "store/ledger/ledger_in.h"

/* Sets every segment to what the messages say; returns how many were wrong. */
static int recount(struct ledger *l, uint64_t *changed, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;
    struct ledger_segment *before = mem_alloc((l->segment_n + 1) * sizeof *before);
    size_t before_n = l->segment_n;

    for (size_t i = 0; i < before_n; i++) {
        before[i] = l->segments[i].face;
        segment_touch(l, &l->segments[i]);
        l->segments[i].face.live_bytes = l->segments[i].face.live_count = 0;
    }
    while ((answer = db_step(db, SQL_RECOUNT, e)) == DB_ROW) {
        uint64_t segment = (uint64_t)db_int(db, SQL_RECOUNT, 0);
        uint64_t bytes = (uint64_t)db_int(db, SQL_RECOUNT, 1);
        if (!segment_is_at(l, segment_find(l, segment), segment))
            ++*changed;
        segment_enter(l, segment, 0, (uint64_t)db_int(db, SQL_RECOUNT, 4), 0);
        struct segment_entry *entry = &l->segments[segment_find(l, segment)];
        entry->face.live_bytes = bytes;
        entry->face.live_count = (uint64_t)db_int(db, SQL_RECOUNT, 2);
        if (entry->face.total_bytes < bytes)
            entry->face.total_bytes = bytes;
        if (entry->low_id > db_int(db, SQL_RECOUNT, 3))
            entry->low_id = db_int(db, SQL_RECOUNT, 3);
    }
    for (size_t i = 0; i < before_n; i++) {
        const struct ledger_segment *now = &l->segments[segment_find(l, before[i].segment)].face;
        *changed +=
            now->live_bytes != before[i].live_bytes || now->live_count != before[i].live_count;
    }
    free(before);
    return answer == DB_DONE ? 0 : -1;
}

/* Recipients that wait in no unit, gathered by the unit that they name. */
struct lost {
    uint64_t hi;
    uint32_t site, part, attempts;
    int64_t due_ms, event;
    struct range_list ranges;
};

static int mend_unit(struct ledger *l, struct lost *lost, uint64_t *changed, struct err *e)
{
    if (lost->ranges.n == 0)
        return 0;
    ++*changed;
    int result = add_work(l, lost->site, lost->due_ms, lost->hi, lost->part,
                          range_list_view(&lost->ranges), lost->attempts, lost->event, e);
    range_list_clear(&lost->ranges);
    return result;
}

static int mend_lost(struct ledger *l, uint64_t *changed, struct err *e)
{
    struct db *db = &l->db;
    struct lost lost = {0};
    enum db_answer answer;
    int result = 0;

    while (result == 0 && (answer = db_step(db, SQL_LOST, e)) == DB_ROW) {
        uint64_t hi = (uint64_t)db_int(db, SQL_LOST, 0);
        uint32_t site = (uint32_t)db_int(db, SQL_LOST, 1); /* stored as one */
        int64_t due_ms = db_int(db, SQL_LOST, 2);
        uint32_t part = (uint32_t)db_int(db, SQL_LOST, 3); /* stored as one */
        uint32_t n = (uint32_t)db_int(db, SQL_LOST, 6);    /* stored as one */
        if (hi != lost.hi || site != lost.site || due_ms != lost.due_ms || part != lost.part)
            result = mend_unit(l, &lost, changed, e);
        lost.hi = hi;
        lost.site = site;
        lost.due_ms = due_ms;
        lost.part = part;
        lost.attempts = (uint32_t)db_int(db, SQL_LOST, 4); /* stored as one */
        lost.event = db_int(db, SQL_LOST, 5);
        range_list_add(&lost.ranges, n, n);
    }
    if (result == 0)
        result = answer == DB_DONE ? mend_unit(l, &lost, changed, e) : -1;
    range_list_finish(&lost.ranges);
    return result;
}

int ledger_repair(struct ledger *l, uint64_t *changed_out, struct err *e)
{
    struct db *db = &l->db;

    *changed_out = 0;
    if (ledger_begin(l, e) != 0)
        return -1;
    if (db_run(db, SQL_REMOVE_STRAY, e) != 0)
        goto bad;
    *changed_out += (uint64_t)db_changes(db);
    l->now.units -= (uint64_t)db_changes(db);
    if (mend_lost(l, changed_out, e) != 0 || recount(l, changed_out, e) != 0)
        goto bad;
    return ledger_commit(l, e);
bad:
    ledger_rollback(l);
    return -1;
}
