#include "store/ledger/ledger_in.h"

/* Where the segment is, or belongs. */
size_t segment_find(const struct ledger *l, uint64_t segment)
{
    size_t low = 0, high = l->segment_n;

    if (high > 0 && l->segments[high - 1].face.segment < segment)
        return high; /* the usual case: a new one */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->segments[middle].face.segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool segment_is_at(const struct ledger *l, size_t at, uint64_t segment)
{
    return at < l->segment_n && l->segments[at].face.segment == segment;
}

static struct segment_entry *insert(struct ledger *l, size_t at, uint64_t segment)
{
    if (l->segment_n == l->segment_cap) {
        l->segment_cap = l->segment_cap == 0 ? 64 : 2 * l->segment_cap;
        l->segments = mem_resize(l->segments, l->segment_cap * sizeof *l->segments);
    }
    memmove(l->segments + at + 1, l->segments + at, (l->segment_n - at) * sizeof *l->segments);
    l->segment_n++;
    l->segments[at] = (struct segment_entry){.face.segment = segment};
    return &l->segments[at];
}

static void remove_at(struct ledger *l, size_t at)
{
    l->segment_n--;
    memmove(l->segments + at, l->segments + at + 1, (l->segment_n - at) * sizeof *l->segments);
}

/* A segment has bytes from the moment it is entered, until ledger_forget_segment(). */
static bool is_forgotten(const struct segment_entry *entry)
{
    return entry->face.total_bytes == 0;
}

int segments_load(struct ledger *l, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    while ((answer = db_step(db, SQL_ALL_SEGMENTS, e)) == DB_ROW) {
        struct segment_entry *entry =
            insert(l, l->segment_n, (uint64_t)db_int(db, SQL_ALL_SEGMENTS, 0));
        entry->face.total_bytes = (uint64_t)db_int(db, SQL_ALL_SEGMENTS, 1);
        entry->face.live_bytes = (uint64_t)db_int(db, SQL_ALL_SEGMENTS, 2);
        entry->face.live_count = (uint64_t)db_int(db, SQL_ALL_SEGMENTS, 3);
        entry->face.last_ms = db_int(db, SQL_ALL_SEGMENTS, 4);
        entry->low_id = db_int(db, SQL_ALL_SEGMENTS, 5);
        entry->high_id = db_int(db, SQL_ALL_SEGMENTS, 6);
    }
    return answer == DB_DONE ? 0 : -1;
}

int segments_store(struct ledger *l, struct err *e)
{
    struct db *db = &l->db;

    for (size_t i = 0; i < l->dirty_n; i++) {
        const struct segment_entry *entry = &l->segments[segment_find(l, l->dirty[i])];
        if (is_forgotten(entry)) {
            db_bind(db, SQL_REMOVE_SEGMENT, "i", (int64_t)entry->face.segment);
            if (db_run(db, SQL_REMOVE_SEGMENT, e) != 0)
                return -1;
            continue;
        }
        db_bind(db, SQL_SET_SEGMENT, "iiiiiii", (int64_t)entry->face.segment,
                (int64_t)entry->face.total_bytes, (int64_t)entry->face.live_bytes,
                (int64_t)entry->face.live_count, entry->face.last_ms, entry->low_id,
                entry->high_id);
        if (db_run(db, SQL_SET_SEGMENT, e) != 0)
            return -1;
    }
    return 0;
}

void segments_settle(struct ledger *l, bool keep)
{
    for (size_t i = 0; i < l->dirty_n; i++) {
        size_t at = segment_find(l, l->dirty[i]);
        struct segment_entry *entry = &l->segments[at];
        if (keep ? is_forgotten(entry) : entry->is_new) {
            remove_at(l, at);
            continue;
        }
        if (!keep) {
            entry->face = entry->saved;
            entry->low_id = entry->saved_low_id;
            entry->high_id = entry->saved_high_id;
        }
        entry->is_dirty = entry->is_new = false;
    }
    l->dirty_n = 0;
}

void segment_touch(struct ledger *l, struct segment_entry *entry)
{
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    entry->saved = entry->face;
    entry->saved_low_id = entry->low_id;
    entry->saved_high_id = entry->high_id;
    if (l->dirty_n == l->dirty_cap) {
        l->dirty_cap = l->dirty_cap == 0 ? 16 : 2 * l->dirty_cap;
        l->dirty = mem_resize(l->dirty, l->dirty_cap * sizeof *l->dirty);
    }
    l->dirty[l->dirty_n++] = entry->face.segment;
}

void segment_enter(struct ledger *l, uint64_t segment, uint64_t bytes, uint64_t hi, int64_t now_ms)
{
    size_t at = segment_find(l, segment);
    struct segment_entry *entry;
    int64_t id = (int64_t)hi; /* its top bit is part of the time: zero for ages */

    if (segment_is_at(l, at, segment)) {
        entry = &l->segments[at];
    } else {
        entry = insert(l, at, segment);
        entry->is_new = true;
        entry->low_id = entry->high_id = id;
    }
    segment_touch(l, entry);
    entry->face.total_bytes += bytes;
    entry->face.live_bytes += bytes;
    entry->face.live_count++;
    if (entry->face.last_ms < now_ms)
        entry->face.last_ms = now_ms;
    if (id < entry->low_id)
        entry->low_id = id;
    if (id > entry->high_id)
        entry->high_id = id;
}

void segment_leave(struct ledger *l, uint64_t segment, uint64_t bytes, int64_t now_ms)
{
    size_t at = segment_find(l, segment);

    if (!segment_is_at(l, at, segment))
        return;
    struct segment_entry *entry = &l->segments[at];
    segment_touch(l, entry);
    entry->face.live_bytes -= bytes < entry->face.live_bytes ? bytes : entry->face.live_bytes;
    entry->face.live_count -= entry->face.live_count > 0;
    if (entry->face.last_ms < now_ms)
        entry->face.last_ms = now_ms;
}

bool ledger_knows_segment(struct ledger *l, uint64_t segment)
{
    return segment_is_at(l, segment_find(l, segment), segment);
}

uint64_t ledger_last_segment(const struct ledger *l)
{
    return l->segment_n > 0 ? l->segments[l->segment_n - 1].face.segment : 0;
}

size_t ledger_idle_segments(struct ledger *l, int64_t before_ms, struct ledger_segment *out,
                            size_t limit)
{
    size_t n = 0;

    for (size_t i = 0; i < l->segment_n && n < limit; i++)
        if (l->segments[i].face.live_count == 0 && l->segments[i].face.last_ms < before_ms)
            out[n++] = l->segments[i].face;
    return n;
}

size_t ledger_sparse_segments(struct ledger *l, int64_t before_ms, uint32_t fraction,
                              struct ledger_segment *out, size_t limit)
{
    size_t n = 0;

    for (size_t i = 0; i < l->segment_n && n < limit; i++) {
        const struct ledger_segment *segment = &l->segments[i].face;
        if (segment->live_count > 0 && segment->last_ms < before_ms &&
            segment->live_bytes <= segment->total_bytes / fraction)
            out[n++] = *segment;
    }
    return n;
}

int ledger_forget_segment(struct ledger *l, uint64_t segment, struct err *e)
{
    size_t at = segment_find(l, segment);

    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (!segment_is_at(l, at, segment))
        return 0;
    if (l->segments[at].face.live_count > 0)
        return err_set(e, ERR_TEMP, "segment %llu holds unfinished messages",
                       (unsigned long long)segment);
    /* It leaves memory only after the commit; until then it is marked by having nothing at all. */
    segment_touch(l, &l->segments[at]);
    l->segments[at].face.total_bytes = 0; /* is_forgotten() */
    return 0;
}

int ledger_live_in_segment(struct ledger *l, uint64_t segment, struct id after,
                           struct ledger_stored *out, size_t limit, size_t *n_out, struct err *e)
{
    struct db *db = &l->db;
    size_t at = segment_find(l, segment);
    enum db_answer answer;

    *n_out = 0;
    if (!segment_is_at(l, at, segment))
        return 0;
    db_bind(db, SQL_LIVE_IN_SEGMENT, "iiiii", (int64_t)after.hi, l->segments[at].low_id,
            l->segments[at].high_id, (int64_t)segment, (int64_t)limit);
    while ((answer = db_step(db, SQL_LIVE_IN_SEGMENT, e)) == DB_ROW) {
        out[(*n_out)++] = (struct ledger_stored){
            .id = {(uint64_t)db_int(db, SQL_LIVE_IN_SEGMENT, 0),
                   (uint64_t)db_int(db, SQL_LIVE_IN_SEGMENT, 1)},
            .place = {.segment = segment,
                      .offset = (uint64_t)db_int(db, SQL_LIVE_IN_SEGMENT, 2),
                      .body_n = (uint64_t)db_int(db, SQL_LIVE_IN_SEGMENT, 3),
                      .head_n = (uint32_t)db_int(db, SQL_LIVE_IN_SEGMENT, 4)},
        };
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_move(struct ledger *l, struct id id, const struct spool_place *to, struct err *e)
{
    struct db *db = &l->db;
    int64_t hi = (int64_t)id.hi;

    if (ledger_expect_group(l, e) != 0)
        return -1;
    LIST_EACH(&l->taken, link)
    {
        if (id_eq(CONTAINER_OF(link, struct unit, link)->face.id, id))
            return err_set(e, ERR_TEMP, "the message is being delivered");
    }
    db_bind(db, SQL_UNIT_MESSAGE, "i", hi);
    enum db_answer answer = db_step(db, SQL_UNIT_MESSAGE, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_DONE)
        return err_set(e, ERR_FOUND, "the message to move is not there");
    uint64_t from = (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 4);
    db_reset(db, SQL_UNIT_MESSAGE);
    uint64_t bytes = spool_place_bytes(to);
    int64_t now_ms = id_unix_ms(id); /* moving a message does not make a segment younger */
    segment_leave(l, from, bytes, now_ms);
    segment_enter(l, to->segment, bytes, id.hi, now_ms);
    db_bind(db, SQL_MOVE_MESSAGE, "iii", (int64_t)to->segment, (int64_t)to->offset, hi);
    return db_run(db, SQL_MOVE_MESSAGE, e);
}
