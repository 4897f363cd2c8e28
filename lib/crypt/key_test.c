#include "base/test.h"
#include "lib/crypt/key.h"

/* One pair for each algorithm: written, read again, signed with, verified with the public half. */
static const struct pair_case {
    const char *name;
    enum crypt_key_type type;
    unsigned bits;
    size_t public_octets, signature_octets;
} pairs[] = {
    {"rsa 1024", CRYPT_RSA, 1024, 162, 128},
    {"rsa 2048", CRYPT_RSA, 2048, 294, 256},
    {"ed25519", CRYPT_ED25519, 256, 32, 64},
};

static void check_signatures(struct crypt_key *private_key, struct crypt_key *public_key,
                             size_t octets)
{
    struct buf signature;
    struct err err;
    uint8_t digest[CRYPT_SHA256_BYTES];
    struct slice d = {(const char *)digest, sizeof digest};

    buf_init(&signature, CRYPT_SIGNATURE_MAX_BYTES);
    for (unsigned round = 0; round < 3; round++) { /* the prepared contexts can be used again */
        crypt_random(digest, sizeof digest);
        buf_clear(&signature);
        assert_int_equal(crypt_key_sign(private_key, d, &signature, &err), 0);
        assert_int_equal(signature.n, octets);
        assert_true(crypt_key_verify(public_key, CRYPT_SHA256, d, buf_slice(&signature)));
        assert_true(crypt_key_verify(private_key, CRYPT_SHA256, d, buf_slice(&signature)));
        assert_false(crypt_key_verify(public_key, CRYPT_SHA1, d, buf_slice(&signature)));
        signature.p[5] ^= 1;
        assert_false(crypt_key_verify(public_key, CRYPT_SHA256, d, buf_slice(&signature)));
        signature.p[5] ^= 1;
        digest[0] ^= 1;
        assert_false(crypt_key_verify(public_key, CRYPT_SHA256, d, buf_slice(&signature)));
        digest[0] ^= 1;
        assert_false(crypt_key_verify(public_key, CRYPT_SHA256, d,
                                      slice_sub(buf_slice(&signature), 0, octets - 1)));
        assert_false(crypt_key_verify(public_key, CRYPT_SHA256, d, (struct slice){NULL, 0}));
    }
    assert_int_equal(crypt_key_sign(private_key, SLICE("short"), &signature, &err), -1);
    assert_int_equal(crypt_key_sign(public_key, d, &signature, &err), -1);
    assert_int_equal(crypt_key_sign(private_key, d, &signature, &err), 0);
    buf_finish(&signature);
    buf_init(&signature, octets - 1);
    assert_int_equal(crypt_key_sign(private_key, d, &signature, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    buf_finish(&signature);
}

static void run_pair(void **state)
{
    const struct pair_case *p = *state;
    struct crypt_key *made, *read, *public_key;
    struct buf pem, octets;
    struct err err;

    buf_init(&pem, CRYPT_KEY_FILE_MAX_BYTES);
    buf_init(&octets, CRYPT_KEY_FILE_MAX_BYTES);
    assert_int_equal(crypt_key_generate(p->type, p->bits, &made, &err), 0);
    assert_int_equal(crypt_key_bits(made), p->bits);
    assert_int_equal(crypt_key_write_private(made, &pem, &err), 0);
    assert_int_equal(crypt_key_write_public(made, &octets, &err), 0);
    assert_int_equal(octets.n, p->public_octets);
    assert_int_equal(crypt_key_read_private(buf_slice(&pem), &read, &err), 0);
    assert_int_equal(crypt_key_read_public(p->type, buf_slice(&octets), &public_key, &err), 0);
    assert_true(crypt_key_is_private(read));
    assert_false(crypt_key_is_private(public_key));
    assert_int_equal(crypt_key_type(read), p->type);
    assert_true(crypt_key_same_public(read, public_key));
    check_signatures(read, public_key, p->signature_octets);
    assert_int_equal(crypt_key_write_private(public_key, &pem, &err), -1);
    crypt_key_destroy(&public_key);

    /* one octet more, or cut short, is no key */
    buf_append_char(&octets, 'x');
    assert_int_equal(crypt_key_read_public(p->type, buf_slice(&octets), &public_key, &err), -1);
    assert_int_equal(
        crypt_key_read_public(p->type, slice_sub(buf_slice(&octets), 0, 31), &public_key, &err),
        -1);
    assert_null(public_key);
    crypt_key_destroy(&made);
    crypt_key_destroy(&read);
    crypt_wipe(pem.p, pem.n);
    buf_finish(&pem);
    buf_finish(&octets);
}

static void run_bare_rsa(void **state)
{
    struct crypt_key *made, *spki, *bare;
    struct buf der;
    struct err err;

    (void)state;
    /* SubjectPublicKeyInfo of a 1024-bit key holds RSAPublicKey from octet 22 on (erratum 3017) */
    buf_init(&der, 4096);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, 1024, &made, &err), 0);
    assert_int_equal(crypt_key_write_public(made, &der, &err), 0);
    assert_int_equal(crypt_key_read_public(CRYPT_RSA, buf_slice(&der), &spki, &err), 0);
    assert_int_equal(crypt_key_read_public(CRYPT_RSA, slice_from(buf_slice(&der), 22), &bare, &err),
                     0);
    assert_true(crypt_key_same_public(spki, bare));
    assert_int_equal(crypt_key_bits(bare), 1024);
    crypt_key_destroy(&made);
    crypt_key_destroy(&spki);
    crypt_key_destroy(&bare);
    buf_finish(&der);
}

