/* The outbound role's jobs: a deliver message becomes an attempt, and its end an outcome. Bodies
 * are read from descriptors of the spool that the queue sent. */
#include <unistd.h>

#include "mta/event/options.h"
#include "mta/event/outcome.h"
#include "role/outbound_in.h"
#include "store/spool/spool.h"

#define ARENA_MAX (16u << 20)
#define GROUPS_MAX 4096

/* A file of the spool, shared by the jobs that read from it. */
struct segment_file {
    uint64_t number;
    int fd;
    unsigned users; /* jobs, and one for its place in the ring */
};

struct job {
    struct deliver_job deliver;
    struct outbound *outbound;
    struct target *target;
    uint64_t attempt;
    struct segment_file *segment;
    struct id id;
    struct spool_place place;
    struct spool_reader reader;
    bool reading, dot_granted;
    int64_t start_unix_ms, dot_unix_ms;
    uint32_t *numbers; /* of the recipients, in the order of the envelope */
    struct arena *arena;
};

/* --- segments --- */

static void segment_release(struct segment_file *s)
{
    if (s == NULL || --s->users > 0)
        return;
    close(s->fd);
    free(s);
}

void job_take_segment(struct outbound *o, struct slice payload, int fd)
{
    struct msg_segment m;
    struct segment_file *s;

    arena_reset(o->arena);
    if (fd < 0 || !msg_segment_decode(payload, o->arena, &m)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    s = mem_alloc(sizeof *s);
    *s = (struct segment_file){.number = m.segment, .fd = fd, .users = 1};
    segment_release(o->segments[o->segment_next]);
    o->segments[o->segment_next] = s;
    o->segment_next = (o->segment_next + 1) % ROLE_SEGMENTS_HELD;
}

static struct segment_file *find_segment(struct outbound *o, uint64_t number)
{
    for (size_t i = 0; i < ROLE_SEGMENTS_HELD; i++)
        if (o->segments[i] != NULL && o->segments[i]->number == number)
            return o->segments[i];
    return NULL;
}

/* --- jobs --- */

static void job_free(struct job *job)
{
    struct outbound *o = job->outbound;

    (void)map_remove(o->jobs, map_key_u64(&job->attempt));
    segment_release(job->segment);
    arena_destroy(&job->arena);
    free(job);
    if (o->stopping && map_count(o->jobs) == 0 && o->env.stopped != NULL)
        o->env.stopped(o->env.stopped_ctx);
}

static void begin_outcome(const struct job *job, struct msg_outcome *m)
{
    *m = (struct msg_outcome){.attempt = job->attempt,
                              .start_unix_ms = job->start_unix_ms,
                              .dot_unix_ms = job->dot_unix_ms};
}

static void send_outcome(struct outbound *o, const struct msg_outcome *m)
{
    if (o->queue == NULL)
        return; /* the queue's ledger knows what was under way */
    msg_outcome_encode(m, bus_begin(o->queue, MSG_OUTCOME));
    bus_end(o->queue);
}

static enum outcome outcome_of(enum smtp_outcome outcome)
{
    switch (outcome) {
    case SMTP_DELIVERED:
        return OUTCOME_DELIVERED;
    case SMTP_DEFERRED:
        return OUTCOME_DEFERRED;
    case SMTP_REFUSED:
        return OUTCOME_BOUNCED;
    case SMTP_UNKNOWN:
        return OUTCOME_UNKNOWN;
    }
    return OUTCOME_UNKNOWN;
}

static bool same_verdict(const struct smtp_verdict *a, const struct smtp_verdict *b)
{
    return a->outcome == b->outcome && a->response.code == b->response.code &&
           slice_eq(a->response.text, b->response.text) &&
           slice_eq(a->response.enhanced, b->response.enhanced);
}

/* The group that this verdict belongs to; a new one if no earlier recipient fared so. */
static size_t group_of(const struct smtp_verdict *verdict, struct smtp_verdict *seen, size_t *n,
                       size_t last)
{
    if (*n > 0 && same_verdict(verdict, &seen[last]))
        return last;
    for (size_t i = 0; i < *n; i++)
        if (same_verdict(verdict, &seen[i]))
            return i;
    if (*n == GROUPS_MAX)
        return *n - 1;
    seen[*n] = *verdict;
    return (*n)++;
}

/* Recipients that fared alike become one group: "1-99,101". */
static size_t make_groups(struct outbound *o, const struct job *job,
                          const struct deliver_report *report, struct msg_outcome_group *groups)
{
    size_t count = job->deliver.envelope.recipient_count, n = 0, last = 0;
    struct smtp_verdict *seen =
        arena_array(o->arena, count < GROUPS_MAX ? count : GROUPS_MAX, sizeof *seen);
    struct buf *numbers =
        arena_array(o->arena, count < GROUPS_MAX ? count : GROUPS_MAX, sizeof *numbers);
    uint32_t *first = arena_array(o->arena, count, sizeof *first);

    if (seen == NULL || numbers == NULL || first == NULL)
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct smtp_verdict verdict = deliver_verdict(report, i);

        last = group_of(&verdict, seen, &n, last);
        first[i] = (uint32_t)last;
    }
    for (size_t g = 0; g < n; g++) {
        buf_init(&numbers[g], 1u << 20);
        for (size_t i = 0; i < count; i++) {
            size_t end = i;

            if (first[i] != g)
                continue;
            while (end + 1 < count && first[end + 1] == g &&
                   job->numbers[end + 1] == job->numbers[end] + 1)
                end++;
            buf_printf(&numbers[g], "%s%u", numbers[g].n > 0 ? "," : "", job->numbers[i]);
            if (end > i)
                buf_printf(&numbers[g], "-%u", job->numbers[end]);
            i = end;
        }
        groups[g] = (struct msg_outcome_group){
            .recipients = arena_copy(o->arena, buf_slice(&numbers[g])),
            .outcome = (uint8_t)outcome_of(seen[g].outcome),
            .code = (uint16_t)seen[g].response.code,
            .enhanced = seen[g].response.enhanced,
            .text = slice_sub(seen[g].response.text, 0, 500),
        };
        buf_finish(&numbers[g]);
    }
    return n;
}

