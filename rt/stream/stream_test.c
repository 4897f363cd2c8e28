/* A listener, clients and an echo server in one loop on loopback; each story checks one promise. */
#include "rt/stream/stream.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

#define CROWD 400
#define HEAP_MAX_BYTES 1536u

struct side {
    struct stream *stream;
    struct world *world;
    struct buf got;
    unsigned opened, drained, eofs, timeouts, closed;
    enum stream_end end;
    struct err why;
    size_t take_at_most; /* of each on_data(); 0: all */
    bool echo, close_on_data, destroy_on_data;
};

struct world {
    struct loop *loop;
    struct streams *all;
    struct listener *listener;
    struct side server, client;
    struct stream *crowd[CROWD];
    size_t crowd_count;
    bool proxy;
};

static void on_open(void *ctx)
{
    struct side *s = ctx;

    s->opened++;
}

static size_t on_data(void *ctx, struct slice in)
{
    struct side *s = ctx;
    size_t n = s->take_at_most > 0 && in.n > s->take_at_most ? s->take_at_most : in.n;

    buf_append(&s->got, slice_sub(in, 0, n));
    if (s->echo)
        stream_write(s->stream, slice_sub(in, 0, n));
    if (s->destroy_on_data)
        stream_destroy(&s->stream);
    else if (s->close_on_data)
        stream_close(&s->stream);
    else if (n < in.n)
        stream_resume(s->stream);
    return n;
}

static void on_drained(void *ctx)
{
    struct side *s = ctx;

    s->drained++;
}

static void on_eof(void *ctx)
{
    struct side *s = ctx;

    s->eofs++;
}

static void on_timeout(void *ctx)
{
    struct side *s = ctx;

    s->timeouts++;
}

static void on_closed(void *ctx, enum stream_end end, const struct err *why)
{
    struct side *s = ctx;

    s->closed++;
    s->end = end;
    s->why = *why;
}

static const struct stream_handlers full = {.on_open = on_open,
                                            .on_data = on_data,
                                            .on_drained = on_drained,
                                            .on_eof = on_eof,
                                            .on_timeout = on_timeout,
                                            .on_closed = on_closed};
static const struct stream_handlers simple = {
    .on_open = on_open, .on_data = on_data, .on_closed = on_closed};

static void on_accept(void *ctx, const struct accepted *accepted)
{
    struct world *w = ctx;

    if (w->server.stream == NULL)
        w->server.stream = stream_accept(w->all, accepted, w->proxy, &full, &w->server);
    else
        w->crowd[w->crowd_count++] = stream_accept(w->all, accepted, false, &full, &w->client);
}

static struct stream_target target(struct world *w)
{
    struct stream_target t = {.timeout_ms = 1000};

    assert_true(ip_address_parse(SLICE("127.0.0.1"), &t.to.ip));
    t.to.port = listener_port(w->listener);
    return t;
}

/* Long enough for a busy machine: a case that waits for something uses until(). */
static void settle(struct world *w)
{
    for (int64_t end = loop_now_ms(w->loop) + 25; loop_now_ms(w->loop) < end;)
        loop_turn(w->loop, 5);
}

static void until_bytes(struct world *w, const struct buf *b, const char *wanted)
{
    for (unsigned i = 0; i < 3000 && b->n < strlen(wanted); i++)
        loop_turn(w->loop, 10);
    assert_true(slice_eq(buf_slice(b), slice_of(wanted)));
}

static void until(struct world *w, const unsigned *counter)
{
    for (unsigned i = 0; i < 3000 && *counter == 0; i++)
        loop_turn(w->loop, 10);
    assert_true(*counter > 0);
}

static void connect_with(struct world *w, const struct stream_handlers *handlers)
{
    struct stream_target t = target(w);

    w->client.stream = stream_connect(w->all, &t, handlers, &w->client);
    assert_int_equal(w->client.opened, 0);
    until(w, &w->client.opened);
    while (w->server.stream == NULL)
        loop_turn(w->loop, 10);
}

