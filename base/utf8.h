/* base/utf8.h -- is it UTF-8 (RFC 3629), and how long is it.
 *
 * Overlong forms, surrogates and code points above U+10FFFF are not UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* The length (1 to 4) of the well-formed character at the start of `s`; 0 if there is none. */
size_t utf8_sequence(struct slice s);

/* All of `s` is well-formed; the empty slice is. */
bool utf8_valid(struct slice s);

/* Only ASCII bytes (below 0x80). */
bool utf8_is_ascii(struct slice s);

/* Characters in `s`; a byte that is no part of a well-formed character counts as one. */
size_t utf8_length(struct slice s);

/* The code point of the character at the start of `s`, or U+FFFD; `*used_out` is its length in
 * bytes (1 for a bad byte). `s` must not be empty. */
uint32_t utf8_decode(struct slice s, size_t *used_out);

/* Appends `code_point`; U+FFFD for what is no character. */
void utf8_append(struct buf *out, uint32_t code_point);

/* Appends `s` with every bad byte replaced by U+FFFD, so that the result is UTF-8. */
void utf8_append_clean(struct buf *out, struct slice s);

#endif
