/* role/bounce_rules.h -- the rules by which failures are judged: a directory's, then our own. */
#ifndef ROLE_BOUNCE_RULES_H
#define ROLE_BOUNCE_RULES_H

#include "lib/bounce/rules.h"

/* Reads *.conf of `directory` (empty: none) in the order of their names. NULL on error. */
MUST_USE struct bounce_rules *bounce_rules_load(const char *directory, struct err *e);

#endif
