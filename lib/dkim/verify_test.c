/* Each case is a message signed here with one change: of the signature's text before it is signed,
 * of the key record, or of the message on its way. */
#include "base/test.h"
#include "lib/dkim/bodies_in.h"
#include "lib/dkim/fields_in.h"
#include "lib/dkim/sign.h"
#include "lib/dkim/verify.h"
#include "lib/text/base64.h"

#define NOW 1700000000
#define HEADER                                                                                     \
    "From: Joe <joe@b.example>\r\nX-A: one\r\nX-A: two\r\nSubject : a  \r\n\tfolded line\r\n"
#define BODY "Hello  there,\r\nthis is \t it. \r\n\r\n"

/* The tags of a signature; bh= and b= are added. */
#define TAGS "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=b.example; s=s; t=1699999999; h=from:x-a"
#define RECORD "v=DKIM1; k=ed25519; p=%s"

static const struct verify_case {
    const char *name, *tags;
    const char *record; /* "%s" stands for the key; NULL: the answer is `status` */
    enum dns_status status;
    const char *header, *body; /* on arrival; NULL: as sent */
    enum dkim_result result;
} cases[] = {
    {"a good signature", TAGS, RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"white space may change", TAGS, RECORD, DNS_OK,
     "FROM:  Joe\r\n <joe@b.example>\r\nx-a:one\r\nX-A : two\r\nSubject: other\r\n",
     "Hello there,\r\nthis is it.\r\n", DKIM_PASS},
    {"a word of the body changed", TAGS, RECORD, DNS_OK, NULL, "Hello here\r\n", DKIM_FAIL},
    {"the sender changed", TAGS, RECORD, DNS_OK,
     "From: Eve <eve@b.example>\r\nX-A: one\r\nX-A: two\r\n", NULL, DKIM_FAIL},
    {"the lowest of two fields is signed: one on top may come", TAGS, RECORD, DNS_OK,
     "X-A: zero\r\n" HEADER, NULL, DKIM_PASS},
    {"fields of one name change places", TAGS ":x-a", RECORD, DNS_OK,
     "From: Joe <joe@b.example>\r\nX-A: two\r\nX-A: one\r\n", NULL, DKIM_FAIL},
    {"an oversigned field is added", TAGS ":from", RECORD, DNS_OK, "From: Eve\r\n" HEADER, NULL,
     DKIM_FAIL},
    {"the key is not ours", TAGS,
     "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", DNS_OK, NULL, NULL, DKIM_FAIL},
    {"no answer", TAGS, NULL, DNS_TIMEOUT, NULL, NULL, DKIM_TEMPERROR},
    {"a broken server", TAGS, NULL, DNS_SERVFAIL, NULL, NULL, DKIM_TEMPERROR},
    {"no such key", TAGS, NULL, DNS_NXDOMAIN, NULL, NULL, DKIM_PERMERROR},
    {"no TXT record", TAGS, NULL, DNS_NODATA, NULL, NULL, DKIM_PERMERROR},
    {"a revoked key", TAGS, "v=DKIM1; p=", DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"a key for another service", TAGS, "k=ed25519; s=x; p=%s", DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"a key for another hash", TAGS, "k=ed25519; h=sha1; p=%s", DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"a broken key goes before a changed body", TAGS, "p=x", DNS_OK, NULL, "y", DKIM_PERMERROR},
    {"a time-out goes before a changed body", TAGS, NULL, DNS_TIMEOUT, NULL, "y", DKIM_TEMPERROR},
    {"expired goes before a missing key", TAGS "; x=1699999999", NULL, DNS_TIMEOUT, NULL, NULL,
     DKIM_PERMERROR},
    {"not yet expired", TAGS "; x=1700000001", RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"made five minutes ahead",
     "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=b.example; s=s; "
     "h=from; t=1700000300",
     RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"made later than that",
     "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=b.example; s=s; "
     "h=from; t=1700000301",
     RECORD, DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"an unknown version", "v=2; a=ed25519-sha256; d=b.example; s=s; h=from", RECORD, DNS_OK, NULL,
     NULL, DKIM_PERMERROR},
    {"From is not covered", "v=1; a=ed25519-sha256; d=b.example; s=s; h=x-a", RECORD, DNS_OK, NULL,
     NULL, DKIM_PERMERROR},
    {"a tag twice", TAGS "; s=s", RECORD, DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"an unknown algorithm", "v=1; a=dsa-sha256; d=b.example; s=s; h=from", RECORD, DNS_OK, NULL,
     NULL, DKIM_PERMERROR},
    {"rsa-sha1", "v=1; a=rsa-sha1; d=b.example; s=s; h=from", RECORD, DNS_OK, NULL, NULL,
     DKIM_PERMERROR},
    {"rsa with an Ed25519 key", "v=1; a=rsa-sha256; d=b.example; s=s; h=from", RECORD, DNS_OK, NULL,
     NULL, DKIM_PERMERROR},
    {"a domain with a bracket", "v=1; a=ed25519-sha256; d=b(.example; s=s; h=from", RECORD, DNS_OK,
     NULL, NULL, DKIM_PERMERROR},
    {"a domain of one label", "v=1; a=ed25519-sha256; d=example; s=s; h=from", RECORD, DNS_OK, NULL,
     NULL, DKIM_PERMERROR},
    {"an identity in a subdomain", TAGS "; i=x@a.b.example", RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"the same, and t=s", TAGS "; i=x@a.b.example", "t=s; k=ed25519; p=%s", DNS_OK, NULL, NULL,
     DKIM_PERMERROR},
    {"an identity that only ends alike", TAGS "; i=@ab.example", RECORD, DNS_OK, NULL, NULL,
     DKIM_PERMERROR},
    {"a quoted identity", TAGS "; i=x=40b=2Eexample", RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"the domain in U-labels, the identity in A-labels",
     "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=b\xc3\xbc"
     "cher.example; s=s; h=from; i=j\xc3\xbcrgen@a.xn--bcher-kva.example",
     RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"the domain in A-labels, the identity in U-labels",
     "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=xn--bcher-kva.example; s=s; h=from; "
     "i=@b\xc3\xbc"
     "cher.example",
     "t=s; k=ed25519; p=%s", DNS_OK, NULL, NULL, DKIM_PASS},
    {"another way to get keys", TAGS "; q=http", RECORD, DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"DNS among the ways", TAGS "; q=http:dns/txt", RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"a tag that ends in b", TAGS "; xb=abc; \r\n\tX_1=;", RECORD, DNS_OK, NULL, NULL, DKIM_PASS},
    {"l=0 covers no body", TAGS "; l=0", RECORD, DNS_OK, NULL, "other\r\n", DKIM_PASS},
    {"l= inside the body", TAGS "; l=5", RECORD, DNS_OK, NULL, "Hello, other\r\n", DKIM_PASS},
    {"l= beyond the body", TAGS "; l=500", RECORD, DNS_OK, NULL, NULL, DKIM_PERMERROR},
    {"l= beyond all numbers", TAGS "; l=99999999999999999999999", RECORD, DNS_OK, NULL, NULL,
     DKIM_PERMERROR},
    {"l= is no number", TAGS "; l=-1", RECORD, DNS_OK, NULL, NULL, DKIM_PERMERROR},
};

