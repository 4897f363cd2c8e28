/* rt/stream/stream_in.h -- a stream from inside, shared by stream.c (life, input, timers), output.c
 * (writing, closing), handshake.c (TLS). */
#ifndef STREAM_STREAM_IN_H
#define STREAM_STREAM_IN_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "rt/stream/stream.h"

#define STREAM_INPUT_BYTES 65536u
#define STREAM_RECORD_BYTES 16384u /* of one TLS record (RFC 8446 5.1) */

socklen_t endpoint_to_socket(const struct endpoint *ep, struct sockaddr_storage *out);
struct endpoint endpoint_from_socket(const struct sockaddr_storage *address);

struct streams {
    struct loop *loop;
    struct list open;
    size_t count;
    char input[STREAM_INPUT_BYTES];
    char record[STREAM_RECORD_BYTES]; /* small pieces of TLS output, put together */
};

enum stream_state {
    STREAM_CONNECTING,
    STREAM_PROXY,     /* the PROXY header is awaited */
    STREAM_OPEN,      /* plain, or TLS after its handshake */
    STREAM_TLS_AHEAD, /* output before the handshake is still on its way */
    STREAM_HANDSHAKE,
    STREAM_DEAD,
};

/* What a client needs of its TLS parameters for the life of the stream. */
struct tls_peer {
    struct tls_cache *sessions;
    struct buf session_key;
    bool (*accept_chain)(void *ctx, const struct slice *certificates, size_t count);
    void *accept_ctx;
    bool verify;
};

struct stream {
    struct streams *all;
    struct list link;
    struct loop_watch *watch;
    const struct stream_handlers *handlers;
    void *ctx;
    int fd;
    enum stream_state state;
    struct endpoint peer, local;

    struct loop_timer timer;
    int64_t last_ms;     /* when a byte was last read or written */
    int64_t idle_ms;     /* 0: off */
    int64_t deadline_ms; /* of the caller; 0: off */
    int64_t phase_ms;    /* of connecting, handshake, closing; 0: off */

    struct loop_deferred turn; /* what may not be told inside a stream_* call */
    struct buf output;         /* what the kernel did not take; the first `sent` bytes it has */
    size_t sent;
    struct buf kept; /* what on_data() did not take */

    SSL *ssl;             /* NULL: plain */
    struct tls_peer *tls; /* client side only */

    enum stream_end end; /* once dead */
    struct err *why;     /* once dead; owned */

    bool has_local : 1, paused : 1, wants_write : 1, above : 1, eof : 1, eof_told : 1;
    bool open_due : 1, input_due : 1; /* for the deferred turn */
    bool shut_due : 1, is_shut : 1;   /* half-close */
    bool closed_told : 1;
    bool detached : 1; /* stream_close(): no handlers any more */
    bool busy : 1, gone : 1, dropped_input : 1, tls_on : 1;
};

/* Runs a handler so that it may destroy the stream. True: the stream still is. */
#define STREAM_TELL(s, call) ((s)->detached || ((s)->busy = true, (call), stream_told(s)))
bool stream_told(struct stream *s);

/* The end: tells on_closed in a deferred call. Does nothing on a dead stream. */
void stream_fail(struct stream *s, enum stream_end end, enum err_code code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void stream_fail_system(struct stream *s, enum stream_end end, int errnum, const char *what);
void stream_interest(struct stream *s); /* tells the loop what this state waits for */
void stream_arm(struct stream *s);      /* the timer, after one of its times changed */
void stream_turn(struct stream *s);     /* calls on_turn() in a deferred call */
void stream_release(struct stream *s);  /* frees all */

/* output.c */
void stream_send_output(struct stream *s); /* as much as the kernel takes */
/* After sending: drained, half-close, handshake, detached end. False: the stream is gone. */
bool stream_output_done(struct stream *s);

/* handshake.c */
void tls_begin(struct stream *s);
bool tls_handshake(struct stream *s); /* False: the stream is gone */
/* As recv() and send(): > 0, 0 at the end, -1 with *again_out, or -1 and stream_fail() was called.
 */
ssize_t tls_read(struct stream *s, char *to, size_t n, bool *again_out);
ssize_t tls_write(struct stream *s, struct slice bytes, bool *again_out);
void tls_shut(struct stream *s);
void tls_release(struct stream *s);

/* tls.c, tls_cache.c */
SSL_CTX *tls_context_ssl(const struct tls_context *t);
struct slice tls_error(void); /* the newest of OpenSSL's queue, as words; static until next call */
void tls_cache_put(struct tls_cache *c, struct slice key, SSL_SESSION *session); /* takes it over */
SSL_SESSION *tls_cache_get(struct tls_cache *c, struct slice key); /* stays the cache's; or NULL */

#endif
