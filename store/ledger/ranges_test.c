#include "base/test.h"
#include "store/ledger/ranges.h"

struct text_case {
    const char *name, *text;
    bool good;
    uint64_t count;
};

static const struct text_case cases[] = {
    {"nobody", "", true, 0},
    {"one", "1", true, 1},
    {"a run and one more", "1-100,105", true, 101},
    {"up to the ceiling", "7-1000", true, 994},
    {"above the ceiling", "7-1001", false, 0},
    {"nought is no recipient", "0", false, 0},
    {"a leading zero", "01", false, 0},
    {"a run of one is written as one", "5-5", false, 0},
    {"backwards", "6-5", false, 0},
    {"out of order", "5,3", false, 0},
    {"the same twice", "5,5", false, 0},
    {"touching runs are one", "1-4,5", false, 0},
    {"a comma at the end", "1,", false, 0},
    {"a comma at the start", ",1", false, 0},
    {"an open end", "1-", false, 0},
    {"a minus", "-1", false, 0},
    {"a space", "1, 3", false, 0},
    {"beyond 32 bits", "4294967297", false, 0},
    {"beyond 64 bits", "99999999999999999999", false, 0},
};

static void run_case(void **state)
{
    const struct text_case *c = *state;
    struct range_list list = {0};
    struct buf out;
    struct err e;

    buf_init(&out, 1000);
    int result = ranges_parse(slice_of(c->text), 1000, &list, &e);
    assert_int_equal(result, c->good ? 0 : -1);
    if (c->good) {
        assert_int_equal(ranges_count(range_list_view(&list)), c->count);
        ranges_print(range_list_view(&list), &out);
        assert_true(slice_eq(buf_slice(&out), slice_of(c->text)));
    }
    buf_finish(&out);
    range_list_finish(&list);
}

/* A list agrees with an array of booleans, whatever is added and removed. */
static void agrees_with_an_array(void **state)
{
    struct range_list list = {0};
    bool in[64] = {false};
    uint64_t seed = 1;

    (void)state;
    for (int step = 0; step < 3000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t first = (uint32_t)(seed >> 33) % 60 + 1;
        uint32_t last = first + (uint32_t)(seed >> 50) % (63 - first + 1);
        bool add = (seed >> 60) % 2 == 0;
        if (add)
            range_list_add(&list, first, last);
        else
            range_list_remove(&list, first, last);
        for (uint32_t i = first; i <= last; i++)
            in[i] = add;
        uint64_t count = 0;
        for (uint32_t i = 0; i < 64; i++) {
            count += in[i];
            assert_int_equal(ranges_contain(range_list_view(&list), i), in[i]);
        }
        assert_int_equal(ranges_count(range_list_view(&list)), count);
        for (size_t i = 1; i < list.n; i++)
            assert_true(list.p[i].first > list.p[i - 1].last + 1);
        struct range probe = {first, last};
        assert_int_equal(ranges_cover(range_list_view(&list), (struct ranges){&probe, 1}), add);
    }
    range_list_finish(&list);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {
        {"a list agrees with an array", agrees_with_an_array, NULL, NULL, NULL}};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
