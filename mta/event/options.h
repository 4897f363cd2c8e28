/* mta/event/options.h -- the parameters of MAIL and RCPT that travel with a message, as text.
 *
 *     struct smtp_sender --options_write_sender()--> "BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x"
 *
 * The text is what the ledger keeps; it is in the form of the SMTP commands themselves. */
#ifndef MTA_EVENT_OPTIONS_H
#define MTA_EVENT_OPTIONS_H

#include "base/base.h"
#include "lib/smtp/envelope.h"

void options_write_sender(const struct smtp_sender *s, struct buf *out);
void options_write_recipient(const struct smtp_recipient *r, struct buf *out);
/* Fills in all but the path; what is not understood is left out. Slices point into `text`. */
void options_read_sender(struct slice text, struct smtp_sender *s);
void options_read_recipient(struct slice text, struct smtp_recipient *r);

/* What Waybill itself notes beside the client's words, in the same texts; no client can say it. */
enum options_origin {
    OPTIONS_OURS,     /* the client may relay */
    OPTIONS_PROVEN,   /* a stranger, and SPF or DKIM prove its envelope sender */
    OPTIONS_UNPROVEN, /* a stranger who may be anybody: it is never written to */
};
void options_write_origin(enum options_origin origin, struct buf *out); /* of the sender's text */
enum options_origin options_read_origin(struct slice text);
/* Of a recipient's text: it stands in the place of an address of ours, and is none itself. */
void options_write_forwarded(struct buf *out);
bool options_is_forwarded(struct slice text);

#endif
