/* lib/verdict/verdict.h -- all the proofs of one message, judged together: SPF, DKIM, ARC, DMARC.
 *
 *     verdict_begin(client, envelope, header)
 *     verdict_body() ... verdict_finish()                  while the body still arrives:
 *     verdict_question() --> DNS --> verdict_answer()      SPF, DKIM and ARC side by side, then
 *     verdict_step() --> STEP_DONE                         DMARC on what they passed
 *         --> verdict_spf(), verdict_dkim(), verdict_arc(), verdict_dmarc()
 *         --> verdict_results_field(), verdict_received_spf()
 *
 * It is begun again for each message; memory and parsed keys are kept. One thread. The door, the
 * toolbox and libwaybill all judge by it. ARC is "none" where the build leaves it out. */
#ifndef LIB_VERDICT_VERDICT_H
#define LIB_VERDICT_VERDICT_H

#include "lib/dkim/verify.h"
#include "lib/dmarc/eval.h"
#include "lib/spf/eval.h"

/* Of helo, sender and our name; of more, one octet is kept, so that SPF sees that it is too long.
 */
#define VERDICT_NAME_MAX_BYTES SPF_IDENTITY_MAX

struct verdict_options {
    struct dkim_keys *keys; /* as struct dkim_verify_options has it; may be NULL */
    bool allow_sha1;
    unsigned min_rsa_bits; /* 0: 1024 */
};

/* Who handed the message over, and how. The slices are copied. */
struct verdict_request {
    struct ip_address client; /* IP_NONE: unknown, then SPF is "none" */
    struct slice helo;
    struct slice mail_from; /* without brackets; empty: the null sender */
    struct slice receiver;  /* our own name */
    int64_t unix_s;
};

struct verdict_arc {
    const char *result; /* "none", "pass", "fail" */
    const char *reason; /* a sentence */
    unsigned instances;
    bool closed;         /* the newest seal says cv=fail: add no other */
    bool temporary;      /* "fail" because DNS did not answer */
    struct slice sealer; /* d= of the newest seal */
};

struct verdict; /* opaque */

/* `options` is copied; NULL is all zero. */
struct verdict *verdict_create(const struct verdict_options *options);
void verdict_destroy(struct verdict **v); /* NULL is fine; writes NULL back */

/* Starts a message. `header` is its header block with CR LF, borrowed until the next begin or
 * destroy. ERR_LIMIT: a ceiling of lib/dkim or lib/message. After an error begin again. */
MUST_USE int verdict_begin(struct verdict *v, const struct verdict_request *request,
                           struct slice header, struct err *e);
/* The body, cut anywhere, CR LF, not dot-stuffed; then its end. */
void verdict_body(struct verdict *v, struct slice bytes);
void verdict_finish(struct verdict *v);

/* The next question that was not handed out yet; false when there is none now. There may be more
 * after an answer and after verdict_finish(). The name is good until its answer. */
bool verdict_question(struct verdict *v, uint64_t *id_out, struct dns_question *question_out);
/* The answer to question `id`, borrowed for this call. In any order, once each. */
void verdict_answer(struct verdict *v, uint64_t id, const struct dns_answer *answer);
/* STEP_DONE: everything below may be asked; until the next begin. */
enum step verdict_step(struct verdict *v);

const struct spf_outcome *verdict_spf(const struct verdict *v);
size_t verdict_dkim_count(const struct verdict *v);
const struct dkim_verdict *verdict_dkim(const struct verdict *v, size_t i);
const struct verdict_arc *verdict_arc(const struct verdict *v);
const struct dmarc_outcome *verdict_dmarc(const struct verdict *v);
/* The domain of From as A-labels; empty if there is not exactly one From field with addresses of
 * one domain (RFC 9989 5.3.1). */
struct slice verdict_author(const struct verdict *v);

/* Appends the Authentication-Results field (RFC 8601) with its CR LF, by `authserv_id`. */
void verdict_results_field(struct verdict *v, struct slice authserv_id, struct buf *out);
/* Appends the Received-SPF field (RFC 7208 9.1) with its CR LF. Nothing if the client is unknown.
 */
void verdict_received_spf(const struct verdict *v, struct buf *out);

#endif
