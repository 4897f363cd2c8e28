/* The queue role sends out: hands units to outbound processes, writes down dots and outcomes. */
#include <assert.h>
#include <unistd.h>

#include "base/ascii.h"
#include "lib/addr/domain.h"
#include "mta/event/outcome.h"
#include "role/queue_in.h"

#define SITES_CACHED_MAX 100000

/* --- which site a domain belongs to --- */

struct site_entry {
    uint32_t number;
};

/* A route's name, or the domain in lower case. Lives in the settings or in `scratch`. */
struct slice queue_site_of(struct queue *q, struct slice domain, struct buf *scratch)
{
    const struct conf_route *route = conf_find_route(q->conf, domain);

    buf_clear(scratch);
    if (route != NULL &&
        !(route->via.count == 1 && slice_eq(slice_of(route->via.items[0]), SLICE("mx")))) {
        buf_append_text(scratch, CONF_ROUTE_SITE);
        buf_append_text(scratch, route->title);
        return buf_slice(scratch);
    }
    for (size_t i = 0; i < domain.n; i++)
        buf_append_char(scratch, ascii_lower(domain.p[i]));
    return buf_slice(scratch);
}

/* The ledger's number of a site; 0 on error. Numbers made in a group that failed are void, so the
 * cache is only filled with what the ledger had before. */
uint32_t queue_site_number(struct queue *q, struct slice site, struct err *e)
{
    uint32_t number = 0;

    return ledger_site(q->ledger, site, &number, e) < 0 ? 0 : number;
}

/* --- jobs --- */

static unsigned connections_of(const struct queue *q, struct slice site)
{
    const struct conf_route *route = conf_route_of_site(q->conf, site);
    int64_t n = route != NULL && route->connections > 0 ? route->connections
                                                        : q->conf->destination_connections;
    return (unsigned)n;
}

static void join_next_hops(const struct conf_route *route, struct buf *out)
{
    for (size_t i = 0; route != NULL && i < route->via.count; i++) {
        if (i > 0)
            buf_append_char(out, ' ');
        buf_append_text(out, route->via.items[i]);
    }
}

/* The unit's recipients. `recipients` is either the whole message (fresh) or just these (loaded).
 */
static struct msg_envelope_recipient *list_recipients(const struct ledger_unit *work,
                                                      const struct ledger_recipient *recipients,
                                                      size_t n, size_t count)
{
    struct msg_envelope_recipient *list = mem_alloc(count * sizeof *list);
    size_t filled = 0;

    for (size_t r = 0; r < work->recipients.n; r++)
        for (uint32_t k = work->recipients.p[r].first; k <= work->recipients.p[r].last; k++) {
            size_t at = n == count ? filled : k - 1;

            list[filled++] = (struct msg_envelope_recipient){
                .n = k, .address = recipients[at].address, .options = recipients[at].options};
        }
    assert(filled == count);
    return list;
}

struct job *queue_make_job(struct queue *q, const struct ledger_unit *work,
                           const struct ledger_message *message,
                           const struct ledger_recipient *recipients, size_t n, struct slice site)
{
    const struct conf_route *route = conf_route_of_site(q->conf, site);
    struct job *job;
    size_t count = (size_t)ranges_count(work->recipients);
    struct msg_envelope_recipient *list = list_recipients(work, recipients, n, count);
    struct buf frame, hops, path;

    buf_init(&path, 512);
    /* What is delivered finally keeps the return path that it came with. */
    const struct slice sender = route != NULL && route->local
                                    ? message->sender
                                    : queue_return_path(q, message, &list[0], &path);
    const struct slice domain = domain_of_address(sender);
    job = mem_alloc(sizeof *job + site.n + domain.n);
    for (size_t i = 0; i < count && !job->wants_success; i++)
        job->wants_success = slice_search(list[i].options, SLICE("SUCCESS")) != SLICE_NONE;
    job->is_lmtp = route != NULL && route->protocol == CONF_PROTOCOL_LMTP;
    job->work = work;
    job->segment = message->place.segment;
    job->site_n = site.n;
    job->sender_n = domain.n;
    memcpy(job->site, site.p, site.n);
    if (domain.n > 0)
        memcpy(job->site + site.n, domain.p, domain.n);
    list_init(&job->unit.link);
    list_init(&job->maildir);
    buf_init(&hops, 65536);
    buf_init(&frame, BUS_FRAME_MAX);
    join_next_hops(route, &hops);
    const struct msg_deliver m = {
        .id = work->id,
        .site = site,
        .domain = slice_starts(site, SLICE(CONF_ROUTE_SITE)) ? SLICE("") : site,
        .next_hops = buf_slice(&hops),
        .lmtp = job->is_lmtp,
        .connections = (uint16_t)connections_of(q, site),
        .sender = sender,
        .options = message->options,
        .segment = message->place.segment,
        .offset = message->place.offset,
        .head_n = message->place.head_n,
        .body_n = message->place.body_n,
        .recipients = list,
        .recipients_n = count,
    };
    msg_deliver_encode(&m, &frame);
    job->frame = (struct slice){mem_resize(NULL, frame.n), frame.n};
    memcpy((char *)(uintptr_t)job->frame.p, frame.p, frame.n);
    buf_finish(&frame);
    buf_finish(&hops);
    buf_finish(&path);
    free(list);
    return job;
}

