/* lib/dkim/arc_in.h -- the sets of a chain, found in a header; what verifier and sealer share. */
#ifndef LIB_DKIM_ARC_IN_H
#define LIB_DKIM_ARC_IN_H

#include "lib/dkim/arc.h"
#include "lib/dkim/fields_in.h"

enum arc_part { ARC_RESULTS, ARC_MESSAGE, ARC_SEAL };
#define ARC_PARTS 3

struct arc_sets {
    unsigned highest;                                           /* 0: no set */
    const struct dkim_field *part[ARC_SETS_MAX + 1][ARC_PARTS]; /* by instance; [0] is unused */
};

/* Sorts the ARC fields by instance. -1 with the reason when they make no chain: an instance that is
 * unreadable, there twice, or missing; `sets_out` holds what was found. No field at all is 0 and
 * `highest` 0. */
MUST_USE int arc_sets_read(const struct dkim_fields *fields, struct arc_sets *sets_out,
                           struct err *err);

#endif
