/* The outbound role: destinations and their sessions on real sockets and DNS; jobs from the queue.
 *
 *     deliver --> job --> destination (mta/deliver) --ports--> streams, DNS, spool descriptors
 *     dot_wanted <--      dot_granted -->      outcome <-- */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/map.h"
#include "lib/crypt/hash.h"
#include "mta/deliver/deliver.h"
#include "mta/event/options.h"
#include "mta/event/outcome.h"
#include "role/messages.h"
#include "role/outbound_doctor.h"
#include "role/outbound_reports.h"
#include "role/role.h"
#include "rt/dns/dns.h"
#include "rt/stream/stream.h"
#include "store/spool/spool.h"

#define ARENA_MAX (16u << 20)
#define SEGMENTS_HELD 64
#define TARGET_CHECK_MS 60000 /* is a site of which nothing is known still used? */
#define TLS_SESSIONS_MAX 10000
#define GROUPS_MAX 4096

struct outbound;

/* A file of the spool, shared by the jobs that read from it. */
struct segment_file {
    uint64_t number;
    int fd;
    unsigned users; /* jobs, and one for its place in the ring */
};

/* One site: the destination and what the role needs to serve its ports. */
struct target {
    struct outbound *outbound;
    struct destination *destination;
    struct hosts *search; /* while looking up where mail goes */
    struct dns_ask *question;
    struct loop_timer forget_hosts;
    struct buf domain, next_hops, name;
    unsigned tls;     /* CONF_HOP_TLS_* */
    struct buf login; /* "name\0password\0"; empty: none */
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

/* A session's connection. */
struct wire_end {
    struct outbound *outbound;
    struct session *session;
    struct stream *stream;
    struct loop_timer patience;
    char key[320]; /* for TLS resumption */
};

struct outbound {
    struct role_env env;
    const struct conf *conf;
    char hostname[256];
    struct bus *queue;
    struct streams *streams;
    struct dns_resolver *dns;
    struct rua_checks *checks;
    struct outbound_doctor *doctor;
    struct tls_context *tls;
    struct tls_cache *tls_cache;
    struct map *targets, *jobs;
    struct segment_file *segments[SEGMENTS_HELD];
    unsigned segment_next;
    struct arena *arena;
    struct deliver_ports ports;
    unsigned connections;
    bool stopping;
};

/* --- segments --- */

static void segment_release(struct segment_file *s)
{
    if (s == NULL || --s->users > 0)
        return;
    close(s->fd);
    free(s);
}

static void take_segment(struct outbound *o, struct slice payload, int fd)
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
    o->segment_next = (o->segment_next + 1) % SEGMENTS_HELD;
}

static struct segment_file *find_segment(struct outbound *o, uint64_t number)
{
    for (size_t i = 0; i < SEGMENTS_HELD; i++)
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

/* The local address of the session's connection; empty without one. `room` holds the text. */
static struct slice source_of(const struct session *s, char room[IP_TEXT_MAX])
{
    const struct wire_end *w = s == NULL ? NULL : session_handle(s);

