/* app/spf_suggest.h -- the SPF record that a domain should publish. */
#ifndef APP_SPF_SUGGEST_H
#define APP_SPF_SUGGEST_H

#include "app/resolver.h"
#include "lib/spf/survey.h"

/* Walks the whole record of `domain` (or `record` in its place, if not empty). */
const struct spf_tree *spf_suggest_survey(struct spf_survey *s, struct resolver *dns,
                                          struct slice domain, struct slice record);

/* Appends the record of `t` with the missing addresses in front of "all" (or the redirect), and
 * without includes of names that are gone. A record that cannot be read is begun anew. */
void spf_suggest_record(const struct spf_tree *t, const struct ip_address *missing, size_t count,
                        struct buf *out);

#endif
