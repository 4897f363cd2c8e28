/* role/logins.h -- who may log in: lines of NAME:HASH or NAME:HASH:STREAM, as crypt(5) makes them.
 */
#ifndef ROLE_LOGINS_H
#define ROLE_LOGINS_H

#include "base/base.h"

struct logins; /* opaque */

/* Reads the file; "" means nobody. The error names file and line. NULL on error. */
MUST_USE struct logins *logins_load(const char *path, struct err *e);
void logins_destroy(struct logins **l);
size_t logins_count(const struct logins *l);
/* Checks a password. A good one is remembered (as a keyed hash) so that the slow hash is computed
 * once a login, not once a connection. `stream_out` is empty or the login's own stream. */
bool logins_check(struct logins *l, struct slice user, struct slice password,
                  struct slice *stream_out);
struct slice logins_stream(const struct logins *l, struct slice user);

#endif
