#include "rt/bus/bus.h"

#include <assert.h>
#include <endian.h>
#include <unistd.h>

#include "rt/bus/bus_in.h"

#define KEEP_BYTES (4u * 1024u * 1024u) /* an empty buffer above this goes back to the system */

/* --- the header of a frame --- */

static void header_write(char *p, uint32_t length, uint16_t type, uint16_t flags)
{
    length = htole32(length), type = htole16(type), flags = htole16(flags);
    memcpy(p, &length, 4);
    memcpy(p + 4, &type, 2);
    memcpy(p + 6, &flags, 2);
}

static void header_read(const char *p, uint32_t *length, uint16_t *type, uint16_t *flags)
{
    memcpy(length, p, 4);
    memcpy(type, p + 4, 2);
    memcpy(flags, p + 6, 2);
    *length = le32toh(*length), *type = le16toh(*type), *flags = le16toh(*flags);
}

/* --- handlers are called with `busy` set, so that bus_close() inside them is safe --- */

static void release(struct bus *b)
{
    buf_finish(&b->input);
    bus_fds_finish(&b->input_fds);
    buf_finish(&b->output);
    bus_fds_finish(&b->output_fds);
    free(b);
}

/* Ends a handler's call. False: it closed the bus, which is gone now. */
static bool handler_done(struct bus *b, bool outer_busy)
{
    b->busy = outer_busy;
    if (!b->dead)
        return true;
    if (!outer_busy)
        release(b);
    return false;
}

bool bus_end_of(struct bus *b)
{
    bool outer = b->busy;

    b->ended = true;
    if (b->told || b->handlers == NULL)
        return true;
    b->told = true;
    b->busy = true;
    b->handlers->on_closed(b->ctx, &b->why);
    return handler_done(b, outer);
}

bool bus_tell_drained(struct bus *b)
{
    bool outer = b->busy;

    if (!b->above || bus_pending(b) >= BUS_DRAINED || b->ended)
        return true;
    b->above = false;
    if (b->handlers == NULL || b->handlers->on_drained == NULL)
        return true;
    b->busy = true;
    b->handlers->on_drained(b->ctx);
    return handler_done(b, outer);
}

/* One frame out of `input`. False: there is no whole one, or the bus ended or is gone. */
static bool dispatch_one(struct bus *b, bool *alive_out)
{
    size_t have = b->input.n - b->used;
    const char *p;
    uint32_t length;
    uint16_t type, flags;
    int fd = -1;

    if (have < BUS_HEADER)
        return false;
    p = b->input.p + b->used;
    header_read(p, &length, &type, &flags);
    if (length > BUS_FRAME_MAX || flags > BUS_FLAG_FD) {
        err_set(&b->why, ERR_SYNTAX, "the bus carried no frame: length %u, type %u, flags %u",
                length, type, flags);
        *alive_out = bus_end_of(b);
        return false;
    }
    if (have - BUS_HEADER < length)
        return false;
    if (flags & BUS_FLAG_FD && (fd = bus_fds_take(&b->input_fds)) < 0) {
        err_set(&b->why, ERR_SYNTAX, "a frame of type %u came without its descriptor", type);
        *alive_out = bus_end_of(b);
        return false;
    }
    b->used += BUS_HEADER + length;
    b->busy = true;
    b->handlers->on_message(b->ctx, type, (struct slice){p + BUS_HEADER, length}, fd);
    *alive_out = handler_done(b, false);
    return *alive_out;
}

bool bus_dispatch(struct bus *b)
{
    bool alive = true;

    if (b->busy || b->handlers == NULL)
        return true;
    while (!b->paused && !b->ended && dispatch_one(b, &alive))
        ;
    if (!alive)
        return false;
    buf_drop(&b->input, b->used);
    b->used = 0;
    if (b->input.n == 0 && b->input.cap > KEEP_BYTES)
        buf_finish(&b->input);
    return true;
}

