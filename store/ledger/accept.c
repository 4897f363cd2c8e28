#include <assert.h>

#include "store/ledger/ledger_in.h"

#define SITES_CACHED_MAX 100000u

/* --- sites --- */

int ledger_site(struct ledger *l, struct slice name, uint32_t *site_out, struct err *e)
{
    struct db *db = &l->db;
    void *known = map_get(l->sites, name);

    if (known != NULL) {
        *site_out = (uint32_t)(uintptr_t)known; /* the number itself is the value */
        return 0;
    }
    if (ledger_expect_group(l, e) != 0)
        return -1;
    int statement = SQL_FIND_SITE;
    db_bind(db, statement, "t", name);
    enum db_answer answer = db_step(db, statement, e);
    if (answer == DB_DONE) {
        statement = SQL_ADD_SITE;
        db_bind(db, statement, "t", name);
        answer = db_step(db, statement, e);
    }
    if (answer != DB_ROW)
        return -1;
    *site_out = (uint32_t)db_int(db, statement, 0); /* rows count from 1; 4 G sites are far away */
    db_reset(db, statement);
    if (map_count(l->sites) >= SITES_CACHED_MAX) {
        map_destroy(&l->sites);
        l->sites = map_create((uintptr_t)l);
    }
    map_put(l->sites, name, (void *)(uintptr_t)*site_out);
    return 0;
}

int ledger_site_name(struct ledger *l, uint32_t site, struct buf *out, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_SITE_NAME, "i", (int64_t)site);
    enum db_answer answer = db_step(db, SQL_SITE_NAME, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_DONE)
        return err_set(e, ERR_FOUND, "there is no site %u", site);
    buf_append(out, db_text(db, SQL_SITE_NAME, 0));
    db_reset(db, SQL_SITE_NAME);
    return 0;
}

/* --- rows --- */

int add_event(struct ledger *l, const struct event_row *row, int64_t *seq_out, struct err *e)
{
    struct db *db = &l->db;
    int64_t seq = l->now.next_seq++;
    int64_t took = row->start_ms > 0 ? row->time_ms - row->start_ms : -1;
    int64_t waited = row->dot_ms > 0 ? row->time_ms - row->dot_ms : -1;

    db_bind(db, SQL_ADD_EVENT, "iiiitttittiiit", seq, row->time_ms, (int64_t)row->hi,
            (int64_t)row->kind, row->recipients, row->host, row->ip, (int64_t)row->reply_code,
            row->enhanced, row->text, took, waited, row->prev, row->category);
    if (seq_out != NULL)
        *seq_out = seq;
    return db_run(db, SQL_ADD_EVENT, e);
}

int add_work(struct ledger *l, uint32_t site, int64_t due_ms, uint64_t hi, uint32_t part,
             struct ranges ranges, uint32_t attempts, int64_t event, struct err *e)
{
    db_bind(&l->db, SQL_ADD_WORK, "iiiitii", (int64_t)site, due_ms, (int64_t)hi, (int64_t)part,
            work_text(l, ranges, part), (int64_t)attempts, event);
    l->now.units++;
    return db_run(&l->db, SQL_ADD_WORK, e);
}

static int add_message_row(struct ledger *l, const struct ledger_message *m, size_t recipients,
                           size_t unfinished, struct err *e)
{
    struct slice digest = {m->has_digest ? (const char *)m->digest : NULL,
                           m->has_digest ? LEDGER_DIGEST_BYTES : 0};
    int64_t count = (int64_t)recipients, open = (int64_t)unfinished;

    db_bind(&l->db, SQL_ADD_MESSAGE, "iibiiiiiiiiitttttttttttt", (int64_t)m->id.hi,
            (int64_t)m->id.lo, digest, m->received_ms, l->now.next_recipient, count, open,
            (int64_t)m->place.segment, (int64_t)m->place.offset, (int64_t)m->place.body_n,
            (int64_t)m->place.head_n, (int64_t)m->size_bytes, m->stream, m->tag, m->sender,
            m->options, m->client, m->client_ip, m->helo, m->login, m->tls, m->message_id, m->from,
            m->subject);
    return db_run(&l->db, SQL_ADD_MESSAGE, e);
}

