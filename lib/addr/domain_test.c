#include "base/test.h"

#include "lib/addr/domain.h"

struct domain_case {
    const char *name, *text;
    bool name_ok, qualified;
    const char *literal; /* its address, "" for one without, NULL for none */
};
static const struct domain_case cases[] = {
    {"a plain name", "mail.example.org", true, true, NULL},
    {"one label is a name, not a public host", "localhost", true, false, NULL},
    {"an underscore is used in the wild", "_spf.example.org", true, true, NULL},
    {"a hyphen cannot lead", "-a.example", false, false, NULL},
    {"a hyphen cannot end a label", "a-.example", false, false, NULL},
    {"no empty label", "a..example", false, false, NULL},
    {"no final dot", "example.org.", false, false, NULL},
    {"an address is no host name", "192.0.2.1", true, false, NULL},
    {"an IPv4 literal", "[192.0.2.1]", false, false, "192.0.2.1"},
    {"an IPv6 literal", "[IPv6:2001:DB8::1]", false, false, "2001:db8::1"},
    {"IPv6 needs its tag", "[2001:db8::1]", false, false, ""},
    {"a literal of another kind", "[x400:abc]", false, false, ""},
    {"an empty literal is none", "[]", false, false, NULL},
    {"leading zeros are no address", "[192.0.02.1]", false, false, NULL},
};

static void run(void **state)
{
    const struct domain_case *c = *state;
    struct ip_address ip;
    char text[IP_TEXT_MAX];

    assert_int_equal(domain_is_name(slice_of(c->text), false), c->name_ok);
    assert_int_equal(domain_is_qualified(slice_of(c->text), false), c->qualified);
    /* "[2001:db8::1]" reads as tag "2001" with content: legal by the grammar, without an address.
     */
    assert_int_equal(domain_literal_parse(slice_of(c->text), &ip), c->literal != NULL);
    ip_address_format(&ip, text);
    assert_string_equal(text, c->literal != NULL ? c->literal : "");
}

static void names_are_compared_on_labels(void **state)
{
    (void)state;
    assert_true(domain_equal(SLICE("Example.org."), SLICE("example.ORG")));
    assert_true(domain_is_within(SLICE("a.example.org"), SLICE("example.org")));
    assert_false(domain_is_within(SLICE("badexample.org"), SLICE("example.org")));
    assert_true(domain_is_within(SLICE("example.org"), SLICE("example.org.")));
}

static void what_an_address_is_of(void **state)
{
    (void)state;
    assert_true(slice_eq(domain_of_address(SLICE("a@b.example")), SLICE("b.example")));
    assert_true(slice_eq(domain_of_address(SLICE("\"a@b\"@c.example")), SLICE("c.example")));
    assert_int_equal(domain_of_address(SLICE("postmaster")).n, 0);
    assert_int_equal(domain_of_address(SLICE("a@")).n, 0);
    assert_int_equal(domain_of_address(SLICE("")).n, 0);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {cmocka_unit_test(names_are_compared_on_labels),
                                                 cmocka_unit_test(what_an_address_is_of)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