void bus_trim_output(struct bus *b)
{
    if (b->sent == b->output.n) {
        if (b->output.cap > KEEP_BYTES)
            buf_finish(&b->output);
        buf_clear(&b->output);
        b->sent = 0;
    } else if (b->sent > b->output.n / 2) {
        for (size_t i = 0; i < b->output_fds.count; i++)
            b->output_fds.items[b->output_fds.first + i].at -= b->sent;
        buf_drop(&b->output, b->sent);
        b->sent = 0;
    }
}

/* --- the local pair --- */

/* Moves all that `from` wrote to the other end; swaps the buffers if that end has read all. */
static void hand_over(struct bus *from)
{
    struct bus *to = from->peer;

    if (to->input.n == 0) {
        struct buf empty = to->input;

        to->input = from->output;
        from->output = empty;
    } else {
        buf_append(&to->input, buf_slice(&from->output));
        if (to->input.full) {
            err_set(&from->why, ERR_LIMIT, "the peer on the bus is too far behind");
            from->failed = true;
            loop_defer(from->loop, &from->turn);
            return;
        }
        buf_clear(&from->output);
    }
    while (from->output_fds.count > 0)
        bus_fds_put(&to->input_fds, bus_fds_take(&from->output_fds), 0);
}

/* The deferred call of either kind of bus. */
static void on_turn(void *ctx)
{
    struct bus *b = ctx;

    if (b->failed && !b->told) {
        (void)bus_end_of(b);
        return;
    }
    if (b->fd >= 0 && b->input.n == 0)
        return; /* it was only to make a turn happen */
    if (!b->paused && b->peer != NULL && b->peer->output.n > 0)
        hand_over(b->peer);
    if (!bus_dispatch(b))
        return;
    if (b->fd < 0 && b->peer == NULL && b->input.n == 0 && !b->ended)
        (void)bus_end_of(b);
    else if (b->peer != NULL) /* last: the other end's handler may close this one */
        (void)bus_tell_drained(b->peer);
}

static void on_flush(void *ctx)
{
    struct bus *b = ctx;

    if (b->peer != NULL) {
        if (b->output.n > 0 && !b->peer->paused)
            loop_defer(b->loop, &b->peer->turn);
        return;
    }
    if (b->fd >= 0 && b->sent < b->output.n && !b->blocked) {
        bus_socket_send(b);
        (void)bus_tell_drained(b);
    }
}

/* --- the face --- */

static struct bus *create(struct loop *l, int fd)
{
    struct bus *b = mem_alloc(sizeof *b);

    b->loop = l;
    b->fd = fd;
    buf_init(&b->output, BUS_OUTPUT_MAX);
    buf_init(&b->input, BUS_OUTPUT_MAX);
    loop_deferred_init(&b->turn, on_turn, b);
    loop_on_turn_end(l, &b->flush, LOOP_FLUSH, on_flush, b);
    return b;
}

struct bus *bus_open(struct loop *l, int fd, const struct bus_handlers *handlers, void *ctx)
{
    struct bus *b = create(l, fd);

    bus_set_handlers(b, handlers, ctx);
    b->watch = loop_watch_create(l, fd, bus_socket_ready, b);
    loop_watch_want(b->watch, LOOP_READ);
    return b;
}

void bus_open_local(struct loop *l, struct bus **a_out, struct bus **b_out)
{
    *a_out = create(l, -1);
    *b_out = create(l, -1);
    (*a_out)->peer = *b_out;
    (*b_out)->peer = *a_out;
}

void bus_set_handlers(struct bus *b, const struct bus_handlers *handlers, void *ctx)
{
    b->handlers = handlers;
    b->ctx = ctx;
    loop_defer(b->loop, &b->turn); /* what came before there was anyone to take it */
}

