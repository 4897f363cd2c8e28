/* The queue role's part of the doctor: when, about which domains, with which facts; and what is
 * news.
 *
 *     keys --keys_public--> the public halves --+
 *     ledger: addresses in use, settings -------+--> doctor_check --> outbound 0 (DNS)
 *     ledger <-- findings, notices <-- compare <-- doctor_found <--------+
 *
 * One domain after the other. A question that gets no answer is given up after a while; the next
 * run begins anew. */
#include "lib/dnsmsg/name.h"
#include "lib/doctor/doctor.h"
#include "role/queue_in.h"
#include "store/ledger/notice.h"

#define START_DELAY_MS 30000 /* after a start and after new settings */
#define AGAIN_MS 2000        /* somebody who is needed is not there yet */
#define PATIENCE_MS 300000   /* for one domain */
#define DOMAINS_MAX 1000     /* that are looked at */
#define KEYS_ARENA_MAX (32u << 20)

struct queue_doctor {
    struct queue *queue;
    struct loop_timer timer; /* the next run, or the end of patience */
    struct arena *keys_arena;
    struct doctor_signer *keys;
    size_t key_n, key_cap;
    bool keys_complete;
    int64_t interval_ms; /* as the timer knows it */

    bool running;
    struct arena *arena; /* of this run */
    struct slice *domains;
    size_t domain_n, at;
    uint64_t run; /* number of the check that is out */
    struct doctor_subject subject;
};

/* --- keys --- */

void queue_doctor_take_keys(struct queue *q, struct slice payload)
{
    struct queue_doctor *d = q->doctor;
    struct msg_keys_public m;

    arena_reset(q->arena);
    if (!msg_keys_public_decode(payload, q->arena, &m))
        return;
    if (m.anew) {
        arena_reset(d->keys_arena);
        d->key_n = 0;
    }
    for (size_t i = 0; i < m.keys_n; i++) {
        queue_grow(&d->keys, &d->key_cap, d->key_n + 1, sizeof *d->keys);
        d->keys[d->key_n++] = (struct doctor_signer){
            .domain = arena_copy(d->keys_arena, m.keys[i].domain),
            .selector = arena_copy(d->keys_arena, m.keys[i].selector),
            .record = arena_copy(d->keys_arena, m.keys[i].record),
        };
    }
    d->keys_complete = m.complete != 0;
}

/* After new settings the keys role is replaced: until it said what it has, nothing is looked at. It
 * names its keys in the order of the settings. */
static bool knows_keys(const struct queue *q)
{
    const struct queue_doctor *d = q->doctor;
    bool same = q->conf->key_count == 0 || (d->keys_complete && d->key_n == q->conf->key_count);

    for (size_t i = 0; same && i < q->conf->key_count; i++)
        same = slice_eq(d->keys[i].domain, slice_of(q->conf->keys[i].domain)) &&
               slice_eq(d->keys[i].selector, slice_of(q->conf->keys[i].selector));
    return same;
}

/* --- which domains --- */

static bool is_listed(const struct queue_doctor *d, struct slice domain)
{
    for (size_t i = 0; i < d->domain_n; i++)
        if (dns_name_equal(d->domains[i], domain))
            return true;
    return false;
}

/* False: no room for it. */
static bool add_domain(struct queue_doctor *d, const char *domain)
{
    if (domain[0] == '\0' || is_listed(d, slice_of(domain)))
        return true;
    if (d->domain_n == DOMAINS_MAX)
        return false;
    d->domains[d->domain_n++] = arena_copy(d->arena, slice_of(domain));
    return true;
}

/* The return path's domain, and each that has a key here. */
static bool list_domains(struct queue_doctor *d)
{
    const struct conf *conf = d->queue->conf;
    bool fits = true;

    arena_reset(d->arena);
    d->domain_n = d->at = 0;
    d->domains = arena_array(d->arena, DOMAINS_MAX, sizeof *d->domains);
    if (d->domains == NULL)
        return false;
    (void)add_domain(d, conf->return_path_domain);
    for (size_t i = 0; fits && i < conf->key_count; i++)
        fits = add_domain(d, conf->keys[i].domain);
    if (!fits)
        log_warn(d->queue->env.log, "doctor.limit", LOG_INT("domains", DOMAINS_MAX));
    return d->domain_n > 0;
}

