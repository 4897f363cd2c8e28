/* lib/dkim/sign.h -- makes the DKIM signatures of a message (RFC 6376, 8301, 8463) without keys.
 *
 *     header block --> dkim_signer_begin()
 *     body chunks  --> dkim_signer_body() ...         one pass, one hash for all signatures
 *                      dkim_signer_finish()
 *     for each i:      dkim_signer_digest(i)          32 octets: a question for whoever has the key
 *     raw signature -> dkim_signer_answer(i)
 *                      dkim_signer_write()            the DKIM-Signature fields, folded, CR LF
 *
 * A signer is made once and begun again for each message; its buffers and hashes stay. It is used
 * by one thread at a time. Whoever calls crypt_key_sign() on the digest answers for both
 * algorithms: rsa-sha256 and ed25519-sha256 sign the same kind of digest. */
#ifndef LIB_DKIM_SIGN_H
#define LIB_DKIM_SIGN_H

#include "lib/dkim/algorithm.h"
#include "lib/message/canon.h"

#define DKIM_SIGNER_SIGNATURES_MAX 8
#define DKIM_SIGNER_FIELDS_MAX 4096           /* header fields of one message */
#define DKIM_SIGNER_HEADER_MAX_BYTES 1048576u /* the header block, and what we build from it */

/* One signature to make. The slices are borrowed until dkim_signer_write(). */
struct dkim_sign_spec {
    struct slice domain;           /* d=; A-labels, no dot at the end */
    struct slice selector;         /* s= */
    struct slice identity;         /* i=, "user@sub.domain" in A-labels and ASCII; empty: none */
    enum dkim_algorithm algorithm; /* not DKIM_RSA_SHA1 (RFC 8301) */
    enum canon header_canon, body_canon;
};

struct dkim_sign_options {
    const struct dkim_sign_spec *specs;
    size_t spec_count;    /* 1 to DKIM_SIGNER_SIGNATURES_MAX */
    int64_t signed_at_s;  /* t=, Unix time; below 0: no tag */
    int64_t expires_at_s; /* x=; 0 or less: no tag; otherwise after signed_at_s */
    /* Names of fields to sign, each as often as it occurs. NULL: dkim_sign_fields. */
    const struct slice *fields;
    size_t field_count;
    /* Names to list once more than they occur, so that none can be added (RFC 6376 8.15). NULL:
     * dkim_oversign_fields. Need not be in `fields`. From is always signed and oversigned. */
    const struct slice *oversign;
    size_t oversign_count;
};

/* The defaults: the fields of RFC 6376 5.4.1 with MIME and list fields; From, To, Subject, Date,
 * Message-ID are the oversigned ones. */
extern const struct slice dkim_sign_fields[];
extern const size_t dkim_sign_field_count;
extern const struct slice dkim_oversign_fields[];
extern const size_t dkim_oversign_field_count;

struct dkim_signer; /* opaque */

struct dkim_signer *dkim_signer_create(void);
void dkim_signer_destroy(struct dkim_signer **s); /* NULL is fine; writes NULL back */

/* Starts a message. `header` is the header block as it will be sent: fields with CR LF, with or
 * without the empty line behind it; the names and values that matter are canonicalised here, so it
 * need not outlive the call. ERR_SYNTAX: no From field, a bad domain or selector, bad options;
 * ERR_LIMIT: a ceiling above. After an error nothing but begin or destroy may be called. */
MUST_USE int dkim_signer_begin(struct dkim_signer *s, const struct dkim_sign_options *options,
                               struct slice header, struct err *err);

/* The body, cut anywhere, CR LF, not dot-stuffed. */
void dkim_signer_body(struct dkim_signer *s, struct slice bytes);
/* The end of the body: the digests are there now. */
void dkim_signer_finish(struct dkim_signer *s);

size_t dkim_signer_count(const struct dkim_signer *s);
/* The SHA-256 digest to be signed for signature `i`; 32 octets, valid until the next begin. */
struct slice dkim_signer_digest(const struct dkim_signer *s, size_t i);
/* The raw signature over digest `i`; copied. An unanswered one is left out of the output. */
MUST_USE int dkim_signer_answer(struct dkim_signer *s, size_t i, struct slice signature,
                                struct err *err);
/* Appends the finished fields, the first spec on top, each "DKIM-Signature: ...\r\n". ERR_LIMIT if
 * `out` is too small or nothing was answered. */
MUST_USE int dkim_signer_write(const struct dkim_signer *s, struct buf *out, struct err *err);

#endif
