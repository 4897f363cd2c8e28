/* rt/stream/tls.h -- certificates, trust and sessions for the TLS of streams (OpenSSL 3).
 *
 * TLS 1.2 and later only. A context is made once, from files or PEM text, and reloaded by making a
 * new one; streams that still use the old one keep it alive. A server context that is made before
 * fork() shares its ticket key with the children, so clients resume with any of them. */
#ifndef STREAM_TLS_H
#define STREAM_TLS_H

#include "base/base.h"

struct tls_context; /* opaque */
struct tls_cache;   /* opaque */

/* Certificate chain (ours first) and private key, PEM. The error names the file, what is wrong with
 * it, and whether the key belongs to the certificate. NULL on error. */
struct tls_context *tls_server_create(const char *certificate_file, const char *key_file,
                                      struct err *e);
struct tls_context *tls_server_create_pem(struct slice certificate, struct slice key,
                                          struct err *e);
/* `ca_file` NULL: the system's store. Trust matters only where tls_client.verify is set. */
struct tls_context *tls_client_create(const char *ca_file, struct err *e);
void tls_context_destroy(struct tls_context **t);
/* When our certificate ends (unix seconds); 0 for a client context. */
int64_t tls_context_expires(const struct tls_context *t);

/* Client sessions to resume, by destination. At most `max` of them; the oldest goes first. */
struct tls_cache *tls_cache_create(size_t max);
void tls_cache_destroy(struct tls_cache **c);

/* How a client talks TLS with one server. */
struct tls_client {
    struct tls_context *context;
    const char *server_name;    /* SNI, and the name to verify; NULL: none (an address) */
    bool verify;                /* chain and name must be good; false: opportunistic (RFC 7435) */
    struct tls_cache *sessions; /* NULL: no resumption */
    struct slice session_key;   /* e.g. "host:port"; must differ where `verify` or policy differs */
    /* DANE and pinning: called in the handshake with the leaf first, DER; true accepts. It replaces
     * the verification above. NULL: not used. */
    bool (*accept_chain)(void *ctx, const struct slice *certificates, size_t count);
    void *accept_ctx;
};

struct tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    int bits;            /* of the cipher's key */
    bool resumed;
    bool verified;   /* client side: chain and name were checked and good */
    const char *why; /* client side, not verified: what would not have passed; static text */
};

#endif
