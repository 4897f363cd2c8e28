/* lib/trace/summary.h -- what a compare keeps of one message. */
#ifndef LIB_TRACE_SUMMARY_H
#define LIB_TRACE_SUMMARY_H

#include "lib/message/mime.h"
#include "lib/trace/compare.h"

/* Makes the summary of `message`; it is owned by `keep`. `work` is for the time of the call (the
 * parse) and `root_out` for as long as the caller keeps it. Strange messages are summed up as far
 * as they can be read. NULL when `keep` is full. */
struct mail_copy *summary_make(struct slice name, struct slice message, struct arena *keep,
                               struct arena *work, struct mime_part **root_out);

/* "Re: [list] Hello" and "hello" are one subject: prefixes, case and white space aside. */
struct slice subject_core(struct slice subject);

/* Appends what differs between two copies, one fact a line. */
void summary_diff(const struct mail_copy *a, const struct mail_copy *b, struct buf *out);

#endif
