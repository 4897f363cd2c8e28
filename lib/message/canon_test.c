#include "base/test.h"
#include "lib/message/canon.h"

static const struct canon_case {
    const char *name;
    enum canon kind;
    uint64_t limit;
    struct slice in, out;
    uint64_t produced;
} cases[] = {
#define S(text) SLICE_INIT(text)
#define ALL CANON_NO_LIMIT
    {"simple: an empty body is one line end", CANON_SIMPLE, ALL, S(""), S("\r\n"), 2},
    {"relaxed: an empty body is nothing", CANON_RELAXED, ALL, S(""), S(""), 0},
    {"simple: empty lines alone are one line end", CANON_SIMPLE, ALL, S("\r\n\r\n\r\n"), S("\r\n"),
     2},
    {"relaxed: empty lines alone are nothing", CANON_RELAXED, ALL, S("\r\n\r\n\r\n"), S(""), 0},
    {"relaxed: lines of white space are empty", CANON_RELAXED, ALL, S(" \t \r\n \r\n"), S(""), 0},
    {"relaxed: white space without a line end is nothing", CANON_RELAXED, ALL, S(" \t"), S(""), 0},
    {"simple: white space is content", CANON_SIMPLE, ALL, S(" \t \r\n\r\n"), S(" \t \r\n"), 5},
    {"simple: a missing last line end is added", CANON_SIMPLE, ALL, S("a"), S("a\r\n"), 3},
    {"relaxed: a missing last line end is added", CANON_RELAXED, ALL, S("a"), S("a\r\n"), 3},
    {"empty lines at the start and inside stay", CANON_RELAXED, ALL, S("\r\n\r\na\r\n \r\nb\r\n"),
     S("\r\n\r\na\r\n\r\nb\r\n"), 12},
    {"RFC 6376 3.4.5: the example, relaxed", CANON_RELAXED, ALL, S(" C \r\nD \t E\r\n\r\n\r\n"),
     S(" C\r\nD E\r\n"), 9},
    {"RFC 6376 3.4.5: the example, simple", CANON_SIMPLE, ALL, S(" C \r\nD \t E\r\n\r\n\r\n"),
     S(" C \r\nD \t E\r\n"), 12},
    {"one tab becomes a space", CANON_RELAXED, ALL, S("a\tb\r\n"), S("a b\r\n"), 5},
    {"a long line of single spaces is copied", CANON_RELAXED, ALL,
     S("the quick brown fox jumps over the lazy dog  and on it goes \r\n"),
     S("the quick brown fox jumps over the lazy dog and on it goes\r\n"), 60},
    {"VT, FF and NBSP are no white space", CANON_RELAXED, ALL, S("a\v \f\xc2\xa0 \r\n"),
     S("a\v \f\xc2\xa0\r\n"), 8},
    {"a bare CR is content", CANON_RELAXED, ALL, S("a \rb\r\r\n"), S("a \rb\r\r\n"), 7},
    {"a bare LF is content", CANON_RELAXED, ALL, S("a\nb \n c\r\n"), S("a\nb \n c\r\n"), 9},
    {"a CR at the end is content", CANON_SIMPLE, ALL, S("a\r"), S("a\r\r\n"), 4},
    {"a space and a CR at the end are content", CANON_RELAXED, ALL, S("a \r"), S("a \r\r\n"), 5},
    {"NUL is content", CANON_RELAXED, ALL, S("\0\xff  \r\n"), S("\0\xff\r\n"), 4},
    {"l=0 hashes nothing", CANON_SIMPLE, 0, S("abc\r\n"), S(""), 5},
    {"l= cuts inside a line", CANON_SIMPLE, 2, S("abc\r\n"), S("ab"), 5},
    {"l= counts canonical octets", CANON_RELAXED, 4, S("a   bcd\r\n"), S("a bc"), 7},
    {"l= beyond the body", CANON_SIMPLE, 100, S("abc"), S("abc\r\n"), 5},
};

static void collect(void *ctx, struct slice bytes)
{
    buf_append(ctx, bytes);
}