static void hash_into(void *ctx, struct slice bytes)
{
    crypt_hash_update(ctx, bytes);
}

/* Signs by hand, as the tags say, even where they are nonsense: relaxed/relaxed, h= with fields
 * that the cases use. */
static void sign(const struct verify_case *c, struct crypt_key *key, struct buf *out)
{
    struct crypt_hash *h = crypt_hash_create(CRYPT_SHA256);
    struct canon_body body;
    struct crypt_digest d;
    struct buf canonical, signature;
    struct slice tags = slice_of(c->tags);
    struct err err;
    uint64_t limit = CANON_NO_LIMIT;

    if (slice_search(tags, SLICE("l=0")) != SLICE_NONE)
        limit = 0;
    if (slice_search(tags, SLICE("l=5")) != SLICE_NONE)
        limit = slice_ends(tags, SLICE("500")) ? 500 : 5;
    buf_init(&canonical, 65536);
    buf_init(&signature, 4096);
    canon_body_init(&body, CANON_RELAXED, limit, hash_into, h);
    canon_body_feed(&body, SLICE(BODY));
    canon_body_finish(&body);
    crypt_hash_finish(h, &d);
    buf_printf(out, "DKIM-Signature: %s%s bh=", c->tags, slice_ends(tags, SLICE(";")) ? "" : ";");
    base64_encode(crypt_digest_slice(&d), out);
    buf_append_text(out, ";\r\n\tb=");
    canon_header(CANON_RELAXED, SLICE("From: Joe <joe@b.example>"), &canonical);
    if (slice_search(tags, SLICE("x-a")) != SLICE_NONE)
        canon_header(CANON_RELAXED, SLICE("X-A: two"), &canonical);
    if (slice_search(tags, SLICE("x-a:x-a")) != SLICE_NONE)
        canon_header(CANON_RELAXED, SLICE("X-A: one"), &canonical);
    canon_header(CANON_RELAXED, buf_slice(out), &canonical);
    crypt_hash_update(h, slice_sub(buf_slice(&canonical), 0, canonical.n - 2));
    crypt_hash_finish(h, &d);
    assert_int_equal(crypt_key_sign(key, crypt_digest_slice(&d), &signature, &err), 0);
    canonical.n = 0;
    base64_encode(buf_slice(&signature), &canonical);
    buf_append(out, slice_sub(buf_slice(&canonical), 0, 33));
    buf_append_text(out, "\r\n\t "); /* a fold inside b= */
    buf_append(out, slice_from(buf_slice(&canonical), 33));
    buf_append_text(out, "\r\n");
    crypt_hash_destroy(&h);
    buf_finish(&canonical);
    buf_finish(&signature);
}