static void echo(struct world *w)
{
    struct slice parts[] = {SLICE("one "), SLICE(""), SLICE("two "), SLICE("three")};

    w->server.echo = true;
    connect_with(w, &full);
    stream_write_parts(w->client.stream, parts, COUNT(parts));
    until_bytes(w, &w->client.got, "one two three");
    assert_int_equal(stream_peer(w->server.stream)->port, stream_local(w->client.stream)->port);
    assert_int_equal(stream_peer(w->client.stream)->port, listener_port(w->listener));
}

static void write_before_open(struct world *w)
{
    struct stream_target t = target(w);

    w->client.stream = stream_connect(w->all, &t, &full, &w->client);
    stream_write(w->client.stream, SLICE("early"));
    until_bytes(w, &w->server.got, "early");
}

static void bytes_kept(struct world *w)
{
    w->server.take_at_most = 3;
    connect_with(w, &full);
    stream_write(w->client.stream, SLICE("abcdefghij"));
    until_bytes(w, &w->server.got, "abcdefghij");
}

static void pausing(struct world *w)
{
    connect_with(w, &full);
    stream_pause(w->server.stream);
    stream_write(w->client.stream, SLICE("later"));
    settle(w);
    assert_int_equal(w->server.got.n, 0);
    stream_resume(w->server.stream);
    until_bytes(w, &w->server.got, "later");
}

static void back_pressure(struct world *w)
{
    static char block[256 * 1024];
    size_t total = 0;

    connect_with(w, &full);
    stream_set_output_max(w->client.stream, 64 * sizeof block);
    stream_pause(w->server.stream);
    for (unsigned i = 0; i < 60; i++, total += sizeof block)
        stream_write(w->client.stream, (struct slice){block, sizeof block});
    settle(w);
    assert_true(stream_pending(w->client.stream) > 0);
    assert_int_equal(w->client.drained, 0);
    stream_resume(w->server.stream);
    until(w, &w->client.drained);
    while (w->server.got.n < total)
        loop_turn(w->loop, 10);
    assert_int_equal(stream_pending(w->client.stream), 0);
    assert_int_equal(w->client.drained, 1);
}

static void overrun(struct world *w)
{
    static char block[256 * 1024];

    connect_with(w, &full);
    stream_pause(w->server.stream);
    for (unsigned i = 0; i < 200 && stream_is_open(w->client.stream); i++)
        stream_write(w->client.stream, (struct slice){block, sizeof block});
    assert_int_equal(w->client.closed, 0);
    until(w, &w->client.closed);
    assert_int_equal(w->client.end, STREAM_END_OVERRUN);
}

static void half_close(struct world *w)
{
    w->server.echo = true;
    connect_with(w, &full);
    stream_write(w->client.stream, SLICE("last words"));
    stream_shut_write(w->client.stream);
    until(w, &w->server.eofs);
    stream_write(w->server.stream, SLICE(", heard"));
    stream_close(&w->server.stream);
    until_bytes(w, &w->client.got, "last words, heard");
    until(w, &w->client.eofs);
}

static void eof_without_handler(struct world *w)
{
    connect_with(w, &simple);
    stream_close(&w->server.stream);
    until(w, &w->client.closed);
    assert_int_equal(w->client.end, STREAM_END_PEER);
}

/* A client that still sends when we hang up must see the reply, not a reset. */
static void close_lets_reply_through(struct world *w)
{
    static char flood[200000];

    w->server.close_on_data = true;
    w->server.echo = false;
    connect_with(w, &simple);
    stream_write(w->server.stream, SLICE("421 go away\r\n"));
    for (unsigned i = 0; i < 5; i++) {
        if (stream_is_open(w->client.stream))
            stream_write(w->client.stream, (struct slice){flood, sizeof flood});
        settle(w);
    }
    assert_true(slice_eq(buf_slice(&w->client.got), SLICE("421 go away\r\n")));
    assert_true(w->client.closed == 0 || w->client.end == STREAM_END_PEER);
    stream_close(&w->client.stream);
    settle(w);
    assert_int_equal(streams_count(w->all), 0);
}

