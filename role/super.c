#include "role/super_in.h"

#include <assert.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/settings_check.h"

#define GRACE_MS 40000

const struct role_ops *const role_table[ROLE_KINDS] = {
    [ROLE_KEYS] = &keys_role,       [ROLE_QUEUE] = &queue_role, [ROLE_OUTBOUND] = &outbound_role,
    [ROLE_INBOUND] = &inbound_role, [ROLE_API] = &api_role,
};

/* --- members --- */

static void add_member(struct super *s, enum role_kind kind, unsigned index)
{
    struct member *m = &s->members[s->member_n];

    assert(s->member_n < MEMBERS_MAX);
    *m = (struct member){.super = s,
                         .kind = kind,
                         .index = index,
                         .slot = (unsigned)s->member_n + 1,
                         .link_fds = {-1, -1}};
    if (kind == ROLE_INBOUND || kind == ROLE_OUTBOUND)
        (void)snprintf(m->name, sizeof m->name, "%s-%u", role_table[kind]->name, index);
    else
        (void)snprintf(m->name, sizeof m->name, "%s", role_table[kind]->name);
    s->member_n++;
}

/* In the order of their start: each finds the peers that it needs, or they find it. */
static void list_members(struct super *s)
{
    add_member(s, ROLE_KEYS, 0);
    add_member(s, ROLE_QUEUE, 0);
    for (unsigned i = 0; i < (unsigned)s->conf->outbound_processes; i++)
        add_member(s, ROLE_OUTBOUND, i);
    for (unsigned i = 0; i < (unsigned)s->conf->inbound_processes; i++)
        add_member(s, ROLE_INBOUND, i);
    add_member(s, ROLE_API, 0);
}

static bool are_peers(const struct member *a, const struct member *b)
{
    return a != b && role_table[a->kind]->sees[b->kind];
}

/* --- processes: the super's side --- */

static void link_message(void *ctx, uint16_t type, struct slice payload, int fd)
{
    (void)ctx;
    (void)type;
    (void)payload;
    if (fd >= 0)
        close(fd);
}

static void link_closed(void *ctx, const struct err *why)
{
    struct member *m = ctx;
    (void)why;

    bus_close(&m->link); /* SIGCHLD tells the rest */
}

static const struct bus_handlers link_handlers = {link_message, NULL, link_closed};

static void before_start(void *ctx, int *fds_out, size_t *count_out)
{
    struct member *m = ctx;
    struct super *s = m->super;
    struct err e;
    size_t n = 0;

    log_flush(s->log); /* or the child would write these lines again */
    bus_close(&m->link);
    if (bus_pair_create(m->link_fds, &e) < 0) {
        log_error(s->log, "super.pair", LOG_ERR(&e));
        m->link_fds[0] = m->link_fds[1] = -1;
        *count_out = 0;
        return;
    }
    fds_out[n++] = m->link_fds[1];
    if (s->log_fd > STDERR_FILENO)
        fds_out[n++] = s->log_fd;
    if (m->kind == ROLE_INBOUND)
        for (size_t i = 0; i < s->conf->listener_count; i++)
            fds_out[n++] = s->listeners[i];
    if (m->kind == ROLE_QUEUE)
        fds_out[n++] = s->control;
    if (m->kind == ROLE_API && s->http >= 0)
        fds_out[n++] = s->http;
    *count_out = n;
}

static void send_peer(struct member *to, const struct member *about, int fd)
{
    const struct msg_peer m = {.kind = (uint8_t)about->kind, .index = about->index};

    msg_peer_encode(&m, bus_begin(to->link, MSG_PEER));
    bus_attach(to->link, fd);
    bus_end(to->link);
}

static void connect_members(struct member *a, struct member *b)
{
    int fds[2];
    struct err e;

    if (bus_pair_create(fds, &e) < 0) {
        log_error(a->super->log, "super.pair", LOG_ERR(&e));
        return;
    }
    send_peer(a, b, fds[0]);
    send_peer(b, a, fds[1]);
}

static void after_start(void *ctx, pid_t pid)
{
    struct member *m = ctx;
    struct super *s = m->super;

    close(m->link_fds[1]);
    m->link = bus_open(s->loop, m->link_fds[0], &link_handlers, m);
    metric_add(s->metrics, METRIC_role_starts_total, 1);
    log_info(s->log, "role.started", LOG_STRING("role", m->name), LOG_INT("pid", pid));
    for (size_t i = 0; i < s->member_n; i++) {
        struct member *other = &s->members[i];

        if (are_peers(m, other) && other->link != NULL)
            connect_members(m, other);
    }
}

