/* rt/stream/stream.h -- sockets: listen, accept, connect, read, write, TLS.
 *
 *     listener --> accepted --> stream_accept() ---+
 *                               stream_connect() --+--> on_open --> on_data ... --> on_closed
 *                                                  |         stream_write() --> kernel, or output
 *                        stream_start_tls_*() -----+         --> on_tls, then the same in TLS
 *
 * A stream owns its descriptor and one timer, and no read buffer: all streams of a loop read into
 * one buffer, and what on_data() does not take is copied and kept. Output is handed to the kernel
 * inside stream_write(); only what the kernel refuses is copied. TCP_NODELAY is always on, so write
 * whole replies. OpenSSL is driven directly on the descriptor (tls.h). */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include "base/base.h"
#include "base/ip.h"
#include "rt/loop/loop.h"
#include "rt/stream/tls.h"

/* --- where a socket is --- */

struct endpoint {
    struct ip_address ip;
    uint16_t port;
    const char *unix_path; /* not NULL: a unix socket (borrowed); ip and port mean nothing then */
};
/* "127.0.0.1", "[::1]", "::1", "*" (all addresses), "unix:/path"; a port in the text
 * ("10.0.0.1:25",
 * "[::1]:25") wins over `port`. A unix path is borrowed from `text`, a C string. */
MUST_USE int endpoint_parse(const char *text, uint16_t port, struct endpoint *endpoint_out,
                            struct err *e);
#define ENDPOINT_TEXT_MAX 128
struct slice endpoint_text(const struct endpoint *ep, char text_out[ENDPOINT_TEXT_MAX]);

/* --- what all streams of one loop share --- */

struct streams; /* opaque: the read buffer, scratch for TLS, counters */
struct streams *streams_create(struct loop *l);
void streams_destroy(struct streams **all);      /* ends detached streams (stream_close) at once */
size_t streams_count(const struct streams *all); /* open now, detached ones too */

/* --- listening --- */

/* Opens, binds and listens; non-blocking and close-on-exec. For a unix path an old socket file is
 * removed first. Returns the descriptor or -1. The super calls this before it drops privileges. */
MUST_USE int listener_open(const struct endpoint *at, bool reuse_port, int backlog, struct err *e);

struct accepted {
    int fd;
    struct endpoint peer, local; /* unix_path is "" for unix sockets */
};
struct listener; /* opaque */
/* Takes `fd` over. on_accept() owns accepted->fd: stream_accept() or close() it. At most 64
 * connections are accepted in one turn. When descriptors run out it rests for a second. */
struct listener *listener_create(struct loop *l, int fd,
                                 void (*on_accept)(void *ctx, const struct accepted *accepted),
                                 void *ctx);
void listener_destroy(struct listener **li);
void listener_pause(struct listener *li); /* the kernel's backlog fills instead */
void listener_resume(struct listener *li);
uint16_t listener_port(const struct listener *li); /* what port 0 became */

/* --- streams --- */

enum stream_end {
    STREAM_END_PEER,    /* the peer closed in order (only without on_eof) */
    STREAM_END_REFUSED, /* no connection: refused, unreachable, or timed out while connecting */
    STREAM_END_RESET,   /* the connection broke */
    STREAM_END_TIMEOUT, /* idle time or deadline passed (only without on_timeout) */
    STREAM_END_TLS,     /* the handshake failed, or TLS broke later */
    STREAM_END_PROXY,   /* no legal PROXY header came first */
    STREAM_END_OVERRUN, /* the peer does not read: output met its ceiling */
};
const char *stream_end_name(enum stream_end end); /* "peer", "refused", ... */

struct stream; /* opaque */

