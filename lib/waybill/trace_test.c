/* The public faces of trace and compare, as another program uses them. */
#include "base/test.h"

#include <waybill/trace.h>

#define HOP(from, by, id, time)                                                                    \
    "Received: from " from " by " by " with ESMTP id " id "; Mon, 23 Nov 2026 " time " +0000\n"
#define APP HOP("app.a.example ([10.0.0.1])", "out.a.example", "AAAA1", "22:00:00")
#define OUT "out.a.example (out.a.example [192.0.2.1])"
#define BODY "Message-ID: <1@a.example>\nFrom: s@a.example\nSubject: Hello\n\nhi\n"

static const char first[] = HOP(OUT, "mx.b.example", "BBBB1", "22:00:02") APP BODY;
static const char second[] = HOP(OUT, "mx.b.example", "BBBB2", "22:05:04") APP BODY;

static bool is(struct waybill_text text, const char *expected)
{
    return text.size == strlen(expected) && memcmp(text.bytes, expected, text.size) == 0;
}

static void a_path_is_read(void **state)
{
    struct waybill_trace *t = waybill_trace_create(first, sizeof first - 1, NULL, NULL);
    int64_t total;
    (void)state;

    assert_non_null(t);
    assert_int_equal(waybill_trace_hops(t), 2);
    assert_true(is(waybill_trace_hop(t, 0)->received.by, "out.a.example"));
    assert_true(is(waybill_trace_hop(t, 1)->received.ip, "192.0.2.1"));
    assert_int_equal(waybill_trace_hop(t, 1)->delay_s, 2);
    assert_true(waybill_trace_total(t, &total) && total == 2);
    assert_true(is(waybill_trace_message_id(t), "<1@a.example>"));
    waybill_trace_destroy(&t);
    assert_null(t);
}

static void copies_are_explained(void **state)
{
    struct waybill_compare *c = waybill_compare_create(16 << 20);
    struct waybill_error error;
    size_t groups;
    (void)state;

    assert_int_equal(waybill_compare_add(c, "a", first, sizeof first - 1, &error), 0);
    assert_int_equal(waybill_compare_add(c, "b", second, sizeof second - 1, &error), 0);
    assert_int_equal(waybill_compare_finish(c, &groups, &error), 0);
    assert_int_equal(groups, 1);
    const struct waybill_group *g = waybill_compare_group(c, 0);
    assert_string_equal(g->verdict, "duplicated");
    assert_string_equal(g->cause, "retry_after_lost_reply");
    assert_true(is(g->culprit, "out.a.example"));
    assert_true(is(g->last_common.id, "AAAA1"));
    assert_true(is(waybill_compare_copy(c, 0, 1)->diverge.id, "BBBB2"));
    waybill_compare_destroy(&c);
}

static void a_full_memory_is_an_error(void **state)
{
    struct waybill_compare *c = waybill_compare_create(1000);
    struct waybill_error error = {""};
    int result = 0;
    (void)state;

    for (int i = 0; i < 1000 && result == 0; i++)
        result = waybill_compare_add(c, "a", first, sizeof first - 1, &error);
    assert_int_equal(result, -1);
    assert_true(error.text[0] != '\0');
    waybill_compare_destroy(&c);
}

static void message_ids_are_judged(void **state)
{
    const char *reason;
    (void)state;

    assert_int_equal(waybill_msgid_check("<1@a.example>", 13, &reason), 0);
    assert_null(reason);
    assert_int_equal(waybill_msgid_check("1", 1, &reason), 2);
    assert_non_null(reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_read),
        cmocka_unit_test(copies_are_explained),
        cmocka_unit_test(a_full_memory_is_an_error),
        cmocka_unit_test(message_ids_are_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
