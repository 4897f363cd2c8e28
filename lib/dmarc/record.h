/* lib/dmarc/record.h -- a DMARC policy record (RFC 9989 4.7, 4.8; RFC 7489 records as found).
 *
 * Unknown tags and values that break their grammar are left out, as RFC 9989 4.8 wants; only the
 * version decides whether a TXT record is one of ours. Slices point into the record's text. */
#ifndef LIB_DMARC_RECORD_H
#define LIB_DMARC_RECORD_H

#include "base/base.h"

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
const char *dmarc_policy_text(enum dmarc_policy p); /* "none", "quarantine", "reject" */

enum dmarc_tag_state { DMARC_TAG_ABSENT, DMARC_TAG_VALID, DMARC_TAG_BROKEN };

struct dmarc_request_tag { /* p, sp, np */
    enum dmarc_tag_state state;
    enum dmarc_policy policy; /* when valid */
};

struct dmarc_record {
    struct slice text;
    struct dmarc_request_tag p, sp, np;
    bool adkim_strict, aspf_strict;
    bool testing;          /* t=y */
    char psd;              /* 'y', 'n', or 'u' */
    struct slice rua, ruf; /* as written */
    struct slice fo;
    unsigned old_tags; /* pct, rf, ri: known to RFC 7489, ignored by RFC 9989 */
    unsigned bad_tags; /* tags of RFC 9989 whose value breaks its grammar, or said twice */
    unsigned unknown_tags;
};

/* The first tag is "v" with exactly "DMARC1" (case-sensitive). */
bool dmarc_record_is(struct slice txt);

/* Reads a record for which dmarc_record_is() holds. */
struct dmarc_record dmarc_record_parse(struct slice txt);

/* Takes the next report address of `*list` (rua or ruf): a URI without the obsolete size limit
 * ("!10m"). Skips what is no URI. False at the end. */
bool dmarc_uri_next(struct slice *list, struct slice *uri_out);

/* RFC 9989 4.10.1: what the record asks for, once its validity is judged. False: the record is to
 * be treated as if it were not there. A record with a broken p, sp or np but with a report address
 * counts as p=none, and is changed to that. */
MUST_USE bool dmarc_record_settle(struct dmarc_record *r);

#endif
