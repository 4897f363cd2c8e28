#include "lib/crypt/key.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define HASH_KINDS 2
#define FF_5 0xff, 0xff, 0xff, 0xff, 0xff
#define FF_30 FF_5, FF_5, FF_5, FF_5, FF_5, FF_5
#define RSA_EXPONENT_BITS_MAX 64 /* the work of a verification grows with it */

struct crypt_key {
    EVP_PKEY *pkey;
    enum crypt_key_type type;
    bool is_private;
    unsigned bits;
    /* Prepared once, used many times: setting one up costs more than an RSA verification. */
    EVP_PKEY_CTX *sign;
    EVP_PKEY_CTX *verify[HASH_KINDS];    /* RSA, one for each hash */
    EVP_MD_CTX *sign_once, *verify_once; /* Ed25519 */
};

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

/* Takes ownership of `pkey`, also on failure. */
static int adopt(EVP_PKEY *pkey, bool is_private, struct crypt_key **key_out, struct err *err)
{
    int type = EVP_PKEY_get_base_id(pkey);
    int bits = EVP_PKEY_get_bits(pkey);

    if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519) {
        EVP_PKEY_free(pkey);
        return err_set(err, ERR_SYNTAX, "the key is neither RSA nor Ed25519");
    }
    if (bits <= 0 || bits > CRYPT_RSA_BITS_MAX) {
        EVP_PKEY_free(pkey);
        return err_set(err, ERR_SYNTAX, "the key has %d bits; at most %d are taken", bits,
                       CRYPT_RSA_BITS_MAX);
    }
    struct crypt_key *key = mem_alloc(sizeof *key);
    key->pkey = pkey;
    key->is_private = is_private;
    key->type = type == EVP_PKEY_RSA ? CRYPT_RSA : CRYPT_ED25519;
    key->bits = type == EVP_PKEY_RSA ? (unsigned)bits /* positive, checked above */ : 256;
    *key_out = key;
    return 0;
}

/* Without a callback of ours OpenSSL would ask the terminal for a pass phrase. */
static int no_pass_phrase(char *text, int size, int writing, void *ctx)
{
    (void)text, (void)size, (void)writing, (void)ctx;
    return -1;
}

int crypt_key_read_private(struct slice file, struct crypt_key **key_out, struct err *err)
{
    EVP_PKEY *pkey = NULL;

    *key_out = NULL;
    if (file.n == 0)
        return err_set(err, ERR_SYNTAX, "the key file is empty");
    if (file.n > CRYPT_KEY_FILE_MAX_BYTES)
        return err_set(err, ERR_SYNTAX, "a key file of %zu bytes is too large", file.n);
    BIO *in = BIO_new_mem_buf(file.p, (int)file.n /* at most the ceiling above */);
    if (in == NULL)
        abort();
    if (slice_search(file, SLICE("-----BEGIN")) != SLICE_NONE)
        pkey = PEM_read_bio_PrivateKey(in, NULL, no_pass_phrase, NULL);
    else
        pkey = d2i_PrivateKey_bio(in, NULL);
    BIO_free(in);
    if (pkey == NULL)
        return err_set(err, ERR_SYNTAX,
                       "no private key could be read (PEM or PKCS#8 DER, not "
                       "encrypted): %s",
                       reason());
    return adopt(pkey, true, key_out, err);
}

