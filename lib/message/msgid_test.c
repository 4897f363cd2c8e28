#include "base/test.h"

#include "lib/message/msgid.h"

struct id_case {
    const char *name, *value;
    enum msgid_verdict verdict;
};
static const struct id_case cases[] = {
    {"a good one", " <20261123.1a2b@mail.example.org>", MSGID_GOOD},
    {"no brackets", "20261123@example.org", MSGID_BAD},
    {"no at", "<20261123.example.org>", MSGID_BAD},
    {"nothing", "", MSGID_BAD},
    {"only brackets", "<>", MSGID_BAD},
    {"nothing left", "<@example.org>", MSGID_BAD},
    {"nothing right", "<a@>", MSGID_BAD},
    {"a space", "<a b@example.org>", MSGID_BAD},
    {"folded inside", "<a\r\n b@example.org>", MSGID_BAD},
    {"folded before", "\r\n <a@example.org>", MSGID_GOOD},
    {"two ids", "<a@example.org> <b@example.org>", MSGID_BAD},
    {"two at", "<a@b@example.org>", MSGID_BAD},
    {"two dots", "<a..b@example.org>", MSGID_BAD},
    {"not ASCII", "<j\xc3\xbcrgen@example.org>", MSGID_BAD},
    {"a local name", "<a@localhost>", MSGID_ODD},
    {"a bare host", "<a@web01>", MSGID_ODD},
    {"an address literal", "<a@[192.0.2.1]>", MSGID_ODD},
    {"an address", "<a@192.0.2.1>", MSGID_ODD},
    {"a quoted left side", "<\"a\"@example.org>", MSGID_ODD},
    {"a remark behind it", "<a@example.org> (added)", MSGID_BAD},
};

static void run(void **state)
{
    const struct id_case *c = *state;
    struct msgid_check check = msgid_check(slice_of(c->value));

    assert_int_equal(check.verdict, c->verdict);
    assert_int_equal(check.reason == NULL, c->verdict == MSGID_GOOD);
}

static void a_made_one_is_good(void **state)
{
    struct buf out;
    (void)state;

    buf_init(&out, 200);
    msgid_make(SLICE("0123456789abcdef"), SLICE("Mail.Example.org"), &out);
    assert_int_equal(msgid_check(buf_slice(&out)).verdict, MSGID_GOOD);
    assert_true(slice_ends(buf_slice(&out), SLICE("@mail.example.org>")));
    assert_int_equal(out.n, 1 + 26 + 1 + 16 + 1);
    assert_true(slice_eq(msgid_find(SLICE(" x <a@b> y")), SLICE("<a@b>")));
    assert_true(slice_eq(msgid_find(SLICE(" a@b ")), SLICE("a@b")));
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {cmocka_unit_test(a_made_one_is_good)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