/* --- what mta/deliver asks and tells --- */

static void on_report(void *ctx, struct deliver_job *deliver, const struct deliver_report *report)
{
    struct outbound *o = ctx;
    struct job *job = CONTAINER_OF(deliver, struct job, deliver);
    size_t count = job->deliver.envelope.recipient_count;
    struct msg_outcome_group *groups;
    char source[IP_TEXT_MAX];
    struct msg_outcome m;

    arena_reset(o->arena);
    groups = arena_array(o->arena, count < GROUPS_MAX ? count : GROUPS_MAX, sizeof *groups);
    begin_outcome(job, &m);
    m.host = report->host;
    m.ip = slice_of(report->ip);
    m.state = slice_of(report->state);
    m.site_down = report->site_down;
    m.reports = report->talk != NULL && smtp_client_capabilities(report->talk)->dsn;
    m.reused = report->session != NULL && session_messages(report->session) > 1;
    m.source = wire_source(report->session, source);
    m.groups = groups;
    bool give_back = o->stopping && report->session == NULL; /* it was not tried */
    m.groups_n = groups == NULL || give_back ? 0 : make_groups(o, job, report, groups);
    if (m.groups_n > 0 || give_back)
        send_outcome(o, &m);
    job_free(job);
}

static ssize_t on_read_body(void *ctx, struct deliver_job *deliver, char *room, size_t cap)
{
    struct outbound *o = ctx;
    struct job *job = CONTAINER_OF(deliver, struct job, deliver);
    size_t n;
    struct err e;

    if (!job->reading) {
        if (spool_reader_init(&job->reader, job->segment->fd, job->id, &job->place, &e) < 0) {
            log_error(o->env.log, "spool.read", LOG_ERR(&e));
            return -1;
        }
        job->reading = true;
    }
    if (spool_reader_read(&job->reader, room, cap, &n, &e) < 0) {
        log_error(o->env.log, "spool.read", LOG_ERR(&e));
        return -1;
    }
    return (ssize_t)n;
}

