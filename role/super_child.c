/* The super's children: a role of its own process, with the bus to the super that brings it peers
 * and settings. */
#include <signal.h>
#include <unistd.h>

#include "role/super_in.h"

void member_fill_env(struct member *m, struct loop *loop, struct log *log)
{
    struct super *s = m->super;

    m->env = (struct role_env){.loop = loop,
                               .conf = s->conf,
                               .log = log,
                               .index = m->index,
                               .listeners = s->listeners,
                               .control = s->control,
                               .http = s->http};
}

struct child {
    struct member *member;
    struct bus *link;
    struct conf *conf; /* its own, after a reload */
    struct arena *arena;
    int status;
};

static void child_ends(void *ctx)
{
    struct child *c = ctx;

    loop_stop(c->member->env.loop);
}

static void child_message(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct child *c = ctx;
    struct member *m = c->member;
    const struct role_ops *ops = role_table[m->kind];
    struct msg_peer peer;
    struct msg_settings settings;
    struct err e;

    arena_reset(c->arena);
    if (type == MSG_PEER && fd >= 0 && msg_peer_decode(payload, c->arena, &peer)) {
        struct bus *bus = bus_open(m->env.loop, fd, NULL, NULL);

        ops->attach(m->role, (enum role_kind)peer.kind, peer.index, bus);
        return;
    }
    if (fd >= 0)
        close(fd);
    if (type == MSG_SETTINGS && msg_settings_decode(payload, c->arena, &settings)) {
        struct conf *conf = conf_parse("reload", settings.text, &e);

        if (conf == NULL) {
            log_error(m->env.log, "settings", LOG_ERR(&e));
            return;
        }
        ops->settings(m->role, conf);
        conf_destroy(&c->conf);
        c->conf = conf;
    }
}

static void child_orphaned(void *ctx, const struct err *why)
{
    struct child *c = ctx;

    log_error(c->member->env.log, "super_gone", LOG_ERR(why));
    c->status = 1;
    loop_stop(c->member->env.loop);
}

static const struct bus_handlers child_link_handlers = {child_message, NULL, child_orphaned};

static void child_signal(void *ctx, int number)
{
    struct child *c = ctx;
    (void)number;

    role_table[c->member->kind]->stop(c->member->role);
}

/* Inbound may ask DNS only where it has to prove mail. */
static enum proc_jail jail_of(const struct member *m)
{
    const struct conf *conf = m->super->conf;

    for (size_t i = 0; m->kind == ROLE_INBOUND && i < conf->route_count; i++)
        if (conf->routes[i].local)
            return PROC_JAIL_INBOUND_DNS;
    return role_table[m->kind]->jail;
}

static bool child_confine(struct member *m)
{
    const struct conf *conf = m->super->conf;
    const struct proc_confinement jail = {
        .user = conf->user, .group = conf->group, .jail = jail_of(m), .filter = conf->sandbox};
    struct err e;

    if (proc_confine(&jail, &e) == 0)
        return true;
    log_error(m->env.log, "confine", LOG_ERR(&e));
    return false;
}

int child_run(void *member)
{
    struct member *m = member;
    struct super *s = m->super;
    const struct role_ops *ops = role_table[m->kind];
    struct child c = {.member = m};
    struct err e;

    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the super, which stops us in order */
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    proc_title_set(m->name);
    log_set_role(s->log, m->name);
    metrics_use(s->metrics, m->slot, ops->name);
    c.arena = arena_create(32u << 20);
    member_fill_env(m, loop_create(), s->log);
    log_attach(s->log, m->env.loop);
    m->env.metrics = s->metrics;
    m->env.stopped = child_ends;
    m->env.stopped_ctx = &c;
    if (!ops->needs_privileges && !child_confine(m))
        return 1;
    m->role = ops->create(&m->env, &e);
    if (m->role == NULL) {
        log_error(m->env.log, "role.start", LOG_ERR(&e));
        log_flush(m->env.log);
        return 1;
    }
    if (ops->needs_privileges && !child_confine(m))
        return 1;
    loop_on_signal(m->env.loop, SIGTERM, child_signal, &c);
    c.link = bus_open(m->env.loop, m->link_fds[1], &child_link_handlers, &c);
    loop_run(m->env.loop);
    ops->destroy(m->role);
    bus_close(&c.link);
    conf_destroy(&c.conf);
    log_flush(m->env.log);
    return c.status;
}
