/* The outbound role: what comes from the queue goes to jobs, and to those who ask DNS for it. */
#include "role/outbound_in.h"

#define ARENA_MAX (16u << 20)
#define TLS_SESSIONS_MAX 10000

/* --- the bus --- */

static void from_queue(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct outbound *o = ctx;

    if (type == MSG_SEGMENT)
        job_take_segment(o, payload, fd);
    else if (type == MSG_DELIVER)
        job_take(o, payload);
    else if (type == MSG_DOT_GRANTED)
        job_take_grant(o, payload);
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

    log_warn(o->env.log, "outbound.queue_gone", LOG_ERR(why));
    outbound_doctor_stop(o->doctor);
    bus_close(&o->queue);
    rua_checks_forget(o->checks);
    targets_forget(o);
    jobs_forget(o);
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
    o->ports.ctx = o;
    job_fill_ports(&o->ports);
    target_fill_ports(&o->ports);
    wire_fill_ports(&o->ports);
    o->arena = arena_create(ARENA_MAX);
    o->streams = streams_create(env->loop);
    o->targets = map_create((uintptr_t)o);
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

    o->stopping = true;
    targets_stop(o, "Waybill is stopping");
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
