/* base/map.h -- a hash map from bytes to a pointer. Keys are copied; values belong to the caller.
 *
 * The hash is SipHash-1-3 with a seed, so that a peer who chooses keys cannot choose collisions. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/base.h"

struct map; /* opaque */

struct map *map_create(uint64_t seed);
void map_destroy(struct map **m); /* the values are not freed */

void *map_get(const struct map *m, struct slice key); /* NULL when absent */
/* Puts `value` (not NULL) under `key`; returns what stood there before, or NULL. */
void *map_put(struct map *m, struct slice key, void *value);
void *map_remove(struct map *m, struct slice key); /* what was removed, or NULL */
size_t map_count(const struct map *m);

/* Walks in no order; the map must not change meanwhile. Start with *cursor = 0. */
bool map_next(const struct map *m, size_t *cursor, struct slice *key_out, void **value_out);

/* The same for numbers. */
static inline struct slice map_key_u64(const uint64_t *key)
{
    return (struct slice){(const char *)key, sizeof *key};
}

uint64_t hash_bytes(uint64_t seed, struct slice s); /* SipHash-1-3 */

#endif
