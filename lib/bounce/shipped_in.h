/* lib/bounce/shipped_in.h -- the rule files of share/waybill/rules, built into the program by
 * tools/embed-rules, so that it works with no files around. */
#ifndef LIB_BOUNCE_SHIPPED_IN_H
#define LIB_BOUNCE_SHIPPED_IN_H

#include "base/base.h"

struct bounce_shipped_file {
    const char *name; /* "10-providers.conf" */
    struct slice bytes;
};
extern const struct bounce_shipped_file bounce_shipped[];
extern const size_t bounce_shipped_count;

/* The databases of those rules (one for each stage, see rules_in.h) and of the phrases, compiled
 * when the program was built (pack.c), for compiling takes seconds. Empty inside the program that
 * makes them. */
extern const struct slice bounce_packed_rules[], bounce_packed_phrases;

/* The packed database; NULL when it is empty or made for another machine or library. */
struct hs_database *bounce_unpack(struct slice packed);
/* As hs_compile_multi(), for this machine, with AVX2 at most; NULL, and what is wrong in `e`. */
struct hs_database *bounce_compile(const char *const *texts, const unsigned *flags,
                                   const unsigned *ids, size_t count, struct err *e);

#endif