    if (w == NULL || !stream_is_open(w->stream) || stream_local(w->stream)->unix_path != NULL)
        return (struct slice){0};
    return (struct slice){room, ip_address_format(&stream_local(w->stream)->ip, room)};
}

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
    m.source = source_of(report->session, source);
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

/* --- where a site's mail goes --- */

static void search_on(struct target *t);

static void on_answer(void *ctx, const struct dns_answer *answer)
{
    struct target *t = ctx;

    t->question = NULL;
    hosts_answer(t->search, answer);
    search_on(t);
}

static void search_on(struct target *t)
{
    struct outbound *o = t->outbound;

    if (hosts_step(t->search) == STEP_WAIT) {
        struct dns_question q = hosts_question(t->search);

        metric_add(o->env.metrics, METRIC_dns_questions_total, 1);
        t->question = dns_ask(o->dns, &q, on_answer, t);
        return;
    }
    loop_timer_set(&t->forget_hosts, (int64_t)hosts_ttl_s(t->search) * 1000);
    struct hosts *found = t->search;
    t->search = NULL;
    destination_resolved(t->destination, found);
    hosts_destroy(&found);
}

static void on_resolve(void *ctx, struct destination *d)
{
    struct outbound *o = ctx;
    struct target *t = destination_owner(d);
    uint64_t random;

    crypt_random(&random, sizeof random);
    t->search = t->next_hops.n > 0
                    ? hosts_create_fixed(buf_slice(&t->next_hops), random)
                    : hosts_create(buf_slice(&t->domain), slice_of(o->hostname), random);
    loop_timer_set(&t->forget_hosts, 0); /* a port never calls back inside itself */
}

/* --- connections --- */

static void wire_open(void *ctx)
{
    struct wire_end *w = ctx;

    metric_add(w->outbound->env.metrics, METRIC_outbound_connections_total, 1);
    session_connected(w->session);
}

static size_t wire_data(void *ctx, struct slice in)
{
    struct wire_end *w = ctx;

    return session_data(w->session, in);
}

static void wire_drained(void *ctx)
{
    session_drained(((struct wire_end *)ctx)->session);
}

static void wire_tls(void *ctx)
{
    session_tls_started(((struct wire_end *)ctx)->session);
}

static void wire_closed(void *ctx, enum stream_end end, const struct err *why)
{
    struct wire_end *w = ctx;

    session_lost(w->session, why->text[0] != '\0' ? why->text : stream_end_name(end),
                 end == STREAM_END_TLS);
}

static const struct stream_handlers wire_handlers = {
    .on_open = wire_open,
    .on_data = wire_data,
    .on_drained = wire_drained,
    .on_tls = wire_tls,
    .on_closed = wire_closed,
};

static void out_of_patience(void *ctx)
{
    session_timed_out(((struct wire_end *)ctx)->session);
}

static bool may_connect(void *ctx)
{
    const struct outbound *o = ctx;

    return o->connections < (uint64_t)o->conf->outbound_connections_max;
}

static void *on_connect(void *ctx, struct session *s, const struct host_address *to)
{
    struct outbound *o = ctx;
    struct wire_end *w = mem_alloc(sizeof *w);
    struct stream_target target = {.timeout_ms = o->conf->outbound_connect_timeout_ms};
    struct ip_address source;

    target.to.ip = to->address;
    target.to.port = to->port;
    if (o->conf->source_address[0] != '\0' &&
        ip_address_parse(slice_of(o->conf->source_address), &source))
        target.source = &source;
    w->outbound = o;
    w->session = s;
    loop_timer_init(&w->patience, o->env.loop, out_of_patience, w);
    (void)snprintf(w->key, sizeof w->key, "%s:%u", to->name, to->port);
    w->stream = stream_connect(o->streams, &target, &wire_handlers, w);
    o->connections++;
    metric_change(o->env.metrics, METRIC_outbound_connections_open, 1);
    return w;
}

static void on_close(void *ctx, struct session *s, void *handle)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    (void)s;

    loop_timer_finish(&w->patience);
    stream_close(&w->stream);
    o->connections--;
    metric_change(o->env.metrics, METRIC_outbound_connections_open, -1);
    free(w);
}

static void on_start_tls(void *ctx, struct session *s, void *handle)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    const struct target *t = destination_owner(session_destination(s));
    const struct tls_client client = {
        .context = o->tls,
        .server_name = session_host(s)->name,
        .verify = t->tls == CONF_HOP_TLS_VERIFY,
        .sessions = o->tls_cache,
        .session_key = slice_of(w->key),
    };

    stream_start_tls_client(w->stream, &client, o->conf->outbound_connect_timeout_ms);
}

static size_t on_write(void *ctx, void *handle, struct slice bytes)
{
    struct wire_end *w = handle;
    (void)ctx;

    stream_write(w->stream, bytes);
    return stream_pending(w->stream);
}

static void on_set_patience(void *ctx, void *handle, unsigned seconds)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    int64_t ms = (int64_t)seconds * 1000;

    if (w == NULL)
        return;
    if (seconds == 0) {
        loop_timer_stop(&w->patience);
        return;
    }
    if (seconds == 600 && o->conf->outbound_dot_timeout_ms < ms)
        ms = o->conf->outbound_dot_timeout_ms;
    else if (seconds >= 300 && seconds != 600 && o->conf->outbound_command_timeout_ms < ms)
        ms = o->conf->outbound_command_timeout_ms;
    loop_timer_set(&w->patience, ms);
}

/* --- targets --- */

