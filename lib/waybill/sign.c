/* libwaybill's face of lib/dkim's signer. */
#include <waybill/dkim.h>

#include "lib/crypt/key.h"
#include "lib/dkim/sign.h"
#include "lib/waybill/share_in.h"

#define FIELDS_MAX_BYTES 65536

_Static_assert(WAYBILL_SIGNER_KEYS_MAX == DKIM_SIGNER_SIGNATURES_MAX, "one signature a key");

struct waybill_signer {
    struct dkim_signer *signer;
    struct dkim_sign_spec specs[WAYBILL_SIGNER_KEYS_MAX];
    struct crypt_key *keys[WAYBILL_SIGNER_KEYS_MAX];
    char *domains[WAYBILL_SIGNER_KEYS_MAX], *selectors[WAYBILL_SIGNER_KEYS_MAX];
    size_t count;
    struct buf fields;
};

struct waybill_signer *waybill_signer_create(void)
{
    struct waybill_signer *s = mem_alloc(sizeof *s);

    s->signer = dkim_signer_create();
    buf_init(&s->fields, FIELDS_MAX_BYTES);
    return s;
}

void waybill_signer_destroy(struct waybill_signer **s)
{
    if (!s || !*s)
        return;
    for (size_t i = 0; i < (*s)->count; i++) {
        crypt_key_destroy(&(*s)->keys[i]);
        free((*s)->domains[i]);
        free((*s)->selectors[i]);
    }
    dkim_signer_destroy(&(*s)->signer);
    buf_finish(&(*s)->fields);
    free(*s);
    *s = NULL;
}

int waybill_signer_add_key(struct waybill_signer *s, const char *domain, const char *selector,
                           const char *pem, size_t size, struct waybill_error *error)
{
    struct crypt_key *key;
    struct err e;
    size_t i = s->count;

    if (i == WAYBILL_SIGNER_KEYS_MAX)
        return waybill_fail(error, "a signer holds at most 8 keys");
    if (crypt_key_read_private((struct slice){pem, size}, &key, &e))
        return waybill_fail(error, e.text);
    s->keys[i] = key;
    s->domains[i] = mem_string(domain);
    s->selectors[i] = mem_string(selector);
    s->specs[i] = (struct dkim_sign_spec){
        .domain = slice_of(s->domains[i]),
        .selector = slice_of(s->selectors[i]),
        .algorithm = crypt_key_type(key) == CRYPT_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256,
        .header_canon = CANON_RELAXED,
        .body_canon = CANON_RELAXED};
    s->count++;
    return 0;
}

int waybill_signer_begin(struct waybill_signer *s, const char *header, size_t size,
                         int64_t unix_time, struct waybill_error *error)
{
    struct dkim_sign_options options = {
        .specs = s->specs, .spec_count = s->count, .signed_at_s = unix_time};
    struct err e;

    if (s->count == 0)
        return waybill_fail(error, "the signer has no key");
    if (dkim_signer_begin(s->signer, &options, (struct slice){header, size}, &e))
        return waybill_fail(error, e.text);
    return 0;
}

void waybill_signer_body(struct waybill_signer *s, const char *bytes, size_t size)
{
    dkim_signer_body(s->signer, (struct slice){bytes, size});
}

int waybill_signer_finish(struct waybill_signer *s, struct waybill_text *fields_out,
                          struct waybill_error *error)
{
    struct buf signature;
    struct err e;
    int result = 0;

    buf_init(&signature, CRYPT_SIGNATURE_MAX_BYTES);
    buf_clear(&s->fields);
    dkim_signer_finish(s->signer);
    for (size_t i = 0; i < dkim_signer_count(s->signer) && result == 0; i++) {
        buf_clear(&signature);
        result = crypt_key_sign(s->keys[i], dkim_signer_digest(s->signer, i), &signature, &e);
        if (result == 0)
            result = dkim_signer_answer(s->signer, i, buf_slice(&signature), &e);
    }
    if (result == 0)
        result = dkim_signer_write(s->signer, &s->fields, &e);
    buf_finish(&signature);
    if (result != 0)
        return waybill_fail(error, e.text);
    *fields_out = waybill_text_of(buf_slice(&s->fields));
    return 0;
}
