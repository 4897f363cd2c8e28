#include "store/ledger/ledger_in.h"

int ledger_dot_sent(struct ledger *l, const struct ledger_unit *unit, struct ranges recipients,
                    struct slice host, struct slice ip, int64_t now_ms, struct err *e)
{
    struct unit *u = unit_find(l, unit->id.hi, unit->part);

    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (u == NULL || recipients.n == 0 || !ranges_cover(unit->recipients, recipients))
        return err_set(e, ERR_SYNTAX, "a dot for recipients outside the unit");
    u->dots++;
    db_bind(&l->db, SQL_ADD_FLIGHT, "iiiiititt", (int64_t)unit->id.hi, (int64_t)unit->part,
            (int64_t)recipients.p[0].first, (int64_t)unit->site, unit->due_ms,
            ranges_text(l, recipients), now_ms, host, ip);
    return db_run(&l->db, SQL_ADD_FLIGHT, e);
}

int finish_recipients(struct ledger *l, const struct unit *u, uint64_t count, int64_t now_ms,
                      struct err *e)
{
    struct db *db = &l->db;
    bool finished = true;

    if (u->recipient_count > 1) {
        db_bind(db, SQL_LESS_UNFINISHED, "ii", (int64_t)count, (int64_t)u->face.id.hi);
        enum db_answer answer = db_step(db, SQL_LESS_UNFINISHED, e);
        if (answer == DB_FAILED)
            return -1;
        if (answer == DB_ROW) {
            finished = db_int(db, SQL_LESS_UNFINISHED, 0) <= 0;
            db_reset(db, SQL_LESS_UNFINISHED);
        }
    }
    if (finished && u->segment != 0)
        segment_leave(l, u->segment, u->record_bytes, now_ms);
    return 0;
}

/* The recipients of an outcome, by what follows for them. */
struct sorted {
    struct range_list queued, held, all;
    uint64_t final_count;
};

static void sorted_finish(struct sorted *s)
{
    range_list_finish(&s->queued);
    range_list_finish(&s->held);
    range_list_finish(&s->all);
}

/* -1 when the results overlap, go beyond the unit or, without may_rest, leave someone out. */
static int sort_results(const struct unit *u, const struct ledger_result *results, size_t n,
                        bool may_rest, struct sorted *s, struct err *e)
{
    struct ranges unit = u->face.recipients;
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        struct ranges some = results[i].recipients;
        if (!ranges_cover(unit, some))
            goto bad;
        uint64_t count = ranges_count(some);
        sum += count;
        range_list_add_all(&s->all, some);
        if (results[i].state == LEDGER_QUEUED)
            range_list_add_all(&s->queued, some);
        else if (ledger_state_is_final(results[i].state))
            s->final_count += count;
        else
            range_list_add_all(&s->held, some);
    }
    if (sum != ranges_count(range_list_view(&s->all)) || (!may_rest && sum != ranges_count(unit)))
        goto bad;
    if (sum < ranges_count(unit)) { /* the rest stays queued */
        struct range_list rest = {0};
        range_list_add_all(&rest, unit);
        for (size_t i = 0; i < s->all.n; i++)
            range_list_remove(&rest, s->all.p[i].first, s->all.p[i].last);
        range_list_add_all(&s->queued, range_list_view(&rest));
        range_list_finish(&rest);
    }
    return 0;
bad:
    return err_set(e, ERR_SYNTAX, "the results of an attempt do not fit its recipients");
}

/* What the event counts as, or STAT_COUNT. */
static enum counted counted_as(enum ledger_kind kind)
{
    switch (kind) {
    case LEDGER_EV_DELIVERED:
        return STAT_DELIVERED;
    case LEDGER_EV_DEFERRED:
        return STAT_DEFERRED;
    case LEDGER_EV_BOUNCED:
        return STAT_BOUNCED;
    case LEDGER_EV_UNKNOWN:
        return STAT_UNKNOWN;
    case LEDGER_EV_EXPIRED:
        return STAT_EXPIRED;
    case LEDGER_EV_ACCEPTED:
    case LEDGER_EV_SIGNED:
    case LEDGER_EV_DUPLICATE:
    case LEDGER_EV_HELD:
    case LEDGER_EV_RELEASED:
    case LEDGER_EV_DROPPED:
    case LEDGER_EV_RETRY:
    case LEDGER_EV_SUPPRESSED:
    case LEDGER_EV_SETTLED:
    case LEDGER_EV_NOTE:
    case LEDGER_EV_REPORTED:
    case LEDGER_EV_COMPLAINT:
        break;
    }
    return STAT_COUNT;
}

static int count_result(struct ledger *l, const struct unit *u, const struct ledger_result *r,
                        int64_t now_ms, struct err *e)
{
    uint64_t count = ranges_count(r->recipients);
    enum counted what = counted_as(r->kind);

    if (what == STAT_COUNT)
        return 0;
    if (what == STAT_DELIVERED &&
        stats_add_latency(&l->stats, &l->db, u->face.stream, u->face.tag,
                          now_ms - u->face.received_ms, count, now_ms, e) != 0)
        return -1;
    return stats_add(&l->stats, &l->db, u->face.stream, u->face.tag, what, count, now_ms, e);
}

/* Where the recipients of a result wait from now on; nowhere when they are final. */
struct next_place {
    int64_t due_ms;
    uint32_t part;
};

static struct next_place next_place(const struct sorted *s, enum ledger_state state,
                                    const struct unit *u, int64_t due_ms)
{
    if (state == LEDGER_QUEUED)
        return (struct next_place){due_ms, s->queued.p[0].first};
    if (ledger_state_is_final(state))
        return (struct next_place){u->face.due_ms, u->face.part}; /* of no account */
    return (struct next_place){LEDGER_NEVER, s->held.p[0].first};
}

