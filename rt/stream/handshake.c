#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "rt/stream/stream_in.h"

#define HANDSHAKE_MS 30000

/* Everything that came before TLS is forgotten (RFC 3207 4.2). */
static void prepare(struct stream *s, SSL_CTX *context, int64_t timeout_ms)
{
    assert(s->ssl == NULL && s->state != STREAM_DEAD);
    buf_finish(&s->kept);
    s->dropped_input = true;
    s->eof = false;
    s->ssl = SSL_new(context);
    if (s->ssl == NULL)
        abort(); /* out of memory (STYLE rule 23) */
    SSL_set_fd(s->ssl, s->fd);
    SSL_set_app_data(s->ssl, s);
    s->phase_ms = loop_now_ms(s->all->loop) + (timeout_ms > 0 ? timeout_ms : HANDSHAKE_MS);
    s->state = STREAM_TLS_AHEAD;
    stream_arm(s);
    stream_turn(s);
    stream_interest(s);
}

void stream_start_tls_server(struct stream *s, struct tls_context *context, int64_t timeout_ms)
{
    if (s->state == STREAM_DEAD)
        return;
    prepare(s, tls_context_ssl(context), timeout_ms);
    SSL_set_accept_state(s->ssl);
}

void stream_start_tls_client(struct stream *s, const struct tls_client *client, int64_t timeout_ms)
{
    SSL_SESSION *session;

    if (s->state == STREAM_DEAD)
        return;
    prepare(s, tls_context_ssl(client->context), timeout_ms);
    SSL_set_connect_state(s->ssl);
    s->tls = mem_alloc(sizeof *s->tls);
    s->tls->sessions = client->sessions;
    s->tls->accept_chain = client->accept_chain;
    s->tls->accept_ctx = client->accept_ctx;
    s->tls->verify = client->verify;
    buf_init(&s->tls->session_key, 1024);
    buf_append(&s->tls->session_key, client->session_key);
    if (client->server_name != NULL) {
        SSL_set_tlsext_host_name(s->ssl, client->server_name);
        SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(s->ssl, client->server_name);
    }
    SSL_set_verify(
        s->ssl, client->verify || client->accept_chain != NULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
        NULL);
    if (client->sessions != NULL) {
        session = tls_cache_get(client->sessions, client->session_key);
        if (session != NULL)
            SSL_set_session(s->ssl, session);
    }
}

void tls_begin(struct stream *s)
{
    s->state = STREAM_HANDSHAKE;
    (void)tls_handshake(s);
}

static void handshake_failed(struct stream *s, int reason)
{
    char peer[ENDPOINT_TEXT_MAX];
    long verify = s->tls != NULL ? SSL_get_verify_result(s->ssl) : X509_V_OK;

    endpoint_text(&s->peer, peer);
    if (s->tls != NULL && (s->tls->verify || s->tls->accept_chain != NULL) && verify != X509_V_OK)
        stream_fail(s, STREAM_END_TLS, ERR_TEMP, "the certificate of %s is refused: %s", peer,
                    X509_verify_cert_error_string(verify));
    else if (reason == SSL_ERROR_SYSCALL || reason == SSL_ERROR_ZERO_RETURN)
        stream_fail(s, STREAM_END_TLS, ERR_TEMP, "%s closed the connection in the TLS handshake",
                    peer);
    else
        stream_fail(s, STREAM_END_TLS, ERR_TEMP, "no TLS with %s: %.*s", peer,
                    SLICE_ARG(tls_error()));
}

bool tls_handshake(struct stream *s)
{
    ERR_clear_error();
    int result = SSL_do_handshake(s->ssl);

    if (result != 1) {
        int reason = SSL_get_error(s->ssl, result);

        s->wants_write = reason == SSL_ERROR_WANT_WRITE;
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
            handshake_failed(s, reason);
        stream_interest(s);
        return true;
    }
    s->state = STREAM_OPEN;
    s->tls_on = true;
    s->phase_ms = s->detached ? s->phase_ms : 0;
    s->last_ms = loop_now_ms(s->all->loop);
    stream_arm(s);
    s->input_due = true; /* the first bytes may have come with the handshake's last */
    stream_turn(s);
    if (s->handlers->on_tls != NULL && !STREAM_TELL(s, s->handlers->on_tls(s->ctx)))
        return false;
    stream_interest(s);
    return true;
}

/* What SSL_read and SSL_write could not do. -1, or 0 for the peer's end. */
static ssize_t broke(struct stream *s, int result, bool *again_out)
{
    int reason = SSL_get_error(s->ssl, result);

    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        *again_out = true;
        return -1;
    }
    if (reason == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (reason == SSL_ERROR_SYSCALL)
        stream_fail_system(s, STREAM_END_RESET, errno != 0 ? errno : ECONNRESET,
                           "lost the TLS connection with");
    else
        stream_fail(s, STREAM_END_TLS, ERR_TEMP, "TLS broke: %.*s", SLICE_ARG(tls_error()));
    return -1;
}

ssize_t tls_read(struct stream *s, char *to, size_t n, bool *again_out)
{
    size_t done = 0;

    while (done < n) { /* a record a call; they are handed up together */
        ERR_clear_error();
        errno = 0;
        int result = SSL_read(s->ssl, to + done, (int)(n - done)); /* n is 64 KiB */

        if (result <= 0) {
            if (done > 0)
                break; /* an error comes again; an end does too */
            return broke(s, result, again_out);
        }
        done += (size_t)result;
        if (!SSL_has_pending(s->ssl))
            break; /* one more call would be a system call for nothing */
    }
    return (ssize_t)done;
}

ssize_t tls_write(struct stream *s, struct slice bytes, bool *again_out)
{
    int n = bytes.n > STREAM_INPUT_BYTES ? (int)STREAM_INPUT_BYTES : (int)bytes.n;

    *again_out = false;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write(s->ssl, bytes.p, n);
    return result > 0 ? result : broke(s, result, again_out);
}

void tls_shut(struct stream *s)
{
    ERR_clear_error();
    SSL_shutdown(s->ssl); /* our close_notify; the peer's is not waited for */
}

void tls_release(struct stream *s)
{
    if (s->ssl != NULL) {
        /* Else OpenSSL takes a cut connection for an attack, and its session cannot be resumed. */
        SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(s->ssl);
    }
    s->ssl = NULL;
    if (s->tls != NULL)
        buf_finish(&s->tls->session_key);
    free(s->tls);
    s->tls = NULL;
}

bool stream_tls_info(const struct stream *s, struct tls_info *info_out)
{
    long verify;

    if (!s->tls_on || s->ssl == NULL)
        return false;
    *info_out = (struct tls_info){
        .version = SSL_get_version(s->ssl),
        .cipher = SSL_get_cipher_name(s->ssl),
        .resumed = SSL_session_reused(s->ssl) == 1,
    };
    SSL_get_cipher_bits(s->ssl, &info_out->bits);
    if (s->tls == NULL)
        return true;
    verify = SSL_get_verify_result(s->ssl);
    info_out->verified =
        verify == X509_V_OK && SSL_get0_peer_certificate(s->ssl) != NULL &&
        (SSL_get0_peername(s->ssl) != NULL || s->tls->accept_chain != NULL || info_out->resumed);
    if (!info_out->verified)
        info_out->why =
            verify != X509_V_OK ? X509_verify_cert_error_string(verify) : "no name to compare with";
    return true;
}
