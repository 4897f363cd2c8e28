/* lib/text/charset.h -- text in any character set to UTF-8, never failing.
 *
 * ASCII, UTF-8, ISO-8859-1 and Windows-1252 are done here; the rest by the C library's iconv(),
 * which reads its tables from disk on first use of a set (the one exception to "lib/ does no I/O";
 * a process without file access gets the fallback). */
#ifndef LIB_TEXT_CHARSET_H
#define LIB_TEXT_CHARSET_H

#include "base/base.h"

/* Appends `in` as UTF-8. What the set does not define becomes U+FFFD. A set that is unknown or
 * unnamed is taken as UTF-8 when `in` is well-formed UTF-8, else as Windows-1252. Returns false
 * when something had to be replaced or guessed. Labels are matched without regard to case;
 * "iso-8859-1" is read as Windows-1252, which is what its senders mean. */
bool charset_to_utf8(struct slice charset, struct slice in, struct buf *out);

#endif
