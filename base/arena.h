/* base/arena.h -- memory with one lifetime: a connection, a transaction, a parse.
 *
 * Nothing is freed alone; everything goes with arena_destroy() or arena_reset(). What an arena owns
 * is handed out as const, or as a struct that the caller fills in. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena; /* opaque */

/* `max` is the ceiling in bytes over the arena's life (reset starts it anew). */
struct arena *arena_create(size_t max);
void arena_destroy(struct arena **a); /* NULL is fine; writes NULL back */
void arena_reset(struct arena *a);    /* forgets everything, keeps one block */
size_t arena_used(const struct arena *a);

/* Zeroed bytes aligned for any type; NULL when the ceiling is reached. */
MUST_USE void *arena_alloc(struct arena *a, size_t size);
/* `count` objects of `size`, zeroed, with checked arithmetic; NULL at the ceiling. */
MUST_USE void *arena_array(struct arena *a, size_t count, size_t size);

/* A copy of the bytes, with a NUL behind it that is not counted. {NULL, 0} at the ceiling. */
MUST_USE struct slice arena_copy(struct arena *a, struct slice s);
/* A copy as a C string; NULL at the ceiling. The bytes are taken as they are. */
MUST_USE const char *arena_string(struct arena *a, struct slice s);
MUST_USE struct slice arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