static void stop_next_stage(struct super *s);

static void on_exit_of(void *ctx, bool crashed, const char *how)
{
    struct member *m = ctx;
    struct super *s = m->super;

    bus_close(&m->link);
    if (crashed) {
        metric_add(s->metrics, METRIC_role_crashes_total, 1);
        log_error(s->log, "role.died", LOG_STRING("role", m->name), LOG_STRING("how", how));
    }
    if (s->stopping) {
        stop_next_stage(s);
    } else if (m->restart) {
        m->restart = false;
        supervisor_start(s->supervisor, &m->proc);
    }
}

static void start_processes(struct super *s)
{
    s->supervisor = supervisor_create(s->loop, s->log);
    for (size_t i = 0; i < s->member_n; i++) {
        struct member *m = &s->members[i];

        m->proc = (struct proc){.name = m->name,
                                .ctx = m,
                                .before_start = before_start,
                                .after_start = after_start,
                                .run = child_run,
                                .on_exit = on_exit_of};
        supervisor_start(s->supervisor, &m->proc);
    }
}

/* --- everything in this process --- */

static void object_stopped(void *ctx)
{
    struct member *m = ctx;

    m->stopped = true;
    if (m->super->stopping)
        stop_next_stage(m->super);
}

static int start_objects(struct super *s, struct err *e)
{
    for (size_t i = 0; i < s->member_n; i++) {
        struct member *m = &s->members[i];

        member_fill_env(m, s->loop, s->log);
        m->env.metrics = metrics_view(s->metrics, m->slot, role_table[m->kind]->name);
        m->env.stopped = object_stopped;
        m->env.stopped_ctx = m;
        m->role = role_table[m->kind]->create(&m->env, e);
        if (m->role == NULL)
            return -1;
    }
    for (size_t i = 0; i < s->member_n; i++)
        for (size_t k = i + 1; k < s->member_n; k++) {
            struct member *a = &s->members[i], *b = &s->members[k];
            struct bus *to_a, *to_b;

            if (!are_peers(a, b))
                continue;
            bus_open_local(s->loop, &to_a, &to_b);
            role_table[a->kind]->attach(a->role, b->kind, b->index, to_a);
            role_table[b->kind]->attach(b->role, a->kind, a->index, to_b);
        }
    return 0;
}

static void end_objects(struct super *s)
{
    for (size_t i = s->member_n; i > 0; i--) {
        struct member *m = &s->members[i - 1];

        if (m->role != NULL)
            role_table[m->kind]->destroy(m->role);
        metrics_destroy(&m->env.metrics);
    }
}

/* --- stop and reload --- */

/* Who takes mail in stops first, who writes it down stops last. */
static const enum role_kind stop_order[] = {ROLE_INBOUND, ROLE_OUTBOUND, ROLE_QUEUE, ROLE_KEYS,
                                            ROLE_API};

static bool kind_is_gone(const struct super *s, enum role_kind kind)
{
    for (size_t i = 0; i < s->member_n; i++) {
        const struct member *m = &s->members[i];

        if (m->kind == kind && (s->options->one_process ? !m->stopped : proc_is_running(&m->proc)))
            return false;
    }
    return true;
}

static void stop_kind(struct super *s, enum role_kind kind)
{
    for (size_t i = 0; i < s->member_n; i++) {
        struct member *m = &s->members[i];

        if (m->kind != kind)
            continue;
        if (s->options->one_process)
            role_table[kind]->stop(m->role);
        else
            proc_stop(&m->proc, GRACE_MS);
    }
}

static void stop_next_stage(struct super *s)
{
    while (kind_is_gone(s, stop_order[s->stage])) {
        if (s->stage + 1 == COUNT(stop_order)) {
            loop_stop(s->loop);
            return;
        }
        s->stage++;
        stop_kind(s, stop_order[s->stage]);
    }
}

static void on_stop_signal(void *ctx, int number)
{
    struct super *s = ctx;

    if (s->stopping)
        return;
    s->stopping = true;
    s->stage = 0;
    log_info(s->log, "stopping", LOG_INT("signal", number));
    proc_notify("STOPPING=1");
    stop_kind(s, stop_order[0]);
    stop_next_stage(s);
}

static void note_change(void *ctx, const char *setting, struct slice old_value,
                        struct slice new_value, bool restart)
{
    struct super *s = ctx;

