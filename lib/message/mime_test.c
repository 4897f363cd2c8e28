#include "base/test.h"

#include "lib/message/mime.h"

struct mime_case {
    const char *name, *message;
    const char *shown; /* "depth type [filename]: decoded text" a part */
};
static const struct mime_case cases[] = {
    {"a message without MIME", "Subject: x\n\nhello", "0 text/plain: hello\n"},
    {"quoted-printable in Latin-1",
     "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: "
     "Quoted-Printable\n\nJ=FCrgen=\n",
     "0 text/plain: J\xc3\xbcrgen\n"},
    {"two parts, a preamble and an epilogue",
     "Content-Type: multipart/mixed; boundary=\"b b\"\n\npreamble\n--b "
     "b\n\none\n--b b\nContent-Type: text/html\nContent-Transfer-Encoding: "
     "base64\n\nPGI+\n--b b--\nepilogue\n",
     "0 multipart/mixed\n1 text/plain: one\n1 text/html: <b>\n"},
    {"a boundary that begins like another",
     "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: "
     "multipart/alternative; boundary=ab\n\n--ab\n\nx\n--ab--\n--a\n\ny\n--a--\n",
     "0 multipart/mixed\n1 multipart/alternative\n2 text/plain: x\n1 text/plain: y\n"},
    {"a message inside", "Content-Type: message/rfc822\n\nSubject: inner\n\nhi",
     "0 message/rfc822\n1 text/plain: hi\n"},
    {"a digest's parts are messages",
     "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: 1\n\none\n--d--\n",
     "0 multipart/digest\n1 message/rfc822\n2 text/plain: one\n"},
    {"no closing boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo",
     "0 multipart/mixed cut\n1 text/plain: one\ntwo\n"},
    {"no boundary at all", "Content-Type: multipart/mixed\n\nx", "0 multipart/mixed cut\n"},
    {"an empty part", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--\n",
     "0 multipart/mixed\n1 text/plain: \n"},
    {"a file name in pieces, in another charset (RFC 2231)",
     "Content-Type: application/x; name=\"plain\"\nContent-Disposition: attachment;\n "
     "filename*0*=iso-8859-1'de'J%FC; filename*1=\"rgen/../\"; filename*2*=a%2Etxt\n\nx",
     "0 application/x [a.txt]: x\n"},
    {"an encoded word in a file name, against the standard",
     "Content-Type: application/x; name=\"=?utf-8?q?J=C3=BC.txt?=\"\n\nx",
     "0 application/x [J\xc3\xbc.txt]: x\n"},
    {"an unreadable type is text", "Content-Type: text\n\nx", "0 text/plain: x\n"},
    {"comments and large letters", "Content-Type: (c) TEXT (x) / HTML ; Charset = UTF-8 (y)\n\nx",
     "0 text/html: x\n"},
    {"uuencode", "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n#86)C\n`\nend\n",
     "0 text/plain: abc\n"},
};

static void show(const struct mime_part *root, struct buf *out)
{
    for (const struct mime_part *p = root; p != NULL; p = mime_next(root, p)) {
        struct slice file = mime_filename(p);
        buf_printf(out, "%u %.*s", p->depth, SLICE_ARG(p->type.text));
        if (file.n > 0)
            buf_printf(out, " [%.*s]", SLICE_ARG(file));
        if (p->is_cut)
            buf_append_text(out, " cut");
        if (p->children == NULL && !p->is_cut) {
            buf_append_text(out, ": ");
            mime_decode_text(p, out);
        }
        buf_append_char(out, '\n');
    }
}

static void check(const struct mime_case *c, const char *end)
{
    struct arena *a = arena_create(1 << 20);
    struct buf message, shown, expected;
    struct mime_part *root;
    struct err e = {0};

    buf_init(&message, 10000);
    buf_init(&shown, 10000);
    buf_init(&expected, 10000);
    for (const char *p = c->message; *p != '\0'; p++)
        if (*p == '\n')
            buf_append_text(&message, end);
        else
            buf_append_char(&message, *p);
    assert_int_equal(mime_parse(buf_slice(&message), NULL, a, &root, &e), 0);
    show(root, &shown);
    struct slice rest = buf_slice(&shown), want = slice_of(c->shown);
    while (rest.n > 0 || want.n > 0) /* decoded text keeps its own line ends */
        assert_true(slice_eq(slice_line(&rest), slice_line(&want)));
    buf_finish(&message);
    buf_finish(&shown);
    buf_finish(&expected);
    arena_destroy(&a);
}

static void run(void **state)
{
    check(*state, "\n");
    check(*state, "\r\n");
    check(*state, "\r");
}

static void depth_and_count_have_ceilings(void **state)
{
    struct buf m;
    (void)state;

    buf_init(&m, 1 << 20);
    for (unsigned i = 0; i < 1000; i++)
        buf_append_text(&m, "Content-Type: message/rfc822\n\n");
    for (unsigned round = 0; round < 2; round++) {
        struct arena *a = arena_create(1 << 24);
        struct mime_limits limits = {.depth_max = 20, .parts_max = 100};
        struct mime_part *root;
        struct err e = {0};
        size_t parts = 0;
        unsigned deepest = 0;
        assert_int_equal(mime_parse(buf_slice(&m), &limits, a, &root, &e), 0);
        for (const struct mime_part *p = root; p != NULL; p = mime_next(root, p), parts++)
            deepest = p->depth > deepest ? p->depth : deepest;
        assert_int_equal(deepest, round == 0 ? 20 : 1);
        assert_int_equal(parts, round == 0 ? 21 : 100);
        arena_destroy(&a);
        buf_clear(&m);
        buf_append_text(&m, "Content-Type: multipart/mixed; boundary=b\n\n");
        for (unsigned i = 0; i < 1000; i++)
            buf_append_text(&m, "--b\n\nx\n");
    }
    buf_finish(&m);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {cmocka_unit_test(depth_and_count_have_ceilings)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
