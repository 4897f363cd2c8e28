#include "base/arena.h"

#include <stdarg.h>

#define ALIGNMENT _Alignof(max_align_t)
#define BLOCK_FIRST_BYTES 1000
#define BLOCK_TOP_BYTES (1u << 18)

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *blocks; /* the newest first */
    size_t max, used;
};

static struct block *block_create(size_t size)
{
    struct block *b = mem_resize(NULL, sizeof *b + size);

    b->next = NULL;
    b->size = size;
    b->used = 0;
    return b;
}

struct arena *arena_create(size_t max)
{
    struct arena *a = mem_alloc(sizeof *a);

    a->max = max;
    return a;
}

static void free_blocks(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
}

void arena_destroy(struct arena **a)
{
    if (*a == NULL)
        return;
    free_blocks((*a)->blocks);
    free(*a);
    *a = NULL;
}

void arena_reset(struct arena *a)
{
    if (a->blocks != NULL) {
        free_blocks(a->blocks->next);
        a->blocks->next = NULL;
        a->blocks->used = 0;
    }
    a->used = 0;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded, total;
    struct block *b = a->blocks;

    if (!size_add(size > 0 ? size : 1, ALIGNMENT - 1, &rounded))
        return NULL;
    rounded -= rounded % ALIGNMENT;
    if (!size_add(a->used, rounded, &total) || total > a->max)
        return NULL;
    if (b == NULL || b->size - b->used < rounded) {
        size_t want = b == NULL ? BLOCK_FIRST_BYTES : b->size * 2;

        if (want > BLOCK_TOP_BYTES)
            want = BLOCK_TOP_BYTES;
        b = block_create(rounded > want ? rounded : want);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += rounded;
    a->used = total;
    memset(p, 0, rounded);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    return size_mul(count, size, &bytes) ? arena_alloc(a, bytes) : NULL;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    size_t size;
    char *p = size_add(s.n, 1, &size) ? arena_alloc(a, size) : NULL;

    if (p == NULL)
        return (struct slice){NULL, 0};
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return (struct slice){p, s.n};
}

const char *arena_string(struct arena *a, struct slice s)
{
    return arena_copy(a, s).p;
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p == NULL)
        return (struct slice){NULL, 0};
    va_start(args, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return (struct slice){p, (size_t)n};
}
