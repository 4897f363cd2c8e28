/* lib/trace/path.h -- the path of one message, from its Received fields.
 *
 *     message --trace_message()--> hops in travel order, delays, trust, warnings in plain words
 *
 * A hop is one Received field: one host that took the message. Fields are written on top of each
 * other, so the last one in the file is hop 1, nearest the sender. */
#ifndef LIB_TRACE_PATH_H
#define LIB_TRACE_PATH_H

#include "base/arena.h"
#include "lib/message/header.h"
#include "lib/message/msgid.h"
#include "lib/message/received.h"

#define TRACE_HOPS_MAX 500 /* RFC 5321 6.3 stops loops at 100; the rest is warned about */
#define TRACE_WARNINGS_MAX 64

struct hop {
    struct received received;
    int64_t delay_s; /* since the hop before; below zero: a clock is wrong */
    bool has_delay;  /* both have a date */
    bool is_ours;    /* written by our side: below the boundary anything could be forged */
    bool is_inside;  /* from a private address, or from itself: did not cross the Internet */
    bool is_slow;    /* the longest delay, if it is worth a look */
    bool is_skewed;  /* its clock, or that of the hop before, is off */
};

struct trace {
    struct slice message_id; /* with brackets; empty if there is none */
    struct msgid_check message_id_check;
    struct slice original_message_id; /* a service replaced the id and kept the old one here */
    struct slice return_path;         /* without brackets; empty for <> or none */
    bool has_return_path;
    struct slice from, to, subject; /* decoded, UTF-8 */
    struct mail_date date;
    bool has_date;
    struct slice list;        /* List-Id, or another sign of a list; empty if none */
    struct slice const *auth; /* Authentication-Results on board, top first, on one line */
    size_t auth_count;
    struct hop *hops; /* in travel order: hops[0] is nearest the sender */
    size_t count;
    int64_t total_s; /* from the first to the last date */
    bool has_total;
    size_t boundary;              /* hops[boundary..] were written by our side */
    struct slice our_domain;      /* whose side that is; empty if it cannot be told */
    struct slice const *warnings; /* sentences */
    size_t warning_count;
    bool is_forwarded_inline; /* the text quotes a message whose own path is lost */
};

/* Everything in `trace_out` is owned by `a` or points into `message`. Fails only when the arena is
 * full (ERR_LIMIT); a strange message gives warnings. `our_domain` may be empty: then the domain
 * of the host that wrote the topmost field is taken for ours. */
MUST_USE int trace_message(struct slice message, struct slice our_domain, struct arena *a,
                           struct trace *trace_out, struct err *e);

/* The client of a hop in one word: reverse name, else HELO, else address; empty if unknown. */
struct slice hop_client(const struct hop *h, struct arena *a);

/* Both host names are one host, or a host and its other name: equal, or one address. */
bool host_same(struct slice a, struct slice b);

/* "3 min 20 s", "2 h 5 min", "4 d 3 h", "-12 s". */
void duration_append(int64_t seconds, struct buf *out);

/* The body quotes a forwarded message in its text ("---------- Forwarded message ----------"). */
bool is_forwarded_inline(struct slice body);

#endif
