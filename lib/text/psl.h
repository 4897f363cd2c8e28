/* lib/text/psl.h -- the public suffix list, as built into libpsl (both sections: ICANN, private).
 *
 * Domains are given as A-labels (idna_to_ascii), without a final dot; case does not matter. */
#ifndef LIB_TEXT_PSL_H
#define LIB_TEXT_PSL_H

#include "base/base.h"

/* The registrable ("organizational", RFC 7489 3.2) domain: the public suffix and one label more, as
 * the tail of `domain`. Empty when `domain` itself is a public suffix or no name at all. An
 * unlisted top level counts as a public suffix (rule "*"). */
struct slice psl_organizational_domain(struct slice domain);

bool psl_is_suffix(struct slice domain);

/* Both have the same organizational domain; a bare public suffix is only the same as itself. */
bool psl_same_organization(struct slice a, struct slice b);

#endif
