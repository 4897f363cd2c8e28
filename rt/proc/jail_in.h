/* rt/proc/jail_in.h -- the system calls of each jail. */
#ifndef PROC_JAIL_IN_H
#define PROC_JAIL_IN_H

#include "rt/proc/proc.h"

/* From now on only the calls of `jail` work; the others fail with EPERM. Nothing happens for the
 * super, and in a build with sanitizers, whose runtime needs calls of its own. */
MUST_USE int jail_enter(enum proc_jail jail, struct err *e);
bool jail_is_possible(void); /* false in such a build */

#endif
