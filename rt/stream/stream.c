#include "rt/stream/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "rt/stream/proxy.h"
#include "rt/stream/stream_in.h"

#define OUTPUT_MAX_BYTES (1024u * 1024u)
#define KEPT_MAX_BYTES (2u * STREAM_INPUT_BYTES) /* a read, and what was kept before it */
#define CONNECT_MS 30000
#define PROXY_MS 10000

static const char *const end_names[] = {"peer", "refused", "reset",  "timeout",
                                        "tls",  "proxy",   "overrun"};

const char *stream_end_name(enum stream_end end)
{
    return end_names[end];
}

/* --- all streams --- */

struct streams *streams_create(struct loop *l)
{
    struct streams *all = mem_alloc(sizeof *all);

    all->loop = l;
    list_init(&all->open);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return all;
}

void streams_destroy(struct streams **all)
{
    struct streams *it = *all;

    if (it == NULL)
        return;
    LIST_EACH(&it->open, link)
    {
        struct stream *s = CONTAINER_OF(link, struct stream, link);

        if (s->detached)
            stream_release(s);
    }
    assert(list_is_empty(&it->open)); /* what is left belongs to somebody */
    free(it);
    *all = NULL;
}

size_t streams_count(const struct streams *all)
{
    return all->count;
}

size_t stream_footprint(void)
{
    return sizeof(struct stream);
}

/* --- life and end --- */

void stream_release(struct stream *s)
{
    s->all->count--;
    loop_watch_destroy(&s->watch);
    tls_release(s);
    if (s->fd >= 0)
        close(s->fd);
    list_remove(&s->link);
    loop_timer_finish(&s->timer);
    loop_deferred_cancel(&s->turn);
    buf_finish(&s->output);
    buf_finish(&s->kept);
    free(s->why);
    free(s);
}

bool stream_told(struct stream *s)
{
    s->busy = false;
    if (!s->gone)
        return true;
    stream_release(s);
    return false;
}

void stream_turn(struct stream *s)
{
    loop_defer(s->all->loop, &s->turn);
}

void stream_fail(struct stream *s, enum stream_end end, enum err_code code, const char *fmt, ...)
{
    char text[sizeof s->why->text];
    va_list args;

    if (s->state == STREAM_DEAD)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->state = STREAM_DEAD;
    s->end = end;
    s->why = mem_alloc(sizeof *s->why);
    (void)err_set(s->why, code, "%s", text);
    loop_watch_destroy(&s->watch);
    loop_timer_finish(&s->timer);
    stream_turn(s);
}

void stream_fail_system(struct stream *s, enum stream_end end, int errnum, const char *what)
{
    struct err e;
    char text[ENDPOINT_TEXT_MAX];

    endpoint_text(&s->peer, text);
    (void)err_system(&e, errnum, "%s %s", what, text);
    stream_fail(s, end, ERR_SYSTEM, "%s", e.text);
}

void stream_destroy(struct stream **s)
{
    struct stream *it = *s;

    if (it == NULL)
        return;
    *s = NULL;
    if (it->busy) {
        it->gone = true;
        it->dropped_input = true;
        return;
    }
    stream_release(it);
}

/* --- what the loop waits for, and for how long --- */

