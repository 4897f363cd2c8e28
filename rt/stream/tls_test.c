/* Both ends of TLS in one loop: implicit, STARTTLS, resumed, verified, refused, slow, injected. */
#include "rt/stream/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "base/test.h"
#include "rt/stream/stream.h"

static char directory[] = "/tmp/waybill-tls-test-XXXXXX";
static char certificate_file[64], key_file[64], other_key_file[64], junk_file[64];

struct side {
    struct stream *stream;
    struct buf got;
    unsigned opened, secured, closed;
    enum stream_end end;
    struct err why;
};

struct world {
    struct loop *loop;
    struct streams *all;
    struct listener *listener;
    struct tls_context *server_tls, *client_tls;
    struct tls_cache *cache;
    struct side server, client;
    bool implicit, starttls;
    int64_t patience_ms;
    unsigned chains;
    bool accept;
};

static struct world *world; /* the one that runs; the handlers need the contexts */

static void on_open(void *ctx)
{
    ((struct side *)ctx)->opened++;
}

static size_t server_data(void *ctx, struct slice in)
{
    struct side *s = ctx;

    buf_append(&s->got, in);
    if (world->starttls && s->secured == 0 && slice_search(in, SLICE("STARTTLS\r\n")) == 0) {
        stream_write(s->stream, SLICE("220 go ahead\r\n"));
        s->got.n = 0;
        stream_start_tls_server(s->stream, world->server_tls, 0);
        return 10; /* less than what came: the rest must not survive */
    }
    stream_write(s->stream, in);
    return in.n;
}

static size_t client_data(void *ctx, struct slice in)
{
    struct side *s = ctx;

    buf_append(&s->got, in);
    return in.n;
}

static void on_tls(void *ctx)
{
    ((struct side *)ctx)->secured++;
}

static void on_closed(void *ctx, enum stream_end end, const struct err *why)
{
    struct side *s = ctx;

    s->closed++;
    s->end = end;
    s->why = *why;
}

static const struct stream_handlers server_handlers = {
    .on_data = server_data, .on_tls = on_tls, .on_closed = on_closed};
static const struct stream_handlers client_handlers = {
    .on_open = on_open, .on_data = client_data, .on_tls = on_tls, .on_closed = on_closed};

static void on_accept(void *ctx, const struct accepted *accepted)
{
    struct world *w = ctx;

    w->server.stream = stream_accept(w->all, accepted, false, &server_handlers, &w->server);
    if (w->implicit)
        stream_start_tls_server(w->server.stream, w->server_tls, w->patience_ms);
}

static void until(struct world *w, const unsigned *counter, unsigned value)
{
    for (unsigned i = 0; i < 500 && *counter < value; i++)
        loop_turn(w->loop, 10);
    assert_true(*counter >= value);
}

static void wait_bytes(struct world *w, const struct buf *b, size_t n)
{
    for (unsigned i = 0; i < 500 && b->n < n; i++)
        loop_turn(w->loop, 10);
    assert_int_equal(b->n, n);
}

static void connect_plain(struct world *w)
{
    struct stream_target t = {.to.port = listener_port(w->listener)};

    assert_true(ip_address_parse(SLICE("127.0.0.1"), &t.to.ip));
    w->client.opened = 0;
    w->client.stream = stream_connect(w->all, &t, &client_handlers, &w->client);
    until(w, &w->client.opened, 1);
    while (w->server.stream == NULL)
        loop_turn(w->loop, 10);
}

static void secure(struct world *w, const struct tls_client *client)
{
    connect_plain(w);
    stream_start_tls_client(w->client.stream, client, 0);
}

static void forget(struct world *w)
{
    stream_destroy(&w->client.stream);
    stream_destroy(&w->server.stream);
    buf_clear(&w->client.got);
    buf_clear(&w->server.got);
    w->client.secured = w->server.secured = 0;
}

static void implicit(struct world *w)
{
    static char block[300000];
    struct tls_client c = {.context = w->client_tls};
    struct slice parts[] = {SLICE("a "), SLICE("few "), SLICE("pieces")};
    struct tls_info info;

    w->implicit = true;
    secure(w, &c);
    until(w, &w->client.secured, 1);
    stream_write_parts(w->client.stream, parts, COUNT(parts));
    wait_bytes(w, &w->client.got, 12);
    assert_true(slice_eq(buf_slice(&w->client.got), SLICE("a few pieces")));
    assert_true(stream_tls_info(w->client.stream, &info));
    assert_string_equal(info.version, "TLSv1.3");
    assert_true(info.bits >= 128);
    assert_false(info.verified); /* self-signed: opportunistic takes it, and says why not more */
    assert_non_null(info.why);
    memset(block, 'b', sizeof block);
    buf_clear(&w->client.got);
    stream_write(w->client.stream, (struct slice){block, sizeof block});
    wait_bytes(w, &w->client.got, sizeof block);
    assert_memory_equal(w->client.got.p, block, sizeof block);
    stream_close(&w->client.stream);
    until(w, &w->server.closed, 1);
    assert_int_equal(w->server.end, STREAM_END_PEER);
}

