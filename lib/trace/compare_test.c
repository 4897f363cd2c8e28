/* Two or three mails each: what compare says about them. Received lines are given newest first. */
#include "base/test.h"

#include "lib/trace/compare.h"

#define BY(from, by, id, time)                                                                     \
    "Received: from " from " by " by " (Postfix) with ESMTP id " id "; Mon, 23 Nov 2026 " time     \
    " +0000\n"
#define APP BY("app.a.example ([10.0.0.1])", "out.a.example", "AAAA1", "22:00:00")
#define OUT "out.a.example (out.a.example [192.0.2.1])"
#define BODY                                                                                       \
    "From: S <s@a.example>\nTo: u@b.example\nSubject: Hello\nDate: Mon, 23 Nov 2026 22:00:00 "     \
    "+0000\n\nhi\n"
#define ID "Message-ID: <1@a.example>\n"

struct compare_case {
    const char *name;
    const char *mails[3];
    size_t groups; /* groups of any size */
    const char *verdict, *cause, *culprit;
    size_t common;
};
static const struct compare_case cases[] = {
    {"the reply to the dot was lost",
     {BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY(OUT, "mx.b.example", "BBBB2", "22:05:04") APP ID BODY},
     1,
     "duplicated",
     "retry_after_lost_reply",
     "out.a.example",
     1},
    {"the order of the files does not matter",
     {BY(OUT, "mx.b.example", "BBBB2", "22:05:04") APP ID BODY,
      BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY},
     1,
     "duplicated",
     "retry_after_lost_reply",
     "out.a.example",
     1},
    {"the queue was run again",
     {BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY(OUT, "mx.b.example", "BBBB2", "22:30:02") APP ID BODY},
     1,
     "duplicated",
     "queue_rerun",
     "out.a.example",
     1},
    {"two hosts got it",
     {BY(OUT, "mx1.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY(OUT, "mx2.b.example", "BBBB2", "22:00:03") APP ID BODY},
     1,
     "duplicated",
     "two_next_hops",
     "out.a.example",
     1},
    {"a list made two of it",
     {BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY("localhost (localhost [127.0.0.1])", "out.a.example", "LLLL1", "22:00:03") APP
      "List-Id: <l.a.example>\n" ID BODY},
     1,
     "duplicated",
     "list_expansion",
     "out.a.example",
     1},
    {"one host, one second, two recipients",
     {"Received: from " OUT " by mx.b.example with ESMTP id BBBB1 for <u@b.example>; Mon, 23 Nov "
      "2026 22:00:02 +0000\n" APP ID BODY,
      "Received: from " OUT " by mx.b.example with ESMTP id BBBB2 for <v@b.example>; Mon, 23 Nov "
      "2026 22:00:02 +0000\n" APP ID BODY},
     1,
     "duplicated",
     "list_expansion",
     "out.a.example",
     1},
    {"kept and forwarded",
     {BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY("mx.b.example ([192.0.2.2])", "fwd.c.example", "CCCC1", "22:00:04")
          BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY},
     1,
     "duplicated",
     "forwarding",
     "mx.b.example",
     2},
    {"copied in the mailbox",
     {APP ID BODY, APP ID "X-New: 1\n" BODY},
     1,
     "identical_chains",
     "delivered_twice",
     "out.a.example",
     1},
    {"sent twice under one id",
     {APP ID BODY, BY("app.a.example ([10.0.0.1])", "out.a.example", "AAAA2", "22:01:00") ID BODY},
     1,
     "separate_sends",
     "sent_twice",
     "app.a.example",
     0},
    {"sent twice under two ids",
     {APP ID BODY, BY("app.a.example ([10.0.0.1])", "out.a.example", "AAAA2",
                      "22:01:00") "Message-ID: <2@a.example>\n" BODY},
     1,
     "separate_sends",
     "sent_twice",
     "app.a.example",
     0},
    {"an id that was lost on the way",
     {APP ID BODY, APP BODY},
     1,
     "identical_chains",
     "delivered_twice",
     "out.a.example",
     1},
    {"one id for different mails is a collision",
     {APP ID BODY, APP ID "From: other@c.example\nSubject: Else\n\nother text\n"},
     2,
     "single",
     NULL,
     "",
     0},
    {"different mails",
     {APP ID BODY, "Message-ID: <3@a.example>\nSubject: x\n\ny\n"},
     2,
     "single",
     NULL,
     "",
     0},
    {"the sender's own copy has no path",
     {ID BODY, BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY,
      BY(OUT, "mx.b.example", "BBBB2", "22:05:04") APP ID BODY},
     1,
     "duplicated",
     "retry_after_lost_reply",
     "out.a.example",
     1},
    {"one copy without a path, the other without a host",
     {ID BODY, "Received: x\nReceived: y\n" ID BODY},
     1,
     "duplicated",
     "unknown",
     "",
     2},
    {"attached mails are compared too",
     {"Subject: look\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: "
      "message/rfc822\n\n" APP ID BODY "\n--b\nContent-Type: message/rfc822\n\n" APP ID BODY
      "\n--b--\n"},
     2,
     "identical_chains",
     "delivered_twice",
     "out.a.example",
     1},
    {"what a bounce returns is no copy",
     {"Subject: look\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: "
      "message/rfc822\n\n" APP ID BODY "\n--b--\n",
      APP ID BODY},
     2,
     "single",
     NULL,
     "",
     0},
};

static void run(void **state)
{
    const struct compare_case *c = *state;
    struct compare *compare = compare_create(16 << 20);
    const struct compare_group *groups;
    size_t count;
    struct err e = {0};

    for (size_t i = 0; i < COUNT(c->mails) && c->mails[i] != NULL; i++)
        assert_int_equal(compare_add(compare, SLICE("x.eml"), slice_of(c->mails[i]), &e), 0);
    assert_int_equal(compare_finish(compare, &groups, &count, &e), 0);
    assert_int_equal(count, c->groups);
    assert_string_equal(compare_verdict_name(groups[0].verdict), c->verdict);
    if (c->cause != NULL)
        assert_string_equal(compare_cause_name(groups[0].cause), c->cause);
    assert_true(slice_eq(groups[0].culprit, slice_of(c->culprit)));
    assert_int_equal(groups[0].common_hops, c->common);
    if (groups[0].verdict != COMPARE_SINGLE)
        assert_true(groups[0].evidence.n > 0 && groups[0].advice.n > 0);
    compare_destroy(&compare);
}

static void three_attempts_are_counted_in_order_of_time(void **state)
{
    struct compare *compare = compare_create(1 << 20);
    const struct compare_group *groups;
    size_t count;
    struct err e = {0};
    (void)state;

    assert_int_equal(compare_add(compare, SLICE("b"),
                                 SLICE(BY(OUT, "mx.b.example", "BBBB2", "22:05:04") APP ID BODY),
                                 &e),
                     0);
    assert_int_equal(compare_add(compare, SLICE("c"),
                                 SLICE(BY(OUT, "mx.b.example", "BBBB3", "22:10:04") APP ID BODY),
                                 &e),
                     0);
    assert_int_equal(compare_add(compare, SLICE("a"),
                                 SLICE(BY(OUT, "mx.b.example", "BBBB1", "22:00:02") APP ID BODY),
                                 &e),
                     0);
    assert_int_equal(compare_finish(compare, &groups, &count, &e), 0);
    assert_true(slice_starts(
        groups[0].evidence, SLICE("mx.b.example took one message from out.a.example 3 times, again "
                                  "after 5 min 2 s and 5 min, as BBBB1, BBBB2 and BBBB3: ")));
    compare_destroy(&compare);
}

static void memory_has_a_ceiling(void **state)
{
    struct compare *compare = compare_create(1 << 20);
    struct err e = {0};
    int result = 0;
    (void)state;

    for (unsigned i = 0; i < 100000 && result == 0; i++)
        result = compare_add(compare, SLICE("x.eml"), SLICE(APP ID BODY), &e);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_LIMIT);
    compare_destroy(&compare);
}

static void changes_are_told(void **state)
{
    struct compare *compare = compare_create(1 << 20);
    const struct compare_group *groups;
    size_t count;
    struct err e = {0};
    (void)state;

    assert_int_equal(
        compare_add(compare, SLICE("a"), SLICE("X-A: 1\n" ID "Subject: x\n\nhi\r\n"), &e), 0);
    assert_int_equal(
        compare_add(compare, SLICE("b"), SLICE("X-B: 1\n" ID "Subject: [l]\n x\n\nhi \n\n"), &e),
        0);
    assert_int_equal(compare_finish(compare, &groups, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_true(slice_eq(groups[0].copies[1].changes,
                         SLICE("fields gone: X-A\nfields added: X-B\nfields changed: Subject")));
    compare_destroy(&compare);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 3] = {
        cmocka_unit_test(three_attempts_are_counted_in_order_of_time),
        cmocka_unit_test(memory_has_a_ceiling),
        cmocka_unit_test(changes_are_told),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 3] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
