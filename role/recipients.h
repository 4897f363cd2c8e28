/* role/recipients.h -- who exists in a local domain, where only the next hop has the mailboxes.
 *
 * The file has one recipient a line, "ann" or "ann@example.com" (then for that domain only). Case
 * does not matter. What stands behind a blank is ignored, so a passwd-like list of names will do.
 */
#ifndef ROLE_RECIPIENTS_H
#define ROLE_RECIPIENTS_H

#include "base/base.h"

#define RECIPIENTS_LISTED_MAX 5000000 /* lines */

struct recipients; /* opaque */

/* NULL on error; the text names the line. */
MUST_USE struct recipients *recipients_load(const char *path, struct err *e);
void recipients_destroy(struct recipients **r); /* NULL is fine; writes NULL back */
bool recipients_have(const struct recipients *r, struct slice address);

/* "ann+news@x.test" without "+news": appended to `out`, where the slice lives. Empty: there is no
 * tag. `delimiters`: each of these characters begins a tag; a quoted local part has none. */
struct slice recipient_untagged(struct slice address, const char *delimiters, struct buf *out);

#endif
