#include "base/test.h"
#include "lib/dkim/record.h"

#define ED "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static const struct record_case {
    const char *name, *text;
    bool good;
    const char *wanted; /* flags: e(mail) 2(56) 1 t(esting) s(trict) r(evoked) v(ersioned) */
} cases[] = {
    {"the record of RFC 8463", "v=DKIM1; k=ed25519; p=" ED, true, "e21v"},
    {"all that may be left out is", "k=ed25519;p=" ED, true, "e21"},
    {"white space in p= means nothing",
     "k=ed25519; p= 11qYAYKxCrfVS/7TyWQ HOg7hcv\r\n "
     "PapiMlrwIaaPcHURo = ",
     true, "e21"},
    {"padding may be missing", "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", true,
     "e21"},
    {"flags", "k=ed25519; t=y:s:z; p=" ED, true, "e21ts"},
    {"only sha1", "k=ed25519; h=sha1; p=" ED, true, "e1"},
    {"sha256 among others", "k=ed25519; h=md5 : sha256; p=" ED, true, "e2"},
    {"another service", "k=ed25519; s=tlsrpt; p=" ED, true, "21"},
    {"every service", "k=ed25519; s=*; p=" ED, true, "e21"},
    {"an unknown tag is skipped", "v=DKIM1; k=ed25519; g=*; n=hello there; p=" ED, true, "e21v"},
    {"revoked", "v=DKIM1; p=", true, "e21rv"},
    {"v= not first", "k=ed25519; v=DKIM1; p=" ED, false, NULL},
    {"another version", "v=DKIM2; k=ed25519; p=" ED, false, NULL},
    {"no key", "v=DKIM1; k=ed25519", false, NULL},
    {"an unknown key type", "k=dsa; p=" ED, false, NULL},
    {"an Ed25519 key that says rsa", "k=rsa; p=" ED, false, NULL},
    {"SubjectPublicKeyInfo for Ed25519",
     "k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", false, NULL},
    {"no base64", "k=ed25519; p=11qY?", false, NULL},
    {"p= twice", "k=ed25519; p=" ED "; p=" ED, false, NULL},
    {"an SPF record", "v=spf1 -all", false, NULL},
    {"a verification of a site", "google-site-verification=abc", false, NULL},
    {"nothing", "", false, NULL},
};

static void run_case(void **state)
{
    const struct record_case *c = *state;
    struct dkim_record r;
    struct crypt_key *key;
    struct err err = {0};
    char got[16] = "";

    if (!c->good) {
        assert_int_equal(dkim_record_read(slice_of(c->text), &r, &key, &err), -1);
        assert_null(key);
        assert_true(err.text[0] != '\0');
        return;
    }
    assert_int_equal(dkim_record_read(slice_of(c->text), &r, &key, &err), 0);
    (void)snprintf(got, sizeof got, "%s%s%s%s%s%s%s", r.email ? "e" : "", r.sha256 ? "2" : "",
                   r.sha1 ? "1" : "", r.testing ? "t" : "", r.strict ? "s" : "",
                   r.revoked ? "r" : "", r.versioned ? "v" : "");
    assert_string_equal(got, c->wanted);
    assert_int_equal(key == NULL, r.revoked);
    crypt_key_destroy(&key);
}

static void run_written(void **state)
{
    struct crypt_key *key, *again;
    struct dkim_record r;
    struct buf text, quoted;
    struct err err;

    (void)state;
    buf_init(&text, DKIM_RECORD_MAX_BYTES);
    buf_init(&quoted, DKIM_RECORD_MAX_BYTES);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, 2048, &key, &err), 0);
    assert_int_equal(dkim_record_write(key, &text, &err), 0);
    assert_int_equal(dkim_record_read(buf_slice(&text), &r, &again, &err), 0);
    assert_true(crypt_key_same_public(key, again));
    assert_true(text.n > 255);
    dkim_record_quote(buf_slice(&text), &quoted);
    assert_int_equal(quoted.n, text.n + 5); /* two strings */
    assert_memory_equal(quoted.p + 256, "\" \"", 3);
    crypt_key_destroy(&key);
    crypt_key_destroy(&again);
    buf_clear(&quoted);
    dkim_record_quote(SLICE("a\"\\\n"), &quoted);
    assert_int_equal(quoted.n, 15);
    assert_memory_equal(quoted.p, "\"a\\034\\092\\010\"", 15);
    buf_finish(&text);
    buf_finish(&quoted);
}

static void run_cache(void **state)
{
    struct dkim_keys *k = dkim_keys_create(2, 1);
    struct dkim_key *one = dkim_keys_get(k, SLICE("k=ed25519; p=" ED));
    struct dkim_key *two = dkim_keys_get(k, SLICE("broken"));

    (void)state;
    assert_ptr_equal(dkim_keys_get(k, SLICE("k=ed25519; p=" ED)), one);
    assert_non_null(one->key);
    assert_int_equal(one->problem.code, ERR_NONE);
    assert_null(two->key);
    assert_int_not_equal(two->problem.code, ERR_NONE);
    dkim_keys_release(one);
    dkim_keys_release(two);
    /* one is still held; the other goes when a third comes */
    dkim_keys_release(dkim_keys_get(k, SLICE("p=")));
    assert_int_equal(dkim_keys_count(k), 2);
    assert_ptr_equal(dkim_keys_get(k, SLICE("k=ed25519; p=" ED)), one);
    dkim_keys_release(one);
    dkim_keys_release(one);
    dkim_keys_destroy(&k);
    dkim_keys_destroy(&k);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(run_written);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(run_cache);
    return _cmocka_run_group_tests("record", tests, COUNT(tests), NULL, NULL);
}
