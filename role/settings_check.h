/* role/settings_check.h -- the files that settings name, read on trial before start and reload. */
#ifndef ROLE_SETTINGS_CHECK_H
#define ROLE_SETTINGS_CHECK_H

#include "lib/crypt/key.h"
#include "rt/conf/conf.h"

/* A process that starts anew with a file it cannot read does not start. -1: one is such; the error
 * names it, and the line. */
MUST_USE int settings_check(const struct conf *conf, struct err *e);

/* Reads a private key; the keys role does so too. Destroy it. */
MUST_USE int settings_read_key(const struct conf_key *conf, struct crypt_key **key_out,
                               struct err *e);

#endif
