/* Any bytes as a peer could send them, whole and cut into pieces: the same frames come out, none
 * longer than the limit, and after the end nothing comes. */
#include <assert.h>

#include "base/map.h"
#include "rt/bus/bus_in.h"

struct seen {
    uint64_t hash;
    size_t frames;
    bool closed;
};

static void on_message(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct seen *s = ctx;

    assert(!s->closed && payload.n <= BUS_FRAME_MAX && fd == -1);
    s->hash = hash_bytes(s->hash + type, payload);
    s->frames++;
}

static void on_closed(void *ctx, const struct err *why)
{
    struct seen *s = ctx;

    assert(!s->closed && why->code == ERR_SYNTAX);
    s->closed = true;
}

static const struct bus_handlers handlers = {on_message, NULL, on_closed};

static struct seen play(struct loop *l, struct slice in, bool pieces)
{
    struct seen seen = {0};
    struct bus *a, *b;

    bus_open_local(l, &a, &b);
    bus_set_handlers(a, &handlers, &seen);
    while (in.n > 0 && !seen.closed) {
        size_t n = pieces ? 1 + (unsigned char)in.p[0] % in.n : in.n;

        buf_append(&a->input, (struct slice){in.p, n});
        in = slice_from(in, n);
        assert(bus_dispatch(a));
    }
    bus_close(&a);
    bus_close(&b);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    struct slice in = {(const char *)data, size};

    if (loop == NULL)
        loop = loop_create();
    struct seen whole = play(loop, in, false), cut = play(loop, in, true);
    assert(whole.hash == cut.hash && whole.frames == cut.frames && whole.closed == cut.closed);
    return 0;
}
