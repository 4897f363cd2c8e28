/* lib/dkim/write_in.h -- writing signature fields: short lines, folded at the same places. */
#ifndef LIB_DKIM_WRITE_IN_H
#define LIB_DKIM_WRITE_IN_H

#include "lib/dkim/algorithm.h"

#define DKIM_NAMES_MAX_BYTES 65536 /* of h= as we write it */

/* Appends a name to the value of h=. `*column` is where the line stands. */
void dkim_write_name(struct buf *names, struct slice name, size_t *column);
#define DKIM_FIRST_COLUMN 10 /* behind a tab and "h=" */

/* Appends a raw signature as base64 behind "\r\n\tb=", folded, and the CR LF that ends the field.
 */
void dkim_write_signature(struct buf *out, struct slice signature);

/* May these be d=, s= and a= of a signature of ours? */
MUST_USE int dkim_write_check(struct slice domain, struct slice selector,
                              enum dkim_algorithm algorithm, struct err *err);

#endif