/* --- from recipients to units --- */

struct by_site {
    uint32_t site, n;
};

static int compare_by_site(const void *a, const void *b)
{
    const struct by_site *x = a, *y = b;

    if (x->site != y->site)
        return x->site < y->site ? -1 : 1;
    return x->n < y->n ? -1 : x->n > y->n;
}

/* Recipients in order of site and number; a unit is a run of them. */
struct plan {
    struct by_site *order;
    uint32_t *part; /* [recipient - 1] */
    size_t n, unit_max;
    size_t total; /* the suppressed ones too */
};

static size_t plan_unit_end(const struct plan *plan, size_t at)
{
    size_t end = at + 1;

    while (end < plan->n && end - at < plan->unit_max &&
           plan->order[end].site == plan->order[at].site)
        end++;
    return end;
}

static void plan_init(struct plan *plan, const struct ledger_recipient *recipients, size_t n,
                      size_t unit_max)
{
    *plan = (struct plan){.total = n, .unit_max = unit_max};
    plan->order = mem_alloc(n * sizeof *plan->order);
    plan->part = mem_alloc(n * sizeof *plan->part);
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        if (recipients[i].is_suppressed)
            continue;
        plan->order[plan->n++] =
            (struct by_site){recipients[i].site, (uint32_t)i + 1}; /* <= 10^6 */
        sorted = sorted && (i == 0 || recipients[i].site >= recipients[i - 1].site);
    }
    if (!sorted)
        qsort(plan->order, plan->n, sizeof *plan->order, compare_by_site);
    for (size_t at = 0, end; at < plan->n; at = end) {
        end = plan_unit_end(plan, at);
        for (size_t i = at; i < end; i++)
            plan->part[plan->order[i].n - 1] = plan->order[at].n;
    }
}

static void plan_finish(struct plan *plan)
{
    free(plan->order);
    free(plan->part);
}

/* A new unit: its work row and, if it is taken, the unit in memory. */
static int add_unit(struct ledger *l, const struct ledger_message *m, const struct plan *plan,
                    size_t at, size_t end, int64_t due_ms, bool take, int64_t event, struct err *e)
{
    struct range_list ranges = {0};
    uint32_t part = plan->order[at].n, site = plan->order[at].site;

    for (size_t i = at; i < end; i++)
        range_list_add(&ranges, plan->order[i].n, plan->order[i].n);
    int result = add_work(l, site, due_ms, m->id.hi, part, range_list_view(&ranges), 0, event, e);
    if (result != 0 || !take) {
        range_list_finish(&ranges);
        return result;
    }
    struct unit *u = unit_create(l, m->stream, m->tag);
    u->face.id = m->id;
    u->face.part = part;
    u->face.site = site;
    u->face.due_ms = due_ms;
    u->face.received_ms = m->received_ms;
    u->first = l->now.next_recipient;
    u->recipient_count = (uint32_t)plan->total; /* at most LEDGER_RECIPIENTS_MAX */
    u->segment = m->place.segment;
    u->record_bytes = spool_place_bytes(&m->place);
    u->event = event;
    u->ranges = ranges;
    u->face.recipients = range_list_view(&u->ranges);
    u->is_new = true;
    unit_take(l, u, &l->added);
    view_add(l, u);
    return 0;
}

