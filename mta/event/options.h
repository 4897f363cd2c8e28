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

#endif
