/* Each case runs over a socketpair and over a local pair, in one loop; the last ones fork. */
#include "rt/bus/bus.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "rt/bus/wire.h"

enum { HELLO = 1, BIG, FD, CLOSE_YOURSELF, ECHO };

struct end {
    struct bus *bus;
    unsigned messages, drained, closed;
    size_t bytes;
    uint32_t next; /* the number that the next HELLO must have */
    struct err why;
    int fd;
    bool echo_when_drained;
};

static void on_message(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct end *e = ctx;

    assert_int_equal(e->closed, 0);
    e->messages++;
    e->bytes += payload.n;
    if (type == HELLO) {
        struct wire_reader r = wire_read(payload);
        assert_int_equal(wire_get_u32(&r), e->next++);
        assert_true(wire_is_good(&r));
    } else if (type == ECHO) {
        bus_send(e->bus, BIG, payload);
    } else if (type == CLOSE_YOURSELF) {
        bus_close(&e->bus);
        assert_int_equal(payload.p[0], 'x'); /* still readable */
    }
    if (type == FD) {
        assert_true(fd >= 0);
        if (e->fd >= 0)
            close(e->fd);
        e->fd = fd;
    } else {
        assert_int_equal(fd, -1);
    }
}

static void on_drained(void *ctx)
{
    struct end *e = ctx;

    e->drained++;
    if (e->echo_when_drained && e->drained == 1)
        bus_send(e->bus, BIG, SLICE("more"));
}

static void on_closed(void *ctx, const struct err *why)
{
    struct end *e = ctx;

    e->closed++;
    e->why = *why;
}

static const struct bus_handlers handlers = {on_message, on_drained, on_closed};

struct world {
    struct loop *loop;
    struct end a, b;
    bool local;
};

static void hello(struct bus *bus, uint32_t number)
{
    wire_put_u32(bus_begin(bus, HELLO), number);
    bus_end(bus);
}

/* Turns until nothing happens for a while. */
static void settle(struct world *w)
{
    for (unsigned i = 0; i < 300; i++)
        loop_turn(w->loop, 0);
}

static void order(struct world *w)
{
    for (uint32_t i = 0; i < 1000; i++) {
        hello(w->a.bus, i);
        hello(w->b.bus, i);
    }
    assert_int_equal(w->b.messages, 0); /* never inside the call */
    settle(w);
    assert_int_equal(w->a.messages, 1000);
    assert_int_equal(w->b.messages, 1000);
    assert_int_equal(bus_pending(w->a.bus), 0);
}

static void big(struct world *w)
{
    char *body = mem_alloc(BUS_FRAME_MAX);

    for (unsigned i = 0; i < 8; i++)
        bus_send(w->a.bus, BIG, (struct slice){body, BUS_FRAME_MAX - i});
    hello(w->a.bus, 0);
    settle(w);
    assert_int_equal(w->b.messages, 9);
    assert_int_equal(w->b.bytes, 8 * BUS_FRAME_MAX - 28 + 4);
    assert_int_equal(w->a.drained, 1);
    free(body);
}

static void empty_frame(struct world *w)
{
    bus_send(w->a.bus, BIG, SLICE(""));
    settle(w);
    assert_int_equal(w->b.messages, 1);
}

static void descriptors(struct world *w)
{
    int pipes[2];
    char c = 0;

    for (uint32_t i = 0; i < 200; i++) {
        hello(w->a.bus, i);
        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(write(pipes[1], "p", 1), 1);
        close(pipes[1]);
        bus_send_fd(w->a.bus, FD, SLICE("here"), pipes[0]);
    }
    settle(w);
    assert_int_equal(w->b.messages, 400);
    assert_int_equal(read(w->b.fd, &c, 1), 1);
    assert_int_equal(c, 'p');
}

static void pause_and_resume(struct world *w)
{
    char *body = mem_alloc(BUS_FRAME_MAX);

    settle(w);
    bus_pause(w->b.bus);
    for (unsigned i = 0; i < 16; i++)
        bus_send(w->a.bus, BIG, (struct slice){body, BUS_FRAME_MAX});
    settle(w);
    assert_int_equal(w->b.messages, 0);
    assert_in_range(bus_pending(w->a.bus), 1024 * 1024, 16 * (BUS_FRAME_MAX + 8));
    bus_resume(w->b.bus);
    settle(w);
    assert_int_equal(w->b.messages, 16);
    assert_int_equal(w->a.drained, 1);
    assert_int_equal(bus_pending(w->a.bus), 0);
    free(body);
}

static void ceiling(struct world *w)
{
    char *body = mem_alloc(BUS_FRAME_MAX);

    settle(w);
    bus_pause(w->b.bus);
    for (unsigned i = 0; i < 80; i++)
        bus_send(w->a.bus, BIG, (struct slice){body, BUS_FRAME_MAX});
    assert_int_equal(w->a.closed, 0);
    assert_false(bus_is_open(w->a.bus));
    settle(w);
    assert_int_equal(w->a.closed, 1);
    assert_int_equal(w->a.why.code, ERR_LIMIT);
    bus_send(w->a.bus, BIG, SLICE("dropped in silence"));
    free(body);
}

