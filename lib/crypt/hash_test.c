#include "base/ascii.h"
#include "base/test.h"
#include "lib/crypt/hash.h"

/* Vectors: FIPS 180-4 examples, RFC 4231. */
static const struct digest_case {
    const char *name;
    enum crypt_hash_kind kind;
    const char *bytes, *hex;
} digests[] = {
    {"sha256 of nothing", CRYPT_SHA256, "",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"sha256 of abc", CRYPT_SHA256, "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"sha1 of abc", CRYPT_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
};

static void assert_hex(struct slice got, const char *hex)
{
    assert_int_equal(got.n * 2, strlen(hex));
    for (size_t i = 0; i < got.n; i++)
        assert_int_equal((unsigned char)got.p[i],
                         ascii_hex_value(hex[2 * i]) * 16 + ascii_hex_value(hex[2 * i + 1]));
}

static void digest_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(digests); i++) {
        struct crypt_hash *h = crypt_hash_create(digests[i].kind);
        struct slice in = slice_of(digests[i].bytes);
        struct crypt_digest d;

        /* twice in one object, the second time byte by byte, after something that was dropped */
        crypt_hash_update(h, in);
        crypt_hash_finish(h, &d);
        assert_hex(crypt_digest_slice(&d), digests[i].hex);
        crypt_hash_update(h, SLICE("noise"));
        crypt_hash_reset(h);
        for (size_t at = 0; at < in.n; at++)
            crypt_hash_update(h, slice_sub(in, at, 1));
        crypt_hash_finish(h, &d);
        assert_hex(crypt_digest_slice(&d), digests[i].hex);
        crypt_hash_destroy(&h);
        assert_null(h);
        crypt_hash_destroy(&h);
    }
}

static void one_call(void **state)
{
    uint8_t d[CRYPT_SHA256_BYTES];

    (void)state;
    crypt_sha256(SLICE("abc"), d);
    assert_hex((struct slice){(char *)d, sizeof d}, digests[1].hex);
}

static void hmac(void **state)
{
    uint8_t d[CRYPT_SHA256_BYTES];

    (void)state;
    crypt_hmac_sha256(SLICE("Jefe"), SLICE("what do ya want for nothing?"), d);
    assert_hex((struct slice){(char *)d, sizeof d},
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    crypt_hmac_sha256((struct slice){NULL, 0}, (struct slice){NULL, 0}, d);
    assert_hex((struct slice){(char *)d, sizeof d},
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    crypt_hmac_sha1(SLICE("Jefe"), SLICE("what do ya want for nothing?"), d); /* RFC 2202 3 */
    assert_hex((struct slice){(char *)d, CRYPT_SHA1_BYTES},
               "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

static void secrets(void **state)
{
    char a[32] = {0}, b[32] = {0};

    (void)state;
    crypt_random(a, sizeof a);
    crypt_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    crypt_wipe(a, sizeof a);
    crypt_wipe(b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(crypt_equal(SLICE("same"), SLICE("same")));
    assert_false(crypt_equal(SLICE("same"), SLICE("sama")));
    assert_false(crypt_equal(SLICE("same"), SLICE("sam")));
    assert_true(crypt_equal((struct slice){NULL, 0}, SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_runs),
        cmocka_unit_test(one_call),
        cmocka_unit_test(hmac),
        cmocka_unit_test(secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