static void target_free(struct target *t)
{
    loop_timer_finish(&t->forget_hosts);
    dns_cancel(&t->question);
    hosts_destroy(&t->search);
    destination_destroy(&t->destination);
    buf_finish(&t->domain);
    buf_finish(&t->next_hops);
    buf_finish(&t->name);
    crypt_wipe(t->login.p, t->login.n);
    buf_finish(&t->login);
    free(t);
}

/* When the addresses are too old: they are looked up again, or nobody needs them any more. */
static void target_timer(void *ctx)
{
    struct target *t = ctx;

    if (t->search != NULL) {
        search_on(t);
    } else if (destination_is_idle(t->destination)) {
        (void)map_remove(t->outbound->targets, buf_slice(&t->name));
        target_free(t);
    } else {
        destination_forget_hosts(t->destination);
        loop_timer_set(&t->forget_hosts, TARGET_CHECK_MS);
    }
}

static enum smtp_tls_use tls_use(unsigned tls)
{
    return tls == CONF_HOP_TLS_NONE  ? SMTP_TLS_NEVER
           : tls == CONF_HOP_TLS_MAY ? SMTP_TLS_IF_OFFERED
                                     : SMTP_TLS_REQUIRED;
}

/* "NAME:PASSWORD" becomes two strings behind one another. */
static void set_login(struct target *t, const char *login, struct smtp_client_settings *client)
{
    const char *colon = strchr(login, ':');

    if (colon == NULL)
        return;
    buf_append(&t->login, (struct slice){login, strlen(login) + 1});
    t->login.p[colon - login] = '\0';
    client->user = t->login.p;
    client->password = t->login.p + (colon - login) + 1;
}

static struct target *target_of(struct outbound *o, const struct msg_deliver *m)
{
    const struct conf_route *route = conf_route_of_site(o->conf, m->site);
    struct target *t = map_get(o->targets, m->site);
    struct deliver_settings settings = {
        .client = {.helo_name = o->hostname, .lmtp = m->lmtp != 0},
        .connections_max = m->connections,
        .messages_max = (unsigned)o->conf->connection_messages_max,
        .idle_s = (unsigned)(o->conf->connection_idle_ms / 1000),
    };

    if (t != NULL)
        return t;
    t = mem_alloc(sizeof *t);
    t->outbound = o;
    t->tls = route == NULL || route->tls == CONF_ROUTE_TLS_DEFAULT ? (unsigned)o->conf->outbound_tls
                                                                   : (unsigned)route->tls - 1;
    settings.client.tls = tls_use(t->tls);
    buf_init(&t->domain, 1024);
    buf_init(&t->next_hops, 65536);
    buf_init(&t->name, 2048);
    buf_init(&t->login, 1024);
    buf_append(&t->domain, m->domain);
    buf_append(&t->next_hops, m->next_hops);
    buf_append(&t->name, m->site);
    if (route != NULL)
        set_login(t, route->login, &settings.client);
    loop_timer_init(&t->forget_hosts, o->env.loop, target_timer, t);
    t->destination = destination_create(&settings, &o->ports, t);
    (void)map_put(o->targets, m->site, t);
    return t;
}

/* --- the bus --- */

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

static void take_job(struct outbound *o, struct slice payload)
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
    job->target = target_of(o, &m);
    deliver_add(job->target->destination, &job->deliver);
}

static void take_grant(struct outbound *o, struct slice payload)
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

static void from_queue(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct outbound *o = ctx;

    if (type == MSG_SEGMENT)
        take_segment(o, payload, fd);
    else if (type == MSG_DELIVER)
        take_job(o, payload);
    else if (type == MSG_DOT_GRANTED)
        take_grant(o, payload);
    else if (type == MSG_RUA_QUESTION)
        rua_checks_take(o->checks, o->queue, payload);
    else if (type == MSG_DOCTOR_CHECK)
        outbound_doctor_check(o->doctor, payload, o->queue);
}

/* Without the queue nothing may be sent: it is restarted, and finds what was under way in the
 * ledger. Every session ends here, so no dot leaves that it does not know of. */
