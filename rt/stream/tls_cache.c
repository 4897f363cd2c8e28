#include "base/map.h"
#include "rt/stream/stream_in.h"

struct entry {
    struct list link; /* oldest first */
    SSL_SESSION *session;
    struct buf key;
};

struct tls_cache {
    struct map *by_key;
    struct list oldest;
    size_t max;
};

struct tls_cache *tls_cache_create(size_t max)
{
    struct tls_cache *c = mem_alloc(sizeof *c);

    c->by_key = map_create((uint64_t)(uintptr_t)c);
    list_init(&c->oldest);
    c->max = max;
    return c;
}

static void drop(struct tls_cache *c, struct entry *it)
{
    (void)map_remove(c->by_key, buf_slice(&it->key));
    list_remove(&it->link);
    SSL_SESSION_free(it->session);
    buf_finish(&it->key);
    free(it);
}

void tls_cache_destroy(struct tls_cache **c)
{
    if (*c == NULL)
        return;
    LIST_EACH(&(*c)->oldest, link)
    {
        drop(*c, CONTAINER_OF(link, struct entry, link));
    }
    map_destroy(&(*c)->by_key);
    free(*c);
    *c = NULL;
}

void tls_cache_put(struct tls_cache *c, struct slice key, SSL_SESSION *session)
{
    struct entry *it = map_get(c->by_key, key);

    if (it != NULL) {
        SSL_SESSION_free(it->session);
        it->session = session;
        list_remove(&it->link);
        list_append(&c->oldest, &it->link);
        return;
    }
    if (map_count(c->by_key) >= c->max && !list_is_empty(&c->oldest))
        drop(c, CONTAINER_OF(c->oldest.next, struct entry, link));
    it = mem_alloc(sizeof *it);
    it->session = session;
    list_init(&it->link);
    buf_init(&it->key, 1024);
    buf_append(&it->key, key);
    list_append(&c->oldest, &it->link);
    (void)map_put(c->by_key, key, it);
}

SSL_SESSION *tls_cache_get(struct tls_cache *c, struct slice key)
{
    struct entry *it = map_get(c->by_key, key);

    if (it == NULL || !SSL_SESSION_is_resumable(it->session))
        return NULL;
    return it->session;
}