void queue_free_job(struct job **job)
{
    free((void *)(uintptr_t)(*job)->frame.p);
    free(*job);
    *job = NULL;
}

/* --- the schedule's ports --- */

static bool holds_segment(const struct queue_link *link, uint64_t segment)
{
    for (size_t i = 0; i < ROLE_SEGMENTS_HELD; i++)
        if (link->segments[i] == segment)
            return true;
    return false;
}

static bool send_segment(struct queue *q, struct queue_link *link, uint64_t segment)
{
    const struct msg_segment m = {.segment = segment};
    struct err e;
    int fd;

    if (holds_segment(link, segment))
        return true;
    if (spool_open_read(q->spool_dir, segment, &fd, &e) < 0) {
        log_error(q->env.log, "spool.open", LOG_INT("segment", segment), LOG_ERR(&e));
        return false;
    }
    struct buf *out = bus_begin(link->bus, MSG_SEGMENT);
    msg_segment_encode(&m, out);
    bus_attach(link->bus, fd);
    bus_end(link->bus);
    link->segments[link->segment_next] = segment;
    link->segment_next = (link->segment_next + 1) % ROLE_SEGMENTS_HELD;
    return true;
}

/* Each site belongs to one outbound process, so that its limits need no locks. */
static struct queue_link *link_for(struct queue *q, struct slice site)
{
    return q->outbound_n == 0 ? NULL : &q->outbound[hash_bytes(7, site) % q->outbound_n];
}

/* What we say about an attempt ourselves, when no outbound process can. */
static void fail_attempt(struct queue *q, const struct job *job, enum outcome outcome,
                         const char *state, const char *text)
{
    struct buf recipients, fact;

    buf_init(&recipients, 65536);
    buf_init(&fact, BUS_FRAME_MAX);
    ranges_print(job->work->recipients, &recipients);
    const struct msg_outcome_group g = {
        .recipients = buf_slice(&recipients), .outcome = (uint8_t)outcome, .text = slice_of(text)};
    const struct msg_outcome m = {
        .attempt = job->attempt,
        .state = slice_of(state),
        .dot_unix_ms = job->dot_granted ? loop_unix_ms(q->env.loop) : 0,
        .groups = &g,
        .groups_n = 1,
    };
    msg_outcome_encode(&m, &fact);
    queue_take_outcome(q, buf_slice(&fact));
    buf_finish(&fact);
    buf_finish(&recipients);
}

static void dispatch(void *ctx, struct schedule_unit *unit)
{
    struct queue *q = ctx;
    struct job *job = CONTAINER_OF(unit, struct job, unit);
    struct queue_link *link = link_for(q, (struct slice){job->site, job->site_n});

    job->attempt = q->next_attempt++;
    job->link = link->index; /* it is there: limit() said so in this turn */
    (void)map_put(q->attempts, map_key_u64(&job->attempt), job);
    memcpy((char *)(uintptr_t)job->frame.p, &job->attempt, sizeof job->attempt); /* wire: LE u64 */
    if (queue_maildir_take(q, job))
        return;
    if (!send_segment(q, link, job->segment)) {
        fail_attempt(q, job, OUTCOME_DEFERRED, "reading the spool",
                     "The message could not be read from our disk");
        return;
    }
    bus_send(link->bus, MSG_DELIVER, job->frame);
}

