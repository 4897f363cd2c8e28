/* lib/crypt/hash.h -- digests, message authentication, random octets, secrets.
 *
 * lib/crypt is the only room of lib/ that sees OpenSSL. A hash object is made once and used for
 * many messages, because looking an algorithm up is what is slow in OpenSSL 3. */
#ifndef LIB_CRYPT_HASH_H
#define LIB_CRYPT_HASH_H

#include "base/base.h"

#define CRYPT_SHA256_BYTES 32
#define CRYPT_SHA1_BYTES 20
#define CRYPT_DIGEST_MAX_BYTES 32

enum crypt_hash_kind {
    CRYPT_SHA256,
    CRYPT_SHA1, /* only to judge old signatures; nothing is signed with it */
};

struct crypt_digest {
    uint8_t bytes[CRYPT_DIGEST_MAX_BYTES];
    size_t n; /* 32, or 20 for SHA-1 */
};
struct slice crypt_digest_slice(const struct crypt_digest *d); /* lives as long as `d` */

struct crypt_hash; /* opaque; one thread at a time */

struct crypt_hash *crypt_hash_create(enum crypt_hash_kind kind);
void crypt_hash_destroy(struct crypt_hash **h); /* NULL is fine; writes NULL back */
void crypt_hash_update(struct crypt_hash *h, struct slice bytes);
/* The digest of everything since creation or the last finish; the object then starts anew. */
void crypt_hash_finish(struct crypt_hash *h, struct crypt_digest *digest_out);
/* Forgets what was given so far. */
void crypt_hash_reset(struct crypt_hash *h);

/* SHA-256 of bytes in one call. */
void crypt_sha256(struct slice bytes, uint8_t digest_out[CRYPT_SHA256_BYTES]);
/* HMAC-SHA-256 (RFC 2104). Keys of any length, the empty one too. */
void crypt_hmac_sha256(struct slice key, struct slice bytes,
                       uint8_t digest_out[CRYPT_SHA256_BYTES]);
/* HMAC-SHA-1, for addresses that other programs shall read too (lib/addr/srs.h). */
void crypt_hmac_sha1(struct slice key, struct slice bytes, uint8_t digest_out[CRYPT_SHA1_BYTES]);

/* Fills `size` octets from the system's generator. Aborts if it fails, for no caller could go on.
 */
void crypt_random(void *octets_out, size_t size);
/* Overwrites a secret so that the compiler cannot leave it out. */
void crypt_wipe(void *secret, size_t size);
/* Equality in a time that depends on the lengths only. */
bool crypt_equal(struct slice a, struct slice b);

#endif