static struct crypt_key *the_key; /* made once: making keys is slow */
static char the_record[256];

static void answer_all(struct dkim_verifier *v, const struct verify_case *c)
{
    struct dns_record record = {.type = DNS_TXT};
    struct dns_answer answer = {.status = c->status};
    struct dns_question question;
    size_t id;
    struct buf text;

    buf_init(&text, 4096);
    if (c->record != NULL) {
        struct slice rest = slice_of(c->record);
        size_t at = slice_search(rest, SLICE("%s"));

        buf_append(&text, at == SLICE_NONE ? rest : slice_sub(rest, 0, at));
        if (at != SLICE_NONE)
            buf_append_text(&text, the_record);
        record.text = buf_slice(&text);
        answer.records = &record;
        answer.count = 1;
    }
    while (dkim_verifier_question(v, &id, &question)) {
        assert_int_equal(question.type, DNS_TXT);
        assert_true(slice_eq(question.name, strstr(c->tags, "cher") != NULL
                                                ? SLICE("s._domainkey.xn--bcher-kva.example")
                                                : SLICE("s._domainkey.b.example")));
        assert_int_equal(dkim_verifier_step(v), STEP_WAIT);
        dkim_verifier_answer(v, id, &answer);
    }
    buf_finish(&text);
}

static void run_case(void **state)
{
    const struct verify_case *c = *state;
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    struct dkim_verifier *v = dkim_verifier_create(&options);
    struct slice body = slice_of(c->body != NULL ? c->body : BODY);
    struct buf header;
    struct err err;

    buf_init(&header, 65536);
    sign(c, the_key, &header);
    buf_append_text(&header, c->header != NULL ? c->header : HEADER);
    for (size_t piece = 1; piece < 40; piece += 19) { /* a verifier can be used again */
        assert_int_equal(dkim_verifier_begin(v, buf_slice(&header), &err), 0);
        for (size_t at = 0; at < body.n; at += piece)
            dkim_verifier_body(v, slice_sub(body, at, piece));
        dkim_verifier_finish(v);
        answer_all(v, c);
        assert_int_equal(dkim_verifier_step(v), STEP_DONE);
        assert_int_equal(dkim_verifier_count(v), 1);
        if (dkim_verifier_verdict(v, 0)->result != c->result)
            print_error("%s\n", dkim_verifier_verdict(v, 0)->reason);
        assert_int_equal(dkim_verifier_verdict(v, 0)->result, c->result);
        assert_true(dkim_verifier_verdict(v, 0)->reason[0] != '\0');
    }
    buf_finish(&header);
    dkim_verifier_destroy(&v);
}

/* What the signer makes, the verifier takes: RSA and Ed25519 in one message, a broken field and a
 * field that nobody can read between them. */
