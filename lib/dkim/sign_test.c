#include "base/test.h"
#include "lib/crypt/key.h"
#include "lib/dkim/sign.h"

#define S(text) SLICE_INIT(text)
#define BOTH 2

static const struct sign_case {
    const char *name;
    struct slice header;
    struct dkim_sign_spec spec;
    int64_t at, until;
    const char *wanted; /* a part of the field; NULL: an error */
} cases[] = {
    {"present fields are signed, the five are oversigned",
     S("Subject: x\r\nfrom: a@b.example\r\nX-Other: no\r\nTo: c@d.example\r\n\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     12345,
     0,
     "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=b.example; s=s1;\r\n\tt=12345;"
     "\r\n\th=From:From:To:To:Subject:Subject:Date:Message-ID;\r\n\tbh="
     "zS7KNTV0HyeorkDDGwxB1AV6enuRKzO5rthkhdHIRnY=;\r\n\tb=c2ln\r\n"},
    {"expiry and identity have their tags",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s1"), S("a@x.b.example"), DKIM_ED25519_SHA256, CANON_SIMPLE, CANON_SIMPLE},
     12345,
     12346,
     "t=12345; x=12346;\r\n\ti=a@x.b.example;\r\n\th="},
    {"no time, no t=",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_SIMPLE},
     -1,
     0,
     "c=relaxed/simple;\r\n\td=b.example; s=s1;\r\n\th="},
    {"two From fields are listed thrice",
     S("From: a@b.example\r\nFrom: e@b.example\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     "h=From:From:From:To:"},
    {"without From nothing is signed",
     S("Subject: x\r\n\r\nFrom: in the body\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"a domain of one label",
     S("From: a@b.example\r\n"),
     {S("example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"a domain that would break the field",
     S("From: a@b.example\r\n"),
     {S("b.example; l=0"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"a selector with a line end",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s\r\nX: y"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"an identity of another domain",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s1"), S("a@xb.example"), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"rsa-sha1",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA1, CANON_RELAXED, CANON_RELAXED},
     1,
     0,
     NULL},
    {"an expiry in the past",
     S("From: a@b.example\r\n"),
     {S("b.example"), S("s1"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
     5,
     5,
     NULL},
};

static void run_case(void **state)
{
    const struct sign_case *t = *state;
    struct dkim_sign_options options = {
        .specs = &t->spec, .spec_count = 1, .signed_at_s = t->at, .expires_at_s = t->until};
    struct dkim_signer *s = dkim_signer_create();
    struct err err = {0};
    struct buf out;

    buf_init(&out, 65536);
    for (unsigned round = 0; round < 2; round++) { /* a signer can be used again */
        buf_clear(&out);
        if (t->wanted == NULL) {
            assert_int_equal(dkim_signer_begin(s, &options, t->header, &err), -1);
            assert_true(err.text[0] != '\0');
            continue;
        }
        assert_int_equal(dkim_signer_begin(s, &options, t->header, &err), 0);
        dkim_signer_body(s, SLICE("hello"));
        dkim_signer_finish(s);
        assert_int_equal(dkim_signer_count(s), 1);
        assert_int_equal(dkim_signer_digest(s, 0).n, 32);
        assert_int_equal(dkim_signer_write(s, &out, &err), -1); /* not answered yet */
        assert_int_equal(dkim_signer_answer(s, 0, SLICE("sig"), &err), 0);
        assert_int_equal(dkim_signer_write(s, &out, &err), 0);
        assert_true(slice_search(buf_slice(&out), slice_of(t->wanted)) != SLICE_NONE);
    }
    buf_finish(&out);
    dkim_signer_destroy(&s);
}

static void run_long_signature(void **state)
{
    const struct dkim_sign_spec specs[BOTH] = {
        {S("b.example"), S("rsa"), S(""), DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED},
        {S("b.example"), S("ed"), S(""), DKIM_ED25519_SHA256, CANON_RELAXED, CANON_RELAXED}};
    struct dkim_sign_options options = {.specs = specs, .spec_count = BOTH, .signed_at_s = 1};
    struct dkim_signer *s = dkim_signer_create();
    struct err err;
    struct buf out;
    char raw[256] = {1};

    (void)state;
    buf_init(&out, 65536);
    assert_int_equal(dkim_signer_begin(s, &options,
                                       SLICE("From: a@b.example\r\nList-Unsubscribe-Post: x\r\n"
                                             "Content-Transfer-Encoding: 8bit\r\nCc: d@e\r\n"),
                                       &err),
                     0);
    dkim_signer_finish(s);
    assert_true(memcmp(dkim_signer_digest(s, 0).p, dkim_signer_digest(s, 1).p, 32) != 0);
    assert_int_equal(dkim_signer_answer(s, 0, (struct slice){raw, sizeof raw}, &err), 0);
    assert_int_equal(dkim_signer_answer(s, 1, (struct slice){raw, 64}, &err), 0);
    assert_int_equal(dkim_signer_write(s, &out, &err), 0);
    for (struct slice rest = buf_slice(&out); rest.n > 0;) {
        struct slice line = slice_line(&rest);

        assert_true(line.n <= 78 && line.n > 2);
        assert_true(line.p[0] == '\t' || slice_starts(line, SLICE("DKIM-Signature: v=1; a=")));
    }
    buf_finish(&out);
    dkim_signer_destroy(&s);
    dkim_signer_destroy(&s);
}

static void run_limits(void **state)
{
    const struct dkim_sign_spec spec = {S("b.example"),  S("rsa"),      S(""),
                                        DKIM_RSA_SHA256, CANON_RELAXED, CANON_RELAXED};
    struct dkim_sign_options options = {.specs = &spec, .spec_count = 1};
    struct dkim_signer *s = dkim_signer_create();
    struct buf header;
    struct err err;

    (void)state;
    buf_init(&header, 4u << 20);
    buf_append_text(&header, "From: a@b.example\r\n");
    for (unsigned i = 0; i < DKIM_SIGNER_FIELDS_MAX; i++)
        buf_append_text(&header, "A: b\r\n");
    assert_int_equal(dkim_signer_begin(s, &options, buf_slice(&header), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    while (header.n <= DKIM_SIGNER_HEADER_MAX_BYTES)
        buf_append_text(&header, " cccccccccccccccccccccccccccccc\r\n");
    assert_int_equal(dkim_signer_begin(s, &options, buf_slice(&header), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    options.spec_count = DKIM_SIGNER_SIGNATURES_MAX + 1;
    assert_int_equal(dkim_signer_begin(s, &options, SLICE("From: a\r\n"), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    buf_finish(&header);
    dkim_signer_destroy(&s);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(run_long_signature);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(run_limits);
    return _cmocka_run_group_tests("sign", tests, COUNT(tests), NULL, NULL);
}
