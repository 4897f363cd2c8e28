/* lib/spf/eval.h -- check_host() of RFC 7208 as a step machine.
 *
 *     spf_start(request) --> STEP_WAIT --> spf_question() --> the caller asks DNS
 *                               ^                                   |
 *                               +--------- spf_answer(answer) <-----+
 *     STEP_DONE --> spf_outcome()
 *
 * One evaluator is used for one message after the other; its memory is kept. There is no clock and
 * no DNS in it, and it cannot loop: terms, void lookups, names and depth are limited together,
 * across includes (RFC 7208 4.6.4). */
#ifndef LIB_SPF_EVAL_H
#define LIB_SPF_EVAL_H

#include "lib/dnsmsg/record.h"
#include "lib/spf/record.h"

#define SPF_LOOKUPS_MAX 10    /* terms that ask DNS */
#define SPF_VOIDS_MAX 2       /* answers without records */
#define SPF_NAMES_MAX 10      /* hosts of one mx, names of one PTR */
#define SPF_IDENTITY_MAX 1024 /* octets of a sender or HELO name; what is longer is "none" */

struct spf_request {
    struct ip_address client; /* IPv4-mapped addresses are taken as IPv4 */
    struct slice helo;        /* domains may be U-labels; A-labels are looked up (RFC 8616 4) */
    struct slice mail_from;   /* without brackets; empty: the null sender, postmaster@helo */
    struct slice receiver;    /* our own name, for %{r}; may be empty */
    int64_t unix_s;           /* for %{t} */
    bool trace;               /* keep every term that was looked at, see spf_visits() */
};

struct spf_outcome {
    enum spf_result result;
    struct slice domain;      /* whose record was checked, in A-labels */
    const char *identity;     /* "mailfrom" or "helo" */
    struct slice mechanism;   /* the term that decided, as in the record; "default" for none; empty
                                 where the record was not evaluated */
    struct slice explanation; /* of the domain's owner, for SPF_FAIL; empty if there is none */
    struct slice reason;      /* a sentence: why none, temperror or permerror */
    unsigned lookups, void_lookups;
};

/* One term that was looked at, in order. */
struct spf_visit {
    struct spf_visit *next;
    unsigned depth;      /* 0: the domain's own record; includes lie deeper */
    struct slice domain; /* whose record the term stands in */
    struct slice term;   /* "record" visits have the whole record here */
    struct slice note;   /* what came of it: "no match", "match", "include said fail", ... */
    bool is_record;
};

struct spf; /* opaque */

struct spf *spf_create(void);
void spf_destroy(struct spf **s); /* NULL is fine; writes NULL back */

/* Begins anew. The request's slices are copied. STEP_WAIT or STEP_DONE. */
MUST_USE enum step spf_start(struct spf *s, const struct spf_request *request);

/* What is asked now; valid until the answer. */
struct dns_question spf_question(const struct spf *s);

/* Answers it. The answer need not outlive the call. */
MUST_USE enum step spf_answer(struct spf *s, const struct dns_answer *answer);

/* After STEP_DONE, until the next spf_start(). */
const struct spf_outcome *spf_outcome(const struct spf *s);
const struct spf_visit *spf_visits(const struct spf *s);

/* Appends a Received-SPF field (RFC 7208 9.1), folded, with its CR LF. Long values are cut. */
void spf_received_field(const struct spf_outcome *o, const struct spf_request *request,
                        struct buf *out);

#endif
