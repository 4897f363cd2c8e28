/* lib/crypt/key.h -- RSA and Ed25519 keys, parsed once, used often.
 *
 *     digest --> crypt_key_sign()   --> raw signature       (a private key)
 *     digest, raw signature --> crypt_key_verify() --> bool (a public or private key)
 *
 * Signing takes a digest that is already computed, so that the process that holds the keys never
 * sees mail: RSASSA-PKCS1-v1_5 over the digest (RFC 8017 8.2), PureEdDSA over the 32 octets of the
 * SHA-256 digest (RFC 8463 3). A key keeps prepared contexts inside: one thread at a time. */
#ifndef LIB_CRYPT_KEY_H
#define LIB_CRYPT_KEY_H

#include "lib/crypt/hash.h"

enum crypt_key_type { CRYPT_RSA, CRYPT_ED25519 };

#define CRYPT_ED25519_BYTES 32
#define CRYPT_RSA_BITS_MAX 8192 /* larger keys are refused: they only serve to burn our time */
#define CRYPT_SIGNATURE_MAX_BYTES (CRYPT_RSA_BITS_MAX / 8)
#define CRYPT_KEY_FILE_MAX_BYTES 32768

struct crypt_key; /* opaque */

/* Reads a private key: PEM (PKCS#8, or the older "RSA PRIVATE KEY") or PKCS#8 DER, unencrypted.
 * ERR_SYNTAX when it is none of these, neither RSA nor Ed25519, or larger than the ceilings. */
MUST_USE int crypt_key_read_private(struct slice file, struct crypt_key **key_out, struct err *err);

/* Reads a public key as DNS holds it. RSA: SubjectPublicKeyInfo or RSAPublicKey, DER (RFC 6376
 * 3.6.1 and erratum 3017). Ed25519: 32 raw octets (RFC 8463 4.2). Octets left over are an error. */
MUST_USE int crypt_key_read_public(enum crypt_key_type type, struct slice octets,
                                   struct crypt_key **key_out, struct err *err);

/* Makes a new key pair. `bits` is for RSA, 1024 to CRYPT_RSA_BITS_MAX. */
MUST_USE int crypt_key_generate(enum crypt_key_type type, unsigned bits, struct crypt_key **key_out,
                                struct err *err);

void crypt_key_destroy(struct crypt_key **key); /* NULL is fine; writes NULL back */

enum crypt_key_type crypt_key_type(const struct crypt_key *key);
bool crypt_key_is_private(const struct crypt_key *key);
unsigned crypt_key_bits(const struct crypt_key *key); /* of the modulus; 256 for Ed25519 */
/* Do both hold the same public key? */
bool crypt_key_same_public(const struct crypt_key *a, const struct crypt_key *b);

/* Appends PKCS#8 PEM: a secret; wipe the buf after use. */
MUST_USE int crypt_key_write_private(const struct crypt_key *key, struct buf *pem_out,
                                     struct err *err);
/* Appends the public half as DNS wants it (base64 it for p=): SubjectPublicKeyInfo or 32 octets. */
MUST_USE int crypt_key_write_public(const struct crypt_key *key, struct buf *octets_out,
                                    struct err *err);

/* Signs a SHA-256 digest (32 octets) and appends the raw signature. */
MUST_USE int crypt_key_sign(struct crypt_key *key, struct slice digest, struct buf *signature_out,
                            struct err *err);

/* Is `signature` this key's over the digest, made with a hash of that kind? Ed25519 knows SHA-256
 * only. A signature of any length may be asked about. */
bool crypt_key_verify(struct crypt_key *key, enum crypt_hash_kind kind, struct slice digest,
                      struct slice signature);

#endif
