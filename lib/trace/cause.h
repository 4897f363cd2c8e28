/* lib/trace/cause.h -- why one message became two: the rules, on two aligned paths. */
#ifndef LIB_TRACE_CAUSE_H
#define LIB_TRACE_CAUSE_H

#include "lib/trace/compare.h"

/* The same hop in two copies: the same words, or the same host with the same queue id. */
bool hop_equal(const struct received *a, const struct received *b);

/* Fills in verdict, culprit, cause, evidence and advice of a group of two or more whose copies
 * are aligned (hops, common_hops, last_common, diverge are set). */
void cause_explain(struct compare_group *g, struct arena *a);

/* Mends cause, evidence and advice by what our ledger has: `g->own` is set. */
void own_explain(struct compare_group *g, struct arena *a);

#endif