static void run_refused(void **state)
{
    struct crypt_key *key;
    struct err err;
    char *big = mem_alloc(CRYPT_KEY_FILE_MAX_BYTES + 1);

    (void)state;
    assert_int_equal(crypt_key_read_private(SLICE(""), &key, &err), -1);
    assert_int_equal(crypt_key_read_private(SLICE("hello"), &key, &err), -1);
    assert_int_equal(crypt_key_read_private(SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n"
                                                  "-----END PRIVATE KEY-----\n"),
                                            &key, &err),
                     -1);
    assert_int_equal(
        crypt_key_read_private((struct slice){big, CRYPT_KEY_FILE_MAX_BYTES + 1}, &key, &err), -1);
    assert_int_equal(crypt_key_read_public(
                         CRYPT_RSA, (struct slice){big, CRYPT_KEY_FILE_MAX_BYTES + 1}, &key, &err),
                     -1);
    assert_int_equal(crypt_key_read_public(CRYPT_RSA, SLICE(""), &key, &err), -1);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, 512, &key, &err), -1);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, CRYPT_RSA_BITS_MAX + 1, &key, &err), -1);
    assert_null(key);
    crypt_key_destroy(&key);
    free(big);
}

/* The last octets of RSAPublicKey are the exponent. */
static void run_exponents(void **state)
{
    static const struct {
        struct slice integer; /* of DER */
        int result;
    } exponents[] = {
        {SLICE_INIT("\x02\x03\x01\x00\x01"), 0},
        {SLICE_INIT("\x02\x01\x03"), 0},
        {SLICE_INIT("\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff"), 0},
        {SLICE_INIT("\x02\x01\x01"), -1},
        {SLICE_INIT("\x02\x01\x04"), -1},
        {SLICE_INIT("\x02\x01\x00"), -1},
        {SLICE_INIT("\x02\x09\x01\xff\xff\xff\xff\xff\xff\xff\xff"), -1},
    };
    struct crypt_key *made, *key;
    struct buf der, other;
    struct err err;

    (void)state;
    buf_init(&der, 4096);
    buf_init(&other, 4096);
    assert_int_equal(crypt_key_generate(CRYPT_RSA, 1024, &made, &err), 0);
    assert_int_equal(crypt_key_write_public(made, &der, &err), 0);
    struct slice modulus = slice_sub(buf_slice(&der), 25, 132); /* 02 81 81 00 ... */
    for (size_t i = 0; i < COUNT(exponents); i++) {
        buf_clear(&other);
        buf_append(&other, SLICE("\x30\x81"));
        buf_append_char(&other, (char)(modulus.n + exponents[i].integer.n)); /* below 256 */
        buf_append(&other, modulus);
        buf_append(&other, exponents[i].integer);
        assert_int_equal(crypt_key_read_public(CRYPT_RSA, buf_slice(&other), &key, &err),
                         exponents[i].result);
        crypt_key_destroy(&key);
    }
    crypt_key_destroy(&made);
    buf_finish(&der);
    buf_finish(&other);
}

/* The neutral point, with either sign: R = neutral, S = 0 would be good for every message. */
static void run_small_order(void **state)
{
    char octets[CRYPT_ED25519_BYTES] = {1};
    struct crypt_key *key;
    struct err err;

    (void)state;
    for (int sign = 0; sign < 2; sign++) {
        octets[31] = (char)(sign << 7); /* the octet 0x80 */
        assert_int_equal(
            crypt_key_read_public(CRYPT_ED25519, (struct slice){octets, sizeof octets}, &key, &err),
            -1);
        assert_null(key);
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(pairs) + 4];

    for (size_t i = 0; i < COUNT(pairs); i++)
        tests[i] =
            (struct CMUnitTest){pairs[i].name, run_pair, NULL, NULL, (void *)(uintptr_t)&pairs[i]};
    tests[COUNT(pairs)] = (struct CMUnitTest)cmocka_unit_test(run_bare_rsa);
    tests[COUNT(pairs) + 1] = (struct CMUnitTest)cmocka_unit_test(run_refused);
    tests[COUNT(pairs) + 2] = (struct CMUnitTest)cmocka_unit_test(run_exponents);
    tests[COUNT(pairs) + 3] = (struct CMUnitTest)cmocka_unit_test(run_small_order);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
