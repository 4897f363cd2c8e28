/* role/hint.h -- which addresses are worth a question: a hash stands for an address.
 *
 * The queue tells every inbound process the hashes of suppressed addresses. An address whose hash
 * is not among them is not suppressed; the others are asked about. A stale hash costs one question.
 */
#ifndef ROLE_HINT_H
#define ROLE_HINT_H

#include "base/ascii.h"
#include "base/map.h"

static inline uint64_t hint_of(struct slice address)
{
    char room[512];
    size_t n = address.n < sizeof room ? address.n : sizeof room;

    for (size_t i = 0; i < n; i++)
        room[i] = ascii_lower(address.p[i]);
    return hash_bytes(0x7761796269ull, (struct slice){room, n});
}
static inline void hint_add(struct map *hints, uint64_t hint)
{
    (void)map_put(hints, map_key_u64(&hint), hints); /* any value but NULL */
}
static inline bool hint_fits(const struct map *hints, struct slice address)
{
    uint64_t hint;

    if (map_count(hints) == 0)
        return false;
    hint = hint_of(address);
    return map_get(hints, map_key_u64(&hint)) != NULL;
}

#endif
