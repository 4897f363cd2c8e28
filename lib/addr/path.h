/* lib/addr/path.h -- the argument of MAIL FROM: and RCPT TO: (RFC 5321 4.1.2, RFC 6531 3.3).
 *
 *     "<@a,@b:user@example.org> SIZE=1000"
 *      -----------path---------                 source route: accepted, dropped
 */
#ifndef LIB_ADDR_PATH_H
#define LIB_ADDR_PATH_H

#include "base/base.h"

#define PATH_MAX_BYTES 254 /* RFC 5321 erratum 1690: 256 with the brackets */
#define PATH_LOCAL_MAX 64

enum {
    PATH_UTF8 = 1,       /* SMTPUTF8 was asked for: UTF-8 in local part and domain */
    PATH_NULL = 2,       /* "<>" is allowed (MAIL FROM) */
    PATH_POSTMASTER = 4, /* "<postmaster>" without a domain is allowed (RCPT TO) */
};

/* All slices point into the text that was parsed. */
struct path {
    struct slice address; /* local@domain as written, without brackets and route; empty for <> */
    struct slice local;   /* as written, with its quotes if it has any */
    struct slice domain;  /* as written; with brackets if it is a literal; empty for postmaster */
    size_t used;          /* bytes of the text up to and with the '>' */
    bool is_null;         /* <> */
    bool is_quoted;       /* the local part is a quoted string */
    bool is_literal;      /* the domain is an address literal */
    bool is_utf8;         /* needs SMTPUTF8: a byte above 0x7f somewhere */
};

/* `text` begins with '<'; what follows the path is left (path.used). ERR_SYNTAX says what is wrong
 * and where; ERR_LIMIT for local part > 64, domain > 255, address > 254 octets. */
MUST_USE int path_parse(struct slice text, unsigned flags, struct path *path_out, struct err *e);

/* A bare address, without brackets, the whole text: local@domain. Same errors. */
MUST_USE int path_parse_address(struct slice text, unsigned flags, struct path *path_out,
                                struct err *e);

/* Appends the local part without quotes and backslashes. */
void path_local_unquoted(struct slice local, struct buf *out);
/* Appends a local part, quoted if it is no dot-string (RFC 5321 4.1.2), else as it is. */
void path_local_quoted(struct slice local, struct buf *out);

/* Appends the form under which two paths of one mailbox are compared: local part unquoted where
 * quotes are not needed and otherwise as it is (case kept), domain in lower case as A-labels.
 * A domain that IDNA refuses is lowered only. */
void path_normalize(const struct path *path, struct buf *out);

#endif
