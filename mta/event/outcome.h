/* mta/event/outcome.h -- how one attempt ended for one recipient, and the names of all events.
 *
 * `unknown` is the outcome that others do not have (RFC 1047): the final dot was sent and no reply
 * came, so the message may or may not have been taken. */
#ifndef MTA_EVENT_OUTCOME_H
#define MTA_EVENT_OUTCOME_H

#include "base/base.h"

enum outcome {
    OUTCOME_DELIVERED, /* 2xx after the dot */
    OUTCOME_DEFERRED,  /* 4xx, or nothing was sent that could have been taken */
    OUTCOME_BOUNCED,   /* 5xx */
    OUTCOME_UNKNOWN,   /* the dot left, no reply came */
};
#define OUTCOMES 4

/* What a stream wants when the outcome is unknown. */
enum unknown_policy {
    UNKNOWN_RETRY,            /* send again: a copy may arrive twice, and the ledger says so */
    UNKNOWN_HOLD,             /* wait for a person or for a later sign */
    UNKNOWN_ASSUME_DELIVERED, /* never send twice */
};

const char *outcome_name(enum outcome outcome); /* "delivered", ... */
const char *unknown_policy_name(enum unknown_policy policy);
MUST_USE bool unknown_policy_parse(struct slice text, enum unknown_policy *policy_out);

/* The outcome that a reply code means: 2xx, 4xx, 5xx; anything else is no answer at all, which is
 * `unknown` if the dot was sent and `deferred` if not. */
enum outcome outcome_of_reply(unsigned code, bool dot_sent);

#endif
