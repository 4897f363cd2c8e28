#include "store/ledger/ledger_in.h"

#define FIRST_BUCKETS 1024

/* --- the table of taken units --- */

static size_t bucket_of(const struct ledger *l, uint64_t hi, uint32_t part)
{
    return (size_t)((hi ^ part) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (l->bucket_count - 1);
}

struct unit *unit_find(const struct ledger *l, uint64_t hi, uint32_t part)
{
    if (l->bucket_count == 0)
        return NULL;
    for (struct unit *u = l->buckets[bucket_of(l, hi, part)]; u != NULL; u = u->next_in_bucket)
        if (u->face.id.hi == hi && u->face.part == part)
            return u;
    return NULL;
}

static void table_put(struct ledger *l, struct unit *u)
{
    struct unit **bucket = &l->buckets[bucket_of(l, u->face.id.hi, u->face.part)];

    u->next_in_bucket = *bucket;
    *bucket = u;
}

static void table_grow(struct ledger *l)
{
    struct unit **old = l->buckets;
    size_t old_count = l->bucket_count;

    l->bucket_count = old_count == 0 ? FIRST_BUCKETS : 2 * old_count;
    l->buckets = mem_alloc(l->bucket_count * sizeof(struct unit *));
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct unit *u = old[i];
            old[i] = u->next_in_bucket;
            table_put(l, u);
        }
    }
    free(old);
}

void unit_take(struct ledger *l, struct unit *u, struct list *where)
{
    if (l->taken_count >= l->bucket_count)
        table_grow(l);
    table_put(l, u);
    list_append(where, &u->link);
    l->taken_count++;
}

void unit_drop(struct ledger *l, struct unit *u)
{
    struct unit **place = &l->buckets[bucket_of(l, u->face.id.hi, u->face.part)];

    while (*place != u)
        place = &(*place)->next_in_bucket;
    *place = u->next_in_bucket;
    l->taken_count--;
    unit_destroy(u);
}

/* --- one unit --- */

struct unit *unit_create(struct ledger *l, struct slice stream, struct slice tag)
{
    struct unit *u = mem_alloc(sizeof *u + stream.n + tag.n);

    (void)l;
    list_init(&u->link);
    if (stream.n > 0)
        memcpy(u->text, stream.p, stream.n);
    if (tag.n > 0)
        memcpy(u->text + stream.n, tag.p, tag.n);
    u->face.stream = (struct slice){u->text, stream.n};
    u->face.tag = (struct slice){u->text + stream.n, tag.n};
    return u;
}

void unit_destroy(struct unit *u)
{
    list_remove(&u->link);
    range_list_finish(&u->ranges);
    free(u);
}

struct slice ranges_text(struct ledger *l, struct ranges ranges)
{
    buf_clear(&l->text);
    ranges_print(ranges, &l->text);
    return buf_slice(&l->text);
}

struct slice work_text(struct ledger *l, struct ranges ranges, uint32_t part)
{
    if (ranges.n == 1 && ranges.p[0].first == part && ranges.p[0].last == part)
        return (struct slice){0};
    return ranges_text(l, ranges);
}

struct unit *unit_load(struct ledger *l, uint64_t hi, uint32_t part, uint32_t site, int64_t due_ms,
                       struct slice recipients, uint32_t attempts, int64_t event, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_UNIT_MESSAGE, "i", (int64_t)hi);
    enum db_answer answer = db_step(db, SQL_UNIT_MESSAGE, e);
    if (answer != DB_ROW) {
        if (answer == DB_DONE)
            err_set(e, ERR_FOUND, "work without a message; run waybill fsck");
        return NULL;
    }
    struct unit *u =
        unit_create(l, db_text(db, SQL_UNIT_MESSAGE, 6), db_text(db, SQL_UNIT_MESSAGE, 7));
    u->face.id = (struct id){hi, (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 0)};
    u->face.received_ms = db_int(db, SQL_UNIT_MESSAGE, 1);
    u->first = db_int(db, SQL_UNIT_MESSAGE, 2);
    u->recipient_count = (uint32_t)db_int(db, SQL_UNIT_MESSAGE, 3); /* at most RECIPIENTS_MAX */
    u->segment = (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 4);
    u->record_bytes = (uint64_t)db_int(db, SQL_UNIT_MESSAGE, 5) + SPOOL_RECORD_HEADER_BYTES;
    db_reset(db, SQL_UNIT_MESSAGE);
    u->face.part = part;
    u->face.site = site;
    u->face.due_ms = due_ms;
    u->face.attempts = attempts;
    u->event = event;
    if (recipients.n == 0)
        range_list_add(&u->ranges, part, part);
    else if (ranges_parse(recipients, u->recipient_count, &u->ranges, e) != 0)
        goto bad;
    u->face.recipients = range_list_view(&u->ranges);
    return u;
