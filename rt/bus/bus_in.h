/* rt/bus/bus_in.h -- a bus from inside: what the frames (bus.c), the descriptors that travel with
 * them (fds.c) and the socket (socket.c) share. */
#ifndef BUS_BUS_IN_H
#define BUS_BUS_IN_H

#include "rt/bus/bus.h"

#define BUS_HEADER 8u       /* u32 length, u16 type, u16 flags */
#define BUS_FLAG_FD 1u      /* the frame carries a descriptor */
#define BUS_FDS_AT_ONCE 64u /* in one sendmsg; the kernel's limit is 253 */

/* Descriptors on their way, first in, first out. */
struct bus_fds {
    struct bus_fd {
        int fd;
        size_t at; /* sending: where its frame starts in `output` */
    } * items;
    size_t first, count, cap;
};
void bus_fds_put(struct bus_fds *q, int fd, size_t at);
int bus_fds_take(struct bus_fds *q);    /* -1 when there is none */
void bus_fds_finish(struct bus_fds *q); /* closes what is left */

struct bus {
    struct loop *loop;
    const struct bus_handlers *handlers;
    void *ctx;
    int fd;                   /* -1 for an end of a local pair */
    struct loop_watch *watch; /* NULL for an end of a local pair */
    struct bus *peer;         /* the other end of a local pair, while it lives */

    struct buf output; /* frames; the first `sent` bytes are with the kernel */
    size_t sent, frame_at;
    struct bus_fds output_fds;
    struct buf input; /* frames; the first `used` bytes were handed out */
    size_t used;
    struct bus_fds input_fds;

    struct loop_hook flush;
    struct loop_deferred turn; /* makes sure that a turn follows; delivers in a local pair */
    struct err why;
    bool encoding, blocked, above, paused;
    bool ended;  /* no more frames in or out */
    bool failed; /* `ended` is to be told once the callbacks allow it */
    bool told;   /* on_closed was called */
    bool busy;   /* a handler runs */
    bool dead;   /* bus_close() was called while busy */
};

/* Hands out complete frames of `input` until paused or closed. False: the bus is gone. */
bool bus_dispatch(struct bus *b);
/* The end, with its reason in `why`; tells the handler. False: the bus is gone. */
bool bus_end_of(struct bus *b);
/* Calls on_drained when it is due. False: the bus is gone. */
bool bus_tell_drained(struct bus *b);
/* After `output` was sent up to `sent`: forgets it where that is cheap. */
void bus_trim_output(struct bus *b);

void bus_socket_send(struct bus *b);
void bus_socket_ready(void *ctx, unsigned events);

#endif
