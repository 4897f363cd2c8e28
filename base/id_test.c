#include "base/id.h"
#include "base/test.h"

struct text_case {
    const char *name, *text;
    bool good;
    struct id id;
};

static const struct text_case texts[] = {
    {"the smallest id", "00000000000000000000000000", true, {0, 0}},
    {"the largest id", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", true, {UINT64_MAX, UINT64_MAX}},
    {"one in the last digit", "00000000000000000000000001", true, {0, 1}},
    {"the halves meet inside a digit", "0000000000000FZZZZZZZZZZZZ", true, {0, UINT64_MAX}},
    {"one more than that", "0000000000000G000000000000", true, {1, 0}},
    {"129 bits are too many", "80000000000000000000000000", false, {0, 0}},
    {"too short", "0000000000000000000000000", false, {0, 0}},
    {"too long", "000000000000000000000000000", false, {0, 0}},
    {"a letter outside the alphabet", "0000000000000000000000000U", false, {0, 0}},
    {"a NUL", "0000000000000000000000000\0", false, {0, 0}},
};

static void run_text(void **state)
{
    const struct text_case *t = *state;
    struct id id = {0, 0};
    char text[ID_TEXT_N + 1];

    assert_int_equal(id_decode(slice_of(t->text), &id), t->good);
    if (!t->good)
        return;
    assert_true(id_eq(id, t->id));
    id_encode(id, text);
    assert_string_equal(text, t->text);
    unsigned char bytes[ID_BYTES_N];
    id_to_bytes(id, bytes);
    assert_true(id_eq(id_from_bytes(bytes), id));
}

static void run_lower_case(void **state)
{
    struct id lower, upper;

    (void)state;
    assert_true(id_decode(SLICE("01arz3ndektsv4rrffq69g5fav"), &lower));
    assert_true(id_decode(SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &upper));
    assert_true(id_eq(lower, upper));
}

/* Ids sort by time, and the clock may stand still, step back, or run out of counters. */
static void run_growth(void **state)
{
    static const int64_t clock_ms[] = {1000, 1000, 999, 1001, 1001, 5, 2000};
    struct id_maker maker = {0};
    uint64_t before = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(clock_ms); i++) {
        struct id id = id_make(&maker, clock_ms[i], 7);
        assert_true(id.hi > before);
        before = id.hi;
    }
    assert_int_equal(id_unix_ms((struct id){before, 7}), 2000);
    for (unsigned i = 0; i < 70000; i++) {
        struct id id = id_make(&maker, 2000, i);
        assert_true(id.hi > before);
        before = id.hi;
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(texts) + 2] = {
        {"either case is read", run_lower_case, NULL, NULL, NULL},
        {"ids only grow, whatever the clock does", run_growth, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        tests[i + 2] =
            (struct CMUnitTest){texts[i].name, run_text, NULL, NULL, (void *)(uintptr_t)&texts[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
