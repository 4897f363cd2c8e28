/* store/ledger/duplicates_in.h -- a compact guess at where a digest was stored before.
 *
 * Eight bytes an entry: four of the digest, and a reference that only grows (a recipient's row). A
 * hit is a guess; the row's digest confirms it. Linear probing, at most 80 % full; what is older
 * than the window goes when the table is made anew, and so does the oldest at the ceiling. */
#ifndef STORE_LEDGER_DUPLICATES_IN_H
#define STORE_LEDGER_DUPLICATES_IN_H

#include "base/base.h"

struct duplicates {
    struct duplicate_entry *entries;
    size_t slots, count, max;
    int64_t base; /* references are stored as the distance from here, from 1 */
};

void duplicates_init(struct duplicates *d, size_t max);
void duplicates_finish(struct duplicates *d);
/* Whether duplicates_add() has no room left, so that duplicates_trim() must come first. */
bool duplicates_is_crowded(const struct duplicates *d, int64_t reference);
/* Makes room: forgets references below `oldest`, then grows, or forgets the oldest quarter. */
void duplicates_trim(struct duplicates *d, int64_t oldest);
void duplicates_add(struct duplicates *d, const unsigned char *digest, int64_t reference);
/* Steps through the candidates: start with *cursor = 0. False when there are no more. */
bool duplicates_next(const struct duplicates *d, const unsigned char *digest, size_t *cursor,
                     int64_t *reference_out);

#endif
