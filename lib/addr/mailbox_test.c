#include "base/test.h"

#include "lib/addr/mailbox.h"

struct list_case {
    const char *name, *value;
    const char *shown; /* "name|address|group" lines */
    size_t broken;
};
static const struct list_case cases[] = {
    {"a bare address", "a@example.org", "|a@example.org|\n", 0},
    {"a name and an address", "John Q. Public <jqp@example.org>",
     "John Q. Public|jqp@example.org|\n", 0},
    {"a quoted name with a comma", "\"Public, J.\" <j@example.org>, b@c.example",
     "Public, J.|j@example.org|\n|b@c.example|\n", 0},
    {"a name in a comment", "j@example.org (John \\(the\\) (old) man)",
     "John (the) (old) man|j@example.org|\n", 0},
    {"an encoded name", "=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "J\xc3\xbcrgen|j@example.org|\n",
     0},
    {"a group", "friends: a@b.example, C <c@d.example>; e@f.example",
     "|a@b.example|friends\nC|c@d.example|friends\n|e@f.example|\n", 0},
    {"an empty group", "undisclosed-recipients:;", "", 0},
    {"a source route", "<@a,@b:u@c.example>", "|u@c.example|\n", 0},
    {"comments and folding inside", "a (x) . b\r\n @ (y) c.example", "y|a.b@c.example|\n", 0},
    {"a quoted local part", "\"a b\"@c.example", "|\"a b\"@c.example|\n", 0},
    {"semicolons between, as Outlook writes", "a@b.example; c@d.example",
     "|a@b.example|\n|c@d.example|\n", 0},
    {"a broken element does not hide the others", "one two three, a@b.example, <>",
     "|a@b.example|\n", 2},
    {"a local user", "root", "|root|\n", 0},
    {"empty elements are legal", ",, a@b.example ,,", "|a@b.example|\n", 0},
    {"a missing bracket", "A <a@b.example", "A|a@b.example|\n", 0},
    {"an address as name", "\"x@y.example\" <a@b.example>", "x@y.example|a@b.example|\n", 0},
    {"nothing", "", "", 0},
};

static void run(void **state)
{
    const struct list_case *c = *state;
    struct arena *a = arena_create(1 << 20);
    struct mailbox_list list;
    struct err e = {0};
    struct buf shown;

    buf_init(&shown, 10000);
    assert_int_equal(mailbox_list_parse(slice_of(c->value), 100, a, &list, &e), 0);
    for (size_t i = 0; i < list.count; i++)
        buf_printf(&shown, "%.*s|%.*s|%.*s\n", SLICE_ARG(list.items[i].name),
                   SLICE_ARG(list.items[i].address), SLICE_ARG(list.items[i].group));
    if (!slice_eq(buf_slice(&shown), slice_of(c->shown)))
        print_message("got: %.*s\n", SLICE_ARG(buf_slice(&shown)));
    assert_true(slice_eq(buf_slice(&shown), slice_of(c->shown)));
    assert_int_equal(list.broken, c->broken);
    buf_finish(&shown);
    arena_destroy(&a);
}

static void a_list_has_a_ceiling(void **state)
{
    struct arena *a = arena_create(1 << 20);
    struct mailbox_list list;
    struct err e = {0};
    (void)state;

    assert_int_equal(mailbox_list_parse(SLICE("a@b, c@d, e@f"), 2, a, &list, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(list.count, 2);
    arena_destroy(&a);
}

static void a_name_is_written_so_that_it_is_read_again(void **state)
{
    static const struct mailbox boxes[] = {
        {.name = SLICE_INIT("Plain Name"), .address = SLICE_INIT("a@b.example")},
        {.name = SLICE_INIT("Public, J. \"x\" \\"), .address = SLICE_INIT("a@b.example")},
        {.name = SLICE_INIT("J\xc3\xbcrgen"), .address = SLICE_INIT("a@b.example")},
        {.address = SLICE_INIT("\"a b\"@b.example")},
    };
    struct buf out;
    (void)state;

    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(boxes); i++) {
        struct arena *a = arena_create(1 << 20);
        struct mailbox_list list;
        struct err e = {0};
        buf_clear(&out);
        mailbox_format(&boxes[i], &out);
        assert_int_equal(mailbox_list_parse(buf_slice(&out), 2, a, &list, &e), 0);
        assert_int_equal(list.count, 1);
        assert_true(slice_eq(list.items[0].name, boxes[i].name));
        assert_true(slice_eq(list.items[0].address, boxes[i].address));
        arena_destroy(&a);
    }
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {
        cmocka_unit_test(a_list_has_a_ceiling),
        cmocka_unit_test(a_name_is_written_so_that_it_is_read_again),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
