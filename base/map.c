#include "base/map.h"

/* Open addressing with linear probing; a removed place is closed by shifting back. */
struct entry {
    uint64_t hash;
    char *key; /* NULL: free */
    size_t key_n;
    void *value;
};

struct map {
    uint64_t seed;
    size_t count, size; /* size is a power of two, at most 3/4 full */
    struct entry *entries;
};

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t hash_bytes(uint64_t seed, struct slice s)
{
    uint64_t second = ~seed * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t v[4] = {seed ^ UINT64_C(0x736f6d6570736575), second ^ UINT64_C(0x646f72616e646f6d),
                     seed ^ UINT64_C(0x6c7967656e657261), second ^ UINT64_C(0x7465646279746573)};
    uint64_t word;
    size_t at = 0;

    for (; at + sizeof word <= s.n; at += sizeof word) {
        memcpy(&word, s.p + at, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)s.n << 56;
    for (size_t i = 0; at + i < s.n; i++)
        word |= (uint64_t)(unsigned char)s.p[at + i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_create(uint64_t seed)
{
    struct map *m = mem_alloc(sizeof *m);

    m->seed = seed;
    return m;
}

void map_destroy(struct map **m)
{
    if (*m == NULL)
        return;
    for (size_t i = 0; i < (*m)->size; i++)
        free((*m)->entries[i].key);
    free((*m)->entries);
    free(*m);
    *m = NULL;
}

/* The place of `key`, or the free place where it would go. The map has a free place. */
static struct entry *find(const struct map *m, uint64_t hash, struct slice key)
{
    for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        struct entry *e = &m->entries[i];

        if (e->key == NULL || (e->hash == hash && slice_eq((struct slice){e->key, e->key_n}, key)))
            return e;
    }
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->size = old.size == 0 ? 16 : old.size * 2;
    m->entries = mem_alloc(m->size * sizeof *m->entries);
    for (size_t i = 0; i < old.size; i++) {
        struct entry *e = &old.entries[i];

        if (e->key != NULL)
            *find(m, e->hash, (struct slice){e->key, e->key_n}) = *e;
    }
    free(old.entries);
}

void *map_get(const struct map *m, struct slice key)
{
    return m->count == 0 ? NULL : find(m, hash_bytes(m->seed, key), key)->value;
}

void *map_put(struct map *m, struct slice key, void *value)
{
    uint64_t hash = hash_bytes(m->seed, key);

    if ((m->count + 1) * 4 > m->size * 3)
        grow(m);
    struct entry *e = find(m, hash, key);
    void *before = e->value;
    if (e->key == NULL) {
        e->hash = hash;
        e->key = mem_resize(NULL, key.n);
        if (key.n > 0)
            memcpy(e->key, key.p, key.n);
        e->key_n = key.n;
        m->count++;
    }
    e->value = value;
    return before;
}

void *map_remove(struct map *m, struct slice key)
{
    if (m->count == 0)
        return NULL;
    struct entry *e = find(m, hash_bytes(m->seed, key), key);
    void *value = e->value;
    if (e->key == NULL)
        return NULL;
    free(e->key);
    size_t hole = (size_t)(e - m->entries);
    for (size_t i = (hole + 1) & (m->size - 1); m->entries[i].key != NULL;
         i = (i + 1) & (m->size - 1)) {
        size_t home = m->entries[i].hash & (m->size - 1);

        /* An entry may fill the hole if its home does not lie behind the hole. */
        if (((i - home) & (m->size - 1)) >= ((i - hole) & (m->size - 1))) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (struct entry){0};
    m->count--;
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

bool map_next(const struct map *m, size_t *cursor, struct slice *key_out, void **value_out)
{
    for (; *cursor < m->size; (*cursor)++) {
        const struct entry *e = &m->entries[*cursor];

        if (e->key == NULL)
            continue;
        *key_out = (struct slice){e->key, e->key_n};
        *value_out = e->value;
        (*cursor)++;
        return true;
    }
    return false;
}