void bus_close(struct bus **b)
{
    struct bus *it = *b;

    if (it == NULL)
        return;
    *b = NULL;
    bus_flush(it);
    loop_hook_remove(&it->flush);
    loop_deferred_cancel(&it->turn);
    if (it->peer != NULL) {
        if (it->output.n > 0)
            hand_over(it);
        it->peer->peer = NULL;
        loop_defer(it->loop, &it->peer->turn);
        it->peer = NULL;
    }
    loop_watch_destroy(&it->watch);
    if (it->fd >= 0)
        close(it->fd);
    it->fd = -1;
    it->ended = it->told = it->dead = true;
    if (!it->busy)
        release(it);
}

struct buf *bus_begin(struct bus *b, uint16_t type)
{
    assert(!b->encoding);
    b->encoding = true;
    b->frame_at = b->output.n;
    char *header = buf_room(&b->output, BUS_HEADER);
    if (header != NULL) {
        header_write(header, 0, type, 0);
        buf_claim(&b->output, BUS_HEADER);
    }
    return &b->output;
}

void bus_attach(struct bus *b, int fd)
{
    assert(b->encoding); /* and one descriptor at most: */
    assert(b->output_fds.count == 0 ||
           b->output_fds.items[b->output_fds.first + b->output_fds.count - 1].at != b->frame_at);
    bus_fds_put(&b->output_fds, fd, b->frame_at);
}

/* Takes the frame that was begun back, with its descriptor. */
static void forget_frame(struct bus *b)
{
    struct bus_fds *q = &b->output_fds;

    b->output.n = b->frame_at;
    b->output.full = false;
    while (q->count > 0 && q->items[q->first + q->count - 1].at == b->frame_at)
        close(q->items[q->first + --q->count].fd);
}

void bus_end(struct bus *b)
{
    struct bus_fds *q = &b->output_fds;
    uint32_t length;
    uint16_t type, flags;

    assert(b->encoding);
    b->encoding = false;
    if (b->ended || b->failed || (b->fd < 0 && b->peer == NULL)) {
        forget_frame(b);
        return;
    }
    if (b->output.full) {
        forget_frame(b);
        err_set(&b->why, ERR_LIMIT, "the peer on the bus is too far behind: %zu bytes wait",
                bus_pending(b));
        b->failed = true;
        loop_defer(b->loop, &b->turn);
        return;
    }
    size_t payload = b->output.n - b->frame_at - BUS_HEADER;
    assert(payload <= BUS_FRAME_MAX);
    header_read(b->output.p + b->frame_at, &length, &type, &flags);
    if (q->count > 0 && q->items[q->first + q->count - 1].at == b->frame_at)
        flags |= BUS_FLAG_FD;
    header_write(b->output.p + b->frame_at, (uint32_t)payload, type, flags);
    if (bus_pending(b) >= BUS_DRAINED)
        b->above = true;
    /* Written in a turn's flush, after our hook ran, it would wait for an unrelated event. */
    loop_defer(b->loop, b->peer != NULL ? &b->peer->turn : &b->turn);
}

void bus_send(struct bus *b, uint16_t type, struct slice payload)
{
    buf_append(bus_begin(b, type), payload);
    bus_end(b);
}

void bus_send_fd(struct bus *b, uint16_t type, struct slice payload, int fd)
{
    buf_append(bus_begin(b, type), payload);
    bus_attach(b, fd);
    bus_end(b);
}

size_t bus_pending(const struct bus *b)
{
    return b->output.n - b->sent;
}

bool bus_is_open(const struct bus *b)
{
    return !b->ended && !b->failed && (b->fd >= 0 || b->peer != NULL);
}

void bus_pause(struct bus *b)
{
    b->paused = true;
    if (b->watch != NULL)
        loop_watch_want(b->watch, b->blocked ? LOOP_WRITE : 0);
}

void bus_resume(struct bus *b)
{
    b->paused = false;
    if (b->watch != NULL && !b->ended)
        loop_watch_want(b->watch, LOOP_READ | (b->blocked ? LOOP_WRITE : 0));
    loop_defer(b->loop, &b->turn);
}

void bus_flush(struct bus *b)
{
    assert(!b->encoding);
    if (b->fd >= 0 && !b->ended && b->sent < b->output.n)
        bus_socket_send(b);
}