static void drop(void *ctx, struct schedule_unit *unit)
{
    struct queue *q = ctx;
    struct job *job = CONTAINER_OF(unit, struct job, unit);

    ledger_give_back(q->ledger, job->work);
    queue_free_job(&job);
}

int64_t queue_expiry_of(const struct queue *q, struct slice stream)
{
    const struct conf_stream *s = conf_find_stream(q->conf, stream);

    return s != NULL && s->expire_ms > 0 ? s->expire_ms : q->conf->expire_ms;
}

/* A unit that is older than its stream keeps mail is given up here, without an attempt. */
static bool expire(struct queue *q, const struct ledger_unit *work, struct slice site,
                   int64_t now_ms)
{
    struct pending_expiry *x;
    struct ledger_result result = {
        .kind = LEDGER_EV_EXPIRED,
        .state = LEDGER_EXPIRED,
        .recipients = work->recipients,
        .enhanced = SLICE("4.4.7"),
        .text = SLICE("It could not be delivered in the time that its stream allows"),
    };
    struct err e;

    if (now_ms - work->received_ms < queue_expiry_of(q, work->stream))
        return false;
    queue_open_group(q);
    arena_reset(q->arena);
    queue_grow(&q->expiries, &q->expiry_cap, q->expiry_n + 1, sizeof *q->expiries);
    x = &q->expiries[q->expiry_n++];
    *x = (struct pending_expiry){.work = work, .site = mem_alloc(site.n + 1)};
    memcpy(x->site, site.p, site.n);
    if (q->spoiled)
        return true; /* what a rollback leaves of it is given back */
    if (queue_bounce_results(q, work, &result, 1, QUEUE_SUCCESS_UNSAID, &e) < 0 ||
        ledger_outcome(q->ledger, work, &result, 1, LEDGER_NEVER, now_ms, &e) < 0) {
        log_error(q->env.log, "ledger.expire", LOG_ERR(&e));
        q->spoiled = true;
    }
    return true;
}

static void load_unit(struct queue *q, const struct ledger_unit *work, struct slice site)
{
    const struct ledger_recipient *recipients;
    struct ledger_message message;
    struct err e;
    size_t n;

    arena_reset(q->arena);
    if (ledger_load_unit(q->ledger, work, q->arena, &message, &recipients, &n, &e) < 0) {
        log_error(q->env.log, "ledger.load", LOG_ERR(&e));
        ledger_give_back(q->ledger, work);
        return;
    }
    struct job *job = queue_make_job(q, work, &message, recipients, n, site);
    schedule_loaded(q->schedule, site, &job->unit);
}

static int64_t load(void *ctx, struct slice site, int64_t now_ms, size_t room)
{
    struct queue *q = ctx;
    const struct ledger_unit *taken[512];
    struct ledger_units units;
    int64_t due_ms = INT64_MAX;
    uint32_t number = 0;
    struct err e;

    if (room > COUNT(taken))
        room = COUNT(taken);
    queue_open_group(q); /* a site's number is looked up inside a group */
    number = q->spoiled ? 0 : queue_site_number(q, site, &e);
    if (number == 0 || ledger_take_due(q->ledger, number, now_ms, room, &units, &e) < 0)
        return now_ms + 1000;
    for (size_t i = 0; i < units.n; i++)
        taken[i] = units.p[i]; /* the array goes with the next call */
    for (size_t i = 0; i < units.n; i++)
        if (!expire(q, taken[i], site, now_ms))
            load_unit(q, taken[i], site);
    if (ledger_next_due(q->ledger, number, &due_ms, &e) < 0)
        return now_ms + 1000;
    return due_ms == LEDGER_NEVER ? INT64_MAX : due_ms;
}

/* Twice the connections: one message on the way, the next one at hand. */
static unsigned limit(void *ctx, struct slice site)
{
    const struct queue_link *link = link_for(ctx, site);

    if (link == NULL || link->bus == NULL || link->stopping)
        return 0; /* that process is being restarted */
    return 2 * connections_of(ctx, site);
}

const struct schedule_ports queue_schedule_ports = {NULL, dispatch, drop, load, limit};

