#include "lib/dkim/bodies_in.h"

void dkim_bodies_begin(struct dkim_bodies *b)
{
    for (size_t i = 0; i < b->count; i++)
        crypt_hash_reset(b->list[i]->hash); /* a message may have been given up half-way */
    b->count = 0;
}

void dkim_bodies_finish(struct dkim_bodies *b)
{
    for (size_t i = 0; i < b->made; i++) {
        crypt_hash_destroy(&b->list[i]->hash);
        free(b->list[i]);
    }
    free(b->list);
    *b = (struct dkim_bodies){0};
}

static void take_bytes(void *ctx, struct slice bytes)
{
    struct dkim_body *body = ctx;

    crypt_hash_update(body->hash, bytes);
}

size_t dkim_bodies_want(struct dkim_bodies *b, enum canon canon, enum crypt_hash_kind kind,
                        uint64_t limit)
{
    struct dkim_body *body;

    for (size_t i = 0; i < b->count; i++) {
        body = b->list[i];
        if (body->canon.kind == canon && body->kind == kind && body->canon.limit == limit)
            return i;
    }
    if (b->count == DKIM_BODIES_MAX)
        return DKIM_BODY_NONE;
    if (b->count == b->made) {
        b->list = mem_resize(b->list, (b->made + 1) * sizeof(struct dkim_body *));
        b->list[b->made++] = mem_alloc(sizeof *body);
    }
    body = b->list[b->count];
    if (body->hash == NULL || body->kind != kind) {
        crypt_hash_destroy(&body->hash);
        body->hash = crypt_hash_create(kind);
        body->kind = kind;
    }
    canon_body_init(&body->canon, canon, limit, take_bytes, body);
    return b->count++;
}

void dkim_bodies_feed(struct dkim_bodies *b, struct slice bytes)
{
    for (size_t i = 0; i < b->count; i++)
        canon_body_feed(&b->list[i]->canon, bytes);
}

void dkim_bodies_end(struct dkim_bodies *b)
{
    for (size_t i = 0; i < b->count; i++) {
        canon_body_finish(&b->list[i]->canon);
        crypt_hash_finish(b->list[i]->hash, &b->list[i]->digest);
    }
}
