/* The queue role counts failures and suppresses addresses; inbound processes get hints of them. */
#include "role/hint.h"
#include "role/queue_bounce_in.h"
#include "store/ledger/suppression.h"

#define DAY_MS INT64_C(86400000)
#define HINTS_A_FRAME 8192

/* --- hints --- */

static void send_hints(struct bus *bus, bool anew, struct slice hashes)
{
    const struct msg_suppressed_hint m = {.anew = anew, .hashes = hashes};

    msg_suppressed_hint_encode(&m, bus_begin(bus, MSG_SUPPRESSED_HINT));
    bus_end(bus);
}

void queue_bounce_attached(struct queue *q, struct bus *bus)
{
    uint64_t hashes[HINTS_A_FRAME];
    size_t cursor = 0, n = 0;
    struct slice key;
    bool anew = true;
    void *value;

    while (map_next(q->bounce->hints, &cursor, &key, &value)) {
        memcpy(&hashes[n++], key.p, sizeof *hashes);
        if (n == HINTS_A_FRAME) {
            send_hints(bus, anew, (struct slice){(const char *)hashes, sizeof hashes});
            anew = false;
            n = 0;
        }
    }
    send_hints(bus, anew, (struct slice){(const char *)hashes, n * sizeof *hashes});
}

static void tell_hint(struct queue *q, struct slice address)
{
    uint64_t hint = hint_of(address);

    hint_add(q->bounce->hints, hint);
    for (unsigned i = 0; i < ROLE_COPIES_MAX; i++)
        if (q->inbound[i].bus != NULL)
            send_hints(q->inbound[i].bus, false, (struct slice){(const char *)&hint, sizeof hint});
}

/* --- suppression --- */

static int suppress(struct queue *q, const struct ledger_suppression *s, struct err *e)
{
    if (ledger_suppress(q->ledger, s, e) < 0)
        return -1;
    tell_hint(q, s->address);
    return 0;
}

int queue_find_suppression(struct queue *q, struct slice address, struct slice stream,
                           bool *found_out, struct ledger_suppression *out, struct err *e)
{
    *found_out = false;
    if (!hint_fits(q->bounce->hints, address))
        return 0;
    return ledger_find_suppression(q->ledger, address, stream, loop_unix_ms(q->env.loop), found_out,
                                   out, e);
}

int queue_count_failure(struct queue *q, const struct failure *f, struct err *e)
{
    struct bounce_threshold t = bounce_policy_of(&q->bounce->policy, f->verdict);
    const struct bounce_meaning *m = bounce_meaning(f->verdict->category);
    int64_t now_ms = loop_unix_ms(q->env.loop), first_ms = 0, lasts_ms;
    uint64_t count = 0;
    bool global = bounce_is_global(f->verdict->category);
    struct slice scope = global ? SLICE("") : f->stream;

    if (t.count == 0)
        return 0;
    const struct ledger_failure failure = {.address = f->address,
                                           .scope = scope,
                                           .category = slice_of(m->name),
                                           .time_ms = now_ms,
                                           .message = f->id.hi};
    if (ledger_add_failure(q->ledger, &failure, now_ms - (int64_t)t.days * DAY_MS, &count,
                           &first_ms, e) < 0)
        return -1;
    if (count < t.count)
        return 0;
    lasts_ms = m->hard || f->verdict->category == BOUNCE_CATEGORY_COMPLAINT ||
                       f->verdict->category == BOUNCE_CATEGORY_UNSUBSCRIBE
                   ? q->conf->suppress_expire_ms
                   : q->conf->suppress_soft_expire_ms;
    const struct ledger_suppression s = {.address = f->address,
                                         .scope = scope,
                                         .reason = slice_of(m->name),
                                         .source = f->source,
                                         .evidence = slice_sub(f->evidence, 0, 500),
                                         .message = f->id.hi,
                                         .since_ms = now_ms,
                                         .until_ms = lasts_ms > 0 ? now_ms + lasts_ms : 0};
    log_info(q->env.log, "suppress", LOG_TEXT("address", f->address), LOG_TEXT("scope", scope),
             LOG_STRING("reason", m->name), LOG_INT("failures", count));
    return suppress(q, &s, e);
}

/* --- commands --- */

/* Lines "ADDRESS<TAB>SCOPE<TAB>REASON<TAB>UNTIL_MS<TAB>EVIDENCE". */
int queue_suppress_lines(struct queue *q, struct slice lines, uint64_t *count_out, struct err *e)
{
    *count_out = 0;
    while (lines.n > 0) {
        struct slice line = slice_cut(&lines, '\n');
        struct slice address = slice_cut(&line, '\t'), scope = slice_cut(&line, '\t');
        struct slice reason = slice_cut(&line, '\t'), until = slice_cut(&line, '\t');
        uint64_t until_ms = 0;

        if (slice_find(address, '@') == SLICE_NONE || !slice_to_u64(until, &until_ms))
            return err_set(e, ERR_SYNTAX, "\"%.*s\" is no address",
                           SLICE_ARG(slice_sub(address, 0, 60)));
        const struct ledger_suppression s = {.address = address,
                                             .scope = scope,
                                             .reason = reason,
                                             .source = SLICE("manual"),
                                             .evidence = slice_sub(line, 0, 500),
                                             .since_ms = loop_unix_ms(q->env.loop),
                                             .until_ms = (int64_t)until_ms};
        if (suppress(q, &s, e) < 0)
            return -1;
        ++*count_out;
    }
    return 0;
}

/* "ADDRESS<TAB>SCOPE", or "ADDRESS<TAB>*" for all scopes. */
int queue_unsuppress(struct queue *q, struct slice text, uint64_t *count_out, struct err *e)
{
    struct slice scope = text, address = slice_cut(&scope, '\t');
    bool all = slice_eq(scope, SLICE("*"));

    if (ledger_unsuppress(q->ledger, address, all ? NULL : &scope, count_out, e) < 0)
        return -1;
    return ledger_clear_failures(q->ledger, address, all ? SLICE("") : scope, e);
}
