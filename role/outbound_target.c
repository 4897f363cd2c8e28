/* The outbound role's targets: one for each site, with its destination and the lookup of where its
 * mail goes. */
#include "lib/crypt/hash.h"
#include "role/outbound_in.h"

#define TARGET_CHECK_MS 60000 /* is a site of which nothing is known still used? */

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

struct target *target_find(struct outbound *o, const struct msg_deliver *m)
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

void targets_stop(struct outbound *o, const char *why)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(o->targets, &cursor, &key, &value))
        destination_stop(((struct target *)value)->destination, why);
}

void targets_forget(struct outbound *o)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(o->targets, &cursor, &key, &value))
        target_free(value);
    map_destroy(&o->targets);
    o->targets = map_create((uintptr_t)o);
}

void target_fill_ports(struct deliver_ports *ports)
{
    ports->resolve = on_resolve;
}
