/* lib/text/base64.h -- base64 (RFC 4648 4), as mail uses it (RFC 2045 6.8). */
#ifndef LIB_TEXT_BASE64_H
#define LIB_TEXT_BASE64_H

#include "base/base.h"

/* Appends `in` encoded, padded, on one line. */
void base64_encode(struct slice in, struct buf *out);

/* Appends `in` encoded in lines of `width` characters (a multiple of 4, at most 76 in mail), each
 * ended by CR LF. */
void base64_encode_lines(struct slice in, unsigned width, struct buf *out);

/* Strict: only the alphabet, whole quartets, padding at the end, zero in the unused bits; no white
 * space. ERR_SYNTAX names the offset; ERR_LIMIT if `out` became full. On an error `out` is left
 * as it was. */
MUST_USE int base64_decode(struct slice in, struct buf *out, struct err *e);

/* As a mail reader does: skips everything outside the alphabet, stops a quartet at padding and goes
 * on behind it, decodes what is left of a cut quartet. Never fails; `out->full` tells of a ceiling.
 */
void base64_decode_lenient(struct slice in, struct buf *out);

#endif