bad:
    unit_destroy(u);
    return NULL;
}

void view_clear(struct ledger *l)
{
    l->view_n = 0;
}

void view_add(struct ledger *l, const struct unit *u)
{
    if (l->view_n == l->view_cap) {
        l->view_cap = l->view_cap == 0 ? 64 : 2 * l->view_cap;
        l->view = mem_resize((void *)l->view, l->view_cap * sizeof *l->view);
    }
    l->view[l->view_n++] = &u->face;
}

/* --- what is due --- */

int ledger_take_due(struct ledger *l, uint32_t site, int64_t now_ms, size_t limit,
                    struct ledger_units *units_out, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer = DB_DONE;
    int result = 0;

    view_clear(l);
    db_bind(db, SQL_DUE_WORK, "ii", (int64_t)site, now_ms);
    while (l->view_n < limit && (answer = db_step(db, SQL_DUE_WORK, e)) == DB_ROW) {
        uint64_t hi = (uint64_t)db_int(db, SQL_DUE_WORK, 1);
        uint32_t part = (uint32_t)db_int(db, SQL_DUE_WORK, 2); /* stored as one */
        if (unit_find(l, hi, part) != NULL)
            continue;
        struct unit *u =
            unit_load(l, hi, part, site, db_int(db, SQL_DUE_WORK, 0), db_text(db, SQL_DUE_WORK, 3),
                      (uint32_t)db_int(db, SQL_DUE_WORK, 4), /* stored as one */
                      db_int(db, SQL_DUE_WORK, 5), e);
        if (u == NULL) {
            result = -1;
            break;
        }
        unit_take(l, u, &l->taken);
        view_add(l, u);
    }
    if (answer == DB_FAILED)
        result = -1;
    else
        db_reset(db, SQL_DUE_WORK);
    *units_out = (struct ledger_units){l->view, l->view_n};
    return result;
}

