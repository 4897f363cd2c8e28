#include "base/test.h"

#include "lib/text/base64.h"

struct base64_case {
    const char *name, *encoded, *decoded;
    bool strict; /* the strict reader takes it too, and encoding gives it back */
};
static const struct base64_case cases[] = {
    {"nothing", "", "", true},
    {"one byte has two paddings", "Zg==", "f", true},
    {"two bytes have one padding", "Zm8=", "fo", true},
    {"three bytes have none", "Zm9v", "foo", true},
    {"folded lines are read by the lenient reader", "Zm9v\r\n YmFy", "foobar", false},
    {"a missing padding is forgiven", "Zm8", "fo", false},
    {"padding in the middle, as joined parts have it", "Zg==Zm9v", "ffoo", false},
    {"bits that belong to no byte", "Zm9=", "fo", false},
    {"junk is skipped", "Z!m9v", "foo", false},
    {"a lone character says nothing", "Z", "", false},
    {"url-safe letters are not of the alphabet", "Zm9v_-", "foo", false},
};

static void run(void **state)
{
    const struct base64_case *c = *state;
    struct buf out;
    struct err e = {0};

    buf_init(&out, 1000);
    base64_decode_lenient(slice_of(c->encoded), &out);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->decoded)));
    buf_clear(&out);
    assert_int_equal(base64_decode(slice_of(c->encoded), &out, &e) == 0, c->strict);
    if (c->strict) {
        buf_clear(&out);
        base64_encode(slice_of(c->decoded), &out);
        assert_true(slice_eq(buf_slice(&out), slice_of(c->encoded)));
    } else {
        assert_int_equal(e.code, ERR_SYNTAX);
        assert_int_equal(out.n, 0);
    }
    buf_finish(&out);
}

static void a_ceiling_is_an_error_and_leaves_nothing(void **state)
{
    struct buf out;
    struct err e = {0};
    (void)state;

    buf_init(&out, 4);
    buf_append(&out, SLICE("ab"));
    assert_int_equal(base64_decode(SLICE("Zm9v"), &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(out.n, 2);
    buf_finish(&out);
}

static void lines_are_as_wide_as_asked(void **state)
{
    struct buf out;
    (void)state;

    buf_init(&out, 100);
    base64_encode_lines(SLICE("foobarfo"), 8, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("Zm9vYmFy\r\nZm8=\r\n")));
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {
        cmocka_unit_test(a_ceiling_is_an_error_and_leaves_nothing),
        cmocka_unit_test(lines_are_as_wide_as_asked),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
