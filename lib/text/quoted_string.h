/* lib/text/quoted_string.h -- quoted strings in header fields (RFC 5322 3.2.4, RFC 6532 3.2). */
#ifndef LIB_TEXT_QUOTED_STRING_H
#define LIB_TEXT_QUOTED_STRING_H

#include "base/base.h"

/* Appends `value` in quotes, whatever it holds: '"' and '\\' get a backslash; control characters,
 * and octets beyond ASCII where the value is not UTF-8, become '?'. Of a longer value only `max`
 * octets are written, the last three of them "...". */
void quoted_string_append(struct slice value, size_t max, struct buf *out);

#endif