void stream_interest(struct stream *s)
{
    unsigned events = 0;

    if (s->watch == NULL)
        return;
    switch (s->state) {
    case STREAM_CONNECTING:
        events = LOOP_WRITE;
        break;
    case STREAM_PROXY:
        events = LOOP_READ;
        break;
    case STREAM_OPEN:
        if (!s->open_due) /* on_open() comes first */
            events = (!s->eof && !s->paused && s->kept.n == 0 ? LOOP_READ : 0) |
                     (s->output.n > s->sent ? LOOP_WRITE : 0);
        break;
    case STREAM_TLS_AHEAD:
        events = LOOP_WRITE;
        break;
    case STREAM_HANDSHAKE:
        events = s->wants_write ? LOOP_WRITE : LOOP_READ;
        break;
    case STREAM_DEAD:
        break;
    }
    loop_watch_want(s->watch, events);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t due_ms(const struct stream *s)
{
    int64_t idle = s->idle_ms > 0 ? s->last_ms + s->idle_ms : 0;

    return sooner(s->phase_ms, s->phase_ms == 0 ? sooner(idle, s->deadline_ms) : 0);
}

void stream_arm(struct stream *s)
{
    int64_t due = due_ms(s);

    if (s->state == STREAM_DEAD)
        return;
    if (due == 0)
        loop_timer_stop(&s->timer);
    else
        loop_timer_set(&s->timer, due - loop_now_ms(s->all->loop));
}

static void on_phase_timeout(struct stream *s)
{
    char text[ENDPOINT_TEXT_MAX];

    s->phase_ms = 0;
    endpoint_text(&s->peer, text);
    if (s->detached)
        stream_release(s);
    else if (s->state == STREAM_CONNECTING)
        stream_fail(s, STREAM_END_REFUSED, ERR_TEMP, "no answer while connecting to %s", text);
    else if (s->state == STREAM_PROXY)
        stream_fail(s, STREAM_END_PROXY, ERR_TEMP, "no PROXY header from %s", text);
    else
        stream_fail(s, STREAM_END_TLS, ERR_TEMP, "the TLS handshake with %s took too long", text);
}

static void on_timer(void *ctx)
{
    struct stream *s = ctx;
    int64_t now = loop_now_ms(s->all->loop), due = due_ms(s);

    if (due > now) { /* bytes came since the timer was set */
        stream_arm(s);
        return;
    }
    if (s->phase_ms != 0) {
        on_phase_timeout(s);
        return;
    }
    s->idle_ms = s->deadline_ms = 0;
    if (s->handlers->on_timeout == NULL)
        stream_fail(s, STREAM_END_TIMEOUT, ERR_TEMP, "the peer was silent for too long");
    else
        (void)STREAM_TELL(s, s->handlers->on_timeout(s->ctx));
}

/* --- input --- */

/* Offers bytes; keeps what is not used. False: the stream is gone. */
static bool offer(struct stream *s, struct slice in)
{
    size_t used = in.n;

    s->dropped_input = false;
    if (!STREAM_TELL(s, used = s->handlers->on_data(s->ctx, in)))
        return false;
    if (s->detached || s->dropped_input || s->state == STREAM_DEAD)
        return true;
    assert(used <= in.n);
    buf_append(&s->kept, slice_from(in, used));
    return true;
}

/* The kept bytes and the new ones, as one. */
static bool take_input(struct stream *s, struct slice fresh)
{
    struct buf kept;

    if (s->kept.n == 0)
        return offer(s, fresh);
    buf_append(&s->kept, fresh);
    kept = s->kept;
    buf_init(&s->kept, KEPT_MAX_BYTES);
    bool alive = offer(s, buf_slice(&kept));
    buf_finish(&kept);
    return alive;
}

static bool tell_eof(struct stream *s)
{
    if (!s->eof || s->eof_told || s->detached || s->kept.n > 0 || s->state == STREAM_DEAD)
        return true;
    s->eof_told = true;
    if (s->handlers->on_eof != NULL)
        return STREAM_TELL(s, s->handlers->on_eof(s->ctx));
    stream_fail(s, STREAM_END_PEER, ERR_NONE, "the peer closed the connection");
    return true;
}

/* One read from the kernel or from TLS. As recv(); -1 with *again_out: nothing there now. */
static ssize_t read_some(struct stream *s, bool *again_out)
{
    ssize_t n;

    *again_out = false;
    if (s->tls_on)
        return tls_read(s, s->all->input, sizeof s->all->input, again_out);
    n = recv(s->fd, s->all->input, sizeof s->all->input, MSG_DONTWAIT);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        *again_out = true;
    else
        stream_fail_system(s, STREAM_END_RESET, errno, "lost the connection with");
    return -1;
}

/* A stream that was let go: what still comes is thrown away, its end is ours. */
static void drain(struct stream *s)
{
    ssize_t n = recv(s->fd, s->all->input, sizeof s->all->input, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stream_release(s);
}

static void read_input(struct stream *s)
{
    bool again;

    if (s->detached && s->is_shut) {
        drain(s);
        return;
    }
    ssize_t n = read_some(s, &again);
    if (n < 0)
        return;
    s->last_ms = loop_now_ms(s->all->loop);
    if (n == 0)
        s->eof = true;
    else if (!take_input(s, (struct slice){s->all->input, (size_t)n}))
        return;
    if (!tell_eof(s))
        return;
    /* TLS may hold bytes that no event will announce. */
    if (s->tls_on && s->state == STREAM_OPEN && SSL_has_pending(s->ssl)) {
        s->input_due = true;
        stream_turn(s);
    }
    stream_interest(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    s->input_due = true;
    stream_turn(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    stream_interest(s);
}

/* --- the deferred turn: what a call left to be told --- */

static void on_input_due(struct stream *s)
{
    s->input_due = false;
    if (s->paused || s->state != STREAM_OPEN)
        return;
    if (s->kept.n > 0 && !take_input(s, (struct slice){NULL, 0}))
        return;
    if (!tell_eof(s))
        return;
    if (s->state != STREAM_OPEN)
        return;
    if (s->tls_on && !s->paused && s->kept.n == 0 && !s->eof && SSL_has_pending(s->ssl))
        read_input(s);
    else
        stream_interest(s);
}

static void on_turn(void *ctx)
{
    struct stream *s = ctx;

    if (s->state == STREAM_DEAD) {
        if (s->detached)
            stream_release(s);
        else if (!s->closed_told)
            (void)STREAM_TELL(
                s, (s->closed_told = true, s->handlers->on_closed(s->ctx, s->end, s->why)));
        return;
    }
    if (s->open_due) {
        s->open_due = false;
        if (s->handlers->on_open != NULL && !STREAM_TELL(s, s->handlers->on_open(s->ctx)))
            return;
    }
    if (s->state == STREAM_TLS_AHEAD && s->output.n == s->sent) {
        tls_begin(s);
        return;
    }
    if (s->output.n > s->sent && s->state == STREAM_OPEN)
        stream_send_output(s);
    if (!stream_output_done(s))
        return;
    if (s->input_due)
        on_input_due(s);
}

/* --- events --- */

/* The header is peeked at and then read exactly: what follows may be TLS, which reads for itself.
 */
static void read_proxy(struct stream *s)
{
    struct proxy_header h;
    size_t used = 0;
    int more = 1;
    ssize_t n = recv(s->fd, s->all->input, PROXY_HEADER_MAX, MSG_DONTWAIT | MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stream_fail(s, STREAM_END_PROXY, ERR_TEMP, "the connection ended before a PROXY header");
        return;
    }
    switch (proxy_parse((struct slice){s->all->input, (size_t)n}, &h, &used)) {
    case PROXY_MORE:
        more = (int)n + 1; /* the bytes stay in the kernel: wake up only when there are more */
        setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof more);
        return;
    case PROXY_BAD:
        stream_fail(s, STREAM_END_PROXY, ERR_SYNTAX, "no legal PROXY header came first");
        return;
    case PROXY_GOOD:
        break;
    }
    n = recv(s->fd, s->all->input, used, MSG_DONTWAIT);
    assert(n == (ssize_t)used); /* it was there a moment ago */
    setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof more);
    if (h.has_addresses) {
        s->peer = (struct endpoint){.ip = h.source, .port = h.source_port};
        s->local = (struct endpoint){.ip = h.destination, .port = h.destination_port};
    }
    s->state = STREAM_OPEN;
    s->phase_ms = 0;
    s->last_ms = loop_now_ms(s->all->loop);
    stream_arm(s);
    s->open_due = true;
    stream_turn(s);
    stream_interest(s);
}

static void connected(struct stream *s)
{
    int errnum = 0;
    socklen_t n = sizeof errnum;

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
        errnum = errno;
    if (errnum != 0) {
        stream_fail_system(s, STREAM_END_REFUSED, errnum, "cannot connect to");
        return;
    }
    s->state = STREAM_OPEN;
    s->phase_ms = 0;
    s->last_ms = loop_now_ms(s->all->loop);
    stream_arm(s);
    stream_interest(s);
    s->open_due = true;
    stream_turn(s);
}

static void on_ready(void *ctx, unsigned events)
{
    struct stream *s = ctx;

    switch (s->state) {
    case STREAM_CONNECTING:
        connected(s);
        break;
    case STREAM_PROXY:
        read_proxy(s);
        break;
    case STREAM_OPEN:
    case STREAM_TLS_AHEAD:
        if (events & LOOP_WRITE) {
            stream_send_output(s);
            (void)stream_output_done(s);
        } else if (s->state == STREAM_OPEN) {
            read_input(s);
        }
        break;
    case STREAM_HANDSHAKE:
        (void)tls_handshake(s);
        break;
    case STREAM_DEAD:
        break;
    }
}

/* --- the face --- */

static struct stream *create(struct streams *all, int fd, const struct stream_handlers *handlers,
                             void *ctx)
{
    struct stream *s = mem_alloc(sizeof *s);

    s->all = all;
    s->fd = fd;
    s->handlers = handlers;
    s->ctx = ctx;
    s->last_ms = loop_now_ms(all->loop);
    buf_init(&s->output, OUTPUT_MAX_BYTES);
    buf_init(&s->kept, KEPT_MAX_BYTES);
    loop_timer_init(&s->timer, all->loop, on_timer, s);
    loop_deferred_init(&s->turn, on_turn, s);
    list_append(&all->open, &s->link);
    all->count++;
    if (fd >= 0)
        s->watch = loop_watch_create(all->loop, fd, on_ready, s);
    return s;
}

struct stream *stream_accept(struct streams *all, const struct accepted *accepted, bool proxy,
                             const struct stream_handlers *handlers, void *ctx)
{
    struct stream *s = create(all, accepted->fd, handlers, ctx);

    s->peer = accepted->peer;
    s->local = accepted->local;
    s->has_local = true;
    s->state = proxy ? STREAM_PROXY : STREAM_OPEN;
    if (proxy) {
        s->phase_ms = loop_now_ms(all->loop) + PROXY_MS;
        stream_arm(s);
    }
    stream_interest(s);
    return s;
}

static int start_connect(const struct stream_target *target, int *fd_out)
{
    struct sockaddr_storage address;
    socklen_t n = endpoint_to_socket(&target->to, &address);
    int on = 1, fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *fd_out = fd;
    if (fd < 0)
        return errno;
    if (address.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (target->source != NULL && address.ss_family != AF_UNIX) {
        struct endpoint from = {.ip = *target->source};
        struct sockaddr_storage source;
        socklen_t source_n = endpoint_to_socket(&from, &source);

        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&source, source_n) != 0)
            return errno;
    }
    if (connect(fd, (struct sockaddr *)&address, n) != 0 && errno != EINPROGRESS)
        return errno;
    return 0;
}

struct stream *stream_connect(struct streams *all, const struct stream_target *target,
                              const struct stream_handlers *handlers, void *ctx)
{
    int fd, errnum = start_connect(target, &fd);
    struct stream *s = create(all, fd, handlers, ctx);

    s->peer = target->to;
    if (target->to.unix_path != NULL)
        s->peer.unix_path = ""; /* borrowed from the caller only for this call */
    s->state = STREAM_CONNECTING;
    if (errnum != 0) {
        s->peer = target->to; /* for the sentence */
        stream_fail_system(s, STREAM_END_REFUSED, errnum, "cannot connect to");
        s->peer.unix_path = target->to.unix_path != NULL ? "" : NULL;
        return s;
    }
    s->phase_ms =
        loop_now_ms(all->loop) + (target->timeout_ms > 0 ? target->timeout_ms : CONNECT_MS);
    stream_arm(s);
    stream_interest(s);
    return s;
}

void stream_set_idle(struct stream *s, int64_t idle_ms)
{
    s->idle_ms = idle_ms;
    s->last_ms = loop_now_ms(s->all->loop);
    stream_arm(s);
}

void stream_set_deadline(struct stream *s, int64_t after_ms)
{
    s->deadline_ms = after_ms > 0 ? loop_now_ms(s->all->loop) + after_ms : 0;
    stream_arm(s);
}

const struct endpoint *stream_peer(const struct stream *s)
{
    return &s->peer;
}

const struct endpoint *stream_local(const struct stream *s)
{
    struct stream *mine = (struct stream *)(uintptr_t)s; /* a cache: asked of the kernel once */
    struct sockaddr_storage address;
    socklen_t n = sizeof address;

    if (!s->has_local && s->fd >= 0 && getsockname(s->fd, (struct sockaddr *)&address, &n) == 0) {
        mine->local = endpoint_from_socket(&address);
        mine->has_local = s->state != STREAM_CONNECTING;
    }
    return &s->local;
}

bool stream_is_open(const struct stream *s)
{
    return s->state == STREAM_OPEN || s->state == STREAM_TLS_AHEAD || s->state == STREAM_HANDSHAKE;
}
