/* What the super opens for its roles: sockets, directories, the log, the pid file. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/super_in.h"
#include "rt/stream/stream.h"

#define BACKLOG 1024

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

int world_open(struct super *s, struct err *e)
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

uint16_t world_port(const struct super *s, size_t listener)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    if (getsockname(s->listeners[listener], (struct sockaddr *)&at, &n) < 0)
        return 0;
    if (at.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&at)->sin6_port);
    return at.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)(void *)&at)->sin_port) : 0;
}

void world_close(struct super *s)
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
