/* lib/dkim/arc.h -- the Authenticated Received Chain (RFC 8617): verify it, add a set to it.
 *
 *     verifier: begin(header), body, finish, question/answer, step --> struct arc_verdict
 *     sealer:   begin, body, finish(header, verdict, results)
 *               --> digest of the message signature --> answer --> digest of the seal --> answer
 *               --> write: ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results
 *
 * The same machine as lib/dkim/verify.h and sign.h, with the same rules about who owns what. The
 * build may leave it out (-Darc=false): nothing else depends on it. */
#ifndef LIB_DKIM_ARC_H
#define LIB_DKIM_ARC_H

#include "lib/dkim/sign.h"
#include "lib/dkim/verify.h"

#define ARC_SETS_MAX 50 /* RFC 8617 4.2.1 */

enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL };
const char *arc_result_name(enum arc_result result); /* "none", "pass", "fail" */

struct arc_verdict {
    enum arc_result result;
    unsigned instances;  /* the highest instance; 0 for none */
    bool broken_before;  /* the newest seal itself says cv=fail: add no other (RFC 8617 5.1) */
    bool temporary;      /* ARC_FAIL because DNS did not answer */
    struct slice sealer; /* d= of the newest seal, as written; empty if unreadable */
    const char *reason;  /* a sentence */
};

struct arc_verifier; /* opaque */

struct arc_verifier *arc_verifier_create(const struct dkim_verify_options *options);
void arc_verifier_destroy(struct arc_verifier **v);
void arc_verifier_set_now(struct arc_verifier *v, int64_t now_unix_s);
/* As dkim_verifier_begin() and the rest. */
MUST_USE int arc_verifier_begin(struct arc_verifier *v, struct slice header, struct err *err);
void arc_verifier_body(struct arc_verifier *v, struct slice bytes);
void arc_verifier_finish(struct arc_verifier *v);
bool arc_verifier_question(struct arc_verifier *v, size_t *id_out,
                           struct dns_question *question_out);
void arc_verifier_answer(struct arc_verifier *v, size_t id, const struct dns_answer *answer);
enum step arc_verifier_step(struct arc_verifier *v);
/* After STEP_DONE; valid until the next begin. */
const struct arc_verdict *arc_verifier_verdict(const struct arc_verifier *v);

struct arc_seal_options {
    struct slice domain, selector; /* d=, s= */
    enum dkim_algorithm algorithm; /* not DKIM_RSA_SHA1 */
    struct slice results; /* what follows "i=N; " in ARC-Authentication-Results: our name and the
                             results, "mx.example; spf=pass ..."; may be folded with CR LF */
    int64_t signed_at_s;  /* t= */
    struct arc_verdict chain;   /* what the verifier said about the message as it came */
    const struct slice *fields; /* to sign; NULL: dkim_sign_fields and DKIM-Signature */
    size_t field_count;
};

struct arc_sealer; /* opaque */

struct arc_sealer *arc_sealer_create(void);
void arc_sealer_destroy(struct arc_sealer **s);
void arc_sealer_begin(struct arc_sealer *s);
void arc_sealer_body(struct arc_sealer *s, struct slice bytes);
/* What the chain is worth is known when the body has been seen, so the options come last. `header`
 * is the header block as it leaves us, without the set that is made now; it and the slices of
 * `options` are borrowed until the last answer. ERR_SYNTAX for bad options; ERR_FOUND when the
 * chain is closed (the newest seal says cv=fail); ERR_LIMIT when it has ARC_SETS_MAX sets; ERR_TEMP
 * when it could not be judged. */
MUST_USE int arc_sealer_finish(struct arc_sealer *s, const struct arc_seal_options *options,
                               struct slice header, struct err *err);
/* The digest that is to be signed next; empty when both were answered. */
struct slice arc_sealer_digest(const struct arc_sealer *s);
MUST_USE int arc_sealer_answer(struct arc_sealer *s, struct slice signature, struct err *err);
/* Appends the three fields, to be put on top of the message. */
MUST_USE int arc_sealer_write(const struct arc_sealer *s, struct buf *out, struct err *err);

#endif