static void destroy_in_handler(struct world *w)
{
    w->server.destroy_on_data = true;
    connect_with(w, &simple);
    stream_write(w->client.stream, SLICE("x"));
    until(w, &w->client.closed);
    assert_int_equal(streams_count(w->all), 1);
}

static void refused(struct world *w)
{
    struct stream_target t = target(w);

    listener_destroy(&w->listener);
    w->client.stream = stream_connect(w->all, &t, &full, &w->client);
    assert_int_equal(w->client.closed, 0);
    until(w, &w->client.closed);
    assert_int_equal(w->client.end, STREAM_END_REFUSED);
    assert_non_null(strstr(w->client.why.text, "127.0.0.1"));
}

static void wrong_source(struct world *w)
{
    struct stream_target t = target(w);
    struct ip_address source;

    assert_true(ip_address_parse(SLICE("192.0.2.77"), &source));
    t.source = &source;
    w->client.stream = stream_connect(w->all, &t, &full, &w->client);
    until(w, &w->client.closed);
    assert_int_equal(w->client.end, STREAM_END_REFUSED);
}

static void own_source(struct world *w)
{
    struct stream_target t = target(w);
    struct ip_address source;

    assert_true(ip_address_parse(SLICE("127.0.0.9"), &source));
    t.source = &source;
    w->client.stream = stream_connect(w->all, &t, &full, &w->client);
    while (w->server.stream == NULL)
        loop_turn(w->loop, 10);
    assert_true(ip_address_equal(&stream_peer(w->server.stream)->ip, &source));
}

static void idle(struct world *w)
{
    connect_with(w, &full);
    stream_set_idle(w->server.stream, 60);
    for (unsigned i = 0; i < 10; i++) { /* a byte now and then keeps it alive */
        stream_write(w->client.stream, SLICE("x"));
        for (int64_t end = loop_now_ms(w->loop) + 12; loop_now_ms(w->loop) < end;)
            loop_turn(w->loop, 4);
    }
    assert_int_equal(w->server.timeouts, 0);
    until(w, &w->server.timeouts);
    assert_int_equal(w->server.timeouts, 1);
    assert_int_equal(w->server.closed, 0);
}

static void deadline(struct world *w)
{
    connect_with(w, &simple);
    stream_set_idle(w->client.stream, 10000);
    stream_set_deadline(w->client.stream, 30);
    w->server.echo = true;
    while (w->client.closed == 0) {
        if (stream_is_open(w->client.stream))
            stream_write(w->client.stream, SLICE("drip"));
        loop_turn(w->loop, 5);
    }
    assert_int_equal(w->client.end, STREAM_END_TIMEOUT);
}

static void reset(struct world *w)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(listener_port(w->listener)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    settle(w);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    until(w, &w->server.closed);
    assert_int_equal(w->server.end, STREAM_END_RESET);
}

static void proxy_header(struct world *w)
{
    w->proxy = true;
    connect_with(w, &full);
    for (const char *p = "PROXY TCP4 192.0.2.1 192.0.2.2 1111 25\r\nEHLO"; *p != '\0'; p++) {
        stream_write(w->client.stream, (struct slice){p, 1});
        loop_turn(w->loop, 1);
    }
    until(w, &w->server.opened);
    until_bytes(w, &w->server.got, "EHLO");
    assert_int_equal(stream_peer(w->server.stream)->port, 1111);
    assert_int_equal(stream_local(w->server.stream)->port, 25);
}

static void no_proxy_header(struct world *w)
{
    w->proxy = true;
    connect_with(w, &full);
    stream_write(w->client.stream, SLICE("EHLO liar\r\n"));
    until(w, &w->server.closed);
    assert_int_equal(w->server.end, STREAM_END_PROXY);
    assert_int_equal(w->server.got.n, 0);
}

