/* Domain names of the whole world: what is looked up, what is shown, whose organization it is. */
#include "base/test.h"

#include "lib/text/idna.h"
#include "lib/text/psl.h"

struct idna_case {
    const char *name, *in, *ascii, *unicode, *organization;
};
static const struct idna_case cases[] = {
    {"ASCII is lowered", "Mail.Example.ORG.", "mail.example.org", "mail.example.org",
     "example.org"},
    {"a U-label", "m\xc3\xbcller.de", "xn--mller-kva.de", "m\xc3\xbcller.de", "xn--mller-kva.de"},
    {"a large U-label", "M\xc3\x9cLLER.de", "xn--mller-kva.de", "m\xc3\xbcller.de",
     "xn--mller-kva.de"},
    {"an A-label stays", "a.XN--MLLER-KVA.de", "a.xn--mller-kva.de", "a.m\xc3\xbcller.de",
     "xn--mller-kva.de"},
    {"underscores are used", "_dmarc.example.co.uk", "_dmarc.example.co.uk", "_dmarc.example.co.uk",
     "example.co.uk"},
    {"a public suffix has no organization", "co.uk", "co.uk", "co.uk", ""},
    {"the private section counts", "a.github.io", "a.github.io", "a.github.io", "a.github.io"},
    {"an unlisted top level is a suffix", "a.b.test", "a.b.test", "a.b.test", "b.test"},
    {"an empty label is refused", "a..b", NULL, "a..b", ""},
    {"nothing is refused", "", NULL, "", ""},
    {"bad UTF-8 is refused", "a\xff.de", NULL, "a\xff.de", ""},
    {"a broken A-label is shown as it is", "xn--0.example", "xn--0.example", "xn--0.example",
     "xn--0.example"},
};

static void run(void **state)
{
    const struct idna_case *c = *state;
    struct buf out;
    struct err e = {0};

    buf_init(&out, 1000);
    int result = idna_to_ascii(slice_of(c->in), &out, &e);
    assert_int_equal(result == 0, c->ascii != NULL);
    assert_true(slice_eq(buf_slice(&out), slice_of(c->ascii)));
    if (result == 0)
        assert_true(
            slice_eq(psl_organizational_domain(buf_slice(&out)), slice_of(c->organization)));
    else
        assert_int_equal(e.code, ERR_SYNTAX);
    struct slice shown = result == 0 ? buf_slice(&out) : slice_of(c->in);
    struct buf unicode;
    buf_init(&unicode, 1000);
    idna_to_unicode(shown, &unicode);
    assert_true(slice_eq(buf_slice(&unicode), slice_of(c->unicode)));
    buf_finish(&unicode);
    buf_finish(&out);
}

static void names_have_limits(void **state)
{
    char label[65], name[300];
    struct buf out;
    struct err e = {0};
    (void)state;

    memset(label, 'a', sizeof label);
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 10 == 9 ? '.' : 'a';
    buf_init(&out, 1000);
    assert_int_equal(idna_to_ascii((struct slice){label, 63}, &out, &e), 0);
    assert_int_equal(idna_to_ascii((struct slice){label, 64}, &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(idna_to_ascii((struct slice){name, 253}, &out, &e), 0);
    assert_int_equal(idna_to_ascii((struct slice){name, 254}, &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_finish(&out);
}

static void organizations_are_compared(void **state)
{
    (void)state;
    assert_true(psl_same_organization(SLICE("a.example.co.uk"), SLICE("b.Example.co.uk")));
    assert_false(psl_same_organization(SLICE("a.co.uk"), SLICE("b.co.uk")));
    assert_true(psl_same_organization(SLICE("co.uk"), SLICE("CO.uk")));
    assert_true(psl_is_suffix(SLICE("co.uk")));
    assert_false(psl_is_suffix(SLICE("example.co.uk")));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {cmocka_unit_test(names_have_limits),
                                                 cmocka_unit_test(organizations_are_compared)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