static int add_recipients_and_units(struct ledger *l, const struct ledger_message *m,
                                    const struct ledger_recipient *recipients, size_t n,
                                    int64_t due_ms, bool take, int64_t event, struct err *e)
{
    struct db *db = &l->db;
    int64_t state = due_ms == LEDGER_NEVER ? LEDGER_HELD : LEDGER_QUEUED;
    struct plan plan;
    int result = 0;

    plan_init(&plan, recipients, n, m->alone ? 1 : l->unit_recipients);
    for (size_t i = 0; i < n && result == 0; i++) {
        db_bind(db, SQL_ADD_RECIPIENT, "iittiiiii", l->now.next_recipient + (int64_t)i,
                (int64_t)m->id.hi, recipients[i].address, recipients[i].options,
                (int64_t)recipients[i].site,
                recipients[i].is_suppressed ? LEDGER_SUPPRESSED : state, due_ms,
                (int64_t)plan.part[i], event);
        result = db_run(db, SQL_ADD_RECIPIENT, e);
    }
    for (size_t at = 0, end; at < plan.n && result == 0; at = end) {
        end = plan_unit_end(&plan, at);
        result = add_unit(l, m, &plan, at, end, due_ms, take, event, e);
    }
    plan_finish(&plan);
    return result;
}

/* --- duplicates --- */

static void remember_digest(struct ledger *l, const unsigned char *digest, int64_t reference,
                            int64_t now_ms)
{
    if (duplicates_is_crowded(&l->duplicates, reference)) {
        struct err ignored;
        int64_t oldest = reference;
        db_bind(&l->db, SQL_FIRST_SINCE, "i", (now_ms - l->duplicate_window_ms) << 16);
        if (db_step(&l->db, SQL_FIRST_SINCE, &ignored) == DB_ROW) {
            oldest = db_int(&l->db, SQL_FIRST_SINCE, 0);
            db_reset(&l->db, SQL_FIRST_SINCE);
        }
        if (oldest > reference)
            oldest = reference;
        if (reference - oldest > UINT32_MAX / 2)
            oldest = reference - UINT32_MAX / 2;
        duplicates_trim(&l->duplicates, oldest);
    }
    duplicates_add(&l->duplicates, digest, reference);
}

bool ledger_find_duplicate(struct ledger *l, const unsigned char digest[LEDGER_DIGEST_BYTES],
                           int64_t now_ms, struct id *id_out)
{
    struct db *db = &l->db;
    struct err ignored;
    size_t cursor = 0;
    int64_t reference;
    bool found = false;

    while (!found && duplicates_next(&l->duplicates, digest, &cursor, &reference)) {
        db_bind(db, SQL_DIGEST_OF, "i", reference);
        if (db_step(db, SQL_DIGEST_OF, &ignored) != DB_ROW)
            continue;
        struct slice stored = db_text(db, SQL_DIGEST_OF, 2);
        found = stored.n == LEDGER_DIGEST_BYTES && memcmp(stored.p, digest, stored.n) == 0 &&
                db_int(db, SQL_DIGEST_OF, 3) >= now_ms - l->duplicate_window_ms;
        if (found)
            *id_out = (struct id){(uint64_t)db_int(db, SQL_DIGEST_OF, 0),
                                  (uint64_t)db_int(db, SQL_DIGEST_OF, 1)};
        db_reset(db, SQL_DIGEST_OF);
    }
    return found;
}

int ledger_add_event(struct ledger *l, struct id id, const struct ledger_event_note *note,
                     int64_t now_ms, struct err *e)
{
    struct event_row row = {.time_ms = now_ms,
                            .hi = id.hi,
                            .kind = note->kind,
                            .recipients = ranges_text(l, note->recipients),
                            .host = note->host,
                            .ip = note->ip,
                            .text = note->text};
    int64_t seq;

    if (ledger_expect_group(l, e) != 0 || add_event(l, &row, &seq, e) != 0)
        return -1;
    db_bind(&l->db, SQL_ADD_ASIDE, "ii", (int64_t)id.hi, seq);
    return db_run(&l->db, SQL_ADD_ASIDE, e);
}

int ledger_add_duplicate(struct ledger *l, struct id id, struct slice client_ip, int64_t now_ms,
                         struct err *e)
{
    struct db *db = &l->db;
    struct ledger_event_note note = {.kind = LEDGER_EV_DUPLICATE, .ip = client_ip};

