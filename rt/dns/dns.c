#include "rt/dns/dns.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>

#include "base/ascii.h"
#include "base/map.h"
#include "lib/dnsmsg/name.h"
#include "rt/dns/dns_in.h"

#define CACHE_MAX 10000
#define TTL_MAX_S 86400u
#define ZONE_FILE_MAX ((size_t)64 << 20)
#define ZONE_PREFIX "zone:"

struct dns_ask {
    struct list link; /* in its lookup's asks, or in the resolver's ready */
    struct lookup *lookup;
    dns_done_fn *done;
    void *ctx;
};

struct dns_resolver {
    struct loop *loop;
    struct wire *wire;     /* one of these two */
    struct dns_zone *zone; /* plays */
    struct map *lookups;
    struct list kept; /* answered lookups of the map, oldest first */
    struct list ready;
    struct loop_deferred tell;
    size_t cache_max;
    uint32_t ttl_max_s;
    struct dns_counts counts;
    bool library; /* ares_library_init() was called */
};

static void lookup_free(struct lookup *k)
{
    arena_destroy(&k->arena);
    buf_finish(&k->key);
    free(k);
}

static void forget(struct dns_resolver *r, struct lookup *k)
{
    if (k->in_map) {
        (void)map_remove(r->lookups, buf_slice(&k->key));
        k->in_map = false;
    }
    if (!list_is_empty(&k->link)) {
        list_remove(&k->link);
        r->counts.cached--;
    }
    if (k->done && k->references == 0)
        lookup_free(k);
}

/* --- telling --- */

static void on_tell(void *ctx)
{
    struct dns_resolver *r = ctx;
    struct list batch, *link;

    /* What `done` asks and the cache answers waits for the next turn. */
    list_init(&batch);
    while ((link = list_take_first(&r->ready)) != NULL)
        list_append(&batch, link);
    while ((link = list_take_first(&batch)) != NULL) {
        struct dns_ask *ask = CONTAINER_OF(link, struct dns_ask, link);
        struct lookup *k = ask->lookup;
        struct dns_answer answer = k->answer;
        int64_t left_ms = k->expires_ms - loop_now_ms(r->loop);

        if (k->in_map) /* else it was never kept, and holds as long as it says */
            answer.ttl_s = left_ms > 0 ? (uint32_t)(left_ms / 1000) : 0; /* below ttl_max_s */
        dns_done_fn *done = ask->done;
        void *done_ctx = ask->ctx;
        free(ask);
        done(done_ctx, &answer);
        if (--k->references == 0 && !k->in_map)
            lookup_free(k);
    }
}

static void make_room(struct dns_resolver *r)
{
    while (r->counts.cached >= r->cache_max && !list_is_empty(&r->kept))
        forget(r, CONTAINER_OF(r->kept.next, struct lookup, link));
}

void lookup_done(struct lookup *k)
{
    struct dns_resolver *r = k->resolver;
    struct list *link;

    k->done = true;
    r->counts.open--;
    if (dns_status_is_failure(k->answer.status))
        r->counts.failures++;
    if (k->answer.ttl_s > r->ttl_max_s)
        k->answer.ttl_s = r->ttl_max_s;
    k->expires_ms = loop_now_ms(r->loop) + (int64_t)k->answer.ttl_s * 1000;
    while ((link = list_take_first(&k->asks)) != NULL)
        list_append(&r->ready, link);
    loop_defer(r->loop, &r->tell);
    if (k->answer.ttl_s == 0 || r->zone != NULL) {
        forget(r, k);
        return;
    }
    make_room(r);
    list_append(&r->kept, &k->link);
    r->counts.cached++;
}

/* --- asking --- */

static struct lookup *lookup_start(struct dns_resolver *r, const struct dns_question *question,
                                   struct buf *key)
{
    struct lookup *k = mem_alloc(sizeof *k);

    k->resolver = r;
    list_init(&k->link);
    list_init(&k->asks);
    k->key = *key;
    k->arena = arena_create(DNS_ANSWER_MAX);
    k->question =
        (struct dns_question){arena_copy(k->arena, dns_name_trim(question->name)), question->type};
    k->in_map = true;
    (void)map_put(r->lookups, buf_slice(key), k);
    r->counts.open++;
    return k;
}

static void lookup_run(struct dns_resolver *r, struct lookup *k)
{
    r->counts.queries++;
    if (r->zone != NULL) {
        dns_zone_answer(r->zone, k->question, &k->answer);
        lookup_done(k);
    } else {
        wire_ask(r->wire, k, k->question.name);
    }
}

