/* role/secret.h -- a file in data_dir that holds a secret, made at the first start and then kept.
 */
#ifndef ROLE_SECRET_H
#define ROLE_SECRET_H

#include "base/base.h"

/* Reads DIRECTORY/NAME into `room`. If it is not there it is made first, with `fresh` in it, for
 * nobody else's eyes, and on disk before this returns: what was signed with it has to be known
 * again. Returns 0, or -1 with the reason; ERR_LIMIT when the file does not fit. */
MUST_USE int secret_file(const char *directory, const char *name, struct slice fresh, char *room,
                         size_t cap, size_t *n_out, struct err *e);

#endif
