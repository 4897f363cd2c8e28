/* lib/spf/suggest.h -- the SPF record that a domain should publish. */
#ifndef LIB_SPF_SUGGEST_H
#define LIB_SPF_SUGGEST_H

#include "lib/spf/survey.h"

/* Appends the record of `t` with the missing addresses in front of "all" (or the redirect), and
 * without terms that find nothing. A record that cannot be read is begun anew. */
void spf_suggest_record(const struct spf_tree *t, const struct ip_address *missing, size_t count,
                        struct buf *out);

#endif