static void starttls(struct world *w)
{
    struct tls_client c = {.context = w->client_tls, .server_name = "mx.example"};

    w->starttls = true;
    connect_plain(w);
    stream_write(w->client.stream, SLICE("EHLO x\r\n"));
    wait_bytes(w, &w->client.got, 8);
    stream_write(w->client.stream, SLICE("STARTTLS\r\n"));
    wait_bytes(w, &w->client.got, 22);
    stream_start_tls_client(w->client.stream, &c, 0);
    until(w, &w->client.secured, 1);
    stream_write(w->client.stream, SLICE("MAIL"));
    wait_bytes(w, &w->client.got, 26);
}

/* CVE-2011-0411: what a stranger put behind STARTTLS must not be read as if it came over TLS. */
static void injection(struct world *w)
{
    struct tls_client c = {.context = w->client_tls};

    w->starttls = true;
    connect_plain(w);
    stream_write(w->client.stream, SLICE("STARTTLS\r\nMAIL FROM:<evil@x>\r\n"));
    wait_bytes(w, &w->client.got, 14);
    stream_start_tls_client(w->client.stream, &c, 0);
    until(w, &w->client.secured, 1);
    until(w, &w->server.secured, 1);
    stream_write(w->client.stream, SLICE("NOOP"));
    wait_bytes(w, &w->client.got, 18);
    assert_true(slice_eq(buf_slice(&w->server.got), SLICE("NOOP")));
}

static void resumption(struct world *w)
{
    struct tls_client c = {
        .context = w->client_tls, .sessions = w->cache, .session_key = SLICE_INIT("127.0.0.1:25")};
    struct tls_info info;

    w->implicit = true;
    for (unsigned i = 0; i < 3; i++) {
        secure(w, &c);
        until(w, &w->client.secured, 1);
        stream_write(w->client.stream, SLICE("x")); /* the ticket comes with the first answer */
        wait_bytes(w, &w->client.got, 1);
        assert_true(stream_tls_info(w->client.stream, &info));
        assert_int_equal(info.resumed, i > 0);
        forget(w);
    }
}

static void verified(struct world *w)
{
    struct tls_client c = {.server_name = "mx.example", .verify = true};
    struct tls_info info;
    struct err e;

    w->implicit = true;
    tls_context_destroy(&w->client_tls);
    w->client_tls = tls_client_create(certificate_file, &e);
    c.context = w->client_tls;
    secure(w, &c);
    until(w, &w->client.secured, 1);
    assert_true(stream_tls_info(w->client.stream, &info));
    assert_true(info.verified);
    forget(w);
    c.server_name = "other.example";
    secure(w, &c);
    until(w, &w->client.closed, 1);
    assert_int_equal(w->client.end, STREAM_END_TLS);
    assert_non_null(strstr(w->client.why.text, "ostname"));
}

static void unknown_authority(struct world *w)
{
    struct tls_client c = {.context = w->client_tls, .server_name = "mx.example", .verify = true};

    w->implicit = true;
    secure(w, &c);
    until(w, &w->client.closed, 1);
    assert_int_equal(w->client.end, STREAM_END_TLS);
    assert_non_null(strstr(w->client.why.text, "certificate"));
}

static bool accept_chain(void *ctx, const struct slice *certificates, size_t count)
{
    struct world *w = ctx;

    assert_int_equal(count, 1);
    assert_true(certificates[0].n > 100 && certificates[0].p[0] == 0x30); /* DER: a SEQUENCE */
    w->chains++;
    return w->accept;
}

static void own_judgement(struct world *w)
{
    struct tls_client c = {.context = w->client_tls, .accept_chain = accept_chain, .accept_ctx = w};

    w->implicit = true;
    w->accept = true;
    secure(w, &c);
    until(w, &w->client.secured, 1);
    forget(w);
    w->accept = false;
    secure(w, &c);
    until(w, &w->client.closed, 1);
    assert_int_equal(w->chains, 2);
    assert_int_equal(w->client.end, STREAM_END_TLS);
}

static void slow_handshake(struct world *w)
{
    w->implicit = true;
    w->patience_ms = 200;
    connect_plain(w);
    stream_write(w->client.stream, SLICE("\x16\x03")); /* and then nothing, for 200 ms */
    until(w, &w->server.closed, 1);
    assert_int_equal(w->server.end, STREAM_END_TLS);
    assert_non_null(strstr(w->server.why.text, "too long"));
}

static void no_tls_at_all(struct world *w)
{
    w->implicit = true;
    connect_plain(w);
    stream_write(w->client.stream, SLICE("EHLO plain.example\r\n"));
    until(w, &w->server.closed, 1);
    assert_int_equal(w->server.end, STREAM_END_TLS);
}

