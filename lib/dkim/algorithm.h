/* lib/dkim/algorithm.h -- the signature algorithms of RFC 6376 3.3 and RFC 8463. */
#ifndef LIB_DKIM_ALGORITHM_H
#define LIB_DKIM_ALGORITHM_H

#include "base/base.h"

enum dkim_algorithm {
    DKIM_RSA_SHA256,
    DKIM_ED25519_SHA256,
    DKIM_RSA_SHA1, /* read in old mail, never made (RFC 8301 3.1) */
};
/* As in a=. */
const char *dkim_algorithm_name(enum dkim_algorithm algorithm);

#endif
