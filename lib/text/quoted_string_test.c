#include "lib/text/quoted_string.h"

#include "base/test.h"

static const struct quote_case {
    const char *name, *value;
    size_t max;
    const char *want;
} cases[] = {
    {"nothing", "", 80, "\"\""},
    {"words", "a b", 80, "\"a b\""},
    {"quotes and backslashes", "a\"b\\c", 80, "\"a\\\"b\\\\c\""},
    {"a line end cannot leave the string", "a\r\nX: y", 80, "\"a??X: y\""},
    {"UTF-8 stays", "gr\xc3\xbc\xc3\x9f", 80, "\"gr\xc3\xbc\xc3\x9f\""},
    {"what is no UTF-8 does not", "gr\xfc\xdf", 80, "\"gr??\""},
    {"as long as may be", "12345678", 8, "\"12345678\""},
    {"too long", "123456789", 8, "\"12345...\""},
    {"no half characters", "1234\xc3\xbc\x37\x38\x39", 8, "\"1234...\""},
};

static void run(void **state)
{
    const struct quote_case *c = *state;
    struct buf out;

    buf_init(&out, 1000);
    quoted_string_append(slice_of(c->value), c->max, &out);
    if (!slice_eq(buf_slice(&out), slice_of(c->want)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(buf_slice(&out)), c->want);
    buf_finish(&out);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(cases)];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