static void make_key(const struct dns_question *question, struct buf *key)
{
    struct slice name = dns_name_trim(question->name);

    buf_init(key, DNS_ANSWER_MAX);
    buf_printf(key, "%u ", (unsigned)question->type);
    for (size_t i = 0; i < name.n && i <= DNS_NAME_MAX; i++)
        buf_append_char(key, ascii_lower(name.p[i]));
}

struct dns_ask *dns_ask(struct dns_resolver *r, const struct dns_question *question,
                        dns_done_fn *done, void *ctx)
{
    struct dns_ask *ask = mem_alloc(sizeof *ask);
    struct lookup *k;
    struct buf key;
    bool is_new = false;

    make_key(question, &key);
    k = map_get(r->lookups, buf_slice(&key));
    if (k != NULL && k->done && k->expires_ms <= loop_now_ms(r->loop)) {
        forget(r, k);
        k = NULL;
    }
    r->counts.asked++;
    if (k == NULL) {
        k = lookup_start(r, question, &key);
        is_new = true;
    } else {
        r->counts.from_cache++;
        buf_finish(&key);
    }
    *ask = (struct dns_ask){.lookup = k, .done = done, .ctx = ctx};
    k->references++;
    if (k->done) {
        list_append(&r->ready, &ask->link);
        loop_defer(r->loop, &r->tell);
    } else {
        list_append(&k->asks, &ask->link);
    }
    if (is_new)
        lookup_run(r, k);
    return ask;
}

void dns_cancel(struct dns_ask **ask)
{
    struct dns_ask *it = *ask;

    if (it == NULL)
        return;
    *ask = NULL;
    list_remove(&it->link);
    if (--it->lookup->references == 0 && it->lookup->done && !it->lookup->in_map)
        lookup_free(it->lookup);
    free(it);
}

/* --- life --- */

static struct dns_zone *zone_load(const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    struct dns_zone *z = NULL;
    struct buf text;
    size_t n;

    if (f == NULL) {
        (void)err_system(e, errno, "cannot read %s", path);
        return NULL;
    }
    buf_init(&text, ZONE_FILE_MAX);
    do {
        char *room = buf_room(&text, 4096);

        n = room != NULL ? fread(room, 1, 4096, f) : 0;
        if (n > 0)
            buf_claim(&text, n);
    } while (n > 0);
    if (text.full || ferror(f))
        (void)err_set(e, ERR_LIMIT, "cannot read all of %s", path);
    else
        z = dns_zone_create(buf_slice(&text), e);
    fclose(f);
    buf_finish(&text);
    return z;
}

struct dns_resolver *dns_create(struct loop *l, const struct dns_options *options, struct err *e)
{
    static const struct dns_options defaults = {.servers = "system"};
    const struct dns_options *o = options != NULL ? options : &defaults;
    struct slice servers = slice_of(o->servers);
    struct dns_resolver *r = mem_alloc(sizeof *r);

    r->loop = l;
    r->lookups = map_create((uint64_t)loop_clock_us() ^ (uint64_t)(uintptr_t)r);
    list_init(&r->kept);
    list_init(&r->ready);
    loop_deferred_init(&r->tell, on_tell, r);
    r->cache_max = o->cache_max > 0 ? o->cache_max : CACHE_MAX;
    r->ttl_max_s = o->ttl_max_s > 0 ? o->ttl_max_s : TTL_MAX_S;
    if (slice_starts(servers, SLICE(ZONE_PREFIX))) {
        r->zone = zone_load(o->servers + sizeof ZONE_PREFIX - 1, e);
    } else {
        r->library = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
        r->wire = wire_create(r, l, o, e);
    }
    if (r->zone == NULL && r->wire == NULL)
        dns_destroy(&r);
    return r;
}

static void drop_asks(struct list *asks)
{
    struct list *link;

    while ((link = list_take_first(asks)) != NULL) {
        struct dns_ask *ask = CONTAINER_OF(link, struct dns_ask, link);

        if (--ask->lookup->references == 0 && ask->lookup->done && !ask->lookup->in_map)
            lookup_free(ask->lookup);
        free(ask);
    }
}

void dns_destroy(struct dns_resolver **r)
{
    struct dns_resolver *it = *r;
    struct slice key;
    size_t cursor = 0;
    void *value;

    if (it == NULL)
        return;
    loop_deferred_cancel(&it->tell);
    wire_destroy(&it->wire);
    drop_asks(&it->ready);
    while (map_next(it->lookups, &cursor, &key, &value)) {
        struct lookup *k = value;

        drop_asks(&k->asks);
        lookup_free(k);
    }
    map_destroy(&it->lookups);
    dns_zone_destroy(&it->zone);
    if (it->library)
        ares_library_cleanup();
    free(it);
    *r = NULL;
}

struct dns_counts dns_counts(const struct dns_resolver *r)
{
    return r->counts;
}
