#include "mta/bounce/policy.h"

#include "base/test.h"

struct policy_case {
    const char *name, *set; /* NULL: the taxonomy's */
    enum bounce_category category;
    char digit;
    bool is_delayed;
    unsigned count, days;
};

static const struct policy_case cases[] = {
    {"a dead address is suppressed at once", NULL, BOUNCE_INVALID_RECIPIENT, '5', false, 1, 1},
    {"but not by one 4xx", NULL, BOUNCE_INVALID_RECIPIENT, '4', false, 3, 14},
    {"nor by a delay", NULL, BOUNCE_INVALID_RECIPIENT, '4', true, 0, 0},
    {"a full mailbox: five in two weeks", NULL, BOUNCE_MAILBOX_FULL, '5', false, 5, 14},
    {"a setting changes that", "mailbox_full 2/3d", BOUNCE_MAILBOX_FULL, '5', false, 2, 3},
    {"or turns it off", "mailbox_full never", BOUNCE_MAILBOX_FULL, '5', false, 0, 0},
    {"a blocked address of ours never counts", NULL, BOUNCE_BLOCKED_IP, '5', false, 0, 0},
    {"a complaint counts at once", NULL, BOUNCE_CATEGORY_COMPLAINT, '0', false, 1, 1},
};

static void check(void **state)
{
    const struct policy_case *c = *state;
    struct bounce_verdict verdict;
    struct bounce_policy p;
    struct err e;

    bounce_policy_init(&p);
    if (c->set != NULL)
        assert_int_equal(bounce_policy_set(&p, slice_of(c->set), &e), 0);
    bounce_verdict_of(c->category, c->digit, c->is_delayed, &verdict);
    struct bounce_threshold t = bounce_policy_of(&p, &verdict);
    assert_int_equal(t.count, c->count);
    assert_int_equal(t.days, c->days);
}

static void mistakes(void **state)
{
    static const char *const bad[] = {
        "nosuch never",       "mailbox_full", "mailbox_full 5",   "mailbox_full 0/1d",
        "blocked_ip at_once", "none never",   "mailbox_full 5/d", ""};
    struct bounce_policy p;
    struct err e;

    (void)state;
    bounce_policy_init(&p);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(bounce_policy_set(&p, slice_of(bad[i]), &e), -1);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, check, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] =
        (struct CMUnitTest){"a setting that makes no sense is refused", mistakes, NULL, NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