int ledger_next_due(struct ledger *l, uint32_t site, int64_t *due_ms_out, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    *due_ms_out = LEDGER_NEVER;
    db_bind(db, SQL_FIRST_DUE, "i", (int64_t)site);
    while ((answer = db_step(db, SQL_FIRST_DUE, e)) == DB_ROW) {
        uint64_t hi = (uint64_t)db_int(db, SQL_FIRST_DUE, 1);
        if (unit_find(l, hi, (uint32_t)db_int(db, SQL_FIRST_DUE, 2)) != NULL)
            continue;
        *due_ms_out = db_int(db, SQL_FIRST_DUE, 0);
        db_reset(db, SQL_FIRST_DUE);
        return 0;
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_next_site(struct ledger *l, uint32_t after, uint32_t *site_out, int64_t *due_ms_out,
                     struct err *e)
{
    struct db *db = &l->db;

    *site_out = 0;
    db_bind(db, SQL_NEXT_SITE, "i", (int64_t)after);
    enum db_answer answer = db_step(db, SQL_NEXT_SITE, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    uint32_t site = (uint32_t)db_int(db, SQL_NEXT_SITE, 0); /* stored as one */
    db_reset(db, SQL_NEXT_SITE);
    if (ledger_next_due(l, site, due_ms_out, e) != 0)
        return -1;
    *site_out = site;
    return 0;
}

const struct ledger_unit *ledger_find_unit(const struct ledger *l, struct id id, uint32_t part)
{
    const struct unit *u = unit_find(l, id.hi, part);

    return u != NULL && u->face.id.lo == id.lo && !u->consumed ? &u->face : NULL;
}

int ledger_unit_touched(struct ledger *l, const struct ledger_unit *unit, int64_t *time_ms_out,
                        struct err *e)
{
    const struct unit *u = unit_find(l, unit->id.hi, unit->part);
    struct db *db = &l->db;

    *time_ms_out = unit->received_ms; /* when retention has taken that event */
    db_bind(db, SQL_EVENT_TIME, "i", u != NULL ? u->event : 0);
    enum db_answer answer = db_step(db, SQL_EVENT_TIME, e);
    if (answer == DB_ROW)
        *time_ms_out = db_int(db, SQL_EVENT_TIME, 0);
    db_reset(db, SQL_EVENT_TIME);
    return answer == DB_FAILED ? -1 : 0;
}

void ledger_give_back(struct ledger *l, const struct ledger_unit *unit)
{
    struct unit *u = unit_find(l, unit->id.hi, unit->part);

    if (u != NULL && !u->consumed)
        unit_drop(l, u);
}

/* Reads the recipients of the unit in order. */
static int load_recipients(struct ledger *l, const struct unit *u, struct arena *arena,
                           struct ledger_recipient *recipients, struct err *e)
{
    struct db *db = &l->db;
    size_t at = 0, count = (size_t)ranges_count(u->face.recipients);

    for (size_t i = 0; i < u->ranges.n; i++) {
        enum db_answer answer;
        db_bind(db, SQL_GET_RECIPIENTS, "ii", u->first + u->ranges.p[i].first - 1,
                u->first + u->ranges.p[i].last - 1);
        while ((answer = db_step(db, SQL_GET_RECIPIENTS, e)) == DB_ROW) {
            if (at == count)
                continue;
            struct ledger_recipient *r = &recipients[at++];
            r->address = arena_copy(arena, db_text(db, SQL_GET_RECIPIENTS, 0));
            r->options = arena_copy(arena, db_text(db, SQL_GET_RECIPIENTS, 1));
            r->site = (uint32_t)db_int(db, SQL_GET_RECIPIENTS, 2); /* stored as one */
            if (r->address.p == NULL || r->options.p == NULL) {
                db_reset(db, SQL_GET_RECIPIENTS);
                return err_set(e, ERR_LIMIT, "no room for %zu recipients", count);
            }
        }
        if (answer == DB_FAILED)
            return -1;
    }
    if (at != count)
        return err_set(e, ERR_FOUND, "recipients are missing; run waybill fsck");
    return 0;
}

int ledger_load_message(struct ledger *l, struct id id, struct arena *arena,
                        struct ledger_message *message_out, struct err *e)
{
    struct db *db = &l->db;
    int64_t first;

    db_bind(db, SQL_GET_MESSAGE, "i", (int64_t)id.hi);
    enum db_answer answer = db_step(db, SQL_GET_MESSAGE, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_DONE)
        return err_set(e, ERR_FOUND, "the message is gone");
    int result = read_message(db, SQL_GET_MESSAGE, arena, message_out, &first, e);
    db_reset(db, SQL_GET_MESSAGE);
    if (result != 0)
        return -1;
    message_out->id.hi = id.hi;
    return id.lo == message_out->id.lo ? 0 : err_set(e, ERR_FOUND, "there is no such message");
}

int ledger_load_unit(struct ledger *l, const struct ledger_unit *unit, struct arena *arena,
                     struct ledger_message *message_out,
                     const struct ledger_recipient **recipients_out, size_t *n_out, struct err *e)
{
    const struct unit *u = (const struct unit *)(const void *)unit; /* a face is its unit */
    size_t count = (size_t)ranges_count(unit->recipients);

    if (ledger_load_message(l, unit->id, arena, message_out, e) != 0)
        return -1;
    struct ledger_recipient *recipients = arena_array(arena, count, sizeof *recipients);
    if (recipients == NULL)
        return err_set(e, ERR_LIMIT, "no room for %zu recipients", count);
    if (load_recipients(l, u, arena, recipients, e) != 0)
        return -1;
    *recipients_out = recipients;
    *n_out = count;
    return 0;
}
