/* lib/trace/own.h -- what a ledger of our own adds to a comparison: the attempt whose reply was
 * lost.
 *
 *     compare_finish() --> group --compare_join(events of our messages)--> cause confirmed, or
 * mended
 *
 * Headers show only what arrived. The host that sent a message twice also knows why: it sent the
 * final dot and heard nothing (RFC 1047). This room does not know how a ledger is stored. */
#ifndef LIB_TRACE_OWN_H
#define LIB_TRACE_OWN_H

#include "lib/trace/compare.h"

enum own_kind {
    OWN_ACCEPTED,  /* a client handed it in; `host` and `ip` are the client */
    OWN_REPEATED,  /* the client handed it in again, was answered from the ledger; nothing was sent
                    */
    OWN_LOST,      /* the final dot left, no reply came */
    OWN_DELIVERED, /* answered 2xx */
    OWN_FAILED,    /* answered 4xx or 5xx, or never came to the dot */
    OWN_OTHER,
};
/* One event of a message that we handled. Slices are borrowed for the call. */
struct own_event {
    struct slice id;   /* our id, as it stands in our Received field */
    struct slice name; /* what the ledger calls it */
    int64_t time_ms;   /* since 1970, UTC */
    int64_t dot_ms;    /* when the final dot left; 0: it did not */
    enum own_kind kind;
    struct slice recipients; /* which of the message's recipients, as one text: "1-3,7" */
    struct slice host, ip;   /* who answered, or was asked */
    struct slice text;       /* the reply, or why there is none */
    uint32_t reply_code;     /* 0: none */
};

/* Gives group number `group` (of compare_finish()) the events of all messages of ours that may be
 * the same mail, in order of time. A lost reply at the place where the copies part makes the cause
 * retry_after_lost_reply, confirmed; everything else is added to the evidence. Copies the events.
 * ERR_LIMIT when memory is full. */
MUST_USE int compare_join(struct compare *c, size_t group, const struct own_event *events,
                          size_t count, struct err *e);

#endif
