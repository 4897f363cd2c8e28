#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/stream/stream_in.h"

#define ACCEPTS_A_TURN 64
#define REST_MS 1000 /* after the descriptors ran out */

struct listener {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_timer rest;
    void (*on_accept)(void *ctx, const struct accepted *accepted);
    void *ctx;
    int fd;
    bool paused;
    bool busy, gone; /* on_accept runs; listener_destroy() was called meanwhile */
};

static int open_socket(const struct endpoint *at, struct err *e)
{
    int family = at->unix_path != NULL ? AF_UNIX : at->ip.family == IP_V4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_system(e, errno, "cannot make a socket");
    return fd;
}

static bool is_any(const struct endpoint *at)
{
    static const struct ip_address any6 = {.family = IP_V6};

    return at->unix_path == NULL && (at->ip.family == IP_NONE || ip_address_equal(&at->ip, &any6));
}

int listener_open(const struct endpoint *at, bool reuse_port, int backlog, struct err *e)
{
    char text[ENDPOINT_TEXT_MAX];
    struct sockaddr_storage address;
    struct endpoint any4 = {.port = at->port};
    socklen_t n = endpoint_to_socket(at, &address);
    struct stat st;
    int on = 1, off = 0;
    int fd = open_socket(at, e);

    if (fd < 0 && errno == EAFNOSUPPORT && is_any(at)) { /* a kernel without IPv6 */
        any4.ip.family = IP_V4;                          /* 0.0.0.0 */
        at = &any4;
        n = endpoint_to_socket(at, &address);
        fd = open_socket(at, e);
    }

    if (fd < 0)
        return -1;
    endpoint_text(at, text);
    if (at->unix_path != NULL) {
        if (lstat(at->unix_path, &st) == 0 && S_ISSOCK(st.st_mode))
            unlink(at->unix_path);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (reuse_port)
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        if (at->ip.family != IP_V4) /* "::" takes IPv4 too */
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted ones inherit it */
    }
    if (bind(fd, (struct sockaddr *)&address, n) != 0) {
        err_system(e, errno, "cannot bind to %s", text);
        goto failed;
    }
    if (listen(fd, backlog) != 0) {
        err_system(e, errno, "cannot listen on %s", text);
        goto failed;
    }
    return fd;
failed:
    close(fd);
    return -1;
}

/* One connection. False: no more now. */
static bool accept_one(struct listener *li)
{
    struct sockaddr_storage peer, local;
    socklen_t peer_n = sizeof peer, local_n = sizeof local;
    struct accepted accepted;

    accepted.fd = accept4(li->fd, (struct sockaddr *)&peer, &peer_n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted.fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_timer_set(&li->rest, REST_MS);
            loop_watch_want(li->watch, 0);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    accepted.peer = endpoint_from_socket(&peer);
    accepted.local = (struct endpoint){.unix_path = ""};
    if (getsockname(accepted.fd, (struct sockaddr *)&local, &local_n) == 0)
        accepted.local = endpoint_from_socket(&local);
    li->on_accept(li->ctx, &accepted);
    return true;
}

static void release(struct listener *li)
{
    close(li->fd);
    free(li);
}

static void on_ready(void *ctx, unsigned events)
{
    struct listener *li = ctx;

    (void)events;
    li->busy = true;
    for (unsigned i = 0; i < ACCEPTS_A_TURN && !li->paused && !li->gone; i++)
        if (!accept_one(li))
            break;
    li->busy = false;
    if (li->gone)
        release(li);
}

static void on_rested(void *ctx)
{
    struct listener *li = ctx;

    if (!li->paused)
        loop_watch_want(li->watch, LOOP_READ);
}

struct listener *listener_create(struct loop *l, int fd,
                                 void (*on_accept)(void *ctx, const struct accepted *accepted),
                                 void *ctx)
{
    struct listener *li = mem_alloc(sizeof *li);

    *li = (struct listener){.loop = l, .fd = fd, .on_accept = on_accept, .ctx = ctx};
    li->watch = loop_watch_create(l, fd, on_ready, li);
    loop_timer_init(&li->rest, l, on_rested, li);
    loop_watch_want(li->watch, LOOP_READ);
    return li;
}

void listener_destroy(struct listener **li)
{
    struct listener *it = *li;

    if (it == NULL)
        return;
    loop_watch_destroy(&it->watch);
    loop_timer_finish(&it->rest);
    it->gone = true;
    if (!it->busy)
        release(it);
    *li = NULL;
}

void listener_pause(struct listener *li)
{
    li->paused = true;
    loop_watch_want(li->watch, 0);
}

void listener_resume(struct listener *li)
{
    li->paused = false;
    loop_watch_want(li->watch, LOOP_READ);
}

uint16_t listener_port(const struct listener *li)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;

    if (getsockname(li->fd, (struct sockaddr *)&address, &n) != 0)
        return 0;
    return endpoint_from_socket(&address).port;
}
