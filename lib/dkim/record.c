#include "lib/dkim/record.h"

#include <assert.h>

#include "base/map.h"
#include "lib/dkim/tags_in.h"
#include "lib/text/base64.h"

#define STRING_MAX 255

struct dkim_keys {
    struct map *map;
    size_t max;
    uint64_t seed;
};

static bool list_allows(const struct dkim_tags *tags, const char *tag, struct slice word, bool star)
{
    const struct dkim_tag *list = dkim_tags_find(tags, tag);

    return list == NULL || dkim_list_has(list->value, word) ||
           (star && dkim_list_has(list->value, SLICE("*")));
}

static int read_type(const struct dkim_tags *tags, struct dkim_record *record, struct err *err)
{
    const struct dkim_tag *k = dkim_tags_find(tags, "k");

    if (k == NULL || slice_eq(k->value, SLICE("rsa"))) {
        record->type = CRYPT_RSA;
        return 0;
    }
    if (slice_eq(k->value, SLICE("ed25519"))) {
        record->type = CRYPT_ED25519;
        return 0;
    }
    return err_set(err, ERR_SYNTAX, "the key record has an unknown key type k=%.*s",
                   SLICE_ARG(slice_sub(k->value, 0, 40)));
}

static int read_key(struct slice p, struct dkim_record *record, struct crypt_key **key_out,
                    struct err *err)
{
    struct buf octets;
    int result = -1;

    record->revoked = p.n == 0;
    if (record->revoked)
        return 0;
    buf_init(&octets, DKIM_RECORD_MAX_BYTES);
    if (dkim_base64_read(p, "p= of the key record", &octets, err) == 0)
        result = crypt_key_read_public(record->type, buf_slice(&octets), key_out, err);
    buf_finish(&octets);
    return result;
}

int dkim_record_read(struct slice text, struct dkim_record *record_out, struct crypt_key **key_out,
                     struct err *err)
{
    const struct dkim_tag *v, *p;
    struct dkim_tags tags;
    int result = -1;

    *record_out = (struct dkim_record){0};
    *key_out = NULL;
    if (text.n > DKIM_RECORD_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "the key record has %zu octets", text.n);
    if (dkim_tags_read(text, &tags, err) != 0)
        goto out;
    v = dkim_tags_find(&tags, "v");
    p = dkim_tags_find(&tags, "p");
    record_out->versioned = v != NULL;
    if (v != NULL && !slice_eq(v->value, SLICE("DKIM1"))) {
        err_set(err, ERR_SYNTAX, "v=%.*s is not the version of a DKIM key record",
                SLICE_ARG(slice_sub(v->value, 0, 40)));
        goto out;
    }
    if (v != NULL && v != &tags.list[0]) { /* RFC 6376 3.6.1 */
        err_set(err, ERR_SYNTAX, "v= is not the first tag of the key record");
        goto out;
    }
    if (p == NULL) {
        err_set(err, ERR_SYNTAX, "the record holds no key (no p=)");
        goto out;
    }
    record_out->sha256 = list_allows(&tags, "h", SLICE("sha256"), false);
    record_out->sha1 = list_allows(&tags, "h", SLICE("sha1"), false);
    record_out->email = list_allows(&tags, "s", SLICE("email"), true);
    if (dkim_tags_find(&tags, "t") != NULL) {
        record_out->testing = list_allows(&tags, "t", SLICE("y"), false);
        record_out->strict = list_allows(&tags, "t", SLICE("s"), false);
    }
    if (read_type(&tags, record_out, err) == 0)
        result = read_key(p->value, record_out, key_out, err);
out:
    if (result != 0)
        dkim_clean(err);
    return result;
}

int dkim_record_write(const struct crypt_key *key, struct buf *out, struct err *err)
{
    struct buf octets;
    int result;

    buf_init(&octets, DKIM_RECORD_MAX_BYTES);
    result = crypt_key_write_public(key, &octets, err);
    if (result == 0) {
        buf_printf(out, "v=DKIM1; k=%s; p=", crypt_key_type(key) == CRYPT_RSA ? "rsa" : "ed25519");
        base64_encode(buf_slice(&octets), out);
        if (out->full)
            result = err_set(err, ERR_LIMIT, "no room for the key record");
    }
    buf_finish(&octets);
    return result;
}

void dkim_record_quote(struct slice text, struct buf *out)
{
    do {
        struct slice part = slice_sub(text, 0, STRING_MAX);

        buf_append_char(out, '"');
        for (size_t i = 0; i < part.n; i++) {
            unsigned char c = (unsigned char)part.p[i];

            if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
                buf_printf(out, "\\%03u", c);
            else
                buf_append_char(out, part.p[i]);
        }
        buf_append_char(out, '"');
        text = slice_from(text, part.n);
        if (text.n > 0)
            buf_append_char(out, ' ');
    } while (text.n > 0);
}

/* --- the cache --- */

struct dkim_keys *dkim_keys_create(size_t max, uint64_t seed)
{
    struct dkim_keys *k = mem_alloc(sizeof *k);

    assert(max > 0 && max <= DKIM_KEYS_MAX);
    k->max = max;
    k->seed = seed;
    k->map = map_create(seed);
    return k;
}

static void free_key(struct dkim_key *key)
{
    assert(key->uses == 0);
    crypt_key_destroy(&key->key);
    free(key);
}

void dkim_keys_destroy(struct dkim_keys **k)
{
    struct slice text;
    void *value;
    size_t cursor = 0;

    if (*k == NULL)
        return;
    while (map_next((*k)->map, &cursor, &text, &value))
        free_key(value);
    map_destroy(&(*k)->map);
    free(*k);
    *k = NULL;
}

/* Lets all go that nobody holds: rare, and simpler than remembering who was last. */
static void drop_unused(struct dkim_keys *k)
{
    struct map *kept = map_create(k->seed);
    struct slice text;
    void *value;
    size_t cursor = 0;

    while (map_next(k->map, &cursor, &text, &value)) {
        struct dkim_key *key = value;

        if (key->uses > 0)
            map_put(kept, text, key);
        else
            free_key(key);
    }
    map_destroy(&k->map);
    k->map = kept;
}

struct dkim_key *dkim_keys_get(struct dkim_keys *k, struct slice text)
{
    struct dkim_key *key = map_get(k->map, text);

    if (key == NULL) {
        if (map_count(k->map) >= k->max)
            drop_unused(k);
        key = mem_alloc(sizeof *key);
        if (dkim_record_read(text, &key->record, &key->key, &key->problem) == 0)
            key->problem.code = ERR_NONE;
        map_put(k->map, text, key);
    }
    key->uses++;
    return key;
}

void dkim_keys_release(struct dkim_key *key)
{
    if (key == NULL)
        return;
    assert(key->uses > 0);
    key->uses--;
}

size_t dkim_keys_count(const struct dkim_keys *k)
{
    return map_count(k->map);
}
