#include "rt/stream/tls.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "rt/stream/stream_in.h"

#define FILE_MAX_BYTES (1024u * 1024u)
#define CHAIN_MAX 20u

struct tls_context {
    SSL_CTX *ssl;
    int64_t expires_unix_s;
};

SSL_CTX *tls_context_ssl(const struct tls_context *t)
{
    return t->ssl;
}

int64_t tls_context_expires(const struct tls_context *t)
{
    return t->expires_unix_s;
}

void tls_context_destroy(struct tls_context **t)
{
    if (*t == NULL)
        return;
    SSL_CTX_free((*t)->ssl);
    free(*t);
    *t = NULL;
}

struct slice tls_error(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    return slice_of(reason != NULL ? reason : "the connection ended");
}

/* --- what both sides share --- */

static struct tls_context *create(const SSL_METHOD *method)
{
    struct tls_context *t = mem_alloc(sizeof *t);

    t->ssl = SSL_CTX_new(method);
    if (t->ssl == NULL)
        abort(); /* out of memory (STYLE rule 23) */
    SSL_CTX_set_min_proto_version(t->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(t->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(t->ssl, 1); /* one read for a record instead of two */
    return t;
}

/* --- server --- */

static int64_t unix_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int use_chain(struct tls_context *t, struct slice pem, const char *name, struct err *e)
{
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n); /* read_file() has a ceiling below INT_MAX */
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    int result = -1;

    if (certificate == NULL) {
        err_set(e, ERR_SYNTAX, "%s holds no certificate in PEM form", name);
        goto out;
    }
    if (SSL_CTX_use_certificate(t->ssl, certificate) != 1) {
        err_set(e, ERR_SYNTAX, "the certificate in %s cannot be used: %.*s", name,
                SLICE_ARG(tls_error()));
        goto out;
    }
    t->expires_unix_s = unix_of(X509_get0_notAfter(certificate));
    for (;;) {
        X509 *next = PEM_read_bio_X509(in, NULL, NULL, NULL);

        if (next == NULL)
            break;
        if (SSL_CTX_add0_chain_cert(t->ssl, next) != 1) {
            X509_free(next);
            err_set(e, ERR_SYNTAX, "a chain certificate in %s cannot be used", name);
            goto out;
        }
    }
    result = 0;
out:
    X509_free(certificate);
    BIO_free(in);
    ERR_clear_error();
    return result;
}

static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return -1; /* a key with a password is refused, instead of asking on a terminal */
}

static int use_key(struct tls_context *t, struct slice pem, const char *name,
                   const char *certificate_name, struct err *e)
{
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    int result = 0;

    if (key == NULL)
        result =
            err_set(e, ERR_SYNTAX, "%s holds no private key in PEM form without a password", name);
    else if (SSL_CTX_use_PrivateKey(t->ssl, key) != 1)
        result = err_set(e, ERR_SYNTAX, "the key in %s does not belong to the certificate in %s",
                         name, certificate_name);
    EVP_PKEY_free(key);
    BIO_free(in);
    ERR_clear_error();
    return result;
}

static struct tls_context *server_create(struct slice certificate, const char *certificate_name,
                                         struct slice key, const char *key_name, struct err *e)
{
    static const unsigned char id[] = "waybill";
    struct tls_context *t = create(TLS_server_method());

    if (use_chain(t, certificate, certificate_name, e) != 0 ||
        use_key(t, key, key_name, certificate_name, e) != 0)
        tls_context_destroy(&t);
    if (t == NULL)
        return NULL;
    SSL_CTX_set_session_id_context(t->ssl, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_OFF); /* tickets need no memory */
    SSL_CTX_set_num_tickets(t->ssl, 1);
    return t;
}

