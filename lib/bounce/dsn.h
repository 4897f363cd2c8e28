/* lib/bounce/dsn.h -- writes our own reports about delivery (RFC 3461 6, RFC 3464, RFC 6533).
 *
 *     struct dsn --dsn_write()--> a message with three parts: words, fields, and of the original
 * its header, or all of it (RET=FULL, RFC 3461 4.3)
 *
 * What is written here is read back equal by report.h. A report about a message with the null
 * sender, or about a recipient who wants none, must not be written: ask dsn_is_wanted(). */
#ifndef LIB_BOUNCE_DSN_H
#define LIB_BOUNCE_DSN_H

#include "base/base.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_recipient {
    struct slice address; /* whom we tried */
    struct slice origin;  /* ORCPT as received, "rfc822;x+40y" in xtext; may be empty */
    enum dsn_action action;
    struct slice status;     /* "5.1.1"; empty: 5.0.0 or 4.0.0, 2.0.0 */
    unsigned reply_code;     /* 550; 0: there was no reply */
    struct slice diagnostic; /* the reply without its codes, or our own words */
    struct slice remote_mta; /* who answered; may be empty */
};

struct dsn {
    struct slice hostname;    /* ours: Reporting-MTA, and MAILER-DAEMON's domain */
    struct slice to;          /* the original's reverse path; never empty */
    struct slice id;          /* of this report: Message-ID and boundary are made from it */
    struct slice original_id; /* our id of the message that it is about */
    struct slice envelope_id; /* ENVID as received, xtext; may be empty */
    struct slice subject;     /* the original's, for the words; may be empty */
    struct slice header;      /* the original's header block, CR LF, without the empty line */
    struct slice message;     /* all of it instead; empty: the header is returned */
    int64_t arrival_s, now_s; /* unix time */
    int64_t retry_until_s;    /* of delayed ones; 0: not said */
    const struct dsn_recipient *recipients;
    size_t count;
};

/* Whether a failure is to be reported by mail. `sender` is the reverse path; `notify` the bits of
 * lib/smtp/envelope.h, 0: nothing was said; `unasked`: the answer when nothing was said. A null
 * sender, a daemon and NOTIFY=NEVER are never answered (RFC 3461 4.1, RFC 3834 2). */
bool dsn_is_wanted(struct slice sender, bool says_never, bool says_failure, bool unasked);

/* The Subject of a report. */
const char *dsn_subject(enum dsn_action action);

/* Some address is not ASCII: the report is of RFC 6533's kind, and needs SMTPUTF8 to travel. */
bool dsn_is_utf8(const struct dsn *d);

/* Appends header block (CR LF, without the empty line) and body. Control characters in what others
 * wrote become spaces; `full` of either tells of a ceiling. */
void dsn_write(const struct dsn *d, struct buf *head_out, struct buf *body_out);

#endif