static void on_want_dot(void *ctx, struct deliver_job *deliver)
{
    struct outbound *o = ctx;
    struct job *job = CONTAINER_OF(deliver, struct job, deliver);
    const struct host_address *host = session_host(deliver->session);
    struct msg_dot_wanted m = {.attempt = job->attempt, .host = slice_of(host->name)};
    char ip[IP_TEXT_MAX];

    ip_address_format(&host->address, ip);
    m.ip = slice_of(ip);
    if (o->queue == NULL)
        return; /* without a ledger no dot leaves; the lost bus ends the session */
    msg_dot_wanted_encode(&m, bus_begin(o->queue, MSG_DOT_WANTED));
    bus_end(o->queue);
}

void job_fill_ports(struct deliver_ports *ports)
{
    ports->read_body = on_read_body;
    ports->want_dot = on_want_dot;
    ports->report = on_report;
}

/* --- from the queue --- */

static bool fill_envelope(struct job *job, const struct msg_deliver *m)
{
    struct smtp_envelope *env = &job->deliver.envelope;
    struct smtp_recipient *list = arena_array(job->arena, m->recipients_n, sizeof *list);

    job->numbers = arena_array(job->arena, m->recipients_n, sizeof *job->numbers);
    if (list == NULL || job->numbers == NULL)
        return false;
    env->sender.path = arena_copy(job->arena, m->sender);
    options_read_sender(arena_copy(job->arena, m->options), &env->sender);
    env->sender.size_bytes = m->head_n + m->body_n;
    for (size_t i = 0; i < m->recipients_n; i++) {
        list[i].path = arena_copy(job->arena, m->recipients[i].address);
        options_read_recipient(arena_copy(job->arena, m->recipients[i].options), &list[i]);
        job->numbers[i] = m->recipients[i].n;
    }
    env->recipients = list;
    env->recipient_count = m->recipients_n;
    return true;
}

static void refuse_job(struct outbound *o, struct job *job, const struct msg_deliver *m,
                       const char *why)
{
    struct deliver_report report = {.state = "starting"};

    (void)m;
    report.all.outcome = SMTP_DEFERRED;
    report.all.response.text = slice_of(why);
    on_report(o, &job->deliver, &report);
}

void job_take(struct outbound *o, struct slice payload)
{
    struct msg_deliver m;
    struct job *job;

    arena_reset(o->arena);
    if (!msg_deliver_decode(payload, o->arena, &m))
        return;
    job = mem_alloc(sizeof *job);
    job->outbound = o;
    job->attempt = m.attempt;
    job->id = m.id;
    job->place = (struct spool_place){m.segment, m.offset, m.body_n, m.head_n};
    job->arena = arena_create(ARENA_MAX);
    job->start_unix_ms = loop_unix_ms(o->env.loop);
    list_init(&job->deliver.link);
    (void)map_put(o->jobs, map_key_u64(&job->attempt), job);
    job->segment = find_segment(o, m.segment);
    if (job->segment != NULL)
        job->segment->users++;
    if (!fill_envelope(job, &m) || job->segment == NULL || o->stopping) {
        refuse_job(o, job, &m,
                   o->stopping ? "Waybill is stopping" : "the spool segment is missing");
        return;
    }
    job->target = target_find(o, &m);
    deliver_add(job->target->destination, &job->deliver);
}

void job_take_grant(struct outbound *o, struct slice payload)
{
    struct msg_dot_granted m;
    struct job *job;

    arena_reset(o->arena);
    if (!msg_dot_granted_decode(payload, o->arena, &m) ||
        (job = map_get(o->jobs, map_key_u64(&m.attempt))) == NULL)
        return;
    if (m.granted)
        job->dot_unix_ms = loop_unix_ms(o->env.loop);
    deliver_dot(&job->deliver, m.granted != 0);
}

void jobs_forget(struct outbound *o)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(o->jobs, &cursor, &key, &value)) {
        struct job *job = value;

        segment_release(job->segment);
        arena_destroy(&job->arena);
        free(job);
    }
    map_destroy(&o->jobs);
    o->jobs = map_create(4);
    for (size_t i = 0; i < ROLE_SEGMENTS_HELD; i++) {
        segment_release(o->segments[i]);
        o->segments[i] = NULL;
    }
    o->segment_next = 0;
}
