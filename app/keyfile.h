/* app/keyfile.h -- files with private keys, for toolbox commands. Trouble ends the command. */
#ifndef APP_KEYFILE_H
#define APP_KEYFILE_H

#include "lib/crypt/key.h"

/* Reads a private key; dies (cli_die) when it cannot. Destroy it. */
struct crypt_key *keyfile_read(const char *path);

/* Writes one, readable by its owner only from its first moment on, and synced. Dies when the file
 * is there already, unless `force`. */
void keyfile_write(const char *path, const struct crypt_key *key, bool force);

#endif
