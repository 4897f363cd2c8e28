/* waybill/verify.h -- judges a message by SPF (RFC 7208), DKIM (RFC 6376, 8301, 8463), ARC (RFC
 * 8617) and DMARC (RFC 9989). See waybill_verifier(3).
 *
 *     begin(client, envelope, header)       while the body arrives, and after it:
 *     body() ... finish()                   question() --> DNS --> answer()
 *     result()                              NULL as long as answers or body are missing
 *
 * A verifier is begun again for each message; parsed keys stay in its cache. */
#ifndef WAYBILL_VERIFY_H
#define WAYBILL_VERIFY_H

#include <waybill/dns.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who handed the message over. Strings are copied; NULL is as good as "". Later versions add
 * members at the end; 0 there is what it was before. */
struct waybill_verify_request {
    size_t struct_size;    /* sizeof(struct waybill_verify_request); 0: as in version 0.1 */
    const char *client_ip; /* IPv4 or IPv6 as text; NULL: unknown, then there is no SPF */
    const char *helo;
    const char *mail_from; /* without brackets; empty: the null sender */
    const char *receiver;  /* our own name, for Authentication-Results */
    int64_t unix_time;     /* now, in seconds since 1970 */
};

enum waybill_result {
    WAYBILL_NONE,
    WAYBILL_PASS,
    WAYBILL_FAIL,
    WAYBILL_SOFTFAIL,
    WAYBILL_NEUTRAL,
    WAYBILL_TEMPERROR,
    WAYBILL_PERMERROR,
};
/* "none", "pass", ... as RFC 8601 writes them. */
WAYBILL_API const char *waybill_result_name(enum waybill_result result);

/* What a DMARC record asks for: p=none, p=quarantine, p=reject. */
enum waybill_disposition { WAYBILL_ACCEPT, WAYBILL_QUARANTINE, WAYBILL_REJECT };

/* All of the following is made by the library only; later versions add members at the end. */
struct waybill_spf_result { /* RFC 7208 */
    enum waybill_result result;
    struct waybill_text domain;      /* whose record was checked */
    struct waybill_text mechanism;   /* the term that decided */
    struct waybill_text reason;      /* a sentence: why none, temperror or permerror */
    struct waybill_text explanation; /* of the domain's owner, for fail; may be empty */
    unsigned lookups, void_lookups;  /* against 10 and 2 (RFC 7208 4.6.4) */
    bool is_helo;                    /* the HELO name was checked, for want of a sender (2.4) */
};
struct waybill_dkim_result {                         /* RFC 6376, 8301, 8463 */
    enum waybill_result result;                      /* pass, fail, temperror or permerror */
    struct waybill_text domain, selector, algorithm; /* d=, s=, a= as written */
    struct waybill_text reason;                      /* a sentence; for pass, too */
    struct waybill_text identity;                    /* i= as written; may be empty */
    unsigned key_bits;                               /* 0: no key was found; 256 for Ed25519 */
    bool is_testing;     /* the key says t=y: treat it as unsigned (RFC 6376 3.6.1) */
    bool is_body_partly; /* l=: what lies behind may be anybody's */
};
struct waybill_verify_result {
    const struct waybill_spf_result *spf;
    const struct waybill_dkim_result *const *dkim; /* one for each signature, from the top */
    size_t dkim_count;       /* at most 51: one more than are judged tells that there are more */
    enum waybill_result arc; /* none, pass or fail (RFC 8617) */
    unsigned arc_instances;
    enum waybill_result dmarc;              /* RFC 9989; permerror: there is no one author */
    struct waybill_text author;             /* domain of the From field, A-labels; may be empty */
    struct waybill_text organization;       /* its organizational domain */
    struct waybill_text dmarc_reason;       /* a sentence */
    enum waybill_disposition policy;        /* what the domain asks for */
    enum waybill_disposition disposition;   /* what it asks for this message */
    struct waybill_text results_field;      /* "Authentication-Results: ...\r\n" */
    struct waybill_text received_spf_field; /* "Received-SPF: ...\r\n"; may be empty */
    struct waybill_text policy_domain;      /* whose DMARC record applies; empty if none does */
    bool spf_aligned, dkim_aligned;         /* passed for a domain that is the author's */
    struct waybill_text arc_reason;         /* a sentence */
    struct waybill_text arc_sealer;         /* d= of the newest seal */
};

struct waybill_verifier; /* opaque */

WAYBILL_CHECK struct waybill_verifier *waybill_verifier_create(void);
WAYBILL_API void waybill_verifier_destroy(struct waybill_verifier **v); /* writes NULL back */

/* Starts a message. `header` is its header block with CR LF line ends, with or without the empty
 * line behind it; borrowed until the next begin or destroy. -1: too large, or client_ip is no
 * address; the verifier then waits for another begin. What comes without a begin, or after the
 * finish, is not heard. */
WAYBILL_CHECK int waybill_verifier_begin(struct waybill_verifier *v,
                                         const struct waybill_verify_request *request,
                                         const char *header, size_t size,
                                         struct waybill_error *error);
/* The body, cut anywhere, with CR LF line ends, not dot-stuffed; then its end. */
WAYBILL_API void waybill_verifier_body(struct waybill_verifier *v, const char *bytes, size_t size);
WAYBILL_API void waybill_verifier_finish(struct waybill_verifier *v);

/* The next question that was not handed out yet; false when there is none now. An answer, or the
 * end of the body, may bring more. */
WAYBILL_CHECK bool waybill_verifier_question(struct waybill_verifier *v,
                                             struct waybill_dns_question *question_out);
/* Answers, in any order, each question once. `answer` is borrowed for this call. */
WAYBILL_API void waybill_verifier_answer(struct waybill_verifier *v, uint64_t id,
                                         const struct waybill_dns_answer *answer);
/* The same from a DNS response as res_nquery(3) or any resolver library returns it. -1 when it is
 * no response to that question: it then counts as WAYBILL_DNS_SERVFAIL. */
WAYBILL_API int waybill_verifier_answer_wire(struct waybill_verifier *v, uint64_t id,
                                             const void *response, size_t size,
                                             struct waybill_error *error);

/* The verdict, with all that it points to, good until the next begin; NULL until it is there. */
WAYBILL_API const struct waybill_verify_result *waybill_verifier_result(struct waybill_verifier *v);

#ifdef __cplusplus
}
#endif

#endif
