/* mta/bounce/policy.h -- when failures end in suppression, and for whom.
 *
 *     category + settings --bounce_policy_of()--> so many failures in so many days, scope, for how
 * long
 *
 * The taxonomy (lib/bounce) gives the thresholds; the setting `suppress` changes them. Faults of
 * the address count in every stream; refusals by a person or their filter only in the stream that
 * was refused, and a complaint in the stream that was complained about. Faults of the sender's side
 * never count. */
#ifndef MTA_BOUNCE_POLICY_H
#define MTA_BOUNCE_POLICY_H

#include "lib/bounce/classify.h"

struct bounce_policy {
    struct bounce_threshold by_category[BOUNCE_CATEGORIES];
};

void bounce_policy_init(struct bounce_policy *p); /* the taxonomy's */
/* One word of the setting: "mailbox_full 3/7d", "undetermined never", "mailbox_inactive at_once".
 * ERR_SYNTAX with a sentence. A category on the sender's side can only be "never". */
MUST_USE int bounce_policy_set(struct bounce_policy *p, struct slice text, struct err *e);

/* What one failure with this verdict asks for; count 0: it is not counted. A stricter threshold in
 * the verdict (a delay, a 4xx) wins over the policy. */
struct bounce_threshold bounce_policy_of(const struct bounce_policy *p,
                                         const struct bounce_verdict *verdict);
/* Whether it counts in every stream. */
bool bounce_is_global(enum bounce_category category);
/* The sender's side: nothing about the address can be learned from it. */
bool bounce_is_ours(enum bounce_category category);

#endif
