/* lib/smtp/scan_in.h -- the fast way over the bytes of a message. */
#ifndef LIB_SMTP_SCAN_IN_H
#define LIB_SMTP_SCAN_IN_H

#include "base/base.h"

/* How many bytes at the start of `text` are plain: every CR stands before an LF, every LF behind a
 * CR, and, if `has_dots`, no line begins with a dot. May stop early (it looks at whole blocks), but
 * never between a CR and its LF. `*at_line_start` tells whether `text` begins a line, and is set
 * for what follows. The byte before `text` is no CR. */
size_t smtp_scan_plain(struct slice text, bool has_dots, bool *at_line_start);

#endif