struct stream_handlers {
    /* Connected, or (accepted with a PROXY header) the header was read. Accepted streams without
     * PROXY are open at once and get no call. May be NULL. */
    void (*on_open)(void *ctx);
    /* Bytes from the peer. Returns how many were used. If fewer than all, the rest is kept, reading
     * stops, and stream_resume() brings rest and new bytes together. */
    size_t (*on_data)(void *ctx, struct slice in);
    /* Output is empty again after a stream_write() that left some. May be NULL. */
    void (*on_drained)(void *ctx);
    /* The handshake is done; see stream_tls_info(). A failed one is on_closed(STREAM_END_TLS). */
    void (*on_tls)(void *ctx);
    /* The peer sent its end, and everything before it was used; writing still works. NULL: this is
     * on_closed(STREAM_END_PEER). */
    void (*on_eof)(void *ctx);
    /* Idle time or deadline passed; both are off now. NULL: on_closed(STREAM_END_TIMEOUT). */
    void (*on_timeout)(void *ctx);
    /* The stream is dead; `why` tells a person. Called at most once, never from inside a stream_*
     * call, and not after close or destroy. The stream still wants stream_destroy(). */
    void (*on_closed)(void *ctx, enum stream_end end, const struct err *why);
};

/* Takes accepted->fd over. With `proxy` a PROXY header (v1 or v2) must come first; it sets peer and
 * local, and on_open follows. Reading starts in the next turn. */
struct stream *stream_accept(struct streams *all, const struct accepted *accepted, bool proxy,
                             const struct stream_handlers *handlers, void *ctx);

struct stream_target {
    struct endpoint to;
    const struct ip_address *source; /* the local address to bind; NULL: the kernel's choice */
    int64_t timeout_ms;              /* for connecting; 0 means 30 s */
};
/* Never fails at once: on_open or on_closed tell, in a later turn. */
struct stream *stream_connect(struct streams *all, const struct stream_target *target,
                              const struct stream_handlers *handlers, void *ctx);

/* Ends it at once, also inside its own callbacks; unsent output is lost. NULL is fine. */
void stream_destroy(struct stream **s);
/* Lets go: output is still sent (for at most 10 s), then the connection is shut down in order, and
 * what the peer has under way is read and dropped for 2 s, so that it sees our last reply and no
 * reset. No handler is called any more. NULL is fine. */
void stream_close(struct stream **s);

/* All of it, in order. Not taken by the kernel: copied; if this passes the ceiling (see
 * stream_set_output_max) the stream dies with STREAM_END_OVERRUN. Before on_open, and while a
 * handshake runs, it is kept. Ignored on a dead stream. */
void stream_write(struct stream *s, struct slice bytes);
/* The same for several pieces, in one system call (one TLS record for small ones). */
void stream_write_parts(struct stream *s, const struct slice *parts, size_t count);
size_t stream_pending(const struct stream *s); /* written, and not yet with the kernel */
void stream_set_output_max(struct stream *s, size_t bytes); /* default 1 MiB */
void stream_shut_write(struct stream *s); /* half-close, after the output went out */

/* Offers kept bytes to on_data() again, in a deferred call, and reads on. */
void stream_resume(struct stream *s);
/* Stops reading before on_data() is called again; on_data() may call it too. */
void stream_pause(struct stream *s);

/* Idle: no byte was read, and none could be written, for so long. Restarts by itself; costs nothing
 * per byte. Deadline: from now, whatever happens. 0 switches it off. Either way on_timeout. */
void stream_set_idle(struct stream *s, int64_t idle_ms);
void stream_set_deadline(struct stream *s, int64_t after_ms);

const struct endpoint *stream_peer(const struct stream *s);
const struct endpoint *stream_local(const struct stream *s);
bool stream_is_open(const struct stream *s); /* connected and not dead */
size_t stream_footprint(void);               /* bytes of one plain stream, for tests */

/* --- TLS --- */

/* Starts the handshake once the output before it has gone. All bytes read and not yet used, and the
 * rest of the slice of a running on_data() call, are thrown away (RFC 3207 4.2, CVE-2011-0411): a
 * client that sends ahead of the handshake gets nothing from it. For implicit TLS call it right
 * after stream_accept() or in on_open. `timeout_ms` is for the whole handshake, 0 means 30 s.
 * The parameters are copied; contexts and caches must outlive the stream. */
void stream_start_tls_server(struct stream *s, struct tls_context *context, int64_t timeout_ms);
void stream_start_tls_client(struct stream *s, const struct tls_client *client, int64_t timeout_ms);
bool stream_tls_info(const struct stream *s, struct tls_info *info_out); /* false: no TLS */

#endif
