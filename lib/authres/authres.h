/* lib/authres/authres.h -- the Authentication-Results field (RFC 8601): read, write, strip.
 *
 *     field value --authres_parse()--> struct authres --authres_write()--> field
 *     header      --authres_forged()--> the fields that claim to be ours, last to first
 *
 * Reads what others write: values that should be quoted and are not, and comments anywhere, nested.
 * Only what was written by a host that we trust means anything; everything else is a claim. */
#ifndef LIB_AUTHRES_AUTHRES_H
#define LIB_AUTHRES_AUTHRES_H

#include "base/arena.h"
#include "lib/message/header.h"

#define AUTHRES_RESULTS_MAX 200    /* of one field */
#define AUTHRES_PROPERTIES_MAX 100 /* of one result */
#define AUTHRES_VALUE_MAX 512      /* octets that are written of a value or comment */

struct authres_property { /* "smtp.mailfrom=u@example.com" */
    struct authres_property *next;
    struct slice type, name, value; /* "smtp", "mailfrom", unquoted value */
};
struct authres_result { /* "spf=pass reason=... smtp.mailfrom=..." */
    struct authres_result *next;
    struct slice method;  /* "spf", "dkim", ... as written */
    unsigned version;     /* of the method; 1 when none is written */
    struct slice result;  /* "pass", ... as written */
    struct slice reason;  /* unquoted; empty for none */
    struct slice comment; /* to be written behind the result; not read */
    struct authres_property *properties;
};
struct authres {
    struct slice authserv_id;       /* unquoted */
    unsigned version;               /* 1 when none is written */
    struct authres_result *results; /* NULL for "none" */
};

/* Reads the value of a field; everything is owned by `arena` or points into `value`. ERR_SYNTAX
 * says what is wrong and where; a version other than 1 is that too (RFC 8601 2.2). ERR_LIMIT. */
MUST_USE int authres_parse(struct slice value, struct arena *arena, struct authres *authres_out,
                           struct err *e);

/* Appends the field, folded before every result and property, with its CR LF. Values are quoted as
 * needed, bytes that no field may hold become '?', and what is long is cut. `name`:
 * "Authentication-Results", or the ARC field's, whose "i=1; " is given as `instance` (0: none). */
void authres_write(const struct authres *a, const char *name, unsigned instance, struct buf *out);

/* The value of a property ("smtp", "mailfrom"); empty if absent. Case is ignored. */
struct slice authres_property(const struct authres_result *r, const char *type, const char *name);

/* Whether a field's value claims to come from `authserv_id`, or hides from whom (it cannot be read
 * that far, or its name holds a control character, which others may skip): such a field is removed
 * from what strangers send (RFC 8601 5). U-labels and A-labels of a name are the same. */
bool authres_claims(struct slice value, struct slice authserv_id);

/* Appends the header block without the Authentication-Results fields that claim to be ours; returns
 * how many were left out. Fields are taken as they stand, so nothing else changes. */
size_t authres_strip(const struct header *h, struct slice authserv_id, struct buf *out);

/* The indexes of those fields in `h`, from the last to the first, so that removing one by one moves
 * none that is still to go. At most `max`; returns how many there are in `indexes_out`. */
size_t authres_forged(const struct header *h, struct slice authserv_id, size_t *indexes_out,
                      size_t max);

#endif
