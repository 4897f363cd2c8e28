/* lib/dkim/record.h -- the key record in DNS (RFC 6376 3.6.1, RFC 8463 4), and keys once parsed.
 *
 *     TXT text --> dkim_keys_get() --> struct dkim_key: the record and its public key
 *
 * A cache answers for the same text with the same key, so a key is parsed once and not once for
 * each message. It goes by the record's text, so it can never be older than DNS. */
#ifndef LIB_DKIM_RECORD_H
#define LIB_DKIM_RECORD_H

#include "lib/crypt/key.h"

#define DKIM_RECORD_MAX_BYTES 16384
#define DKIM_KEYS_MAX 100000

struct dkim_record {
    enum crypt_key_type type; /* k= */
    bool revoked;             /* p= is empty */
    bool sha256, sha1;        /* h= allows them; both without h= */
    bool email;               /* s= allows mail */
    bool testing;             /* t=y */
    bool strict;              /* t=s: i= must not be a subdomain of d= */
    bool versioned;           /* v=DKIM1 was there */
};
struct dkim_key {
    struct dkim_record record;
    struct crypt_key *key; /* NULL when revoked or when `problem` tells why it cannot be used */
    struct err problem;    /* code ERR_NONE: the record is good */
    unsigned uses;         /* inside: who holds it now */
};

/* Reads a record. The key is NULL when p= is empty. ERR_SYNTAX says what is wrong. */
MUST_USE int dkim_record_read(struct slice text, struct dkim_record *record_out,
                              struct crypt_key **key_out, struct err *err);

/* Appends the record for the public half of `key`: "v=DKIM1; k=rsa; p=...". */
MUST_USE int dkim_record_write(const struct crypt_key *key, struct buf *out, struct err *err);

/* Appends `text` as the strings of a TXT record in master-file form: quoted, at most 255 octets
 * each (RFC 1035 3.3.14), with a space between. */
void dkim_record_quote(struct slice text, struct buf *out);

struct dkim_keys; /* opaque; one thread at a time */

/* Keeps at most `max` keys (1 to DKIM_KEYS_MAX); when there are more, those that nobody holds go.
 */
struct dkim_keys *dkim_keys_create(size_t max, uint64_t seed);
void dkim_keys_destroy(struct dkim_keys **k); /* all must have been released; NULL is fine */
/* The key of that record text, parsed now or earlier; a bad one too, with its problem. Release it.
 */
struct dkim_key *dkim_keys_get(struct dkim_keys *k, struct slice text);
void dkim_keys_release(struct dkim_key *key); /* NULL is fine */
size_t dkim_keys_count(const struct dkim_keys *k);

#endif
