/* lib/text/quoted_printable.h -- quoted-printable (RFC 2045 6.7). */
#ifndef LIB_TEXT_QUOTED_PRINTABLE_H
#define LIB_TEXT_QUOTED_PRINTABLE_H

#include "base/base.h"

/* Decodes as a mail reader does: soft line breaks go, white space before a line end goes, an `=`
 * that begins nothing valid stays as it is. Line ends (CR LF, LF, CR) are kept as written. */
void quoted_printable_decode(struct slice in, struct buf *out);

/* Encodes text: lines of at most 76 characters ended by CR LF; line ends of `in` (CR LF or LF)
 * become CR LF. Decoding gives the text back. */
void quoted_printable_encode(struct slice in, struct buf *out);

#endif