/* --- what is true about one --- */

static bool take_use(void *ctx, const struct ledger_source *source)
{
    struct queue_doctor *d = ctx;
    struct doctor_address use = {.domain = arena_copy(d->arena, source->domain),
                                 .via = arena_copy(d->arena, source->via),
                                 .first_ms = source->first_ms,
                                 .last_ms = source->last_ms,
                                 .messages = source->messages};

    return !ip_address_parse(source->address, &use.ip) || doctor_add_use(&d->subject, &use);
}

/* False: no room for more. */
static bool add_address(struct queue_doctor *d, const char *text, enum doctor_origin origin)
{
    struct doctor_address a = {.origin = origin};

    if (ip_address_parse(slice_of(text), &a.ip))
        return doctor_add_address(&d->subject, &a);
    if (text[0] != '\0')
        log_warn(d->queue->env.log, "doctor.setting",
                 LOG_STRING("setting", doctor_origin_name(origin)), LOG_STRING("no_address", text));
    return true;
}

/* As `waybill doctor` does it (app/doctor_subject.c): what the world sees, what was used, and only
 * without either what the settings say. */
static int take_addresses(struct queue_doctor *d, struct err *e)
{
    const struct conf *conf = d->queue->conf;
    bool fits = true;

    for (size_t i = 0; i < conf->public_addresses.count; i++)
        fits = fits && add_address(d, conf->public_addresses.items[i], DOCTOR_FROM_PUBLIC);
    if (fits && ledger_sources(d->queue->ledger, take_use, d, e) < 0)
        return -1;
    if (d->subject.address_count > 0)
        return 0;
    (void)add_address(d, conf->source_address, DOCTOR_FROM_SETTING);
    for (size_t i = 0; i < conf->stream_count; i++)
        (void)add_address(d, conf->streams[i].source_address, DOCTOR_FROM_SETTING);
    return 0;
}

/* A local domain is looked at with the nearest of the listed domains above it. */
static bool is_nearest(const struct queue_doctor *d, struct slice local, struct slice domain)
{
    if (!dns_name_is_within(local, domain))
        return false;
    for (size_t i = 0; i < d->domain_n; i++)
        if (dns_name_is_within(local, d->domains[i]) && d->domains[i].n > domain.n)
            return false;
    return true;
}

static void take_receivers(struct queue_doctor *d, struct slice domain)
{
    const struct conf *conf = d->queue->conf;
    bool fits = true;

    if (d->subject.parts & DOCTOR_PART_RETURN_PATH)
        fits = doctor_add_receiver(&d->subject, d->subject.return_path);
    for (size_t i = 0; fits && i < conf->route_count; i++) {
        struct slice title = slice_of(conf->routes[i].title);

        if (conf->routes[i].local && is_nearest(d, title, domain))
            fits = doctor_add_receiver(&d->subject, title);
    }
}

static int make_subject(struct queue_doctor *d, struct slice domain, struct err *e)
{
    const struct conf *conf = d->queue->conf;
    struct slice return_path = slice_of(conf->return_path_domain);
    struct doctor_subject *s = &d->subject;
    bool is_return_path = return_path.n == 0 || dns_name_equal(domain, return_path);

    *s = (struct doctor_subject){.domain = domain,
                                 .return_path = return_path.n > 0 ? return_path : domain,
                                 .hostname = slice_of(conf->hostname),
                                 .smart_host = slice_of(conf_smart_host(conf))};
    for (size_t i = 0; i < d->key_n; i++)
        if (dns_name_equal(d->keys[i].domain, domain)) {
            s->parts |= DOCTOR_PART_AUTHOR;
            if (s->signer_count < DOCTOR_SIGNERS_MAX)
                s->signers[s->signer_count++] = d->keys[i];
        }
    if (is_return_path)
        s->parts |= DOCTOR_PART_RETURN_PATH;
    if (d->at == 0) /* the addresses have names once, not for each domain */
        s->parts |= DOCTOR_PART_HOST;
    take_receivers(d, domain);
    return take_addresses(d, e);
}