/* --- what comes back --- */

static struct job *job_of(struct queue *q, uint64_t attempt)
{
    return map_get(q->attempts, map_key_u64(&attempt));
}

void queue_take_dot(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_dot_wanted m;
    struct job *job;
    struct err e;

    arena_reset(q->arena);
    if (!msg_dot_wanted_decode(payload, q->arena, &m) || (job = job_of(q, m.attempt)) == NULL)
        return;
    queue_open_group(q);
    if (!q->spoiled && ledger_dot_sent(q->ledger, job->work, job->work->recipients, m.host, m.ip,
                                       loop_unix_ms(q->env.loop), &e) < 0) {
        log_error(q->env.log, "ledger.dot", LOG_ERR(&e));
        q->spoiled = true;
    }
    queue_grow(&q->dots, &q->dot_cap, q->dot_n + 1, sizeof *q->dots);
    q->dots[q->dot_n++] = (struct pending_dot){.link = from->index, .attempt = m.attempt};
}

static enum unknown_policy policy_of(const struct queue *q, struct slice stream)
{
    const struct conf_stream *s = conf_find_stream(q->conf, stream);

    return s == NULL ? UNKNOWN_RETRY : (enum unknown_policy)s->unknown;
}

static int64_t next_due(struct queue *q, const struct ledger_unit *work, int64_t now_ms)
{
    uint32_t steps_s[64];
    size_t n = q->conf->retry.count < COUNT(steps_s) ? q->conf->retry.count : COUNT(steps_s);

    for (size_t i = 0; i < n; i++)
        steps_s[i] = (uint32_t)(q->conf->retry.items_ms[i] / 1000);
    return now_ms + schedule_backoff_ms(steps_s, n, work->attempts + 1,
                                        (unsigned)q->conf->retry_jitter, queue_random(q));
}

/* Without a reply the reader wants to know how far the conversation had come. */
static struct slice text_of(struct queue *q, const struct msg_outcome *m,
                            const struct msg_outcome_group *g)
{
    if (g->code != 0 || m->host.n == 0 || m->state.n == 0 ||
        slice_search(g->text, m->state) != SLICE_NONE)
        return g->text;
    return arena_printf(q->arena, "%.*s (while %.*s)", SLICE_ARG(g->text), SLICE_ARG(m->state));
}

/* What one group of an outcome means for the ledger. */
static struct ledger_result judge(struct queue *q, const struct ledger_unit *work,
                                  const struct msg_outcome *m, const struct msg_outcome_group *g,
                                  struct ranges recipients, int64_t now_ms)
{
    bool expired = now_ms - work->received_ms >= queue_expiry_of(q, work->stream);
    struct ledger_result r = {
        .recipients = recipients,
        .host = m->host,
        .ip = m->ip,
        .reply_code = g->code,
        .enhanced = g->enhanced,
        .text = text_of(q, m, g),
        .start_ms = m->start_unix_ms,
        .dot_ms = m->dot_unix_ms,
    };

    switch ((enum outcome)g->outcome) {
    case OUTCOME_DELIVERED:
        r.kind = LEDGER_EV_DELIVERED;
        r.state = LEDGER_DELIVERED;
        break;
    case OUTCOME_BOUNCED:
        r.kind = LEDGER_EV_BOUNCED;
        r.state = LEDGER_BOUNCED;
        break;
    case OUTCOME_DEFERRED:
        r.kind = expired ? LEDGER_EV_EXPIRED : LEDGER_EV_DEFERRED;
        r.state = expired ? LEDGER_EXPIRED : LEDGER_QUEUED;
        break;
    case OUTCOME_UNKNOWN:
        r.kind = LEDGER_EV_UNKNOWN;
        switch (policy_of(q, work->stream)) {
        case UNKNOWN_RETRY:
            r.state = LEDGER_QUEUED;
            break;
        case UNKNOWN_HOLD:
            r.state = LEDGER_UNKNOWN_HELD;
            break;
        case UNKNOWN_ASSUME_DELIVERED:
            r.state = LEDGER_ASSUMED;
            break;
        }
        break;
    }
    return r;
}