/* RSAPublicKey and SubjectPublicKeyInfo are both a SEQUENCE; the former begins with an INTEGER. */
static EVP_PKEY *read_rsa(struct slice der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    const unsigned char *end = at + der.n;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)der.n /* at most CRYPT_KEY_FILE_MAX_BYTES */);

    if (pkey == NULL) {
        at = (const unsigned char *)der.p;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)der.n /* the same */);
    }
    if (pkey != NULL && (at != end || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

/* With e=1 every padded digest is its own signature; no even e is one of RSA; a huge one, which
 * OpenSSL takes for short moduli, makes verifying as slow as signing. */
static bool has_good_exponent(EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;
    bool good = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
                !BN_is_one(e) && BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;

    BN_free(e);
    return good;
}

/* The points of order 1, 2, 4 and 8, as octets without the sign of x, y and y + p alike: anybody
 * can make a signature that such a key verifies, for any message. */
static bool has_small_order(struct slice octets)
{
    static const uint8_t points[][CRYPT_ED25519_BYTES] = {
        {0},
        {1},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
        {0xec, FF_30, 0x7f},
        {0xed, FF_30, 0x7f},
        {0xee, FF_30, 0x7f},
    };

    for (size_t i = 0; i < COUNT(points); i++) {
        const uint8_t *last = &points[i][CRYPT_ED25519_BYTES - 1];

        if (memcmp(octets.p, points[i], CRYPT_ED25519_BYTES - 1) == 0 &&
            ((uint8_t)octets.p[CRYPT_ED25519_BYTES - 1] & 0x7f) == *last)
            return true;
    }
    return false;
}

int crypt_key_read_public(enum crypt_key_type type, struct slice octets, struct crypt_key **key_out,
                          struct err *err)
{
    EVP_PKEY *pkey = NULL;

    *key_out = NULL;
    if (octets.n > CRYPT_KEY_FILE_MAX_BYTES)
        return err_set(err, ERR_SYNTAX, "a public key of %zu octets is too large", octets.n);
    switch (type) {
    case CRYPT_RSA:
        pkey = octets.n > 0 ? read_rsa(octets) : NULL;
        if (pkey == NULL)
            return err_set(err, ERR_SYNTAX, "the %zu octets are no RSA public key: %s", octets.n,
                           reason());
        if (!has_good_exponent(pkey)) {
            EVP_PKEY_free(pkey);
            return err_set(err, ERR_SYNTAX, "an RSA key whose exponent is 1, even, or over %d bits",
                           RSA_EXPONENT_BITS_MAX);
        }
        break;
    case CRYPT_ED25519:
        if (octets.n != CRYPT_ED25519_BYTES)
            return err_set(err, ERR_SYNTAX, "an Ed25519 public key has 32 octets, this one %zu",
                           octets.n);
        if (has_small_order(octets))
            return err_set(err, ERR_SYNTAX,
                           "an Ed25519 key that proves nothing: its order is small");
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)octets.p,
                                           octets.n);
        if (pkey == NULL)
            return err_set(err, ERR_SYNTAX, "no Ed25519 public key: %s", reason());
        break;
    }
    ERR_clear_error(); /* the form that was tried first leaves its complaint behind */
    return adopt(pkey, false, key_out, err);
}

int crypt_key_generate(enum crypt_key_type type, unsigned bits, struct crypt_key **key_out,
                       struct err *err)
{
    EVP_PKEY *pkey = NULL;

    *key_out = NULL;
    if (type == CRYPT_RSA && (bits < 1024 || bits > CRYPT_RSA_BITS_MAX))
        return err_set(err, ERR_SYNTAX, "an RSA key has 1024 to %d bits, not %u",
                       CRYPT_RSA_BITS_MAX, bits);
    pkey = type == CRYPT_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
                             : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (pkey == NULL)
        return err_set(err, ERR_SYSTEM, "no key could be made: %s", reason());
    return adopt(pkey, true, key_out, err);
}

void crypt_key_destroy(struct crypt_key **key)
{
    if (*key == NULL)
        return;
    EVP_PKEY_CTX_free((*key)->sign);
    for (size_t i = 0; i < HASH_KINDS; i++)
        EVP_PKEY_CTX_free((*key)->verify[i]);
    EVP_MD_CTX_free((*key)->sign_once);
    EVP_MD_CTX_free((*key)->verify_once);
    EVP_PKEY_free((*key)->pkey);
    free(*key);
    *key = NULL;
}

enum crypt_key_type crypt_key_type(const struct crypt_key *key)
{
    return key->type;
}

bool crypt_key_is_private(const struct crypt_key *key)
{
    return key->is_private;
}

unsigned crypt_key_bits(const struct crypt_key *key)
{
    return key->bits;
}

bool crypt_key_same_public(const struct crypt_key *a, const struct crypt_key *b)
{
    bool same = EVP_PKEY_eq(a->pkey, b->pkey) == 1;

    ERR_clear_error();
    return same;
}

int crypt_key_write_private(const struct crypt_key *key, struct buf *pem_out, struct err *err)
{
    BIO *out;
    char *text;
    long n;
    int result = -1;

    if (!key->is_private)
        return err_set(err, ERR_FOUND, "only the public half of the key is here");
    out = BIO_new(BIO_s_secmem());
    if (out == NULL)
        abort();
    if (PEM_write_bio_PKCS8PrivateKey(out, key->pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        err_set(err, ERR_SYSTEM, "the key could not be written: %s", reason());
        goto out;
    }
    n = BIO_get_mem_data(out, &text);
    buf_append(pem_out, (struct slice){text, (size_t)n /* never negative */});
    if (pem_out->full) {
        err_set(err, ERR_LIMIT, "no room for a key of %ld bytes", n);
        goto out;
    }
    result = 0;
out:
    BIO_free(out);
    return result;
}

int crypt_key_write_public(const struct crypt_key *key, struct buf *octets_out, struct err *err)
{
    unsigned char raw[CRYPT_ED25519_BYTES];
    unsigned char *der = NULL;
    size_t n = sizeof raw;

    switch (key->type) {
    case CRYPT_RSA: {
        int size = i2d_PUBKEY(key->pkey, &der);
        if (size <= 0)
            return err_set(err, ERR_SYSTEM, "the public key could not be written: %s", reason());
        buf_append(octets_out, (struct slice){(const char *)der, (size_t)size /* positive */});
        OPENSSL_free(der);
        break;
    }
    case CRYPT_ED25519:
        if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &n) != 1)
            return err_set(err, ERR_SYSTEM, "the public key could not be written: %s", reason());
        buf_append(octets_out, (struct slice){(const char *)raw, n});
        break;
    }
    if (octets_out->full)
        return err_set(err, ERR_LIMIT, "no room for the public key");
    return 0;
}

