#include "role/recipients.h"

#include <unistd.h>

#include "base/test.h"

static const struct recipients_case {
    const char *name, *file, *address;
    int have; /* -1: the file is refused */
} cases[] = {
    {"a local part is good for the domain", "ann\nbob\n", "bob@x.test", 1},
    {"an address is", "ann@x.test\n", "ann@x.test", 1},
    {"an address of another domain is not", "ann@x.test\n", "ann@y.test", 0},
    {"somebody else is not there", "ann\n", "anna@x.test", 0},
    {"case does not matter", "Ann\n", "aNN@X.test", 1},
    {"comments, blanks and what follows a name", "# who\n\n  ann\tAnn B.\n", "ann@x.test", 1},
    {"what follows a name is no name", "ann bob\n", "bob@x.test", 0},
    {"the last line needs no end", "ann", "ann@x.test", 1},
    {"an empty list has nobody", "", "ann@x.test", 0},
    {"a domain alone", "@x.test\n", "", -1},
    {"a local part with nothing behind its sign", "ann@\n", "", -1},
};

static void run_case(void **state)
{
    const struct recipients_case *c = *state;
    char path[] = "/tmp/waybill-recipients-XXXXXX";
    struct recipients *r;
    struct err e;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, c->file, strlen(c->file)), strlen(c->file));
    close(fd);
    r = recipients_load(path, &e);
    unlink(path);
    assert_int_equal(r == NULL, c->have < 0);
    if (r == NULL)
        assert_non_null(strchr(e.text, ':'));
    else
        assert_int_equal(recipients_have(r, slice_of(c->address)), c->have);
    recipients_destroy(&r);
    recipients_destroy(&r);
}

static void no_file(void **state)
{
    struct err e;
    (void)state;

    assert_null(recipients_load("/nonexistent/recipients", &e));
    assert_int_equal(e.code, ERR_SYSTEM);
}

static const struct tag_case {
    const char *address, *delimiters, *untagged;
} tags[] = {
    {"ann+news@x.test", "+", "ann@x.test"},
    {"ann@x.test", "+", ""},
    {"ann+a+b@x.test", "+", "ann@x.test"},
    {"+ann@x.test", "+", ""},
    {"ann-news@x.test", "+-", "ann@x.test"},
    {"ann+news@x.test", "", ""},
    {"\"ann+news\"@x.test", "+", ""},
    {"ann+@x.test", "+", "ann@x.test"},
    {"ann@x+y.test", "+", ""},
};

static void untagged(void **state)
{
    char room[64];
    (void)state;

    for (size_t i = 0; i < COUNT(tags); i++) {
        struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};
        struct slice got = recipient_untagged(slice_of(tags[i].address), tags[i].delimiters, &out);

        if (!slice_eq(got, slice_of(tags[i].untagged)))
            fail_msg("%s: %.*s", tags[i].address, SLICE_ARG(got));
    }
    struct buf small = {.p = room, .cap = 5, .max = 5};
    assert_int_equal(recipient_untagged(SLICE("ann+news@x.test"), "+", &small).n, 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(no_file);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(untagged);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
