/* lib/bounce/taxonomy.h -- what can happen to a message, and what a failure means for the list.
 *
 * Two axes, kept apart: the event (what happened) and the category (why). The category decides
 * suppression, the class of the reply decides whether to try again. One table holds everything
 * that follows from a category, so that no other file repeats it. */
#ifndef LIB_BOUNCE_TAXONOMY_H
#define LIB_BOUNCE_TAXONOMY_H

#include "base/base.h"

enum bounce_event {
    BOUNCE_FAILED,
    BOUNCE_DELAYED,
    BOUNCE_DELIVERED,
    BOUNCE_RELAYED,  /* passed on to a system that sends no notices (RFC 3464 2.3.3) */
    BOUNCE_EXPANDED, /* delivered to a list, which was expanded */
    BOUNCE_COMPLAINT,
    BOUNCE_NOT_SPAM,
    BOUNCE_AUTH_FAILURE_REPORT,
    BOUNCE_UNSUBSCRIBE,
    BOUNCE_AUTO_REPLY,
    BOUNCE_CHALLENGE,
    BOUNCE_NOT_A_BOUNCE,
};
#define BOUNCE_EVENTS (BOUNCE_NOT_A_BOUNCE + 1)

enum bounce_category {
    BOUNCE_CATEGORY_NONE, /* events that are no failure */
    BOUNCE_INVALID_RECIPIENT,
    BOUNCE_INVALID_DOMAIN,
    BOUNCE_MAILBOX_MOVED,
    BOUNCE_MAILBOX_INACTIVE,
    BOUNCE_MAILBOX_FULL,
    BOUNCE_RECIPIENT_REFUSED,
    BOUNCE_MESSAGE_TOO_LARGE,
    BOUNCE_CONTENT_REJECTED,
    BOUNCE_VIRUS_DETECTED,
    BOUNCE_SPAM_CONTENT,
    BOUNCE_BLOCKED_IP,
    BOUNCE_BLOCKED_SENDER,
    BOUNCE_POLICY_REJECTED,
    BOUNCE_AUTH_FAILED,
    BOUNCE_RDNS_HELO,
    BOUNCE_RATE_LIMITED,
    BOUNCE_GREYLISTED,
    BOUNCE_RELAY_DENIED,
    BOUNCE_MESSAGE_NONCOMPLIANT,
    BOUNCE_PROTOCOL_ERROR,
    BOUNCE_TLS_FAILURE,
    BOUNCE_NETWORK,
    BOUNCE_REMOTE_SYSTEM,
    BOUNCE_EXPIRED,
    BOUNCE_PROVIDER_SUPPRESSED,
    BOUNCE_UNDETERMINED,
    BOUNCE_CATEGORY_COMPLAINT,
    BOUNCE_CATEGORY_UNSUBSCRIBE,
};
#define BOUNCE_CATEGORIES (BOUNCE_CATEGORY_UNSUBSCRIBE + 1)

/* When the same message may be tried again. */
enum bounce_retry {
    BOUNCE_RETRY_NO,
    BOUNCE_RETRY_YES,     /* as the queue's schedule has it */
    BOUNCE_RETRY_SLOW,    /* slower, and less for this destination */
    BOUNCE_RETRY_LONG,    /* hours to days between attempts */
    BOUNCE_RETRY_SAME,    /* from the same address as before */
    BOUNCE_RETRY_RECHECK, /* not before 24 hours, as a check of the name */
};

/* When the recipient goes onto the suppression list: after `count` failures of this category within
 * the last `days` days. count 0: never; count 1: at once. */
struct bounce_threshold {
    unsigned count, days;
    const char *text; /* as JSON shows it: "never", "at_once", "5/14d", "stream", "list", ... */
};

struct bounce_meaning {
    const char *name; /* "mailbox_full" */
    bool hard;        /* the address is dead */
    bool retry_5xx;   /* try again even after a permanent reply */
    enum bounce_retry retry;
    struct bounce_threshold suppress;
    const char *who;    /* who acts */
    const char *means;  /* "the mailbox is full" */
    const char *advice; /* a sentence: what to do */
};

const char *bounce_event_name(enum bounce_event event);
const struct bounce_meaning *bounce_meaning(enum bounce_category category);
/* By name; false if there is no such category. */
MUST_USE bool bounce_category_find(struct slice name, enum bounce_category *category_out);
const char *bounce_retry_name(enum bounce_retry retry);

#endif
