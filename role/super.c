#include "role/super.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "role/messages.h"
#include "role/role.h"
#include "role/settings_check.h"
#include "rt/stream/stream.h"

#define GRACE_MS 40000
#define LISTENERS_MAX 64
#define BACKLOG 1024
#define MEMBERS_MAX (2 * ROLE_COPIES_MAX + 3)

const struct role_ops *const role_table[ROLE_KINDS] = {
    [ROLE_KEYS] = &keys_role,       [ROLE_QUEUE] = &queue_role, [ROLE_OUTBOUND] = &outbound_role,
    [ROLE_INBOUND] = &inbound_role, [ROLE_API] = &api_role,
};

/* One role process, or one role object in this process. */
struct member {
    struct super *super;
    enum role_kind kind;
    unsigned index, slot;
    char name[32];
    struct role_env env;
    /* as a process */
    struct proc proc;
    int link_fds[2];
    struct bus *link;
    bool restart; /* it is being replaced for a reload */
    /* as an object */
    void *role;
    bool stopped;
};

struct super {
    struct loop *loop;
    struct conf *conf;
    struct conf *old_conf; /* until the roles that borrow it are gone */
    const struct super_options *options;
    struct log *log;
    int log_fd;
    struct metrics *metrics;
    struct supervisor *supervisor;
    struct member members[MEMBERS_MAX];
    size_t member_n;
    int listeners[LISTENERS_MAX];
    int control, http, pid_file;
    bool stopping;
    enum role_kind stage; /* which kind is being stopped */
    struct arena *arena;
};

/* --- sockets and directories --- */

static int open_listeners(struct super *s, struct err *e)
{
    if (s->conf->listener_count > LISTENERS_MAX)
        return err_set(e, ERR_LIMIT, "at most %d listeners", LISTENERS_MAX);
    for (size_t i = 0; i < s->conf->listener_count; i++) {
        const struct conf_listener *c = &s->conf->listeners[i];
        struct endpoint at;
        struct err why;

        if (endpoint_parse(c->address, (uint16_t)c->port, &at, &why) < 0 ||
            (s->listeners[i] = listener_open(&at, false, BACKLOG, &why)) < 0)
            return err_set(e, why.code, "listener %s: %s", c->title, why.text);
    }
    return 0;
}

static int open_control(struct super *s, struct err *e)
{
    char path[256];
    struct endpoint at = {.unix_path = conf_control_socket(s->conf, path)};

    s->control = listener_open(&at, false, 16, e);
    if (s->control < 0)
        return -1;
    (void)chmod(at.unix_path, 0660);
    return 0;
}

static int open_http(struct super *s, struct err *e)
{
    struct endpoint at;
    struct err why;

    if (s->conf->metrics_address[0] == '\0')
        return 0;
    if (endpoint_parse(s->conf->metrics_address, 9725, &at, &why) < 0 ||
        (s->http = listener_open(&at, false, 16, &why)) < 0)
        return err_set(e, why.code, "metrics_address: %s", why.text);
    return 0;
}

/* The directory and what is directly in it belong to the user that the roles become. */
static int make_dir(const struct super *s, const char *path, struct err *e)
{
    uid_t uid;
    gid_t gid;

    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return err_system(e, errno, "directory %s", path);
    if (geteuid() != 0 || s->options->one_process)
        return 0;
    if (proc_identity(s->conf->user, s->conf->group, &uid, &gid, e) < 0)
        return -1;
    if (chown(path, uid, gid) < 0)
        return err_system(e, errno, "directory %s", path);
    return proc_may_enter(path, uid, gid, e);
}

static int open_log(struct super *s, struct err *e)
{
    enum log_level level = (enum log_level)s->conf->log_level;

    s->log_fd = STDERR_FILENO;
    if (s->conf->log_file[0] != '\0') {
        s->log_fd = open(s->conf->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (s->log_fd < 0)
            return err_system(e, errno, "log_file %s", s->conf->log_file);
    }
    s->log = log_create(s->log_fd, "super", level);
    return 0;
}

static int open_world(struct super *s, struct err *e)
{
    char pid_path[512];

    if (open_log(s, e) < 0 || make_dir(s, s->conf->data_dir, e) < 0 ||
        make_dir(s, s->conf->run_dir, e) < 0)
        return -1;
    (void)snprintf(pid_path, sizeof pid_path, "%s/waybill.pid", s->conf->run_dir);
    s->pid_file = proc_pid_file(pid_path, e);
    if (s->pid_file < 0)
        return -1;
    if (open_listeners(s, e) < 0 || open_control(s, e) < 0 || open_http(s, e) < 0)
        return -1;
    (void)proc_raise_descriptors();
    return 0;
}

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

static void fill_env(struct member *m, struct loop *loop, struct log *log)
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

static bool are_peers(const struct member *a, const struct member *b)
{
    return a != b && role_table[a->kind]->sees[b->kind];
}

/* --- processes: the child's side --- */

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

static int child_run(void *ctx)
{
    struct member *m = ctx;
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
    fill_env(m, loop_create(), s->log);
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

        fill_env(m, s->loop, s->log);
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

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        return 0;
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&at)->sin6_port);
    return at.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)(void *)&at)->sin_port) : 0;
}

static void tell_ready(struct super *s)
{
    uint16_t ports[LISTENERS_MAX];

    for (size_t i = 0; i < s->conf->listener_count; i++)
        ports[i] = port_of(s->listeners[i]);
    log_info(s->log, "ready", LOG_STRING("version", WAYBILL_VERSION),
             LOG_STRING("hostname", s->conf->hostname));
    log_flush(s->log);
    proc_notify("READY=1");
    if (s->options->ready != NULL)
        s->options->ready(s->options->ready_ctx, ports, s->conf->listener_count);
}

static void close_world(struct super *s)
{
    char path[256];

    for (size_t i = 0; i < s->conf->listener_count && i < LISTENERS_MAX; i++)
        if (s->listeners[i] >= 0)
            close(s->listeners[i]);
    if (s->control >= 0) {
        close(s->control);
        (void)unlink(conf_control_socket(s->conf, path));
    }
    if (s->pid_file >= 0)
        close(s->pid_file);
    log_destroy(&s->log);
    if (s->log_fd > STDERR_FILENO)
        close(s->log_fd);
    metrics_destroy(&s->metrics);
    loop_destroy(&s->loop);
    conf_destroy(&s->old_conf);
    conf_destroy(&s->conf);
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
    if (s->metrics == NULL || open_world(s, e) < 0)
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
    close_world(s);
    free(s);
    return result;
}
