/* lib/bounce/report.h -- reads any report about a message: bounce, delay, receipt, complaint,
 * reply.
 *
 *     bytes --mime_parse()--> parts --+-- message/delivery-status, or its fields in text (RFC 3464)
 *                                     +-- message/feedback-report (RFC 5965)
 *                                     +-- plain words: Exim, qmail, Sendmail, Exchange, ...
 * dialects
 *                                     +-- the returned message: its ids and addresses
 *           --> one entry for each recipient, classified by rules
 *
 * The words are read by structure (an address alone on a line, before a colon, behind a label, in
 * an SMTP transcript), not by one pattern for each program. What was returned or quoted is never
 * searched for recipients, unless nothing else names one. */
#ifndef LIB_BOUNCE_REPORT_H
#define LIB_BOUNCE_REPORT_H

#include "base/base.h"
#include "lib/bounce/classify.h"

/* All slices are owned by the reader until its next read. Fields that a report does not give are
 * empty. */
struct bounce_recipient {
    struct slice recipient; /* exact, without brackets; may be empty in a complaint */
    enum bounce_event event;
    struct slice original_recipient; /* as the sender named it, if the report tells */
    struct slice action;             /* "failed", as written, lower case; or what it came to */
    struct slice status;             /* "5.1.1" */
    unsigned reply_code;             /* 550, or 0 */
    struct slice diagnostic;         /* the reason in the reporter's words, on one line */
    struct slice remote_mta;         /* who refused it */
    struct bounce_verdict verdict;
};

struct bounce_report {
    enum bounce_event event; /* "failed" if any recipient's is */
    const struct bounce_recipient *recipients;
    size_t count;
    bool is_cut; /* there were more recipients than BOUNCE_RECIPIENTS_MAX */
    /* Of the message that is reported about: with brackets; an address; decoded. */
    struct slice message_id, from, subject;
    struct slice envelope_to; /* where the report was sent to: our return path */
    struct slice feedback_type;
};

#define BOUNCE_RECIPIENTS_MAX 1000
#define BOUNCE_MESSAGE_MAX (64u << 20) /* a larger file is not read */

struct bounce_reader; /* opaque; one thread at a time */

/* `rules` must outlive the reader. */
struct bounce_reader *bounce_reader_create(struct bounce_rules *rules);
void bounce_reader_destroy(struct bounce_reader **reader); /* NULL is fine; writes NULL back */

/* Never fails on content: what cannot be understood is BOUNCE_NOT_A_BOUNCE. ERR_LIMIT when the
 * message is larger than BOUNCE_MESSAGE_MAX or its structure is beyond every limit. */
MUST_USE int bounce_read(struct bounce_reader *reader, struct slice message,
                         struct bounce_report *report_out, struct err *e);

#endif
