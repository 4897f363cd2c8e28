/* lib/dmarc/destination.h -- may a report be sent to this address (RFC 9990 4)? A step machine.
 *
 *     rua of a policy --dmarc_uri_next()--> "mailto:..." --start--> STEP_WAIT --> question
 *                                     answer --> STEP_WAIT ... STEP_DONE --> outcome
 *
 * Inside the policy's own organization: yes. Elsewhere the destination must say so at
 * POLICY-DOMAIN._report._dmarc.DESTINATION, and may name another address of the same host. */
#ifndef LIB_DMARC_DESTINATION_H
#define LIB_DMARC_DESTINATION_H

#include "lib/dmarc/eval.h"

enum dmarc_consent {
    DMARC_CONSENT_GIVEN,
    DMARC_CONSENT_MISSING, /* or the URI is none that we can send to */
    DMARC_CONSENT_UNKNOWN, /* DNS gave no answer: ask again later */
};

struct dmarc_destination_outcome {
    enum dmarc_consent consent;
    struct slice address; /* where to send: local@domain */
    struct slice reason;  /* a sentence */
};

struct dmarc_destination; /* opaque */

struct dmarc_destination *dmarc_destination_create(void);
void dmarc_destination_destroy(struct dmarc_destination **d); /* NULL is fine; writes NULL back */

/* Begins anew. The slices are copied. */
MUST_USE enum step dmarc_destination_start(struct dmarc_destination *d, struct slice policy_domain,
                                           struct slice uri);
struct dns_question dmarc_destination_question(const struct dmarc_destination *d);
MUST_USE enum step dmarc_destination_answer(struct dmarc_destination *d,
                                            const struct dns_answer *answer);
/* After STEP_DONE, until the next start. */
const struct dmarc_destination_outcome *
dmarc_destination_outcome(const struct dmarc_destination *d);

/* The address in a mailto: URI (RFC 6068), percent-encoding undone, without its query: appended to
 * `out`. False: another scheme, several addresses, or no address that SMTP could carry. */
MUST_USE bool dmarc_mailto_address(struct slice uri, struct buf *out);

#endif
