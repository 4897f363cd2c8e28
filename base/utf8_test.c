#include "base/test.h"

#include "base/utf8.h"

struct utf8_case {
    const char *name;
    struct slice in;
    bool valid;
    size_t length;
    const char *clean;
};
static const struct utf8_case cases[] = {
    {"ASCII is UTF-8", SLICE_INIT("mail"), true, 4, "mail"},
    {"an umlaut is one character", SLICE_INIT("J\xc3\xbcrgen"), true, 6, "J\xc3\xbcrgen"},
    {"four bytes", SLICE_INIT("\xf0\x9f\x93\xa7"), true, 1, "\xf0\x9f\x93\xa7"},
    {"Latin-1 is not UTF-8", SLICE_INIT("J\xfcrgen"), false, 6, "J\xef\xbf\xbdrgen"},
    {"an overlong slash is refused", SLICE_INIT("\xc0\xaf"), false, 2, "\xef\xbf\xbd\xef\xbf\xbd"},
    {"a surrogate is refused", SLICE_INIT("\xed\xa0\x80"), false, 3,
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"nothing above U+10FFFF", SLICE_INIT("\xf4\x90\x80\x80"), false, 4,
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"a cut character", SLICE_INIT("a\xe2\x82"), false, 3, "a\xef\xbf\xbd\xef\xbf\xbd"},
    {"nothing at all", SLICE_INIT(""), true, 0, ""},
};

static void run(void **state)
{
    const struct utf8_case *c = *state;
    struct buf out;

    buf_init(&out, 100);
    assert_int_equal(utf8_valid(c->in), c->valid);
    assert_int_equal(utf8_length(c->in), c->length);
    utf8_append_clean(&out, c->in);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->clean)));
    struct slice rest = buf_slice(&out);
    struct buf again;
    buf_init(&again, 100);
    while (rest.n > 0) {
        size_t used;
        utf8_append(&again, utf8_decode(rest, &used));
        rest = slice_from(rest, used);
    }
    assert_true(slice_eq(buf_slice(&again), buf_slice(&out)));
    buf_finish(&again);
    buf_finish(&out);
}

int main(void)
{
    RUN_TABLE(cases, run);
}