static void run_both(void **state)
{
    struct dkim_sign_spec specs[] = {
        {SLICE("b.example"), SLICE("r"), SLICE(""), DKIM_RSA_SHA256, CANON_SIMPLE, CANON_SIMPLE},
        {SLICE("b.example"), SLICE("e"), SLICE("@b.example"), DKIM_ED25519_SHA256, CANON_RELAXED,
         CANON_SIMPLE}};
    const struct dkim_sign_options sign_options = {
        .specs = specs, .spec_count = 2, .signed_at_s = NOW, .expires_at_s = NOW + 9};
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    const enum dkim_result wanted[] = {DKIM_PERMERROR, DKIM_PASS, DKIM_PASS, DKIM_PERMERROR};
    struct dkim_signer *s = dkim_signer_create();
    struct dkim_verifier *v = dkim_verifier_create(&options);
    struct crypt_key *keys[2] = {NULL, the_key};
    struct dns_question question;
    struct buf header, signature, text;
    struct err err;
    size_t id;

    (void)state;
    buf_init(&header, 65536);
    buf_init(&signature, 4096);
    buf_init(&text, 65536);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, 2048, &keys[0], &err), 0);
    assert_int_equal(dkim_signer_begin(s, &sign_options, SLICE(HEADER), &err), 0);
    dkim_signer_body(s, SLICE(BODY));
    dkim_signer_finish(s);
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&signature);
        assert_int_equal(crypt_key_sign(keys[i], dkim_signer_digest(s, i), &signature, &err), 0);
        assert_int_equal(dkim_signer_answer(s, i, buf_slice(&signature), &err), 0);
    }
    buf_append_text(&header, "DKIM-Signature: v=1; a=;;\r\n");
    assert_int_equal(dkim_signer_write(s, &header, &err), 0);
    buf_append_text(&header, "dkim-signature:\r\n" HEADER);
    assert_int_equal(dkim_verifier_begin(v, buf_slice(&header), &err), 0);
    dkim_verifier_body(v, SLICE(BODY));
    dkim_verifier_finish(v);
    while (dkim_verifier_question(v, &id, &question)) {
        struct dns_record records[2] = {{.type = DNS_TXT, .text = SLICE("unrelated")},
                                        {.type = DNS_TXT}};
        const struct dns_answer answer = {.status = DNS_OK, .records = records, .count = 2};

        buf_clear(&text);
        assert_int_equal(dkim_record_write(keys[question.name.p[0] == 'e'], &text, &err), 0);
        records[1].text = buf_slice(&text);
        dkim_verifier_answer(v, id, &answer);
    }
    assert_int_equal(dkim_verifier_step(v), STEP_DONE);
    assert_int_equal(dkim_verifier_count(v), COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++)
        assert_int_equal(dkim_verifier_verdict(v, i)->result, wanted[i]);
    assert_int_equal(dkim_verifier_verdict(v, 1)->key_bits, 2048);
    crypt_key_destroy(&keys[0]);
    buf_finish(&header);
    buf_finish(&signature);
    buf_finish(&text);
    dkim_signer_destroy(&s);
    dkim_verifier_destroy(&v);
}

