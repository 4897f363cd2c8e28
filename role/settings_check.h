/* role/settings_check.h -- the files that settings name, read on trial before a reload. */
#ifndef ROLE_SETTINGS_CHECK_H
#define ROLE_SETTINGS_CHECK_H

#include "rt/conf/conf.h"

/* A process that starts anew with a file it cannot read does not start. -1: one is such; the error
 * names it, and the line. */
MUST_USE int settings_check(const struct conf *conf, struct err *e);

#endif
