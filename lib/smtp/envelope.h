/* lib/smtp/envelope.h -- who sends to whom, as MAIL and RCPT say it (RFC 5321, 3461, 1870, 6152,
 * 6531, 4954). The server engine fills these in for its caller; the client engine writes them. */
#ifndef LIB_SMTP_ENVELOPE_H
#define LIB_SMTP_ENVELOPE_H

#include "base/base.h"

enum smtp_body {
    SMTP_BODY_7BIT, /* also when nothing was said */
    SMTP_BODY_8BITMIME,
};
/* RFC 3461 4.3: what a failure report shall carry. */
enum smtp_ret {
    SMTP_RET_UNSAID,
    SMTP_RET_FULL,
    SMTP_RET_HDRS,
};
/* RFC 3461 4.1: when a report is wanted; 0: nothing was said. NEVER stands alone. */
enum {
    SMTP_NOTIFY_NEVER = 1,
    SMTP_NOTIFY_SUCCESS = 2,
    SMTP_NOTIFY_FAILURE = 4,
    SMTP_NOTIFY_DELAY = 8,
};

#define SMTP_ENVID_MAX 100 /* RFC 3461 4.4 */
#define SMTP_ORCPT_MAX 500 /* RFC 3461 4.2 */

struct smtp_sender {
    struct slice path;        /* local@domain, no brackets, no source route; empty: <> */
    uint64_t size_bytes;      /* SIZE=; 0: not said */
    enum smtp_body body;      /* BODY= */
    bool utf8;                /* SMTPUTF8 */
    enum smtp_ret ret;        /* RET= */
    struct slice envelope_id; /* ENVID=, as xtext; empty: not said */
    struct slice auth;        /* AUTH=, as xtext, "<>" for nobody; empty: not said */
};
struct smtp_recipient {
    struct slice path;   /* local@domain, or "postmaster" */
    unsigned notify;     /* SMTP_NOTIFY_...; 0: not said */
    struct slice origin; /* ORCPT=, "rfc822;" and xtext as received; empty: not said */
};
struct smtp_envelope {
    struct smtp_sender sender;
    const struct smtp_recipient *recipients;
    size_t recipient_count;
};

#endif
