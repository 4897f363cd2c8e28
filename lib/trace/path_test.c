#include "base/test.h"

#include "lib/trace/path.h"

#define R_APP                                                                                      \
    "Received: from app.a.example (app.a.example [10.0.0.1]) by out.a.example (Postfix) with "     \
    "ESMTP id A1; Mon, 23 Nov 2026 22:00:00 +0000\n"
#define R_MX(time)                                                                                 \
    "Received: from out.a.example (out.a.example [192.0.2.1]) by mx.b.example (Postfix) with "     \
    "ESMTPS id B1 for <u@b.example>; Mon, 23 Nov 2026 " time " +0000\n"
#define R_BOX(time)                                                                                \
    "Received: from mx.b.example ([10.1.0.1]) by box.b.example with LMTP id C1 for "               \
    "<u@b.example>; Mon, 23 Nov 2026 " time " +0000\n"
#define REST "Message-ID: <1@a.example>\nDate: Mon, 23 Nov 2026 22:00:00 +0000\n\nhi\n"

struct path_case {
    const char *name, *message;
    size_t hops, boundary, warnings;
    int64_t total_s;
    const char *said; /* part of the first warning; NULL for none */
};
static const struct path_case cases[] = {
    {"a quick path across the border", R_BOX("22:00:03") R_MX("22:00:02") R_APP REST, 3, 1, 0, 3,
     NULL},
    {"greylisted for five minutes", R_BOX("22:05:03") R_MX("22:05:02") R_APP REST, 3, 1, 1, 303,
     "Held 5 min 2 s at out.a.example before mx.b.example took it (greylisting likely"},
    {"held inside, which is no greylisting", R_BOX("22:05:02") R_MX("22:00:02") R_APP REST, 3, 1, 1,
     302, "Held 5 min at mx.b.example before box.b.example took it."},
    {"a clock that is an hour off", R_BOX("22:00:03") R_MX("21:00:02") R_APP REST, 3, 1, 2, 3,
     "Hop 2 is dated 59 min 58 s before hop 1: the clock (or its time zone)"},
    {"an unreadable hop", "Received: hello\n" R_APP REST, 2, 0, 1, 0,
     "Hop 2 cannot be read and is shown as it is."},
    {"no path at all", REST, 0, 0, 1, 0, "There is no Received field"},
    {"a replaced Message-ID", "X-Google-Original-Message-ID: <old@x.example>\n" R_APP REST, 1, 0, 1,
     0, "A service replaced the Message-ID; it was <old@x.example>."},
    {"a bad Message-ID", R_APP "Message-ID: 12345\n\nx", 1, 0, 1, 0, "The Message-ID is not valid"},
    {"a loop",
     R_BOX(
         "22:00:09") "Received: from fwd.c.example ([192.0.2.9]) by mx.b.example with ESMTP id B2 "
                     "for <u@b.example>; Mon, 23 Nov 2026 22:00:08 +0000\n"
                     "Received: from mx.b.example ([192.0.2.8]) by fwd.c.example with ESMTP id F1; "
                     "Mon, 23 Nov 2026 22:00:04 +0000\n" R_MX("22:00:02") R_APP REST,
     5, 3, 1, 9, "mx.b.example took it twice for u@b.example (hops 2 and 4): a forwarding loop."},
};

static void run(void **state)
{
    const struct path_case *c = *state;
    struct arena *a = arena_create(1 << 22);
    struct trace t;
    struct err e = {0};

    assert_int_equal(trace_message(slice_of(c->message), (struct slice){0}, a, &t, &e), 0);
    assert_int_equal(t.count, c->hops);
    for (size_t i = 0; i < t.warning_count; i++)
        if (t.warning_count != c->warnings || i == 0)
            print_message("# %.*s\n", SLICE_ARG(t.warnings[i]));
    assert_int_equal(t.warning_count, c->warnings);
    if (c->said != NULL)
        assert_int_not_equal(slice_search(t.warnings[0], slice_of(c->said)), SLICE_NONE);
    assert_int_equal(t.boundary, c->boundary);
    assert_int_equal(t.has_total ? t.total_s : 0, c->total_s);
    arena_destroy(&a);
}

static void durations_are_said_in_words(void **state)
{
    static const struct {
        int64_t seconds;
        const char *words;
    } said[] = {{0, "0 s"},         {59, "59 s"},        {60, "1 min"},
                {305, "5 min 5 s"}, {7500, "2 h 5 min"}, {3600, "1 h"},
                {-12, "-12 s"},     {360000, "4 d 4 h"}, {INT64_MIN + 1, NULL}};
    struct buf out;
    (void)state;

    buf_init(&out, 100);
    for (size_t i = 0; i < COUNT(said); i++) {
        buf_clear(&out);
        duration_append(said[i].seconds, &out);
        if (said[i].words != NULL)
            assert_true(slice_eq(buf_slice(&out), slice_of(said[i].words)));
    }
    buf_finish(&out);
}

static void a_hundred_thousand_hops_are_bounded(void **state)
{
    struct arena *a = arena_create(32 << 20);
    struct trace t;
    struct err e = {0};
    struct buf m;
    (void)state;

    buf_init(&m, 32 << 20);
    for (unsigned i = 0; i < 100000; i++)
        buf_append_text(&m, "Received: from a by b with SMTP id ((((; x\n");
    assert_int_equal(trace_message(buf_slice(&m), (struct slice){0}, a, &t, &e), 0);
    assert_int_equal(t.count, TRACE_HOPS_MAX);
    assert_true(t.warning_count <= TRACE_WARNINGS_MAX);
    buf_finish(&m);
    arena_destroy(&a);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {
        cmocka_unit_test(durations_are_said_in_words),
        cmocka_unit_test(a_hundred_thousand_hops_are_bounded),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