static int set_recipients(struct ledger *l, const struct unit *u, struct ranges ranges,
                          enum ledger_state state, uint32_t attempts, struct next_place place,
                          int64_t event, struct err *e)
{
    for (size_t i = 0; i < ranges.n; i++) {
        db_bind(&l->db, SQL_SET_RECIPIENTS, "iiiiiii", (int64_t)state, (int64_t)attempts,
                place.due_ms, (int64_t)place.part, event, u->first + ranges.p[i].first - 1,
                u->first + ranges.p[i].last - 1);
        if (db_run(&l->db, SQL_SET_RECIPIENTS, e) != 0)
            return -1;
    }
    return 0;
}

/* One result: its event, its recipients, its counters. */
static int apply_result(struct ledger *l, struct unit *u, const struct ledger_result *r,
                        const struct sorted *s, int64_t due_ms, int64_t now_ms, struct err *e)
{
    struct event_row row = {.time_ms = now_ms,
                            .hi = u->face.id.hi,
                            .kind = r->kind,
                            .recipients = u->recipient_count > 1 ? ranges_text(l, r->recipients)
                                                                 : (struct slice){0},
                            .host = r->host,
                            .ip = r->ip,
                            .enhanced = r->enhanced,
                            .text = r->text,
                            .category = r->category,
                            .reply_code = r->reply_code,
                            .start_ms = r->start_ms,
                            .dot_ms = r->dot_ms,
                            .prev = u->event};

    if (add_event(l, &row, &u->event, e) != 0)
        return -1;
    if (set_recipients(l, u, r->recipients, r->state, u->face.attempts + 1,
                       next_place(s, r->state, u, due_ms), u->event, e) != 0)
        return -1;
    return count_result(l, u, r, now_ms, e);
}

/* Recipients without a result wait in the new unit too, so they must know its name. */
static int move_rest(struct ledger *l, const struct unit *u, const struct sorted *s, int64_t due_ms,
                     struct err *e)
{
    for (size_t i = 0; i < s->queued.n; i++) {
        db_bind(&l->db, SQL_MOVE_RECIPIENTS, "iiii", due_ms, (int64_t)s->queued.p[0].first,
                u->first + s->queued.p[i].first - 1, u->first + s->queued.p[i].last - 1);
        if (db_run(&l->db, SQL_MOVE_RECIPIENTS, e) != 0)
            return -1;
    }
    return 0;
}

static int remove_unit_rows(struct ledger *l, const struct unit *u, struct err *e)
{
    const struct ledger_unit *unit = &u->face;

    db_bind(&l->db, SQL_REMOVE_WORK, "iiii", (int64_t)unit->site, unit->due_ms,
            (int64_t)unit->id.hi, (int64_t)unit->part);
    if (db_run(&l->db, SQL_REMOVE_WORK, e) != 0)
        return -1;
    if (db_changes(&l->db) > 0)
        l->now.units--;
    if (u->dots == 0)
        return 0;
    db_bind(&l->db, SQL_REMOVE_FLIGHTS, "ii", (int64_t)unit->id.hi, (int64_t)unit->part);
    return db_run(&l->db, SQL_REMOVE_FLIGHTS, e);
}

static int add_units_again(struct ledger *l, const struct unit *u, const struct sorted *s,
                           int64_t due_ms, struct err *e)
{
    uint32_t attempts = u->face.attempts + 1;

    if (s->queued.n > 0 && add_work(l, u->face.site, due_ms, u->face.id.hi, s->queued.p[0].first,
                                    range_list_view(&s->queued), attempts, u->event, e) != 0)
        return -1;
    if (s->held.n > 0 && add_work(l, u->face.site, LEDGER_NEVER, u->face.id.hi, s->held.p[0].first,
                                  range_list_view(&s->held), attempts, u->event, e) != 0)
        return -1;
    return 0;
}

int apply_results(struct ledger *l, struct unit *u, const struct ledger_result *results, size_t n,
                  int64_t due_ms, int64_t now_ms, bool may_rest, struct err *e)
{
    struct sorted s = {0};
    int64_t event_before = u->event;
    int result = -1;

    if (sort_results(u, results, n, may_rest, &s, e) != 0 || remove_unit_rows(l, u, e) != 0)
        goto out;
    if (may_rest && s.queued.n > 0 && move_rest(l, u, &s, due_ms, e) != 0)
        goto out;
    for (size_t i = 0; i < n; i++)
        if (apply_result(l, u, &results[i], &s, due_ms, now_ms, e) != 0)
            goto out;
    if (add_units_again(l, u, &s, due_ms, e) != 0)
        goto out;
    if (s.final_count > 0 && finish_recipients(l, u, s.final_count, now_ms, e) != 0)
        goto out;
    result = 0;
out:
    u->event = event_before; /* a rollback brings the unit back as it was */
    sorted_finish(&s);
    return result;
}

int ledger_outcome(struct ledger *l, const struct ledger_unit *unit,
                   const struct ledger_result *results, size_t n, int64_t due_ms, int64_t now_ms,
                   struct err *e)
{
    struct unit *u = unit_find(l, unit->id.hi, unit->part);

    if (ledger_expect_group(l, e) != 0)
        return -1;
    if (u == NULL || u->consumed)
        return err_set(e, ERR_FOUND, "an outcome for a unit that nobody took");
    if (apply_results(l, u, results, n, due_ms, now_ms, false, e) != 0)
        return -1;
    /* Its place in the table stays taken until the commit: a rollback brings it back. */
    u->consumed = true;
    list_remove(&u->link);
    list_append(&l->consumed, &u->link);
    return 0;
}
