/* Suppression and the counting of failures, as stored and as read. */
#include "store/ledger/suppression.h"

#include "store/ledger/house_test.h"

#define T0 INT64_C(1795000000000)
#define DAY INT64_C(86400000)

static int set_up(void **state)
{
    (void)state;
    return house_set_up((struct ledger_settings){.now_ms = T0});
}

static void suppress(const char *address, const char *scope, int64_t until_ms)
{
    const struct ledger_suppression s = {.address = slice_of(address),
                                         .scope = slice_of(scope),
                                         .reason = SLICE("invalid_recipient"),
                                         .source = SLICE("bounce"),
                                         .evidence = SLICE("550 5.1.1 no such user"),
                                         .message = 7,
                                         .since_ms = T0,
                                         .until_ms = until_ms};

    OK(ledger_begin(l, &e));
    OK(ledger_suppress(l, &s, &e));
    OK(ledger_commit(l, &e));
}

static bool is_suppressed(const char *address, const char *stream, int64_t now_ms)
{
    struct ledger_suppression s;
    bool found;

    OK(ledger_find_suppression(l, slice_of(address), slice_of(stream), now_ms, &found, &s, &e));
    if (found) {
        assert_true(slice_eq(s.reason, SLICE("invalid_recipient")));
        assert_true(slice_eq(s.evidence, SLICE("550 5.1.1 no such user")));
        assert_int_equal(s.message, 7);
    }
    return found;
}

static void scopes(void **state)
{
    (void)state;
    suppress("Dead@Example.com", "", 0);
    suppress("angry@example.com", "news", 0);
    assert_true(is_suppressed("dead@example.com", "news", T0));
    assert_true(is_suppressed("DEAD@EXAMPLE.COM", "receipts", T0));
    assert_true(is_suppressed("angry@example.com", "news", T0));
    assert_false(is_suppressed("angry@example.com", "receipts", T0));
    assert_false(is_suppressed("other@example.com", "news", T0));
}

static void expiry(void **state)
{
    (void)state;
    suppress("a@example.com", "", T0 + DAY);
    assert_true(is_suppressed("a@example.com", "news", T0 + DAY - 1));
    assert_false(is_suppressed("a@example.com", "news", T0 + DAY));
}

static void restart(void **state)
{
    (void)state;
    suppress("a@example.com", "", 0);
    ledger_close(&l);
    house_open((struct ledger_settings){.now_ms = T0});
    assert_true(is_suppressed("a@example.com", "news", T0));
}

static void removal(void **state)
{
    const struct slice news = SLICE("news");
    uint64_t changed;

    (void)state;
    suppress("a@example.com", "", 0);
    suppress("a@example.com", "news", 0);
    OK(ledger_begin(l, &e));
    OK(ledger_unsuppress(l, SLICE("A@example.com"), &news, &changed, &e));
    assert_int_equal(changed, 1);
    OK(ledger_unsuppress(l, SLICE("A@example.com"), NULL, &changed, &e));
    assert_int_equal(changed, 1);
    OK(ledger_commit(l, &e));
    assert_false(is_suppressed("a@example.com", "news", T0));
}

static void rollback(void **state)
{
    const struct ledger_suppression s = {.address = SLICE("a@example.com")};

    (void)state;
    OK(ledger_begin(l, &e));
    OK(ledger_suppress(l, &s, &e));
    ledger_rollback(l);
    assert_false(is_suppressed("a@example.com", "news", T0));
}

static uint64_t fails(int64_t at_ms, uint64_t message, const char *category)
{
    const struct ledger_failure f = {.address = SLICE("Full@example.com"),
                                     .scope = SLICE(""),
                                     .category = slice_of(category),
                                     .time_ms = at_ms,
                                     .message = message};
    uint64_t count;
    int64_t first_ms;

    OK(ledger_begin(l, &e));
    OK(ledger_add_failure(l, &f, at_ms - 14 * DAY, &count, &first_ms, &e));
    OK(ledger_commit(l, &e));
    return count;
}

static void counting(void **state)
{
    (void)state;
    assert_int_equal(fails(T0, 1, "mailbox_full"), 1);
    assert_int_equal(fails(T0 + DAY, 2, "mailbox_full"), 2);
    assert_int_equal(fails(T0 + DAY + 5, 2, "mailbox_full"), 2);  /* the same message */
    assert_int_equal(fails(T0 + 2 * DAY, 3, "network"), 1);       /* another category */
    assert_int_equal(fails(T0 + 15 * DAY, 4, "mailbox_full"), 2); /* the first is too old */
}

static void delivery(void **state)
{
    (void)state;
    assert_int_equal(fails(T0, 1, "mailbox_full"), 1);
    ledger_close(&l);
    house_open((struct ledger_settings){.now_ms = T0}); /* the filter is loaded again */
    OK(ledger_begin(l, &e));
    OK(ledger_clear_failures(l, SLICE("full@EXAMPLE.com"), SLICE("news"), &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(fails(T0 + DAY, 2, "mailbox_full"), 1);
}

int main(void)
{
#define TEST(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, tear_down, NULL                                                         \
    }
    const struct CMUnitTest tests[] = {
        TEST("a dead address is suppressed everywhere, a complaint in its stream", scopes),
        TEST("a suppression ends when it expires", expiry),
        TEST("a suppression survives a restart", restart),
        TEST("a removed one is gone, in one scope or in all", removal),
        TEST("what was not committed never happened", rollback),
        TEST("failures are counted by category, message and time", counting),
        TEST("a delivery sets the count back", delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
