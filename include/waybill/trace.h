/* waybill/trace.h -- where a message was, and where copies of one part.
 *
 *     waybill_trace_create(message) --> hops in travel order, delays, sentences
 *     compare_create(), compare_add() for each message, compare_finish() --> groups, cause, host
 *
 * Everything is read from the bytes of the messages. All texts and structures that are handed out
 * belong to the object they came from and end with it; later versions add members at the end of
 * structures, which are made by the library only. */
#ifndef WAYBILL_TRACE_H
#define WAYBILL_TRACE_H

#include <waybill/waybill.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- one Received field, one hop --- */

/* What was not found is empty. */
struct waybill_received {
    struct waybill_text value;             /* the field on one line */
    struct waybill_text helo, rdns, ip;    /* the client: as it named itself, as it was found */
    struct waybill_text by, via, with, id; /* the host that wrote the field, and how it got it */
    struct waybill_text for_address, tls;  /* "TLSv1.3", or "TLS" if only the protocol says so */
    int64_t unix_time;                     /* of its date */
    int zone_minutes;
    bool has_date;
};
struct waybill_hop {
    struct waybill_received received;
    int64_t delay_s; /* since the hop before; below zero: a clock is wrong */
    bool has_delay;
    bool is_ours;   /* written by our side; anything below the boundary could be forged */
    bool is_inside; /* did not cross the Internet */
    bool is_slow;   /* the longest delay, if it is worth a look */
    bool is_skewed; /* its clock, or that of the hop before, is off */
};

/* --- one message --- */

struct waybill_trace; /* opaque */

/* Reads the path of a message; `our_domain` (NULL: the domain of the host that wrote the newest
 * field) tells which fields are ours. NULL only when memory for it is full (about 256 MiB). The
 * bytes of `message` must stay as long as the trace. */
WAYBILL_CHECK struct waybill_trace *waybill_trace_create(const char *message, size_t size,
                                                         const char *our_domain,
                                                         struct waybill_error *error);
WAYBILL_API void waybill_trace_destroy(struct waybill_trace **t); /* writes NULL back */
WAYBILL_API size_t waybill_trace_hops(const struct waybill_trace *t);
/* Number 0 is nearest the sender. */
WAYBILL_API const struct waybill_hop *waybill_trace_hop(const struct waybill_trace *t, size_t i);
/* Seconds from the first to the last date; false when there are not two dates. */
WAYBILL_API bool waybill_trace_total(const struct waybill_trace *t, int64_t *seconds_out);
WAYBILL_API struct waybill_text waybill_trace_message_id(const struct waybill_trace *t);
WAYBILL_API struct waybill_text waybill_trace_return_path(const struct waybill_trace *t);
/* Sentences about what is wrong, in order of the path. */
WAYBILL_API size_t waybill_trace_warnings(const struct waybill_trace *t);
WAYBILL_API struct waybill_text waybill_trace_warning(const struct waybill_trace *t, size_t i);

/* --- Message-ID (RFC 5322 3.6.4) --- */

/* 0 good, 1 odd (asks for trouble), 2 bad (breaks the grammar). `value` with its brackets;
 * `*reason_out` (NULL is fine) is a static sentence, or NULL when good. */
WAYBILL_API int waybill_msgid_check(const char *value, size_t size, const char **reason_out);

/* --- several messages --- */

struct waybill_copy {
    struct waybill_text name; /* as given; "name#1" for a message attached to it */
    size_t hops;
    struct waybill_received diverge; /* its first hop that is not common; empty if there is none */
    struct waybill_text changes;     /* against the first copy, one fact a line */
};
struct waybill_group {
    struct waybill_text message_id; /* of the first copy */
    size_t copies;
    const char *verdict; /* "duplicated", "identical_chains", "separate_sends", "single" */
    const char *cause;   /* "retry_after_lost_reply", ... as waybill-compare(1) lists them */
    size_t common_hops;
    struct waybill_received last_common;  /* empty if none is common */
    struct waybill_text culprit;          /* the last host that held one copy */
    struct waybill_text evidence, advice; /* sentences */
    bool is_collision; /* another message has the same Message-ID and other content */
};
struct waybill_compare; /* opaque */

/* `memory_max`: ceiling in bytes for what is kept, about 4 KB a message. */
WAYBILL_CHECK struct waybill_compare *waybill_compare_create(size_t memory_max);
WAYBILL_API void waybill_compare_destroy(struct waybill_compare **c); /* writes NULL back */
/* Takes a message and those attached to it; nothing given is kept. -1: memory is full. */
WAYBILL_CHECK int waybill_compare_add(struct waybill_compare *c, const char *name,
                                      const char *message, size_t size,
                                      struct waybill_error *error);
/* Groups and explains, once; groups of copies come first. -1: memory is full. */
WAYBILL_CHECK int waybill_compare_finish(struct waybill_compare *c, size_t *groups_out,
                                         struct waybill_error *error);
/* NULL: memory is full. */
WAYBILL_API const struct waybill_group *waybill_compare_group(const struct waybill_compare *c,
                                                              size_t i);
WAYBILL_API const struct waybill_copy *waybill_compare_copy(const struct waybill_compare *c,
                                                            size_t group, size_t i);

#ifdef __cplusplus
}
#endif

#endif