    if (ledger_add_event(l, id, &note, now_ms, e) != 0)
        return -1;
    l->now.duplicates++;
    db_bind(db, SQL_UNIT_MESSAGE, "i", (int64_t)id.hi);
    enum db_answer answer = db_step(db, SQL_UNIT_MESSAGE, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    int result = stats_add(&l->stats, db, db_text(db, SQL_UNIT_MESSAGE, 6),
                           db_text(db, SQL_UNIT_MESSAGE, 7), STAT_DUPLICATES, 1, now_ms, e);
    db_reset(db, SQL_UNIT_MESSAGE);
    return result;
}

/* --- the whole --- */

int ledger_add_message(struct ledger *l, const struct ledger_message *m,
                       const struct ledger_recipient *recipients, size_t n, int64_t due_ms,
                       bool take, struct ledger_units *units_out, struct err *e)
{
    struct event_row accepted = {
        .time_ms = m->received_ms, .hi = m->id.hi, .kind = LEDGER_EV_ACCEPTED};
    int64_t event;
    size_t unfinished = n;

    for (size_t i = 0; i < n; i++)
        unfinished -= recipients[i].is_suppressed;
    assert(n > 0 && n <= LEDGER_RECIPIENTS_MAX && m->id.hi > 0 && m->id.hi <= INT64_MAX);
    view_clear(l);
    if (ledger_expect_group(l, e) != 0 || add_message_row(l, m, n, unfinished, e) != 0 ||
        add_event(l, &accepted, &event, e) != 0 ||
        add_recipients_and_units(l, m, recipients, n, due_ms, take, event, e) != 0)
        return -1;
    if (m->has_digest)
        remember_digest(l, m->digest, l->now.next_recipient, m->received_ms);
    if (m->place.segment != 0)
        segment_enter(l, m->place.segment, spool_place_bytes(&m->place), m->id.hi, m->received_ms);
    if (m->place.segment != 0 && unfinished == 0)
        segment_leave(l, m->place.segment, spool_place_bytes(&m->place), m->received_ms);
    l->now.next_recipient += (int64_t)n;
    l->now.messages++;
    if (m->id.hi > l->now.last_id.hi)
        l->now.last_id = m->id;
    if (stats_add(&l->stats, &l->db, m->stream, m->tag, STAT_MESSAGES, 1, m->received_ms, e) != 0 ||
        stats_add(&l->stats, &l->db, m->stream, m->tag, STAT_SENT, n, m->received_ms, e) != 0)
        return -1;
    if (units_out != NULL)
        *units_out = (struct ledger_units){l->view, l->view_n};
    return 0;
}

/* --- and back --- */

int read_message(const struct db *db, int statement, struct arena *arena, struct ledger_message *m,
                 int64_t *first_out, struct err *e)
{
    struct slice *texts[] = {&m->stream, &m->tag,        &m->sender, &m->options,
                             &m->client, &m->client_ip,  &m->helo,   &m->login,
                             &m->tls,    &m->message_id, &m->from,   &m->subject};

    *m = (struct ledger_message){
        .id.lo = (uint64_t)db_int(db, statement, 0),
        .received_ms = db_int(db, statement, 1),
        .place = {.segment = (uint64_t)db_int(db, statement, 2),
                  .offset = (uint64_t)db_int(db, statement, 3),
                  .body_n = (uint64_t)db_int(db, statement, 4),
                  .head_n = (uint32_t)db_int(db, statement, 5)}, /* stored as one */
        .size_bytes = (uint64_t)db_int(db, statement, 6),
        .recipient_count = (uint32_t)db_int(db, statement, 19), /* stored as one */
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        *texts[i] = arena_copy(arena, db_text(db, statement, 7 + (int)i));
        if (texts[i]->p == NULL)
            return err_set(e, ERR_LIMIT, "no room for the message's texts");
    }
    *first_out = db_int(db, statement, 20);
    return 0;
}
