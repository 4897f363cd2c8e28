/* lib/trace/compare.h -- which messages are copies of one, where their paths part, and why.
 *
 *     compare_add() for each message --> compare_finish() --> groups, copies side by side
 *
 * Copies are told by Message-ID; by content where the id is missing or was changed. Paths are
 * aligned from the sender's end: the hops that all copies share, then the place where one became
 * two. Of each message only a summary is kept, so that a mailbox of any size can be compared. */
#ifndef LIB_TRACE_COMPARE_H
#define LIB_TRACE_COMPARE_H

#include "base/arena.h"
#include "base/base.h"
#include "lib/message/received.h"

#define COMPARE_NESTED_MAX 4   /* mails attached to mails attached to mails ... */
#define COMPARE_HOPS_MAX 100   /* Received fields of one message that are kept */
#define COMPARE_FIELDS_MAX 256 /* header fields of one message that are kept */

/* One field of a header, for telling what changed. */
struct field_mark {
    struct slice name;
    uint64_t hash; /* of the value, folding and white space aside */
};
/* What is kept of a message; owned by the compare. */
struct mail_copy {
    struct slice name; /* of the file, with "#2" for the second message in it */
    struct slice message_id, from, subject;
    int64_t date; /* 0 if there is none */
    uint64_t from_hash, to_hash, subject_hash, body_hash;
    size_t size, body_size;
    struct slice structure;       /* "multipart/mixed(text/plain,image/png)" */
    const struct slice *received; /* Received values, in travel order, on one line */
    size_t received_count;
    const struct field_mark *fields;
    size_t field_count;
    bool is_from_list;
    bool is_forwarded_inline;
    size_t group; /* inside: which group it belongs to */
};

enum compare_verdict {
    COMPARE_SINGLE,           /* no copy of it was given */
    COMPARE_DUPLICATED,       /* one message, whose path parts somewhere */
    COMPARE_IDENTICAL_CHAINS, /* the same path to its end: copied after delivery */
    COMPARE_SEPARATE_SENDS,   /* parted at the origin */
};
enum compare_cause {
    CAUSE_UNKNOWN,
    CAUSE_RETRY_AFTER_LOST_REPLY,
    CAUSE_QUEUE_RERUN,
    CAUSE_LIST_EXPANSION,
    CAUSE_FORWARDING,
    CAUSE_TWO_NEXT_HOPS,
    CAUSE_SENT_TWICE,
    CAUSE_DELIVERED_TWICE,
};
const char *compare_verdict_name(enum compare_verdict v); /* as in DESIGN.md */
const char *compare_cause_name(enum compare_cause c);

struct own_event; /* of lib/trace/own.h */

/* One copy in its group. */
struct aligned_copy {
    const struct mail_copy *copy;
    const struct received *hops; /* in travel order; NULL in a single */
    size_t count;
    const struct received *diverge; /* the first hop that is not common; NULL if there is none */
    struct slice changes;           /* against the first copy, one fact a line; empty for none */
};
struct compare_group {
    struct slice message_id; /* of the first copy; empty if it has none */
    struct aligned_copy *copies;
    size_t count;
    enum compare_verdict verdict;
    size_t common_hops;
    const struct received *last_common; /* NULL if none is common */
    struct slice culprit; /* the last host that held one copy, or the origin; empty if unknown */
    enum compare_cause cause;
    struct slice evidence, advice; /* sentences; empty in a single */
    bool is_by_content;            /* grouped although the Message-IDs differ */
    bool is_collision;             /* another group has the same Message-ID and other content */
    const struct own_event *own;   /* what our ledger has; NULL until compare_join() */
    size_t own_count;
    bool is_confirmed; /* our ledger holds the lost reply that the cause speaks of */
};

struct compare; /* opaque */

/* `max` is the ceiling of memory in bytes for the summaries. */
struct compare *compare_create(size_t max);
void compare_destroy(struct compare **c);

/* Takes a message; `name` and `message` are not kept. Messages attached to it (not those that a
 * bounce returns) are taken too, as "name#1" and so on. ERR_LIMIT when the ceiling is reached. */
MUST_USE int compare_add(struct compare *c, struct slice name, struct slice message, struct err *e);
size_t compare_count(const struct compare *c); /* messages taken */

/* Groups and explains. Groups with copies first, then singles; each in the order of arrival. Owned
 * by `c`. Call it once. */
MUST_USE int compare_finish(struct compare *c, const struct compare_group **groups_out,
                            size_t *count_out, struct err *e);

#endif