static void count_outcome(struct queue *q, const struct ledger_unit *work,
                          const struct ledger_result *r, int64_t now_ms)
{
    uint64_t n = ranges_count(r->recipients);

    if (r->kind == LEDGER_EV_DELIVERED) {
        metric_add(q->env.metrics, METRIC_delivered_total, n);
        metric_observe(q->env.metrics, METRIC_deliver_seconds,
                       (uint64_t)(now_ms - work->received_ms) * 1000);
    } else if (r->kind == LEDGER_EV_BOUNCED || r->kind == LEDGER_EV_EXPIRED) {
        metric_add(q->env.metrics, METRIC_bounced_total, n);
    } else if (r->kind == LEDGER_EV_UNKNOWN) {
        metric_add(q->env.metrics, METRIC_unknown_total, n);
    } else {
        metric_add(q->env.metrics, METRIC_deferred_total, n);
    }
}

static void log_outcome(struct queue *q, const struct job *job, const struct msg_outcome *m,
                        const struct msg_outcome_group *g)
{
    char id[ID_TEXT_N + 1];

    if (g->outcome == OUTCOME_DELIVERED && !log_wants(q->env.log, LOG_DEBUG))
        return; /* the ledger has them all; the log tells what needs eyes */
    id_encode(job->work->id, id);
    log_info(q->env.log, "attempt", LOG_STRING("id", id),
             LOG_STRING("outcome", outcome_name((enum outcome)g->outcome)),
             LOG_TEXT("recipients", g->recipients),
             LOG_TEXT("site", ((struct slice){job->site, job->site_n})), LOG_TEXT("host", m->host),
             LOG_INT("code", g->code), LOG_TEXT("text", g->text), LOG_TEXT("state", m->state));
}

static void keep_fact(struct queue *q, struct slice payload)
{
    uint32_t n = (uint32_t)payload.n;

    buf_append(&q->facts, (struct slice){(const char *)&n, sizeof n});
    buf_append(&q->facts, payload);
}

/* Reads the groups; false when they do not fit the unit. */
static size_t read_results(struct queue *q, const struct job *job, const struct msg_outcome *m,
                           struct ledger_result *results, struct range_list *ranges, bool *left_out)
{
    int64_t now_ms = loop_unix_ms(q->env.loop);
    struct err e;

    *left_out = false;
    for (size_t i = 0; i < m->groups_n; i++) {
        const struct msg_outcome_group *g = &m->groups[i];

        if (g->outcome >= OUTCOMES ||
            ranges_parse(g->recipients, LEDGER_RECIPIENTS_MAX, &ranges[i], &e) < 0)
            return 0;
        results[i] = judge(q, job->work, m, g, range_list_view(&ranges[i]), now_ms);
        *left_out = *left_out || results[i].state == LEDGER_QUEUED;
        log_outcome(q, job, m, g);
    }
    return m->groups_n;
}

static enum queue_success success_of(const struct job *job, const struct msg_outcome *m)
{
    if (!job->wants_success || m->reports)
        return QUEUE_SUCCESS_UNSAID;
    return job->is_lmtp || job->is_maildir ? QUEUE_SUCCESS_DELIVERED : QUEUE_SUCCESS_RELAYED;
}

/* The address of ours that mail of this sender really left from: SPF is compared with it. Final
 * delivery stays in the house, and is none of the world's business. */
static int note_source(struct queue *q, const struct job *job, const struct msg_outcome *m,
                       int64_t now_ms, struct err *e)
{
    const struct slice site = {job->site, job->site_n};
    const struct conf_route *route = conf_route_of_site(q->conf, site);
    struct ledger_source source = {.domain = {job->site + job->site_n, job->sender_n},
                                   .address = m->source};
    bool answered = false;

    for (size_t i = 0; i < m->groups_n; i++)
        answered =
            answered || (m->groups[i].code > 0 && (m->groups[i].outcome == OUTCOME_DELIVERED ||
                                                   m->groups[i].outcome == OUTCOME_BOUNCED));
    if (m->source.n == 0 || !answered)
        return 0;
    if (slice_starts(site, SLICE(CONF_ROUTE_SITE))) {
        if (route == NULL || route->local || route->protocol == CONF_PROTOCOL_LMTP ||
            route->via.count == 0)
            return 0;
        source.via = slice_of(route->via.items[0]);
    }
    return ledger_add_source(q->ledger, &source, now_ms, e);
}

