/* The keys role: signs digests. It has the private keys, and no files, network or mail. */
#include <unistd.h>

#include "base/arena.h"
#include "lib/crypt/key.h"
#include "lib/dkim/record.h"
#include "lib/dkim/sign.h"
#include "role/messages.h"
#include "role/role.h"
#include "role/settings_check.h"

#define ARENA_MAX (4u << 20)

struct named_key {
    struct crypt_key *key;
    char *domain, *selector;
};

struct keys {
    struct role_env env;
    struct named_key *keys;
    size_t key_n;
    struct keys_link {
        struct keys *keys;
        struct bus *bus;
    } inbound[ROLE_COPIES_MAX], queue;
    struct arena *arena;
    struct buf signature;
};

static void keys_destroy(void *role)
{
    struct keys *k = role;

    for (size_t i = 0; i < k->key_n; i++) {
        crypt_key_destroy(&k->keys[i].key);
        free(k->keys[i].domain);
        free(k->keys[i].selector);
    }
    for (size_t i = 0; i < ROLE_COPIES_MAX; i++)
        bus_close(&k->inbound[i].bus);
    bus_close(&k->queue.bus);
    arena_destroy(&k->arena);
    buf_finish(&k->signature);
    free(k->keys);
    free(k);
}

static void *keys_create(const struct role_env *env, struct err *e)
{
    struct keys *k = mem_alloc(sizeof *k);

    k->env = *env;
    k->arena = arena_create(ARENA_MAX);
    buf_init(&k->signature, CRYPT_SIGNATURE_MAX_BYTES);
    k->keys = mem_alloc(env->conf->key_count * sizeof *k->keys);
    for (size_t i = 0; i < env->conf->key_count; i++) {
        const struct conf_key *c = &env->conf->keys[i];
        struct named_key *key = &k->keys[k->key_n];

        if (settings_read_key(c, &key->key, e) < 0) {
            keys_destroy(k);
            return NULL;
        }
        key->domain = mem_string(c->domain);
        key->selector = mem_string(c->selector);
        k->key_n++;
    }
    return k;
}

static struct crypt_key *find_key(const struct keys *k, struct slice domain, struct slice selector)
{
    for (size_t i = 0; i < k->key_n; i++)
        if (slice_eq_nocase(domain, slice_of(k->keys[i].domain)) &&
            slice_eq_nocase(selector, slice_of(k->keys[i].selector)))
            return k->keys[i].key;
    return NULL;
}

static struct slice make_signature(struct keys *k, const struct msg_sign_request *r)
{
    struct crypt_key *key = find_key(k, r->domain, r->selector);
    struct err e;

    buf_clear(&k->signature);
    if (key == NULL || crypt_key_sign(key, r->digest, &k->signature, &e) < 0) {
        log_error(k->env.log, "keys.sign", LOG_TEXT("domain", r->domain),
                  LOG_TEXT("selector", r->selector),
                  LOG_STRING("error", key == NULL ? "no such key" : e.text));
        return SLICE("");
    }
    metric_add(k->env.metrics, METRIC_signatures_total, 1);
    return arena_copy(k->arena, buf_slice(&k->signature));
}

static void on_message(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct keys_link *link = ctx;
    struct keys *k = link->keys;
    struct msg_sign m;
    struct msg_sign_answer *answers;
    struct msg_signatures out;

    if (fd >= 0)
        close(fd);
    arena_reset(k->arena);
    if (type != MSG_SIGN || !msg_sign_decode(payload, k->arena, &m))
        return;
    answers = arena_array(k->arena, m.requests_n, sizeof *answers);
    if (answers == NULL)
        return;
    for (size_t i = 0; i < m.requests_n; i++)
        answers[i].signature = make_signature(k, &m.requests[i]);
    out = (struct msg_signatures){.txn = m.txn, .answers = answers, .answers_n = m.requests_n};
    msg_signatures_encode(&out, bus_begin(link->bus, MSG_SIGNATURES));
    bus_end(link->bus);
}

static void on_closed(void *ctx, const struct err *why)
{
    struct keys_link *link = ctx;
    (void)why;

    bus_close(&link->bus);
}

static const struct bus_handlers handlers = {on_message, NULL, on_closed};

static void tell_keys(struct keys *k, struct bus *bus)
{
    struct msg_key_fact *facts = mem_alloc(k->key_n * sizeof *facts);
    struct msg_keys_known m = {.keys = facts, .keys_n = k->key_n};

    for (size_t i = 0; i < k->key_n; i++)
        facts[i] = (struct msg_key_fact){
            .domain = slice_of(k->keys[i].domain),
            .selector = slice_of(k->keys[i].selector),
            .algorithm =
                crypt_key_type(k->keys[i].key) == CRYPT_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256,
        };
    msg_keys_known_encode(&m, bus_begin(bus, MSG_KEYS_KNOWN));
    bus_end(bus);
    free(facts);
}

/* --- for the doctor: public knowledge only --- */

#define KEYS_IN_A_PIECE 100 /* records of the largest keys fit a frame */

static void tell_public(struct keys *k, struct bus *bus)
{
    struct msg_public_key *list = mem_alloc(KEYS_IN_A_PIECE * sizeof *list);
    size_t at = 0;
    struct err e;

    do {
        struct msg_keys_public m = {.anew = at == 0, .keys = list};

        arena_reset(k->arena);
        for (; at < k->key_n && m.keys_n < KEYS_IN_A_PIECE; at++) {
            struct buf record;

            buf_init(&record, DKIM_RECORD_MAX_BYTES);
            if (dkim_record_write(k->keys[at].key, &record, &e) < 0)
                log_error(k->env.log, "keys.record", LOG_STRING("domain", k->keys[at].domain),
                          LOG_ERR(&e));
            list[m.keys_n++] = (struct msg_public_key){slice_of(k->keys[at].domain),
                                                       slice_of(k->keys[at].selector),
                                                       arena_copy(k->arena, buf_slice(&record))};
            buf_finish(&record);
        }
        m.complete = at == k->key_n;
        msg_keys_public_encode(&m, bus_begin(bus, MSG_KEYS_PUBLIC));
        bus_end(bus);
    } while (at < k->key_n);
    free(list);
}

static void keys_attach(void *role, enum role_kind peer, unsigned index, struct bus *bus)
{
    struct keys *k = role;
    struct keys_link *link = peer == ROLE_QUEUE ? &k->queue : &k->inbound[index];

    bus_close(&link->bus);
    link->keys = k;
    link->bus = bus;
    bus_set_handlers(bus, &handlers, link);
    tell_keys(k, bus);
    if (peer == ROLE_QUEUE)
        tell_public(k, bus);
}

static void keys_stop(void *role)
{
    struct keys *k = role;

    if (k->env.stopped != NULL)
        k->env.stopped(k->env.stopped_ctx);
}

/* Keys are read with privileges, at the start: the super starts this role anew instead. */
static void keys_settings(void *role, const struct conf *conf)
{
    ((struct keys *)role)->env.conf = conf;
}

const struct role_ops keys_role = {
    .name = "keys",
    .jail = PROC_JAIL_KEYS,
    .needs_privileges = true,
    .create = keys_create,
    .attach = keys_attach,
    .stop = keys_stop,
    .settings = keys_settings,
    .destroy = keys_destroy,
    .sees = {[ROLE_INBOUND] = true, [ROLE_QUEUE] = true},
};