static void queue_gone(void *ctx, const struct err *why)
{
    struct outbound *o = ctx;
    size_t cursor = 0;
    struct slice key;
    void *value;

    log_warn(o->env.log, "outbound.queue_gone", LOG_ERR(why));
    outbound_doctor_stop(o->doctor);
    bus_close(&o->queue);
    rua_checks_forget(o->checks);
    while (map_next(o->targets, &cursor, &key, &value))
        target_free(value);
    map_destroy(&o->targets);
    o->targets = map_create(3);
    cursor = 0;
    while (map_next(o->jobs, &cursor, &key, &value)) {
        struct job *job = value;

        segment_release(job->segment);
        arena_destroy(&job->arena);
        free(job);
    }
    map_destroy(&o->jobs);
    o->jobs = map_create(4);
    for (size_t i = 0; i < SEGMENTS_HELD; i++) {
        segment_release(o->segments[i]);
        o->segments[i] = NULL;
    }
    o->segment_next = 0;
    if (o->stopping && o->env.stopped != NULL)
        o->env.stopped(o->env.stopped_ctx);
}

static const struct bus_handlers queue_handlers = {from_queue, NULL, queue_gone};

static void outbound_attach(void *role, enum role_kind peer, unsigned index, struct bus *bus)
{
    struct outbound *o = role;
    (void)peer;
    (void)index;

    if (o->queue != NULL)
        queue_gone(o, &(struct err){.text = "replaced"});
    o->queue = bus;
    bus_set_handlers(bus, &queue_handlers, o);
}

/* --- life --- */

static void outbound_destroy(void *role)
{
    struct outbound *o = role;

    o->stopping = false;
    if (o->targets != NULL)
        queue_gone(o, &(struct err){.text = "ended"});
    map_destroy(&o->targets);
    map_destroy(&o->jobs);
    rua_checks_destroy(&o->checks);
    outbound_doctor_destroy(&o->doctor);
    dns_destroy(&o->dns);
    streams_destroy(&o->streams);
    tls_cache_destroy(&o->tls_cache);
    tls_context_destroy(&o->tls);
    arena_destroy(&o->arena);
    free(o);
}

static void *outbound_create(const struct role_env *env, struct err *e)
{
    struct outbound *o = mem_alloc(sizeof *o);
    const struct dns_options dns = {.servers = env->conf->dns};

    o->env = *env;
    o->conf = env->conf;
    (void)snprintf(o->hostname, sizeof o->hostname, "%s", env->conf->hostname);
    o->ports = (struct deliver_ports){
        .ctx = o,
        .resolve = on_resolve,
        .may_connect = may_connect,
        .connect = on_connect,
        .close = on_close,
        .start_tls = on_start_tls,
        .write = on_write,
        .read_body = on_read_body,
        .want_dot = on_want_dot,
        .report = on_report,
        .set_patience = on_set_patience,
    };
    o->arena = arena_create(ARENA_MAX);
    o->streams = streams_create(env->loop);
    o->targets = map_create(3);
    o->jobs = map_create(4);
    o->tls_cache = tls_cache_create(TLS_SESSIONS_MAX);
    o->tls = tls_client_create(o->conf->tls_ca_file[0] != '\0' ? o->conf->tls_ca_file : NULL, e);
    if (o->tls != NULL)
        o->dns = dns_create(env->loop, &dns, e);
    if (o->dns == NULL) {
        outbound_destroy(o);
        return NULL;
    }
    o->checks = rua_checks_create(o->dns);
    o->doctor = outbound_doctor_create(o->dns);
    return o;
}

static void outbound_stop(void *role)
{
    struct outbound *o = role;
    size_t cursor = 0;
    struct slice key;
    void *value;

    o->stopping = true;
    while (map_next(o->targets, &cursor, &key, &value))
        destination_stop(((struct target *)value)->destination, "Waybill is stopping");
    if (map_count(o->jobs) == 0 && o->env.stopped != NULL)
        o->env.stopped(o->env.stopped_ctx);
}

static void outbound_settings(void *role, const struct conf *conf)
{
    ((struct outbound *)role)->conf = conf;
}

const struct role_ops outbound_role = {
    .name = "outbound",
    .jail = PROC_JAIL_OUTBOUND,
    .create = outbound_create,
    .attach = outbound_attach,
    .stop = outbound_stop,
    .settings = outbound_settings,
    .destroy = outbound_destroy,
    .sees = {[ROLE_QUEUE] = true},
};