static void write_outcome(struct queue *q, struct job *job, const struct msg_outcome *m)
{
    struct ledger_result *results = arena_array(q->arena, m->groups_n, sizeof *results);
    struct range_list *ranges = arena_array(q->arena, m->groups_n, sizeof *ranges);
    int64_t now_ms = loop_unix_ms(q->env.loop), due_ms = LEDGER_NEVER;
    bool left = false;
    struct err e = {ERR_NONE, ""};
    size_t n;

    if (results == NULL || ranges == NULL)
        return;
    n = read_results(q, job, m, results, ranges, &left);
    if (left)
        due_ms = next_due(q, job->work, now_ms);
    if (n == 0 || queue_bounce_results(q, job->work, results, n, success_of(job, m), &e) < 0 ||
        ledger_outcome(q->ledger, job->work, results, n, due_ms, now_ms, &e) < 0 ||
        note_source(q, job, m, now_ms, &e) < 0) {
        log_error(q->env.log, "ledger.outcome", LOG_ERR(&e));
        q->spoiled = true;
    } else {
        for (size_t i = 0; i < n; i++)
            count_outcome(q, job->work, &results[i], now_ms);
    }
    job->settled = true;
    queue_grow(&q->dones, &q->done_cap, q->done_n + 1, sizeof *q->dones);
    q->dones[q->done_n++] =
        (struct pending_done){.job = job, .site_down = m->site_down != 0, .due_ms = due_ms};
    for (size_t i = 0; i < m->groups_n; i++)
        range_list_finish(&ranges[i]);
}

/* An outbound process that stops did not try it: as if it had never been given out. */
static void take_back(struct queue *q, struct job *job)
{
    struct slice site = {job->site, job->site_n};
    int64_t now_ms = loop_unix_ms(q->env.loop);

    q->outbound[job->link].stopping = true;
    schedule_done(q->schedule, &job->unit, false, now_ms, 0);
    schedule_expect(q->schedule, site, now_ms);
    ledger_give_back(q->ledger, job->work);
    (void)map_remove(q->attempts, map_key_u64(&job->attempt));
    queue_free_job(&job);
}

void queue_take_outcome(struct queue *q, struct slice payload)
{
    struct msg_outcome m;
    struct job *job;

    arena_reset(q->arena);
    if (!msg_outcome_decode(payload, q->arena, &m) || (job = job_of(q, m.attempt)) == NULL ||
        job->settled)
        return;
    if (m.groups_n == 0) {
        take_back(q, job);
        return;
    }
    keep_fact(q, payload);
    queue_open_group(q);
    metric_add(q->env.metrics, METRIC_attempts_total, 1);
    if (m.reused)
        metric_add(q->env.metrics, METRIC_outbound_reused_total, 1);
    if (!q->spoiled)
        write_outcome(q, job, &m);
}

/* An outbound process died: where a dot may have left, the outcome is unknown; the rest is as if
 * it had never been tried. The ledger knows which is which. */
void queue_lost_outbound(struct queue *q, unsigned link)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(q->attempts, &cursor, &key, &value)) {
        struct job *job = value;

        if (job->link != link || job->is_maildir)
            continue;
        if (job->dot_granted)
            fail_attempt(q, job, OUTCOME_UNKNOWN, "outbound process lost",
                         "Our own process ended after the final dot was sent");
        else
            fail_attempt(q, job, OUTCOME_DEFERRED, "outbound process lost",
                         "Our own process ended before the final dot was sent");
    }
    memset(q->outbound[link].segments, 0, sizeof q->outbound[link].segments);
}

/* After a crash: a dot that was written down, and no outcome. */
struct ledger_verdict queue_judge_dangling(void *ctx, const struct ledger_dangling *d)
{
    struct queue *q = ctx;

    switch (policy_of(q, d->stream)) {
    case UNKNOWN_HOLD:
        return (struct ledger_verdict){LEDGER_UNKNOWN_HELD, LEDGER_NEVER};
    case UNKNOWN_ASSUME_DELIVERED:
        return (struct ledger_verdict){LEDGER_ASSUMED, LEDGER_NEVER};
    case UNKNOWN_RETRY:
        break;
    }
    return (struct ledger_verdict){LEDGER_QUEUED, loop_unix_ms(q->env.loop)};
}
