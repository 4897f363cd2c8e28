#include "role/known_keys.h"

#include "rt/bus/bus.h"

#define ARENA_MAX (2 * (size_t)BUS_FRAME_MAX) /* the list, and the names of one message */

void known_keys_forget(struct known_keys *k)
{
    arena_destroy(&k->arena);
    *k = (struct known_keys){0};
}

void known_keys_learn(struct known_keys *k, const struct msg_keys_known *m)
{
    known_keys_forget(k);
    k->arena = arena_create(ARENA_MAX + m->keys_n * sizeof *k->list);
    k->list = arena_array(k->arena, m->keys_n, sizeof *k->list);
    for (size_t i = 0; k->list != NULL && i < m->keys_n; i++)
        k->list[k->n++] =
            (struct known_key){.domain = arena_copy(k->arena, m->keys[i].domain),
                               .selector = arena_copy(k->arena, m->keys[i].selector),
                               .algorithm = (enum dkim_algorithm)m->keys[i].algorithm};
}

struct dkim_sign_spec known_key_spec(const struct known_key *key, struct arena *arena)
{
    return (struct dkim_sign_spec){.domain = arena_copy(arena, key->domain),
                                   .selector = arena_copy(arena, key->selector),
                                   .algorithm = key->algorithm,
                                   .header_canon = CANON_RELAXED,
                                   .body_canon = CANON_RELAXED};
}
