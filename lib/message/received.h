/* lib/message/received.h -- one Received field, in any dialect (RFC 5321 4.4, and the real world).
 *
 *     from HELO (RDNS [IP]) by HOST (software) with PROTOCOL id ID for <ADDRESS>; date
 *
 * Postfix, Exim, Sendmail, qmail, Exchange, Gmail, and the hundred others order and wrap these
 * words in their own ways; the reader goes by the words, not by the dialect, and never fails. What
 * it does not find stays empty, and `value` always has the whole. */
#ifndef LIB_MESSAGE_RECEIVED_H
#define LIB_MESSAGE_RECEIVED_H

#include "base/arena.h"
#include "base/base.h"
#include "base/ip.h"
#include "lib/message/date.h"

#define RECEIVED_SIZE_MAX 16384 /* bytes of one field that are looked at */

/* All slices are owned by the arena. */
struct received {
    struct slice value;    /* the field on one line, runs of white space as one space */
    struct slice helo;     /* how the client named itself; the word after "from" where unclear */
    struct slice rdns;     /* what the receiver found for the address; empty for "unknown" */
    struct slice ident;    /* RFC 1413 or authenticated user, as written */
    struct ip_address ip;  /* the client's address, unmapped; IP_NONE if none was written */
    struct slice by;       /* the host that wrote this field */
    struct slice by_name;  /* a better name of it in the comment behind ("localhost (mx.a [ip])") */
    struct slice software; /* the comment behind `by`, or what stands for it; may be empty */
    struct slice via, with, id; /* `with` as written, with all its words; `id` without <> */
    struct slice for_address;   /* without <>; from an ORCPT comment if there is no "for" */
    struct slice envelope_from; /* without <>; empty if not written (or <>) */
    struct slice tls_version;   /* "TLSv1.3"; "TLS" if only the protocol says so; empty: in clear */
    struct slice tls_cipher;
    struct slice date_text;
    struct mail_date date;
    bool has_date;
    bool is_authenticated; /* the client had logged in */
    bool is_readable;      /* a host was found: from or by */
};

/* `value` is the field's value, folded or not. At the arena's ceiling fields stay empty. */
void received_parse(struct slice value, struct arena *a, struct received *received_out);

/* The name under which the writer is known: by_name if `by` is a local name or an address. */
struct slice received_host(const struct received *r);

#endif