static void unix_socket(struct world *w)
{
    char path[] = "unix:/tmp/waybill-stream-test-XXXXXX";
    struct stream_target t = {.timeout_ms = 1000};
    struct err e;

    assert_int_equal(close(mkstemp(path + 5)), 0);
    unlink(path + 5);
    assert_int_equal(endpoint_parse(path, 0, &t.to, &e), 0);
    for (unsigned i = 0; i < 2; i++) { /* the second time over the old socket file */
        int fd = listener_open(&t.to, false, 5, &e);
        assert_true(fd >= 0);
        listener_destroy(&w->listener);
        w->listener = listener_create(w->loop, fd, on_accept, w);
    }
    w->server.echo = true;
    w->client.stream = stream_connect(w->all, &t, &full, &w->client);
    settle(w);
    stream_write(w->client.stream, SLICE("hi"));
    until_bytes(w, &w->client.got, "hi");
    unlink(path + 5);
}

static void footprint(struct world *w)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(listener_port(w->listener)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[CROWD];
    size_t before = mallinfo2().uordblks;

    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&a, sizeof a), 0);
        if (i % 50 == 0)
            settle(w);
    }
    settle(w);
    assert_int_equal(w->crowd_count, CROWD - 1);
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(write(fds[i], "EHLO x\r\n", 8), 8);
    settle(w);
    size_t each = (mallinfo2().uordblks - before) / CROWD;
    assert_true(each < HEAP_MAX_BYTES || mallinfo2().uordblks == 0 /* a sanitizer's malloc */);
    for (size_t i = 0; i < CROWD; i++)
        close(fds[i]);
    for (size_t i = 0; i < w->crowd_count; i++)
        stream_destroy(&w->crowd[i]);
}

static const struct story {
    const char *name;
    void (*run)(struct world *w);
} stories[] = {
    {"bytes go there and back", echo},
    {"what is written before the connection stands is sent then", write_before_open},
    {"bytes that were not used come again", bytes_kept},
    {"a paused stream reads nothing", pausing},
    {"a slow reader holds the writer up, then drains it", back_pressure},
    {"a reader that never reads costs the connection", overrun},
    {"after a half-close the other half goes on", half_close},
    {"without on_eof the peer's end is the end", eof_without_handler},
    {"the last reply reaches a client that still sends", close_lets_reply_through},
    {"a handler may destroy its own stream", destroy_in_handler},
    {"nobody listens: refused, with the address", refused},
    {"a source address that is not ours: refused", wrong_source},
    {"a source address of ours is used", own_source},
    {"idle means silent, not old", idle},
    {"a deadline stands whatever comes", deadline},
    {"a reset is told", reset},
    {"a PROXY header sets the addresses, byte by byte", proxy_header},
    {"without its PROXY header nobody gets in", no_proxy_header},
    {"a unix socket, also over a stale file", unix_socket},
    {"an idle connection is small", footprint},
};

static void run(void **state)
{
    const struct story *story = *state;
    struct world w = {.loop = loop_create()};
    struct endpoint at;
    struct err e;

    w.all = streams_create(w.loop);
    buf_init(&w.server.got, 1u << 26);
    buf_init(&w.client.got, 1u << 26);
    assert_int_equal(endpoint_parse("127.0.0.1:0", 0, &at, &e), 0);
    int fd = listener_open(&at, true, CROWD, &e);
    assert_true(fd >= 0);
    w.listener = listener_create(w.loop, fd, on_accept, &w);
    story->run(&w);
    listener_destroy(&w.listener);
    stream_destroy(&w.server.stream);
    stream_destroy(&w.client.stream);
    streams_destroy(&w.all);
    loop_destroy(&w.loop);
    buf_finish(&w.server.got);
    buf_finish(&w.client.got);
}

int main(void)
{
    RUN_TABLE(stories, run);
}