    log_info(s->log, "reload.setting", LOG_STRING("setting", setting), LOG_TEXT("from", old_value),
             LOG_TEXT("to", new_value), LOG_BOOL("needs_restart", restart));
}

static void send_settings(struct super *s, struct member *m)
{
    struct buf text;
    struct msg_settings out;

    buf_init(&text, BUS_FRAME_MAX - 64);
    conf_print(s->conf, true, &text);
    out = (struct msg_settings){.text = buf_slice(&text)};
    if (m->link != NULL && !text.full) {
        msg_settings_encode(&out, bus_begin(m->link, MSG_SETTINGS));
        bus_end(m->link);
    }
    buf_finish(&text);
}

/* SIGHUP: the queue goes on with new settings; the others are replaced one by one, each finishing
 * what it has begun. The listening sockets stay open here, so no client is turned away. */
static void on_reload_signal(void *ctx, int number)
{
    struct super *s = ctx;
    struct conf *fresh;
    struct err e;
    (void)number;

    if (s->options->config_path == NULL || s->stopping)
        return;
    proc_notify_reloading();
    fresh = conf_load(s->options->config_path, &e);
    if (fresh == NULL || settings_check(fresh, &e) < 0) {
        log_error(s->log, "reload.refused", LOG_ERR(&e)); /* all goes on as it was */
        conf_destroy(&fresh);
        proc_notify("READY=1");
        return;
    }
    conf_name_host(fresh);
    (void)conf_diff(s->conf, fresh, note_change, s);
    if (fresh->listener_count != s->conf->listener_count ||
        fresh->inbound_processes != s->conf->inbound_processes ||
        fresh->outbound_processes != s->conf->outbound_processes) {
        log_warn(s->log, "reload.refused",
                 LOG_STRING("error", "listeners and numbers of processes need a restart"));
        conf_destroy(&fresh);
        proc_notify("READY=1");
        return;
    }
    conf_destroy(&s->old_conf);
    s->old_conf = s->conf;
    s->conf = fresh;
    log_set_level(s->log, (enum log_level)fresh->log_level);
    for (size_t i = 0; i < s->member_n; i++) {
        struct member *m = &s->members[i];

        if (s->options->one_process) {
            role_table[m->kind]->settings(m->role, s->conf);
        } else if (m->kind == ROLE_QUEUE) {
            send_settings(s, m);
        } else if (m->kind != ROLE_API && proc_is_running(&m->proc)) {
            m->restart = true;
            proc_stop(&m->proc, GRACE_MS);
        }
    }
    log_info(s->log, "reloaded");
    proc_notify("READY=1");
}

/* --- life --- */

static void tell_ready(struct super *s)
{
    uint16_t ports[LISTENERS_MAX];

    for (size_t i = 0; i < s->conf->listener_count; i++)
        ports[i] = world_port(s, i);
    log_info(s->log, "ready", LOG_STRING("version", WAYBILL_VERSION),
             LOG_STRING("hostname", s->conf->hostname));
    log_flush(s->log);
    proc_notify("READY=1");
    if (s->options->ready != NULL)
        s->options->ready(s->options->ready_ctx, ports, s->conf->listener_count);
}

int super_run(struct conf *conf, const struct super_options *options, struct err *e)
{
    struct super *s = mem_alloc(sizeof *s);
    int result = -1;

    s->conf = conf;
    conf_name_host(conf);
    s->options = options;
    s->control = s->http = s->pid_file = -1;
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        s->listeners[i] = -1;
    signal(SIGPIPE, SIG_IGN);
    (void)umask(umask(0777) | 0027); /* the ledger names everybody who writes, and to whom */
    s->loop = loop_create();
    list_members(s);
    s->metrics = metrics_create((unsigned)s->member_n + 1, e);
    if (s->metrics == NULL || settings_check(conf, e) < 0 || world_open(s, e) < 0)
        goto out;
    metrics_use(s->metrics, 0, "super");
    log_attach(s->log, s->loop);
    loop_on_signal(s->loop, SIGTERM, on_stop_signal, s);
    loop_on_signal(s->loop, SIGINT, on_stop_signal, s);
    loop_on_signal(s->loop, SIGHUP, on_reload_signal, s);
    if (!options->one_process)
        start_processes(s);
    else if (start_objects(s, e) < 0)
        goto out;
    tell_ready(s);
    loop_run(s->loop);
    log_info(s->log, "stopped");
    result = 0;
out:
    if (options->one_process)
        end_objects(s);
    supervisor_destroy(&s->supervisor);
    world_close(s);
    free(s);
    return result;
}