/* --- a run --- */

static void plan(struct queue_doctor *d, int64_t after_ms)
{
    d->running = false;
    if (d->interval_ms == 0)
        loop_timer_stop(&d->timer);
    else
        loop_timer_set(&d->timer, after_ms < d->interval_ms ? after_ms : d->interval_ms);
}

static void send_check(struct queue_doctor *d, struct bus *bus)
{
    const struct doctor_subject *s = &d->subject;
    struct msg_doctor_source *addresses = mem_alloc(DOCTOR_ADDRESSES_MAX * sizeof *addresses);
    struct msg_public_key *signers = mem_alloc(DOCTOR_SIGNERS_MAX * sizeof *signers);
    struct msg_doctor_name *receivers = mem_alloc(DOCTOR_RECEIVERS_MAX * sizeof *receivers);
    char(*ips)[IP_TEXT_MAX] = mem_alloc(DOCTOR_ADDRESSES_MAX * sizeof *ips);
    const struct msg_doctor_check m = {.run = ++d->run,
                                       .parts = (uint8_t)s->parts,
                                       .domain = s->domain,
                                       .return_path = s->return_path,
                                       .hostname = s->hostname,
                                       .smart_host = s->smart_host,
                                       .addresses = addresses,
                                       .addresses_n = s->address_count,
                                       .signers = signers,
                                       .signers_n = s->signer_count,
                                       .receivers = receivers,
                                       .receivers_n = s->receiver_count};

    for (size_t i = 0; i < s->address_count; i++) {
        const struct doctor_address *a = &s->addresses[i];

        (void)ip_address_format(&a->ip, ips[i]);
        addresses[i] =
            (struct msg_doctor_source){slice_of(ips[i]), (uint8_t)a->origin, a->domain,  a->via,
                                       a->first_ms,      a->last_ms,         a->messages};
    }
    for (size_t i = 0; i < s->signer_count; i++)
        signers[i] = (struct msg_public_key){s->signers[i].domain, s->signers[i].selector,
                                             s->signers[i].record};
    for (size_t i = 0; i < s->receiver_count; i++)
        receivers[i].name = s->receivers[i];
    msg_doctor_check_encode(&m, bus_begin(bus, MSG_DOCTOR_CHECK));
    bus_end(bus);
    free(addresses);
    free(signers);
    free(receivers);
    free(ips);
}

static void check_next(struct queue_doctor *d)
{
    struct queue_link *link = &d->queue->outbound[0];
    struct err e;

    if (link->bus == NULL || link->stopping || d->queue->stopping) {
        plan(d, AGAIN_MS);
        return;
    }
    if (make_subject(d, d->domains[d->at], &e) < 0) {
        log_error(d->queue->env.log, "doctor.facts", LOG_ERR(&e));
        plan(d, d->interval_ms);
        return;
    }
    send_check(d, link->bus);
    loop_timer_set(&d->timer, PATIENCE_MS);
}

static int show_counts(struct queue *q, struct err *e)
{
    uint64_t counts[LEDGER_ERROR + 1];

    if (ledger_count_findings(q->ledger, counts, e) < 0)
        return -1;
    metric_set(q->env.metrics, METRIC_doctor_warnings, (int64_t)counts[LEDGER_WARNING]);
    metric_set(q->env.metrics, METRIC_doctor_errors, (int64_t)counts[LEDGER_ERROR]);
    return 0;
}

/* What is known of domains that are not listed any more is forgotten. */
static void finish_run(struct queue_doctor *d)
{
    struct queue *q = d->queue;
    struct err e;

    queue_open_group(q);
    if (!q->spoiled && (ledger_keep_findings(q->ledger, d->domains, d->domain_n, &e) < 0 ||
                        show_counts(q, &e) < 0)) {
        log_error(q->env.log, "ledger.findings", LOG_ERR(&e));
        q->spoiled = true;
    }
    if (d->domain_n > 0)
        metric_add(q->env.metrics, METRIC_doctor_runs_total, 1);
    plan(d, d->interval_ms);
}

