/* role/lines.h -- the files of one entry a line that settings name: logins, forwards, recipients.
 */
#ifndef ROLE_LINES_H
#define ROLE_LINES_H

#include "base/base.h"

/* Calls `take` with each line of `path`, trimmed, without empty ones and those that begin with '#';
 * the slice is borrowed for the call. -1 when the file cannot be read (the error begins with
 * `setting`) or `take` fails (the error names file and line). */
MUST_USE int lines_each(const char *setting, const char *path,
                        int (*take)(void *ctx, struct slice line, struct err *e), void *ctx,
                        struct err *e);

#endif