static void feed_in_pieces(const struct canon_case *t, size_t piece)
{
    struct canon_body c;
    struct buf out;

    buf_init(&out, 65536);
    canon_body_init(&c, t->kind, t->limit, collect, &out);
    for (size_t at = 0; at < t->in.n; at += piece)
        canon_body_feed(&c, slice_sub(t->in, at, piece));
    canon_body_finish(&c);
    assert_int_equal(out.n, t->out.n);
    if (out.n > 0)
        assert_memory_equal(out.p, t->out.p, out.n);
    assert_int_equal(c.produced, t->produced);
    buf_finish(&out);
}

static void run_case(void **state)
{
    const struct canon_case *t = *state;

    for (size_t piece = 1; piece <= t->in.n + 1; piece++)
        feed_in_pieces(t, piece);
}

static void run_large(void **state)
{
    struct buf in, whole, pieces;
    struct canon_body c;

    (void)state;
    buf_init(&in, 1u << 20);
    buf_init(&whole, 1u << 20);
    buf_init(&pieces, 1u << 20);
    for (unsigned i = 0; i < 4000; i++)
        buf_printf(&in, "%s line %u%.*s\r\n%s", i % 7 ? "a" : "  b ", i, (int)(i % 9),
                   "  \t  \t ..", i % 50 ? "" : "\r\n\r\n");
    canon_body_init(&c, CANON_RELAXED, CANON_NO_LIMIT, collect, &whole);
    canon_body_feed(&c, buf_slice(&in));
    canon_body_finish(&c);
    canon_body_init(&c, CANON_RELAXED, CANON_NO_LIMIT, collect, &pieces);
    for (size_t at = 0, n = 1; at < in.n; at += n, n = n * 7 % 8191)
        canon_body_feed(&c, slice_sub(buf_slice(&in), at, n));
    canon_body_finish(&c);
    assert_int_equal(whole.n, pieces.n);
    assert_memory_equal(whole.p, pieces.p, whole.n);
    buf_finish(&in);
    buf_finish(&whole);
    buf_finish(&pieces);
}

static const struct field_case {
    const char *name;
    enum canon kind;
    struct slice in, out;
} fields[] = {
    {"simple changes nothing", CANON_SIMPLE, S("SubjecT :  A \r\n\tb \r\n"),
     S("SubjecT :  A \r\n\tb \r\n")},
    {"RFC 6376 3.4.5: A", CANON_RELAXED, S("A: X\r\n"), S("a:X\r\n")},
    {"RFC 6376 3.4.5: B, folded", CANON_RELAXED, S("B : Y\t\r\n\tZ  \r\n"), S("b:Y Z\r\n")},
    {"the last line end may be missing", CANON_RELAXED, S("A: x"), S("a:x\r\n")},
    {"an empty value", CANON_RELAXED, S("A:\r\n"), S("a:\r\n")},
    {"a value of white space and folds", CANON_RELAXED, S("A: \r\n \r\n\t\r\n"), S("a:\r\n")},
    {"no colon", CANON_RELAXED, S("Abc\r\n"), S("abc:\r\n")},
    {"a bare LF is content", CANON_RELAXED, S("A: x\n y\r\n"), S("a:x\n y\r\n")},
    {"UTF-8 stays", CANON_RELAXED, S("A: \xc2\xa0\xe3\x80\x80 x\r\n"),
     S("a:\xc2\xa0\xe3\x80\x80 x\r\n")},
};

static void run_field(void **state)
{
    const struct field_case *t = *state;
    struct buf out;

    buf_init(&out, 4096);
    canon_header(t->kind, t->in, &out);
    assert_int_equal(out.n, t->out.n);
    assert_memory_equal(out.p, t->out.p, out.n);
    buf_finish(&out);
    buf_init(&out, 2);
    canon_header(t->kind, t->in, &out);
    assert_true(out.full);
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + COUNT(fields) + 1];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[n++] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    for (size_t i = 0; i < COUNT(fields); i++)
        tests[n++] = (struct CMUnitTest){fields[i].name, run_field, NULL, NULL,
                                         (void *)(uintptr_t)&fields[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(run_large);
    return _cmocka_run_group_tests("canon", tests, n, NULL, NULL);
}
