/* Replies as they are written, and as they are read: whole, and one byte at a time. */
#include "base/test.h"

#include "lib/smtp/reply.h"

struct written {
    const char *name;
    struct smtp_reply reply;
    const char *expected;
};
static const struct written written[] = {
    {"a reply has its enhanced code", {250, "2.1.5", "Ok"}, "250 2.1.5 Ok\r\n"},
    {"a reply without an enhanced code gets one of its class", {451, NULL, "x"}, "451 4.0.0 x\r\n"},
    {"a 354 has no enhanced code", {354, "3.0.0", "go"}, "354 go\r\n"},
    {"lines become one reply", {550, "5.7.1", "no\nnever"}, "550-5.7.1 no\r\n550 5.7.1 never\r\n"},
    {"a text cannot inject a reply", {250, "2.0.0", "a\r250 b\x7f"}, "250 2.0.0 a?250 b?\r\n"},
    {"no text is no crash", {250, "2.0.0", NULL}, "250 2.0.0 \r\n"},
};

static void write_one(void **state)
{
    const struct written *w = *state;
    struct buf out;

    buf_init(&out, 4096);
    smtp_reply_write(w->reply, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, w->expected);
    buf_finish(&out);
}

struct read {
    const char *name;
    const char *bytes;
    const char *expected; /* "code|enhanced|text" for each reply; "!" for an error */
};
static const struct read reads[] = {
    {"a line is a reply", "250 2.1.5 Ok\r\n", "250|2.1.5|Ok\n"},
    {"several lines are one reply", "250-2.0.0 a\r\n250 2.0.0 b\r\n", "250|2.0.0|a b\n"},
    {"two replies in one piece", "220 hi\r\n250 2.0.0\r\n", "220||hi\n250|2.0.0|\n"},
    {"a bare LF is tolerated", "354 go\n", "354||go\n"},
    {"a code alone is enough", "250\r\n", "250||\n"},
    {"an enhanced code of another class is text no more", "550 4.2.2 full\r\n",
     "550||4.2.2 full\n"},
    {"numbers that are no enhanced code", "250 2.1.5x ok\r\n220 2.0\r\n",
     "250||2.1.5x ok\n220||2.0\n"},
    {"an address is no enhanced code", "550 5.1.1.1 x\r\n", "550||5.1.1.1 x\n"},
    {"control characters are shown as ?", "550 a\x01\tb\r\n", "550||a??b\n"},
    {"the code of the last line counts", "250-5.0.0 a\r\n550 b\r\n", "550||5.0.0 a b\n"},
    {"what is no reply is an error", "250 ok\r\nHTTP/1.1 200\r\n", "250||ok\n!"},
    {"a code of another class is an error", "150 x\r\n", "!"},
    {"a letter behind the code is an error", "250x\r\n", "!"},
    {"an empty line is an error", "\r\n", "!"},
};

static void read_pieces(const char *bytes, size_t piece, struct buf *out)
{
    struct smtp_response_parser p;
    struct slice rest = slice_of(bytes);

    smtp_response_parser_init(&p);
    while (rest.n > 0) {
        struct slice in = slice_sub(rest, 0, piece);
        rest = slice_from(rest, piece);
        while (in.n > 0) {
            struct smtp_response r;
            struct err e;
            int result = smtp_response_parse(&p, &in, &r, &e);

            if (result == 1)
                buf_printf(out, "%u|%.*s|%.*s\n", r.code, SLICE_ARG(r.enhanced), SLICE_ARG(r.text));
            if (result < 0) {
                buf_append_char(out, '!');
                rest.n = in.n = 0;
            }
        }
    }
    smtp_response_parser_finish(&p);
}

static void read_one(void **state)
{
    const struct read *r = *state;
    static const size_t pieces[] = {SIZE_MAX, 1, 3};

    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct buf out;

        buf_init(&out, 4096);
        read_pieces(r->bytes, pieces[i], &out);
        buf_append_char(&out, '\0');
        assert_string_equal(out.p, r->expected);
        buf_finish(&out);
    }
}

static void limits_are_errors(void **state)
{
    struct buf in, out;
    (void)state;

    buf_init(&in, 100000);
    buf_init(&out, 100000);
    for (int i = 0; i <= SMTP_RESPONSE_LINES_MAX; i++)
        buf_append(&in, SLICE("250-x\r\n"));
    buf_append_char(&in, '\0');
    read_pieces(in.p, 7, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("!")));
    buf_clear(&in);
    buf_clear(&out);
    buf_append(&in, SLICE("250 "));
    for (int i = 0; i < SMTP_RESPONSE_LINE_MAX; i++)
        buf_append_char(&in, 'x');
    buf_append(&in, SLICE("\r\n"));
    buf_append_char(&in, '\0');
    read_pieces(in.p, 100, &out);
    read_pieces(in.p, SIZE_MAX, &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("!!")));
    buf_finish(&in);
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(written) + COUNT(reads) + 1];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(written); i++)
        tests[n++] = (struct CMUnitTest){written[i].name, write_one, NULL, NULL,
                                         (void *)(uintptr_t)&written[i]};
    for (size_t i = 0; i < COUNT(reads); i++)
        tests[n++] =
            (struct CMUnitTest){reads[i].name, read_one, NULL, NULL, (void *)(uintptr_t)&reads[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(limits_are_errors);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
