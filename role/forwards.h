/* role/forwards.h -- where mail for addresses of local domains goes on to.
 *
 * The file has one address a line, then what takes its place, separated by blanks:
 *
 *     sales@example.com      ann@example.com bob@elsewhere.example
 *     @old.example.com       postmaster@example.com        (all others of that domain)
 *
 * Targets are taken as they are: they are not looked up again, so there are no circles here. */
#ifndef ROLE_FORWARDS_H
#define ROLE_FORWARDS_H

#include "base/base.h"

#define FORWARDS_MAX 1000000 /* lines */
#define FORWARD_TARGETS_MAX 100

struct forwards; /* opaque */

/* An empty path: nothing is forwarded. NULL on error; the text names the line. */
MUST_USE struct forwards *forwards_load(const char *path, struct err *e);
void forwards_destroy(struct forwards **f); /* NULL is fine; writes NULL back */

/* The targets of an address, separated by single blanks; empty: it stays what it is. `untagged`:
 * the address without its tag, or empty; it comes before the domain's line. */
struct slice forwards_find(const struct forwards *f, struct slice address, struct slice untagged);

#endif
