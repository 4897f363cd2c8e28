/* lib/text/idna.h -- internationalized domain names (IDNA2008, RFC 5891; RFC 6531 for mail).
 *
 * One of the two files that see libidn2. A domain is compared and looked up as A-labels in lower
 * case, and shown as U-labels. */
#ifndef LIB_TEXT_IDNA_H
#define LIB_TEXT_IDNA_H

#include "base/base.h"

/* Appends `domain` (any mixture of U-labels, A-labels, LDH and underscore labels) as A-labels in
 * lower case; one final dot is dropped. ASCII names are only lowered and checked for length (RFC
 * 1035: label 63, name 253). ERR_SYNTAX for what IDNA refuses and for an empty label, ERR_LIMIT for
 * length; `out` is then as it was. */
MUST_USE int idna_to_ascii(struct slice domain, struct buf *out, struct err *e);

/* Appends `domain` with its A-labels shown as U-labels. A label that cannot be shown stays as it
 * is, so this never fails. */
void idna_to_unicode(struct slice domain, struct buf *out);

#endif