static void old_context(struct world *w)
{
    struct tls_client c = {.context = w->client_tls};

    w->implicit = true;
    secure(w, &c);
    until(w, &w->client.secured, 1);
    tls_context_destroy(&w->server_tls); /* reload: the stream lives on */
    stream_write(w->client.stream, SLICE("still here"));
    wait_bytes(w, &w->client.got, 10);
}

static void cache_ceiling(struct world *w)
{
    struct tls_client c = {.context = w->client_tls, .sessions = w->cache};
    char key[16];
    struct tls_info info;

    w->implicit = true;
    for (unsigned i = 0; i < 4; i++) { /* the cache holds 2 */
        snprintf(key, sizeof key, "host%u", i % 3);
        c.session_key = slice_of(key);
        secure(w, &c);
        until(w, &w->client.secured, 1);
        stream_write(w->client.stream, SLICE("x"));
        wait_bytes(w, &w->client.got, 1);
        assert_true(stream_tls_info(w->client.stream, &info));
        assert_false(info.resumed); /* host0 had to go before it came again */
        forget(w);
    }
}

static void bad_files(struct world *w)
{
    static const struct {
        const char *certificate, *key, *words;
    } cases[] = {
        {"/nonexistent.pem", key_file, "/nonexistent.pem"},
        {junk_file, key_file, "no certificate"},
        {certificate_file, junk_file, "no private key"},
        {certificate_file, other_key_file, "does not belong"},
    };
    struct err e;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(tls_server_create(cases[i].certificate, cases[i].key, &e));
        assert_non_null(strstr(e.text, cases[i].words));
    }
    assert_null(tls_client_create(junk_file, &e));
    assert_true(tls_context_expires(w->server_tls) > 1000000000);
}

static const struct story {
    const char *name;
    void (*run)(struct world *w);
} stories[] = {
    {"TLS from the first byte, small and large", implicit},
    {"STARTTLS in the middle of a session", starttls},
    {"what was sent ahead of the handshake is dropped", injection},
    {"the second session is resumed", resumption},
    {"a good chain and name verify, another name does not", verified},
    {"an unknown authority is refused when asked to verify", unknown_authority},
    {"the caller may judge the chain", own_judgement},
    {"a handshake that does not end is ended", slow_handshake},
    {"a client that speaks no TLS is told apart", no_tls_at_all},
    {"a new certificate leaves old connections alone", old_context},
    {"the session cache has a ceiling", cache_ceiling},
    {"unusable files are named", bad_files},
};

static void run(void **state)
{
    const struct story *story = *state;
    struct world w = {.loop = loop_create()};
    struct endpoint at;
    struct err e;

    world = &w;
    w.all = streams_create(w.loop);
    w.cache = tls_cache_create(2);
    w.server_tls = tls_server_create(certificate_file, key_file, &e);
    assert_non_null(w.server_tls);
    w.client_tls = tls_client_create(NULL, &e);
    assert_non_null(w.client_tls);
    buf_init(&w.server.got, 1u << 20);
    buf_init(&w.client.got, 1u << 20);
    assert_int_equal(endpoint_parse("127.0.0.1:0", 0, &at, &e), 0);
    int fd = listener_open(&at, false, 50, &e);
    assert_true(fd >= 0);
    w.listener = listener_create(w.loop, fd, on_accept, &w);
    story->run(&w);
    listener_destroy(&w.listener);
    stream_destroy(&w.server.stream);
    stream_destroy(&w.client.stream);
    streams_destroy(&w.all);
    tls_context_destroy(&w.server_tls);
    tls_context_destroy(&w.client_tls);
    tls_cache_destroy(&w.cache);
    loop_destroy(&w.loop);
    buf_finish(&w.server.got);
    buf_finish(&w.client.got);
}

/* --- certificates, made on the spot --- */

static void write_key(const char *path, EVP_PKEY *key)
{
    FILE *f = fopen(path, "we");

    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static int make_files(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.example");

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(certificate_file, sizeof certificate_file, "%s/cert.pem", directory);
    snprintf(key_file, sizeof key_file, "%s/key.pem", directory);
    snprintf(other_key_file, sizeof other_key_file, "%s/other.pem", directory);
    snprintf(junk_file, sizeof junk_file, "%s/junk.pem", directory);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"mx.example", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_add_ext(x, names, -1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(certificate_file, "we");
    assert_int_equal(PEM_write_X509(f, x), 1);
    assert_int_equal(fclose(f), 0);
    write_key(key_file, key);
    write_key(other_key_file, other);
    f = fopen(junk_file, "we");
    fputs("this is no PEM\n", f);
    assert_int_equal(fclose(f), 0);
    X509_EXTENSION_free(names);
    X509_free(x);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(certificate_file);
    unlink(key_file);
    unlink(other_key_file);
    unlink(junk_file);
    return rmdir(directory);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(stories)];

    for (size_t i = 0; i < COUNT(stories); i++)
        tests[i] =
            (struct CMUnitTest){stories[i].name, run, NULL, NULL, (void *)(uintptr_t)&stories[i]};
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