static void hear_notice(void *ctx, const struct ledger_notice *n)
{
    const struct queue *q = ctx;

    metric_add(q->env.metrics, METRIC_doctor_notices_total, 1);
    log_warn(q->env.log, n->kind == LEDGER_NOTICE_DRIFT ? "doctor.drift" : "doctor.mended",
             LOG_TEXT("domain", n->domain), LOG_TEXT("rule", n->rule), LOG_TEXT("name", n->name),
             LOG_TEXT("text", n->text));
}

static void write_findings(struct queue_doctor *d, const struct msg_doctor_found *m)
{
    struct queue *q = d->queue;
    struct ledger_finding *list = arena_array(q->arena, m->findings_n, sizeof *list);
    struct err e;

    for (size_t i = 0; list != NULL && i < m->findings_n; i++) {
        const struct msg_doctor_finding *f = &m->findings[i];

        list[i] = (struct ledger_finding){
            .severity = f->severity <= LEDGER_ERROR ? (enum ledger_severity)f->severity
                                                    : LEDGER_ERROR, /* both count from good up */
            .temporary = f->temporary != 0,
            .area = f->area,
            .rule = f->rule,
            .name = f->name,
            .detail = f->detail,
            .text = f->text,
            .publish = f->publish,
        };
    }
    if (list == NULL ||
        ledger_compare_findings(q->ledger, d->domains[d->at], list, m->findings_n,
                                loop_unix_ms(q->env.loop), hear_notice, q, &e) < 0) {
        log_error(q->env.log, "ledger.findings",
                  LOG_STRING("error", list == NULL ? "too many" : e.text));
        q->spoiled = true;
    }
}

void queue_doctor_take_found(struct queue *q, struct slice payload)
{
    struct queue_doctor *d = q->doctor;
    struct msg_doctor_found m;

    arena_reset(q->arena);
    if (!msg_doctor_found_decode(payload, q->arena, &m) || !d->running || m.run != d->run)
        return;
    queue_open_group(q);
    if (!q->spoiled)
        write_findings(d, &m);
    if (++d->at < d->domain_n)
        check_next(d);
    else
        finish_run(d);
}

static void on_timer(void *ctx)
{
    struct queue_doctor *d = ctx;

    if (d->running) {
        log_warn(d->queue->env.log, "doctor.no_answer", LOG_TEXT("domain", d->domains[d->at]));
        plan(d, d->interval_ms);
    } else if (!knows_keys(d->queue)) {
        plan(d, AGAIN_MS);
    } else if (list_domains(d)) {
        d->running = true;
        check_next(d);
    } else {
        finish_run(d); /* no key and no return path: nothing to compare */
    }
}

/* --- life --- */

void queue_doctor_lost(struct queue *q)
{
    if (q->doctor != NULL && q->doctor->running)
        plan(q->doctor, START_DELAY_MS);
}

void queue_doctor_settings(struct queue *q)
{
    q->doctor->interval_ms = q->conf->doctor_interval_ms;
    plan(q->doctor, START_DELAY_MS);
}

void queue_doctor_create(struct queue *q)
{
    struct queue_doctor *d = mem_alloc(sizeof *d);
    struct err e;

    d->queue = q;
    d->keys_arena = arena_create(KEYS_ARENA_MAX);
    d->arena = arena_create(KEYS_ARENA_MAX);
    loop_timer_init(&d->timer, q->env.loop, on_timer, d);
    q->doctor = d;
    queue_doctor_settings(q);
    if (show_counts(q, &e) < 0) /* of the last look, until the next one */
        log_warn(q->env.log, "ledger.findings", LOG_ERR(&e));
}

void queue_doctor_destroy(struct queue *q)
{
    struct queue_doctor *d = q->doctor;

    if (d == NULL)
        return;
    loop_timer_finish(&d->timer);
    arena_destroy(&d->keys_arena);
    arena_destroy(&d->arena);
    free(d->keys);
    free(d);
    q->doctor = NULL;
}
