#include "lib/crypt/hash.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

struct crypt_hash {
    EVP_MD *md; /* fetched once: a look-up for each digest costs as much as a short one */
    EVP_MD_CTX *ctx;
};

static const char *md_name(enum crypt_hash_kind kind)
{
    switch (kind) {
    case CRYPT_SHA256:
        return "SHA256";
    case CRYPT_SHA1:
        return "SHA1";
    }
    abort();
}

/* A digest fails only for want of memory or of the algorithm itself; neither is an answer. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

struct slice crypt_digest_slice(const struct crypt_digest *d)
{
    return (struct slice){(const char *)d->bytes, d->n};
}

struct crypt_hash *crypt_hash_create(enum crypt_hash_kind kind)
{
    struct crypt_hash *h = mem_alloc(sizeof *h);

    h->md = EVP_MD_fetch(NULL, md_name(kind), NULL);
    h->ctx = EVP_MD_CTX_new();
    if (h->md == NULL || h->ctx == NULL)
        abort();
    must(EVP_DigestInit_ex2(h->ctx, h->md, NULL));
    return h;
}

void crypt_hash_destroy(struct crypt_hash **h)
{
    if (*h == NULL)
        return;
    EVP_MD_CTX_free((*h)->ctx);
    EVP_MD_free((*h)->md);
    free(*h);
    *h = NULL;
}

void crypt_hash_reset(struct crypt_hash *h)
{
    must(EVP_DigestInit_ex2(h->ctx, NULL, NULL));
}

void crypt_hash_update(struct crypt_hash *h, struct slice bytes)
{
    must(EVP_DigestUpdate(h->ctx, bytes.p, bytes.n));
}

void crypt_hash_finish(struct crypt_hash *h, struct crypt_digest *digest_out)
{
    unsigned n = 0;

    assert((size_t)EVP_MD_get_size(h->md) <= sizeof digest_out->bytes);
    must(EVP_DigestFinal_ex(h->ctx, digest_out->bytes, &n));
    digest_out->n = n;
    crypt_hash_reset(h);
}

void crypt_sha256(struct slice bytes, uint8_t digest_out[CRYPT_SHA256_BYTES])
{
    must(EVP_Digest(bytes.p, bytes.n, digest_out, NULL, EVP_sha256(), NULL));
}

static void hmac(const EVP_MD *md, struct slice key, struct slice bytes, uint8_t *digest_out)
{
    unsigned n = 0;

    if (key.n > INT32_MAX)
        abort(); /* OpenSSL counts keys in an int; ours are a few octets long */
    if (HMAC(md, key.n > 0 ? key.p : "", (int)key.n /* checked above */,
             (const unsigned char *)(bytes.n > 0 ? bytes.p : ""), bytes.n, digest_out, &n) == NULL)
        abort();
}

void crypt_hmac_sha256(struct slice key, struct slice bytes, uint8_t digest_out[CRYPT_SHA256_BYTES])
{
    hmac(EVP_sha256(), key, bytes, digest_out);
}

void crypt_hmac_sha1(struct slice key, struct slice bytes, uint8_t digest_out[CRYPT_SHA1_BYTES])
{
    hmac(EVP_sha1(), key, bytes, digest_out);
}

void crypt_random(void *octets_out, size_t size)
{
    must(RAND_bytes_ex(NULL, octets_out, size, 0));
}

void crypt_wipe(void *secret, size_t size)
{
    if (secret != NULL)
        OPENSSL_cleanse(secret, size);
}

bool crypt_equal(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
