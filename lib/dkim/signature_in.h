/* lib/dkim/signature_in.h -- one signature field taken apart: DKIM-Signature (RFC 6376 3.5),
 * ARC-Message-Signature or ARC-Seal (RFC 8617 4.1). */
#ifndef LIB_DKIM_SIGNATURE_IN_H
#define LIB_DKIM_SIGNATURE_IN_H

#include "lib/dkim/fields_in.h"
#include "lib/dkim/verify.h"

#define DKIM_NAMES_MAX 2048  /* names in one h= */
#define ARC_INSTANCES_MAX 50 /* RFC 8617 4.2.1 */

enum dkim_field_kind { FIELD_DKIM_SIGNATURE, FIELD_ARC_MESSAGE, FIELD_ARC_SEAL };

/* All slices point into the field. */
struct dkim_signature {
    enum dkim_field_kind kind;
    struct slice domain, selector, identity, algorithm_text;
    enum dkim_algorithm algorithm;
    enum canon header_canon, body_canon;
    bool has_limit;
    uint64_t limit;     /* CANON_NO_LIMIT without l= */
    struct slice names; /* h= */
    struct slice b;     /* value of b= */
    struct slice b_span;
    uint8_t body_hash[CRYPT_DIGEST_MAX_BYTES];
    size_t body_hash_n;  /* SIZE_MAX when it is longer than any digest */
    bool expired;        /* only by x= */
    bool identity_below; /* i= is in a subdomain of d= */
    unsigned instance;   /* ARC only */
    struct slice cv;     /* ARC-Seal only */
};

/* Reads and judges syntax and time. What could be read is in `signature_out` even if -1 comes back
 * with the reason. `scratch` is overwritten. */
MUST_USE int dkim_signature_read(enum dkim_field_kind kind, const struct dkim_field *field,
                                 const struct dkim_verify_options *options, struct buf *scratch,
                                 struct dkim_signature *signature_out, struct err *err);

/* Which hash the algorithm uses. */
enum crypt_hash_kind dkim_signature_hash(const struct dkim_signature *signature);

/* Appends everything of the header that a DKIM-Signature or ARC-Message-Signature covers, itself
 * included. */
void dkim_signature_covered(const struct dkim_signature *signature, struct dkim_fields *fields,
                            const struct dkim_field *own, struct buf *scratch, struct buf *out);

#endif