struct tls_context *tls_server_create_pem(struct slice certificate, struct slice key, struct err *e)
{
    if (certificate.n > FILE_MAX_BYTES || key.n > FILE_MAX_BYTES) {
        err_set(e, ERR_LIMIT, "a certificate or key of more than %u bytes", FILE_MAX_BYTES);
        return NULL;
    }
    return server_create(certificate, "the certificate text", key, "the key text", e);
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "re");
    size_t n;

    if (f == NULL)
        return err_system(e, errno, "cannot read %s", path);
    while ((n = fread(buf_room(out, 4096), 1, 4096, f)) > 0) {
        buf_claim(out, n);
        if (out->n + 4096 > out->max)
            break;
    }
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed)
        return err_set(e, ERR_SYSTEM, "cannot read %s", path);
    if (out->n + 4096 > out->max)
        return err_set(e, ERR_LIMIT, "%s is larger than %u bytes", path, FILE_MAX_BYTES);
    return 0;
}

struct tls_context *tls_server_create(const char *certificate_file, const char *key_file,
                                      struct err *e)
{
    struct tls_context *t = NULL;
    struct buf certificate, key;

    buf_init(&certificate, FILE_MAX_BYTES + 4096);
    buf_init(&key, FILE_MAX_BYTES + 4096);
    if (read_file(certificate_file, &certificate, e) == 0 && read_file(key_file, &key, e) == 0)
        t = server_create(buf_slice(&certificate), certificate_file, buf_slice(&key), key_file, e);
    if (key.p != NULL)
        OPENSSL_cleanse(key.p, key.n);
    buf_finish(&certificate);
    buf_finish(&key);
    return t;
}

/* --- client --- */

/* The peer's chain in DER, to the one who wants to judge it himself. */
static bool ask_chain(const struct tls_peer *peer, X509_STORE_CTX *x)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(x);
    struct slice certificates[CHAIN_MAX];
    unsigned char *der[CHAIN_MAX] = {NULL};
    size_t count = 0;
    bool accepted;

    for (int i = 0; i < sk_X509_num(chain) && count < CHAIN_MAX; i++) {
        int n = i2d_X509(sk_X509_value(chain, i), &der[count]);

        if (n <= 0)
            break;
        certificates[count] = (struct slice){(const char *)der[count], (size_t)n};
        count++;
    }
    accepted = count > 0 && peer->accept_chain(peer->accept_ctx, certificates, count);
    for (size_t i = 0; i < count; i++)
        OPENSSL_free(der[i]);
    return accepted;
}

static int verify_chain(X509_STORE_CTX *x, void *ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct stream *s = SSL_get_app_data(ssl);

    (void)ctx;
    if (s->tls == NULL || s->tls->accept_chain == NULL)
        return X509_verify_cert(x);
    bool accepted = ask_chain(s->tls, x);
    X509_STORE_CTX_set_error(x, accepted ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
    return accepted;
}

static int new_session(SSL *ssl, SSL_SESSION *session)
{
    struct stream *s = SSL_get_app_data(ssl);

    if (s == NULL || s->tls == NULL || s->tls->sessions == NULL)
        return 0;
    tls_cache_put(s->tls->sessions, buf_slice(&s->tls->session_key), session);
    return 1; /* the cache has it now */
}

struct tls_context *tls_client_create(const char *ca_file, struct err *e)
{
    struct tls_context *t = create(TLS_client_method());

    /* Level 1: 1024-bit keys of old servers are better than no TLS at all (RFC 7435). */
    SSL_CTX_set_security_level(t->ssl, 1);
    SSL_CTX_set_cert_verify_callback(t->ssl, verify_chain, NULL);
    SSL_CTX_set_session_cache_mode(t->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(t->ssl, new_session);
    ERR_clear_error();
    if (ca_file == NULL || ca_file[0] == '\0') {
        SSL_CTX_set_default_verify_paths(t->ssl); /* an empty store refuses, when asked to verify */
    } else if (SSL_CTX_load_verify_file(t->ssl, ca_file) != 1) {
        err_set(e, ERR_SYNTAX, "%s holds no certificates that can be trusted: %.*s", ca_file,
                SLICE_ARG(tls_error()));
        tls_context_destroy(&t);
    }
    ERR_clear_error();
    return t;
}
