/* lib/dkim/verify.h -- judges all DKIM signatures of a message (RFC 6376 6, 8301, 8463).
 *
 *     header block --> dkim_verifier_begin()
 *     body chunks  --> dkim_verifier_body() ... dkim_verifier_finish()     one pass for all
 *                      dkim_verifier_question() --> DNS --> dkim_verifier_answer()
 *                      dkim_verifier_step() --> STEP_DONE --> dkim_verifier_verdict(i)
 *
 * Questions may be asked as soon as the header is there, while the body still arrives. Each
 * signature is judged alone, in the order syntax, time, key, hashes: a broken one never spoils the
 * others. A verifier is begun again for each message; parsed keys stay in its cache. One thread. */
#ifndef LIB_DKIM_VERIFY_H
#define LIB_DKIM_VERIFY_H

#include "lib/dkim/algorithm.h"
#include "lib/dkim/record.h"
#include "lib/dnsmsg/record.h"

#define DKIM_SIGNATURES_MAX                                                                        \
    50 /* of one message; one DKIM_PERMERROR stands for all further ones                           \
        */
#define DKIM_HEADER_MAX_BYTES (4u << 20)
#define DKIM_HEADER_FIELDS_MAX 10000
#define DKIM_RECORDS_MAX 4    /* TXT records of one name that are tried (RFC 6376 6.1.2) */
#define DKIM_CLOCK_SKEW_S 300 /* how far t= may lie ahead of us */

enum dkim_result {
    DKIM_PASS,
    DKIM_FAIL,      /* a hash or the signature does not match */
    DKIM_TEMPERROR, /* no answer about the key; later there may be one */
    DKIM_PERMERROR, /* syntax, time, or a key that is missing or cannot be used */
};
const char *dkim_result_name(enum dkim_result result); /* "pass", ..., as in RFC 8601 */

/* What stood in the way, for those who give advice; `reason` says it in words. */
enum dkim_problem {
    DKIM_PROBLEM_NONE,
    DKIM_PROBLEM_SYNTAX, /* the field itself, or a ceiling of ours */
    DKIM_PROBLEM_EXPIRED,
    DKIM_PROBLEM_NO_ANSWER,
    DKIM_PROBLEM_NO_KEY,
    DKIM_PROBLEM_BAD_KEY, /* it cannot be read, or is not for this signature */
    DKIM_PROBLEM_REVOKED,
    DKIM_PROBLEM_SHORT_KEY,
    DKIM_PROBLEM_BODY,      /* was changed */
    DKIM_PROBLEM_SIGNATURE, /* a signed field was changed, or the key is another one */
};

struct dkim_verify_options {
    int64_t now_unix_s;
    bool allow_sha1;        /* judge rsa-sha1 as if RFC 8301 were not there */
    unsigned min_rsa_bits;  /* 0: 1024 (RFC 8301 3.2) */
    struct dkim_keys *keys; /* a cache to share, which must outlive the verifier; NULL: its own */
};

struct dkim_verdict {
    enum dkim_result result;
    struct slice domain, selector; /* d= and s= as written, empty if unreadable */
    struct slice identity;         /* i= as written, or empty */
    struct slice algorithm;        /* a= as written */
    bool has_limit;                /* l= is there: what lies behind is not covered */
    uint64_t limit;
    bool testing;      /* the key says t=y */
    unsigned key_bits; /* 0 if there was no key */
    enum dkim_problem problem;
    const char *reason; /* a sentence; for DKIM_PASS too */
};

struct dkim_verifier; /* opaque */

/* `options` is copied. */
struct dkim_verifier *dkim_verifier_create(const struct dkim_verify_options *options);
void dkim_verifier_destroy(struct dkim_verifier **v); /* NULL is fine; writes NULL back */
void dkim_verifier_set_now(struct dkim_verifier *v, int64_t now_unix_s);

/* Starts a message. `header` is its header block with CR LF, with or without the empty line; it is
 * borrowed until the next begin or destroy. ERR_LIMIT for a ceiling above. */
MUST_USE int dkim_verifier_begin(struct dkim_verifier *v, struct slice header, struct err *err);

/* The body, cut anywhere, CR LF, not dot-stuffed; then its end. */
void dkim_verifier_body(struct dkim_verifier *v, struct slice bytes);
void dkim_verifier_finish(struct dkim_verifier *v);

/* The next question that was not handed out yet; false when there is none. The name is owned by the
 * verifier until the next begin. Two signatures with one key ask once. */
bool dkim_verifier_question(struct dkim_verifier *v, size_t *id_out,
                            struct dns_question *question_out);
/* The answer to question `id`; borrowed for this call. Answers come in any order, once each. */
void dkim_verifier_answer(struct dkim_verifier *v, size_t id, const struct dns_answer *answer);

/* STEP_WAIT until the body ended and all questions are answered; STEP_DONE: the verdicts are there.
 */
enum step dkim_verifier_step(struct dkim_verifier *v);

/* One for each DKIM-Signature field, from the top; valid until the next begin. Where there are more
 * than DKIM_SIGNATURES_MAX, one more tells so. */
size_t dkim_verifier_count(const struct dkim_verifier *v);
const struct dkim_verdict *dkim_verifier_verdict(const struct dkim_verifier *v, size_t i);

#endif
