#include "rt/bus/wire.h"

#include "base/test.h"

/* What is written reads back, at the extremes too. */
static void values(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    wire_put_u8(&b, 0xff);
    wire_put_u16(&b, 0xfffe);
    wire_put_u32(&b, 0xfffffffdu);
    wire_put_u64(&b, UINT64_MAX - 3);
    wire_put_i64(&b, INT64_MIN);
    wire_put_bool(&b, true);
    wire_put_bool(&b, false);
    wire_put_bytes(&b, SLICE("a\0b"));
    wire_put_bytes(&b, SLICE(""));
    wire_put_raw(&b, SLICE("tail"));
    struct wire_reader r = wire_read(buf_slice(&b));
    assert_int_equal(wire_get_u8(&r), 0xff);
    assert_int_equal(wire_get_u16(&r), 0xfffe);
    assert_int_equal(wire_get_u32(&r), 0xfffffffdu);
    assert_true(wire_get_u64(&r) == UINT64_MAX - 3);
    assert_true(wire_get_i64(&r) == INT64_MIN);
    assert_true(wire_get_bool(&r));
    assert_false(wire_get_bool(&r));
    assert_true(slice_eq(wire_get_bytes(&r), SLICE("a\0b")));
    assert_int_equal(wire_get_bytes(&r).n, 0);
    assert_true(slice_eq(wire_get_rest(&r), SLICE("tail")));
    assert_true(wire_is_good(&r));
    buf_finish(&b);
}

static const struct broken {
    const char *name;
    struct slice bytes;
} broken[] = {
    {"an empty message", SLICE_INIT("")},
    {"a number is cut", SLICE_INIT("\x01\x02\x03")},
    {"a length beyond the message", SLICE_INIT("\x01\0\0\0\x05\0\0\0abcd")},
    {"a length of 4 GiB", SLICE_INIT("\x01\0\0\0\xff\xff\xff\xff"
                                     "abcd")},
    {"a bool that is 2", SLICE_INIT("\x01\0\0\0\x01\0\0\0a\x02")},
    {"bytes are left over", SLICE_INIT("\x01\0\0\0\x01\0\0\0a\x01x")},
};

static void refuses(void **state)
{
    const struct broken *c = *state;
    struct wire_reader r = wire_read(c->bytes);

    (void)wire_get_u32(&r);
    (void)wire_get_bytes(&r);
    (void)wire_get_bool(&r);
    assert_false(wire_is_good(&r));
    if (r.bad) {
        assert_int_equal(wire_get_u64(&r), 0);
        assert_int_equal(wire_get_bytes(&r).n, 0);
        assert_false(wire_is_good(&r));
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(broken) + 1] = {{"values read back", values, NULL, NULL, NULL}};

    for (size_t i = 0; i < COUNT(broken); i++)
        tests[i + 1] =
            (struct CMUnitTest){broken[i].name, refuses, NULL, NULL, (void *)(uintptr_t)&broken[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
