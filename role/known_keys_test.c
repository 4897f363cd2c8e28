#include "role/known_keys.h"

#include "base/test.h"

static void learn(struct known_keys *k, char domain[16], size_t n)
{
    struct msg_key_fact facts[2] = {{slice_of(domain), SLICE("s1"), DKIM_RSA_SHA256},
                                    {slice_of(domain), SLICE("s2"), DKIM_ED25519_SHA256}};
    const struct msg_keys_known m = {.keys = facts, .keys_n = n};

    known_keys_learn(k, &m);
    memset(domain, 'x', strlen(domain)); /* as if the frame that brought it were gone */
}

static void holds_what_was_said(void **state)
{
    char domain[16] = "a.example";
    struct known_keys k = {0};
    (void)state;

    learn(&k, domain, 2);
    assert_int_equal(k.n, 2);
    assert_true(slice_eq(k.list[1].domain, SLICE("a.example")));
    assert_true(slice_eq(k.list[1].selector, SLICE("s2")));
    assert_int_equal(k.list[1].algorithm, DKIM_ED25519_SHA256);
    known_keys_forget(&k);
    assert_int_equal(k.n, 0);
    known_keys_forget(&k);
}

static void a_spec_outlives_the_keys_it_was_made_of(void **state)
{
    char before[16] = "a.example", after[16] = "b.example";
    struct arena *arena = arena_create(4096);
    struct known_keys k = {0};
    (void)state;

    learn(&k, before, 1);
    struct dkim_sign_spec spec = known_key_spec(&k.list[0], arena);
    learn(&k, after, 1);
    assert_true(slice_eq(k.list[0].domain, SLICE("b.example")));
    assert_true(slice_eq(spec.domain, SLICE("a.example")));
    assert_true(slice_eq(spec.selector, SLICE("s1")));
    assert_int_equal(spec.algorithm, DKIM_RSA_SHA256);
    known_keys_forget(&k);
    arena_destroy(&arena);
}

static void none_is_fine(void **state)
{
    char domain[16] = "a.example";
    struct known_keys k = {0};
    (void)state;

    learn(&k, domain, 1);
    learn(&k, domain, 0);
    assert_int_equal(k.n, 0);
    known_keys_forget(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_said),
        cmocka_unit_test(a_spec_outlives_the_keys_it_was_made_of),
        cmocka_unit_test(none_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
