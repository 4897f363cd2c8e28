/* store/ledger/ranges.h -- sets of recipient numbers of one message: "1-100,105".
 *
 * Ordered, apart, from 1. Events and work units name their recipients so, which keeps a message to
 * ten thousand recipients as cheap to talk about as one to a single recipient. */
#ifndef STORE_LEDGER_RANGES_H
#define STORE_LEDGER_RANGES_H

#include "base/base.h"

struct range {
    uint32_t first, last; /* both included */
};
struct ranges {
    const struct range *p; /* borrowed; ascending, with gaps between */
    size_t n;
};

/* A range set that owns its memory. Zeroed is empty. */
struct range_list {
    struct range *p;
    size_t n, cap;
};
void range_list_finish(struct range_list *list);
void range_list_clear(struct range_list *list);
/* Adds first..last, which may overlap or touch what is there; cheap when it is the highest. */
void range_list_add(struct range_list *list, uint32_t first, uint32_t last);
void range_list_add_all(struct range_list *list, struct ranges more);
void range_list_remove(struct range_list *list, uint32_t first, uint32_t last);
static inline struct ranges range_list_view(const struct range_list *list)
{
    return (struct ranges){list->p, list->n};
}

uint64_t ranges_count(struct ranges r); /* how many numbers are in it */
bool ranges_contain(struct ranges r, uint32_t n);
bool ranges_cover(struct ranges r, struct ranges inner); /* all of `inner` is in `r` */

/* Text: ascending, no spaces, as shortest. Empty text is the empty set. */
void ranges_print(struct ranges r, struct buf *out);
/* Replaces what `out` holds. ERR_SYNTAX for anything that ranges_print() would not write, and for
 * numbers above `max`. */
MUST_USE int ranges_parse(struct slice text, uint32_t max, struct range_list *out, struct err *e);

#endif
