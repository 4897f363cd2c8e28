/* What is written reads back equal. */
#include "base/test.h"

#include "mta/event/options.h"

static void parameters_survive_the_ledger(void **state)
{
    const struct smtp_sender s = {.body = SMTP_BODY_8BITMIME,
                                  .utf8 = true,
                                  .ret = SMTP_RET_HDRS,
                                  .envelope_id = SLICE_INIT("QQ+2B1")};
    const struct smtp_recipient r = {.notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY,
                                     .origin = SLICE_INIT("rfc822;a+3Db@example.org")};
    struct smtp_sender s_again = {0};
    struct smtp_recipient r_again = {0};
    struct buf text;
    (void)state;

    buf_init(&text, 1000);
    options_write_sender(&s, &text);
    assert_true(slice_eq(buf_slice(&text), SLICE("BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1")));
    options_read_sender(buf_slice(&text), &s_again);
    assert_int_equal(s_again.body, s.body);
    assert_int_equal(s_again.ret, s.ret);
    assert_true(s_again.utf8 && slice_eq(s_again.envelope_id, s.envelope_id));
    buf_clear(&text);
    options_write_recipient(&r, &text);
    assert_true(
        slice_eq(buf_slice(&text), SLICE("NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+3Db@example.org")));
    options_read_recipient(buf_slice(&text), &r_again);
    assert_int_equal(r_again.notify, r.notify);
    assert_true(slice_eq(r_again.origin, r.origin));
    buf_clear(&text);
    options_write_sender(&(struct smtp_sender){0}, &text);
    assert_int_equal(text.n, 0);
    buf_finish(&text);
}

static void our_notes_stand_beside_them(void **state)
{
    const struct smtp_sender s = {.body = SMTP_BODY_8BITMIME,
                                  .envelope_id = SLICE_INIT("X-FROM+3DPROVEN")};
    const struct smtp_recipient r = {.origin = SLICE_INIT("rfc822;X-FORWARDED")};
    struct smtp_sender s_again = {0};
    struct buf text;
    (void)state;

    buf_init(&text, 1000);
    for (int origin = OPTIONS_OURS; origin <= OPTIONS_UNPROVEN; origin++) {
        buf_clear(&text);
        options_write_sender(&s, &text);
        options_write_origin((enum options_origin)origin, &text);
        assert_int_equal(options_read_origin(buf_slice(&text)), origin);
        options_read_sender(buf_slice(&text), &s_again);
        assert_true(slice_eq(s_again.envelope_id, s.envelope_id));
    }
    buf_clear(&text);
    options_write_recipient(&r, &text);
    assert_false(options_is_forwarded(buf_slice(&text)));
    options_write_forwarded(&text);
    assert_true(options_is_forwarded(buf_slice(&text)));
    buf_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters_survive_the_ledger),
                                       cmocka_unit_test(our_notes_stand_beside_them)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
