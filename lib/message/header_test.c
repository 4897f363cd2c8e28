/* Every case is read three times: with CR LF, LF and CR as line ends, and must give the same. */
#include "base/test.h"

#include "lib/message/header.h"

struct header_case {
    const char *name;
    const char *message; /* with LF */
    const char *shown;   /* "Name=unfolded value" lines, then the body */
};
static const struct header_case cases[] = {
    {"a plain message", "From: a@b.example\nSubject: x\n\nbody\n",
     "From=a@b.example\nSubject=x\n\nbody\n"},
    {"folded fields", "Subject: one\n two\n\tthree\nTo: x\n\nb",
     "Subject=one two\tthree\nTo=x\n\nb"},
    {"white space before the colon", "Subject : x\n\nb", "Subject=x\n\nb"},
    {"an mbox line is skipped", "From a@b Mon Nov 23 2026\nTo: x\n\nb", "To=x\n\nb"},
    {"no body", "To: x\n", "To=x\n\n"},
    {"no line end at all", "To: x", "To=x\n\n"},
    {"a body at once", "\nbody", "\nbody"},
    {"a line that is no field ends the header", "To: x\nhello world\nmore",
     "To=x\n\nhello world\nmore"},
    {"a continuation of white space only", "To: x\n  \nCc: y\n\nb", "To=x\nCc=y\n\nb"},
    {"an empty value", "Bcc:\nTo: x\n\n", "Bcc=\nTo=x\n\n"},
    {"nothing at all", "", "\n"},
};

static void check(const struct header_case *c, const char *end)
{
    struct arena *a = arena_create(1 << 20);
    struct buf message, shown, expected;
    struct header h;
    struct err e = {0};

    buf_init(&message, 10000);
    buf_init(&shown, 10000);
    buf_init(&expected, 10000);
    for (const char *p = c->message; *p != '\0'; p++)
        if (*p == '\n')
            buf_append_text(&message, end);
        else
            buf_append_char(&message, *p);
    assert_int_equal(header_parse(buf_slice(&message), NULL, a, &h, &e), 0);
    size_t raw = 0;
    for (size_t i = 0; i < h.count; i++) {
        raw += h.fields[i].raw.n;
        buf_append(&shown, h.fields[i].name);
        buf_append_char(&shown, '=');
        buf_append(&shown, header_unfolded(h.fields[i].value, a));
        buf_append_char(&shown, '\n');
    }
    assert_int_equal(raw, h.block.n);
    buf_append_char(&shown, '\n');
    struct slice body = message_split(buf_slice(&message)).body;
    while (body.n > 0) {
        struct slice before = body, line = slice_line(&body);
        buf_append(&shown, line);
        if (line.n < before.n - body.n)
            buf_append_char(&shown, '\n');
    }
    buf_append_text(&expected, c->shown);
    assert_true(slice_eq(buf_slice(&shown), buf_slice(&expected)));
    buf_finish(&message);
    buf_finish(&shown);
    buf_finish(&expected);
    arena_destroy(&a);
}

static void run(void **state)
{
    check(*state, "\r\n");
    check(*state, "\n");
    check(*state, "\r");
}

static void fields_are_found_by_name(void **state)
{
    struct arena *a = arena_create(1 << 20);
    struct header h;
    struct err e = {0};
    (void)state;

    assert_int_equal(
        header_parse(SLICE("Received: 1\r\nTo: x\r\nreceived: 2\r\n\r\n"), NULL, a, &h, &e), 0);
    assert_int_equal(header_count(&h, "Received"), 2);
    const struct field *first = header_first(&h, "RECEIVED");
    assert_true(slice_eq(first->value, SLICE(" 1")));
    assert_ptr_equal(header_next(&h, "Received", first), header_last(&h, "Received"));
    assert_null(header_next(&h, "Received", header_last(&h, "Received")));
    assert_true(slice_eq(header_value(&h, "to"), SLICE("x")));
    assert_int_equal(header_value(&h, "Cc").n, 0);
    arena_destroy(&a);
}

static void a_header_has_ceilings(void **state)
{
    struct arena *a = arena_create(1 << 20);
    struct header h;
    struct err e = {0};
    (void)state;

    assert_int_equal(
        header_parse(SLICE("A: 1\nB: 2\nC: 3\n\n"), &(struct header_limits){2, 0}, a, &h, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(h.count, 2);
    assert_int_equal(
        header_parse(SLICE("A: 1\nB: 2\nC: 3\n\n"), &(struct header_limits){0, 9}, a, &h, &e), -1);
    assert_int_equal(h.count, 1);
    arena_destroy(&a);
}

static void comments_nest_and_may_never_end(void **state)
{
    (void)state;
    assert_true(slice_eq(header_skip_cfws(SLICE(" (a (b\\)) c)\r\n x")), SLICE("x")));
    assert_int_equal(header_skip_cfws(SLICE(" (a (b")).n, 0);
    assert_int_equal(header_skip_cfws(SLICE("(\\")).n, 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 3] = {
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(a_header_has_ceilings),
        cmocka_unit_test(comments_nest_and_may_never_end),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 3] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
