/* lib/spf/record.h -- the grammar of an SPF record (RFC 7208 12), without DNS.
 *
 *     TXT --spf_record_is()--> "v=spf1 ..." --spf_record_parse()--> checked record
 *                                             spf_record_next() --> one term after the other
 *
 * The whole record is checked before any of it is used (RFC 7208 4.6). Nothing is copied. */
#ifndef LIB_SPF_RECORD_H
#define LIB_SPF_RECORD_H

#include "base/ip.h"

enum spf_result { /* RFC 7208 2.6 */
                  SPF_NONE,
                  SPF_NEUTRAL,
                  SPF_PASS,
                  SPF_FAIL,
                  SPF_SOFTFAIL,
                  SPF_TEMPERROR,
                  SPF_PERMERROR,
};
const char *spf_result_text(enum spf_result r); /* "none", "neutral", ... */

enum spf_kind {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
    SPF_EXP,
    SPF_OTHER, /* a modifier that is not known: ignored (RFC 7208 6) */
};

struct spf_term {
    enum spf_kind kind;
    enum spf_result qualifier; /* of a mechanism: what a match means */
    struct slice text;         /* the term as it stands in the record */
    struct slice domain;       /* domain-spec, macros unexpanded; empty if there is none */
    struct ip_address network; /* ip4, ip6 */
    unsigned bits4, bits6;     /* prefix lengths; 32 and 128 when none is written */
};

struct spf_record {
    struct slice terms; /* what follows the version */
    struct spf_term redirect, exp;
    bool has_redirect, has_exp, has_all;
    size_t count; /* of terms */
};

/* Begins with "v=spf1" (any case) and then ends or goes on with a space (RFC 7208 4.5). */
bool spf_record_is(struct slice txt);

/* Checks a whole record for which spf_record_is() holds. ERR_SYNTAX with a sentence about the term
 * that is wrong: permerror. Slices point into `text`. */
MUST_USE int spf_record_parse(struct slice text, struct spf_record *record_out, struct err *e);

/* Cuts the next term off `*rest` (begin with record.terms). False at the end. Only for records that
 * were parsed without error. */
bool spf_record_next(struct slice *rest, struct spf_term *term_out);

/* One term by itself. */
MUST_USE int spf_term_parse(struct slice text, struct spf_term *term_out, struct err *e);

/* The term costs one of the ten lookups (RFC 7208 4.6.4). */
bool spf_term_is_lookup(const struct spf_term *t);

#endif
