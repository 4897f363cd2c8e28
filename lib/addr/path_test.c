#include "base/test.h"

#include "lib/addr/path.h"

struct path_case {
    const char *name, *text;
    unsigned flags;
    const char *address; /* NULL: refused */
    const char *normal;
    enum err_code code;
};
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
static const struct path_case cases[] = {
    {"a plain path", "<a.b@Example.org> SIZE=1", 0, "a.b@Example.org", "a.b@example.org", 0},
    {"the null path of a bounce", "<>", PATH_NULL, "", "", 0},
    {"a recipient is never null", "<>", 0, NULL, NULL, ERR_SYNTAX},
    {"postmaster without a domain", "<Postmaster>", PATH_POSTMASTER, "Postmaster", "Postmaster", 0},
    {"nobody else without a domain", "<root>", PATH_POSTMASTER, NULL, NULL, ERR_SYNTAX},
    {"a source route is dropped", "<@a.example,@b.example:u@c.example>", 0, "u@c.example",
     "u@c.example", 0},
    {"a quoted local part", "<\"a b\\\"c\"@example.org>", 0, "\"a b\\\"c\"@example.org",
     "\"a b\\\"c\"@example.org", 0},
    {"needless quotes go when compared", "<\"a.b\"@example.org>", 0, "\"a.b\"@example.org",
     "a.b@example.org", 0},
    {"a '>' inside quotes", "<\"a>b\"@example.org>", 0, "\"a>b\"@example.org",
     "\"a>b\"@example.org", 0},
    {"an address literal", "<a@[IPv6:2001:DB8::1]>", 0, "a@[IPv6:2001:DB8::1]",
     "a@[ipv6:2001:db8::1]", 0},
    {"a bad literal", "<a@[300.1.1.1]>", 0, NULL, NULL, ERR_SYNTAX},
    {"UTF-8 needs SMTPUTF8", "<j\xc3\xbcrgen@m\xc3\xbcller.de>", 0, NULL, NULL, ERR_SYNTAX},
    {"UTF-8 with SMTPUTF8", "<j\xc3\xbcrgen@M\xc3\xbcller.de>", PATH_UTF8,
     "j\xc3\xbcrgen@M\xc3\xbcller.de", "j\xc3\xbcrgen@xn--mller-kva.de", 0},
    {"broken UTF-8", "<j\xfcrgen@example.org>", PATH_UTF8, NULL, NULL, ERR_SYNTAX},
    {"no closing bracket", "<a@example.org", 0, NULL, NULL, ERR_SYNTAX},
    {"no brackets", "a@example.org", 0, NULL, NULL, ERR_SYNTAX},
    {"two dots", "<a..b@example.org>", 0, NULL, NULL, ERR_SYNTAX},
    {"a final dot", "<a.@example.org>", 0, NULL, NULL, ERR_SYNTAX},
    {"a space", "<a b@example.org>", 0, NULL, NULL, ERR_SYNTAX},
    {"nothing after the at", "<a@>", 0, NULL, NULL, ERR_SYNTAX},
    {"a line end cannot be smuggled", "<\"a\r\nRCPT\"@example.org>", 0, NULL, NULL, ERR_SYNTAX},
    {"64 octets of local part", "<" X60 "xxxx@example.org>", 0, X60 "xxxx@example.org",
     X60 "xxxx@example.org", 0},
    {"65 are too many", "<" X60 "xxxxx@example.org>", 0, NULL, NULL, ERR_LIMIT},
    {"254 octets in all", "<a@" X60 "." X60 "." X60 "." X60 ".aaaaaa.a>", 0,
     "a@" X60 "." X60 "." X60 "." X60 ".aaaaaa.a", "a@" X60 "." X60 "." X60 "." X60 ".aaaaaa.a", 0},
    {"255 are too many", "<a@" X60 "." X60 "." X60 "." X60 ".aaaaaaa.a>", 0, NULL, NULL, ERR_LIMIT},
};

static void run(void **state)
{
    const struct path_case *c = *state;
    struct path path;
    struct err e = {0};
    struct buf normal;

    int result = path_parse(slice_of(c->text), c->flags, &path, &e);
    assert_int_equal(result == 0, c->address != NULL);
    if (result != 0) {
        assert_int_equal(e.code, c->code);
        return;
    }
    assert_true(slice_eq(path.address, slice_of(c->address)));
    assert_true(path.used >= 2 && c->text[path.used - 1] == '>');
    buf_init(&normal, 1000);
    path_normalize(&path, &normal);
    assert_true(slice_eq(buf_slice(&normal), slice_of(c->normal)));
    if (!path.is_null) {
        assert_int_equal(path_parse_address(slice_of(c->address), c->flags, &path, &e), 0);
        assert_true(slice_eq(path.address, slice_of(c->address)));
    }
    buf_finish(&normal);
}

int main(void)
{
    RUN_TABLE(cases, run);
}
