#include "base/test.h"

#include "lib/text/quoted_printable.h"

struct qp_case {
    const char *name, *in, *decoded;
};
static const struct qp_case cases[] = {
    {"plain text stays", "hello\r\n", "hello\r\n"},
    {"an escape of two digits", "J=C3=BCrgen", "J\xc3\xbcrgen"},
    {"small letters count too", "=c3=bc", "\xc3\xbc"},
    {"a soft break joins lines", "one=\r\ntwo", "onetwo"},
    {"a soft break with white space behind it", "one= \t\r\ntwo", "onetwo"},
    {"white space at the end of a line goes", "one \t\r\ntwo", "one\r\ntwo"},
    {"an equals sign that begins nothing stays", "a=b =XY =", "a=b =XY "},
    {"bare LF and bare CR are kept", "a\nb\rc", "a\nb\rc"},
};

static void run(void **state)
{
    const struct qp_case *c = *state;
    struct buf out;

    buf_init(&out, 1000);
    quoted_printable_decode(slice_of(c->in), &out);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->decoded)));
    buf_finish(&out);
}

static void long_lines_come_back(void **state)
{
    struct buf text, encoded, decoded;
    (void)state;

    buf_init(&text, 4000);
    buf_init(&encoded, 20000);
    buf_init(&decoded, 4000);
    for (unsigned i = 0; i < 1000; i++)
        buf_append_char(&text, (char)(i % 7 == 0 ? ' ' : i % 256));
    /* Line ends are text, and become CR LF; leave none in this one. */
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\n' || text.p[i] == '\r')
            text.p[i] = '=';
    buf_append_text(&text, " \r\n.\r\n\t");
    quoted_printable_encode(buf_slice(&text), &encoded);
    struct slice rest = buf_slice(&encoded);
    while (rest.n > 0)
        assert_true(slice_line(&rest).n <= 76);
    quoted_printable_decode(buf_slice(&encoded), &decoded);
    assert_true(slice_eq(buf_slice(&decoded), buf_slice(&text)));
    buf_finish(&text);
    buf_finish(&encoded);
    buf_finish(&decoded);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {cmocka_unit_test(long_lines_come_back)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
