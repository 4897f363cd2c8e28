/* lib/dmarc/eval.h -- DMARC of one message (RFC 9989 4.10, 5.3) as a step machine.
 *
 *     dmarc_start(author domain, what SPF and DKIM passed) --> STEP_WAIT --> dmarc_question()
 *     dmarc_answer(answer) --> STEP_WAIT ... STEP_DONE --> dmarc_outcome()
 *
 * The tree is walked for the author's domain and for each identifier that could align; a name is
 * asked for once. A DNS failure is neither pass nor fail: it is temperror, unless an identifier is
 * aligned without that answer. */
#ifndef LIB_DMARC_EVAL_H
#define LIB_DMARC_EVAL_H

#include "lib/dmarc/record.h"
#include "lib/dnsmsg/record.h"

#define DMARC_IDENTIFIERS_MAX                                                                      \
    20 /* different ones below the author's top level; no more are tried */

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
const char *dmarc_result_text(enum dmarc_result r);

struct dmarc_request {
    struct slice author_domain; /* of the From field, as A-labels */
    const struct slice *dkim;   /* d= of the signatures that passed, as A-labels */
    size_t dkim_count;
    const struct slice *spf; /* the domain that SPF passed for; usually one, or none */
    size_t spf_count;
    /* Names whose SPF or DKIM is open, because DNS did not answer. They may yet make the message
     * pass, so that it does not fail (RFC 9989 5.3.6). */
    const struct slice *dkim_open, *spf_open;
    size_t dkim_open_count, spf_open_count;
    const char *no_author; /* a sentence: why author_domain is empty; may be NULL */
};

struct dmarc_outcome {
    enum dmarc_result result;
    struct slice author_domain;         /* lower case */
    struct slice organizational_domain; /* lower case; empty only if the author's is no name */
    struct slice policy_domain;         /* where the policy stands; empty if there is none */
    struct dmarc_record record;         /* text empty if there is none */
    enum dmarc_policy policy;           /* what applies to this domain, after sp, np and t=y */
    enum dmarc_policy disposition;      /* what to do with this message: none if it passes */
    const char *policy_tag;             /* "p", "sp" or "np": where the policy came from */
    bool dkim_aligned, spf_aligned;
    struct slice aligned; /* the identifier that made it pass */
    struct slice reason;  /* a sentence */
};

struct dmarc; /* opaque */

struct dmarc *dmarc_create(void);
void dmarc_destroy(struct dmarc **d); /* NULL is fine; writes NULL back */

/* Begins anew. The request's slices are copied. */
MUST_USE enum step dmarc_start(struct dmarc *d, const struct dmarc_request *request);
struct dns_question dmarc_question(const struct dmarc *d);
MUST_USE enum step dmarc_answer(struct dmarc *d, const struct dns_answer *answer);

/* After STEP_DONE, until the next dmarc_start(). */
const struct dmarc_outcome *dmarc_outcome(const struct dmarc *d);

/* The names that were asked for, in order. */
size_t dmarc_queried(const struct dmarc *d, const struct slice **names_out);

#endif