static const EVP_MD *md_of(enum crypt_hash_kind kind)
{
    switch (kind) {
    case CRYPT_SHA256:
        return EVP_sha256();
    case CRYPT_SHA1:
        return EVP_sha1();
    }
    abort();
}

/* NULL if OpenSSL will not do it (a FIPS provider and SHA-1, say). */
static EVP_PKEY_CTX *rsa_context(const struct crypt_key *key, bool signing,
                                 enum crypt_hash_kind kind)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);

    if (ctx == NULL)
        abort();
    if ((signing ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(ctx, md_of(kind)) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static EVP_MD_CTX *ed25519_context(const struct crypt_key *key, bool signing)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok;

    if (ctx == NULL)
        abort();
    ok = signing ? EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key->pkey, NULL)
                 : EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key->pkey, NULL);
    if (ok == 1)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static bool sign_rsa(struct crypt_key *key, struct slice digest, char *room, size_t *n)
{
    if (key->sign == NULL)
        key->sign = rsa_context(key, true, CRYPT_SHA256);
    return key->sign != NULL && EVP_PKEY_sign(key->sign, (unsigned char *)room, n,
                                              (const unsigned char *)digest.p, digest.n) == 1;
}

static bool sign_ed25519(struct crypt_key *key, struct slice digest, char *room, size_t *n)
{
    if (key->sign_once == NULL)
        key->sign_once = ed25519_context(key, true);
    return key->sign_once != NULL && EVP_DigestSign(key->sign_once, (unsigned char *)room, n,
                                                    (const unsigned char *)digest.p, digest.n) == 1;
}

int crypt_key_sign(struct crypt_key *key, struct slice digest, struct buf *signature_out,
                   struct err *err)
{
    size_t n;
    char *room;
    bool ok = false;

    if (!key->is_private)
        return err_set(err, ERR_FOUND, "only the public half of the key is here");
    if (digest.n != CRYPT_SHA256_BYTES)
        return err_set(err, ERR_SYNTAX, "a SHA-256 digest has 32 octets, this one %zu", digest.n);
    n = (size_t)EVP_PKEY_get_size(key->pkey) /* positive: the key was parsed */;
    room = buf_room(signature_out, n);
    if (room == NULL)
        return err_set(err, ERR_LIMIT, "no room for a signature of %zu octets", n);
    switch (key->type) {
    case CRYPT_RSA:
        ok = sign_rsa(key, digest, room, &n);
        break;
    case CRYPT_ED25519:
        ok = sign_ed25519(key, digest, room, &n);
        break;
    }
    if (!ok)
        return err_set(err, ERR_SYSTEM, "signing failed: %s", reason());
    buf_claim(signature_out, n);
    return 0;
}

static bool verify_rsa(struct crypt_key *key, enum crypt_hash_kind kind, struct slice digest,
                       struct slice signature)
{
    EVP_PKEY_CTX **ctx = &key->verify[kind];

    if (*ctx == NULL)
        *ctx = rsa_context(key, false, kind);
    return *ctx != NULL && EVP_PKEY_verify(*ctx, (const unsigned char *)signature.p, signature.n,
                                           (const unsigned char *)digest.p, digest.n) == 1;
}

static bool verify_ed25519(struct crypt_key *key, struct slice digest, struct slice signature)
{
    if (key->verify_once == NULL)
        key->verify_once = ed25519_context(key, false);
    return key->verify_once != NULL &&
           EVP_DigestVerify(key->verify_once, (const unsigned char *)signature.p, signature.n,
                            (const unsigned char *)digest.p, digest.n) == 1;
}

bool crypt_key_verify(struct crypt_key *key, enum crypt_hash_kind kind, struct slice digest,
                      struct slice signature)
{
    bool good = false;

    if (signature.n == 0 || signature.n > CRYPT_SIGNATURE_MAX_BYTES)
        return false;
    switch (key->type) {
    case CRYPT_RSA:
        good = digest.n == (kind == CRYPT_SHA256 ? 32u : 20u) &&
               verify_rsa(key, kind, digest, signature);
        break;
    case CRYPT_ED25519:
        good = kind == CRYPT_SHA256 && digest.n == CRYPT_SHA256_BYTES &&
               verify_ed25519(key, digest, signature);
        break;
    }
    ERR_clear_error(); /* a forged signature is a verdict, not an error to be found later */
    return good;
}