static void run_limits(void **state)
{
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    struct dkim_verifier *v = dkim_verifier_create(&options);
    struct dns_answer none = {.status = DNS_NXDOMAIN};
    struct dns_question question;
    struct buf header;
    struct err err;
    size_t id, questions = 0;

    (void)state;
    buf_init(&header, 16u << 20);
    for (unsigned i = 0; i < 20 * DKIM_SIGNATURES_MAX; i++)
        buf_append_text(&header, "DKIM-Signature: " TAGS "; bh=YWJj; b=YWJj\r\n");
    assert_int_equal(dkim_verifier_begin(v, buf_slice(&header), &err), 0);
    dkim_verifier_finish(v);
    for (; dkim_verifier_question(v, &id, &question); questions++)
        dkim_verifier_answer(v, id, &none);
    assert_int_equal(questions, 1); /* one name, one question */
    assert_int_equal(dkim_verifier_step(v), STEP_DONE);
    assert_int_equal(dkim_verifier_count(v), DKIM_SIGNATURES_MAX + 1);
    assert_non_null(strstr(dkim_verifier_verdict(v, DKIM_SIGNATURES_MAX)->reason, "first 50"));
    while (header.n <= DKIM_HEADER_MAX_BYTES)
        buf_append_text(&header,
                        "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n");
    assert_int_equal(dkim_verifier_begin(v, buf_slice(&header), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(dkim_verifier_begin(v, slice_sub(buf_slice(&header), 0, 1u << 20), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(dkim_verifier_begin(v, SLICE("From: a\r\n"), &err), 0);
    dkim_verifier_finish(v);
    assert_int_equal(dkim_verifier_step(v), STEP_DONE);
    assert_int_equal(dkim_verifier_count(v), 0);
    buf_finish(&header);
    dkim_verifier_destroy(&v);
}

/* Each other l= is a pass of its own over the body, so there are not many. */
static void run_bodies(void **state)
{
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    struct dkim_verifier *v = dkim_verifier_create(&options);
    struct dns_answer late = {.status = DNS_TIMEOUT};
    struct dns_question question;
    struct buf header;
    struct err err;
    size_t id, count[DKIM_PERMERROR + 1] = {0};

    (void)state;
    buf_init(&header, 1u << 20);
    for (unsigned i = 0; i < DKIM_SIGNATURES_MAX; i++)
        buf_printf(&header, "DKIM-Signature: " TAGS "; l=%u; bh=YWJj; b=YWJj\r\n", i % 25);
    assert_int_equal(dkim_verifier_begin(v, buf_slice(&header), &err), 0);
    dkim_verifier_body(v, SLICE(BODY));
    dkim_verifier_finish(v);
    while (dkim_verifier_question(v, &id, &question))
        dkim_verifier_answer(v, id, &late);
    assert_int_equal(dkim_verifier_step(v), STEP_DONE);
    for (size_t i = 0; i < dkim_verifier_count(v); i++)
        count[dkim_verifier_verdict(v, i)->result]++;
    assert_int_equal(count[DKIM_TEMPERROR], 2 * DKIM_BODIES_MAX);
    assert_int_equal(count[DKIM_PERMERROR], DKIM_SIGNATURES_MAX - 2 * DKIM_BODIES_MAX);
    buf_finish(&header);
    dkim_verifier_destroy(&v);
}

/* Names that share a slot of any fixed hash: the seed is not the sender's to know. */
static void run_probes(void **state)
{
    struct dkim_fields fields = {.seed = 42};
    struct buf header;
    struct err err;
    uint32_t made = 0;

    (void)state;
    buf_init(&header, 4u << 20);
    for (uint32_t n = 0; made < 2000; n++) { /* FNV-1a, whose low bits anybody can choose */
        char name[16];
        uint32_t hash = 2166136261u;

        snprintf(name, sizeof name, "x%x", n);
        for (const char *c = name; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 16777619u;
        if ((hash & 0xff) != 0)
            continue;
        buf_printf(&header, "%s: y\r\n", name);
        made++;
    }
    assert_int_equal(dkim_fields_read(&fields, buf_slice(&header), 10000, &err), 0);
    assert_in_range(fields.probes, 2000, 3 * 2000);
    fields.probes = 0;
    dkim_fields_start(&fields);
    for (unsigned i = 0; i < 1000; i++)
        assert_null(dkim_fields_take(&fields, SLICE("none-of-them")));
    assert_in_range(fields.probes, 1000, 20 * 1000);
    dkim_fields_finish(&fields);
    buf_finish(&header);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 4];
    struct buf raw, text;
    struct err err;
    int failed;

    buf_init(&raw, 64);
    buf_init(&text, sizeof the_record - 1);
    if (crypt_key_generate(CRYPT_ED25519, 0, &the_key, &err) != 0 ||
        crypt_key_write_public(the_key, &raw, &err) != 0)
        return 1;
    base64_encode(buf_slice(&raw), &text);
    memcpy(the_record, text.p, text.n);
    buf_finish(&raw);
    buf_finish(&text);
    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(run_both);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(run_limits);
    tests[COUNT(cases) + 2] = (struct CMUnitTest)cmocka_unit_test(run_bodies);
    tests[COUNT(cases) + 3] = (struct CMUnitTest)cmocka_unit_test(run_probes);
    failed = _cmocka_run_group_tests("verify", tests, COUNT(tests), NULL, NULL);
    crypt_key_destroy(&the_key);
    return failed;
}
