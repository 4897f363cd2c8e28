/* rt/bus/bus.h -- typed messages between two roles: over a socketpair, or inside one process.
 *
 *     bus_begin() .. wire_put_*() .. bus_end()  -->  output  --(LOOP_FLUSH, one sendmsg)-->  peer
 *     peer's big read  -->  on_message() for each complete frame, payload not copied
 *
 * A frame is u32 length (of the payload), u16 type, u16 flags, payload; little endian. Frames
 * arrive whole and in order. A frame may carry one descriptor. The local pair uses the same
 * encoding and hands the buffer over in a deferred call, so that --one-process behaves as many
 * processes do. This room moves frames; what they mean is role/messages.def's business. */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "base/base.h"
#include "rt/loop/loop.h"

#define BUS_FRAME_MAX (1024u * 1024u)        /* payload; cut message bodies in pieces */
#define BUS_OUTPUT_MAX (64u * 1024u * 1024u) /* a peer this far behind is given up */
#define BUS_DRAINED (256u * 1024u)           /* on_drained comes when less than this is pending */

struct bus; /* opaque */

struct bus_handlers {
    /* One frame. `payload` is valid during the call only. `fd` is -1, or the receiver's to close.
     * May send, and may close any bus, this one too. */
    void (*on_message)(void *ctx, uint16_t type, struct slice payload, int fd);
    /* bus_pending() fell below BUS_DRAINED after it had been above. May be NULL. */
    void (*on_drained)(void *ctx);
    /* The peer is gone (ERR_NONE: it closed in order) or broke the frame format, or our output
     * overran. Nothing more comes; the bus still wants bus_close(). */
    void (*on_closed)(void *ctx, const struct err *why);
};

/* Two connected descriptors (close-on-exec, non-blocking) with large socket buffers. */
MUST_USE int bus_pair_create(int fds_out[2], struct err *e);

/* Takes `fd` over. `handlers` must outlive the bus. */
struct bus *bus_open(struct loop *l, int fd, const struct bus_handlers *handlers, void *ctx);
/* Two ends inside this process. They have no handlers yet; set them before the turn ends. */
void bus_open_local(struct loop *l, struct bus **a_out, struct bus **b_out);
void bus_set_handlers(struct bus *b, const struct bus_handlers *handlers, void *ctx);
/* Sends what the kernel takes at once, drops the rest; the peer sees an orderly end. */
void bus_close(struct bus **b);

/* Starts a frame. Append the payload to the returned buf (nothing else: earlier frames are in it),
 * then end it. No other call on `b` in between except bus_attach(). */
struct buf *bus_begin(struct bus *b, uint16_t type);
void bus_attach(struct bus *b, int fd); /* this frame carries `fd`, which the bus takes over */
/* A payload above BUS_FRAME_MAX is a bug and aborts; output above BUS_OUTPUT_MAX closes the bus
 * (on_closed with ERR_LIMIT, next turn). After the end of a bus frames are dropped in silence. */
void bus_end(struct bus *b);

/* The three in one, for a payload that is encoded already. */
void bus_send(struct bus *b, uint16_t type, struct slice payload);
void bus_send_fd(struct bus *b, uint16_t type, struct slice payload, int fd);

size_t bus_pending(const struct bus *b); /* bytes written and not yet taken by the peer's kernel */
bool bus_is_open(const struct bus *b);
/* Stops and restarts the reading of frames (back pressure towards the peer). */
void bus_pause(struct bus *b);
void bus_resume(struct bus *b);
/* Sends now instead of at the end of the turn; for a role that is about to exit. */
void bus_flush(struct bus *b);

#endif