static void orderly_end(struct world *w)
{
    for (uint32_t i = 0; i < 10; i++)
        hello(w->a.bus, i);
    bus_close(&w->a.bus);
    settle(w);
    assert_int_equal(w->b.messages, 10); /* the last words are heard before the end */
    assert_int_equal(w->b.closed, 1);
    assert_int_equal(w->b.why.code, ERR_NONE);
    bus_send(w->b.bus, BIG, SLICE("to nobody"));
    settle(w);
    assert_false(bus_is_open(w->b.bus));
}

static void close_in_handler(struct world *w)
{
    bus_send(w->a.bus, CLOSE_YOURSELF, SLICE("x"));
    hello(w->a.bus, 0);
    settle(w);
    assert_int_equal(w->b.messages, 1);
    assert_int_equal(w->b.closed, 0); /* it knows */
    assert_int_equal(w->a.closed, 1);
}

static void drained_sends(struct world *w)
{
    char *body = mem_alloc(BUS_FRAME_MAX);

    w->a.echo_when_drained = true;
    for (unsigned i = 0; i < 4; i++)
        bus_send(w->a.bus, BIG, (struct slice){body, BUS_FRAME_MAX});
    settle(w);
    assert_int_equal(w->b.messages, 5);
    free(body);
}

static void garbage(struct world *w)
{
    int fds[2];
    struct end c = {.fd = -1};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c.bus = bus_open(w->loop, fds[0], &handlers, &c);
    assert_int_equal(write(fds[1], "\xff\xff\xff\xff\1\0\0\0", 8), 8);
    settle(w);
    assert_int_equal(c.closed, 1);
    assert_int_equal(c.why.code, ERR_SYNTAX);
    bus_close(&c.bus);
    close(fds[1]);
}

static void half_a_frame(struct world *w)
{
    int fds[2];
    struct end c = {.fd = -1};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c.bus = bus_open(w->loop, fds[0], &handlers, &c);
    assert_int_equal(write(fds[1], "\x09\0\0\0\1\0\0\0hal", 11), 11);
    close(fds[1]);
    settle(w);
    assert_int_equal(c.closed, 1);
    assert_int_equal(c.why.code, ERR_SYNTAX);
    bus_close(&c.bus);
}

/* A child that answers ECHO, and dies by SIGKILL when told to close. */
static int child_main(int fd)
{
    struct end e = {.fd = -1};
    struct loop *l = loop_create();

    e.bus = bus_open(l, fd, &handlers, &e);
    while (e.closed == 0 && e.bus != NULL)
        loop_turn(l, -1);
    if (e.bus == NULL)
        raise(SIGKILL);
    bus_close(&e.bus);
    loop_destroy(&l);
    return e.messages == 3 ? 0 : 1;
}

static void across_fork(struct world *w)
{
    int fds[2], status, pipes[2];
    struct err e;
    struct end c = {.fd = -1};

    for (int death = 0; death < 2; death++) {
        assert_int_equal(bus_pair_create(fds, &e), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            _exit(child_main(fds[1]));
        }
        close(fds[1]);
        c = (struct end){.fd = -1};
        c.bus = bus_open(w->loop, fds[0], &handlers, &c);
        bus_send(c.bus, ECHO, SLICE("one"));
        assert_int_equal(pipe(pipes), 0);
        close(pipes[1]);
        bus_send_fd(c.bus, FD, SLICE(""), pipes[0]);
        bus_send(c.bus, ECHO, SLICE("two"));
        while (c.messages < 2)
            loop_turn(w->loop, 1000);
        if (death == 1) {
            bus_send(c.bus, CLOSE_YOURSELF, SLICE("x"));
            while (c.closed == 0)
                loop_turn(w->loop, 1000);
        }
        bus_close(&c.bus);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, death == 1 ? SIGKILL : 0);
    }
}

static const struct story {
    const char *name;
    void (*run)(struct world *w);
} stories[] = {
    {"frames arrive whole and in order, both ways", order},
    {"frames of the largest size", big},
    {"a frame without payload", empty_frame},
    {"200 descriptors stay with their frames", descriptors},
    {"a paused reader holds the writer up", pause_and_resume},
    {"a peer too far behind is given up", ceiling},
    {"the last words come before an orderly end", orderly_end},
    {"a handler may close its own bus", close_in_handler},
    {"what on_drained writes goes out", drained_sends},
    {"garbage ends the bus", garbage},
    {"half a frame at the end is an error", half_a_frame},
    {"across a fork, with a descriptor, and a death", across_fork},
};

static void run_over(const struct story *s, bool local)
{
    struct world w = {.loop = loop_create(), .a.fd = -1, .b.fd = -1, .local = local};
    int fds[2];
    struct err e;

    if (local) {
        bus_open_local(w.loop, &w.a.bus, &w.b.bus);
        bus_set_handlers(w.a.bus, &handlers, &w.a);
        bus_set_handlers(w.b.bus, &handlers, &w.b);
    } else {
        assert_int_equal(bus_pair_create(fds, &e), 0);
        w.a.bus = bus_open(w.loop, fds[0], &handlers, &w.a);
        w.b.bus = bus_open(w.loop, fds[1], &handlers, &w.b);
    }
    s->run(&w);
    bus_close(&w.a.bus);
    bus_close(&w.b.bus);
    if (w.b.fd >= 0)
        close(w.b.fd);
    loop_destroy(&w.loop);
}

static void run(void **state)
{
    run_over(*state, false);
    run_over(*state, true);
}

int main(void)
{
    RUN_TABLE(stories, run);
}
