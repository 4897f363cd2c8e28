#include "lib/spf/suggest.h"

#include "base/test.h"

static const struct suggest_case {
    const char *name;
    const char *records[3];
    const char *missing; /* an address, or NULL */
    enum spf_result all; /* of the tree, as a survey finds it */
    const char *wanted;
} cases[] = {
    {"an address goes in front of all",
     {"v=spf1 mx -all"},
     "192.0.2.1",
     SPF_FAIL,
     "v=spf1 mx ip4:192.0.2.1 -all"},
    {"an address goes in front of redirect",
     {"v=spf1 mx redirect=x.example"},
     "2001:db8::1",
     SPF_NEUTRAL,
     "v=spf1 mx ip6:2001:db8::1 redirect=x.example"},
    {"without a record one is begun",
     {NULL},
     "192.0.2.1",
     SPF_NEUTRAL,
     "v=spf1 ip4:192.0.2.1 ~all"},
    {"two records become one, each term once, the strictest all",
     {"v=spf1 ip4:192.0.2.0/24 a:mail.example ~all",
      "v=spf1 A:mail.example include:y.example -all"},
     NULL,
     SPF_SOFTFAIL,
     "v=spf1 ip4:192.0.2.0/24 a:mail.example include:y.example -all"},
    {"all of one record ends the redirect of another",
     {"v=spf1 redirect=x.example", "v=spf1 mx ?all exp=e.example"},
     NULL,
     SPF_NEUTRAL,
     "v=spf1 mx ~all exp=e.example"},
    {"a record that cannot be read is left out",
     {"v=spf1 mx:: -all", "v=spf1 a ~all"},
     NULL,
     SPF_NEUTRAL,
     "v=spf1 a ~all"},
};

static void suggests(void **state)
{
    const struct suggest_case *c = *state;
    struct spf_tree tree = {.all = c->all};
    struct ip_address missing;
    struct buf out;

    for (size_t i = 0; i < COUNT(c->records) && c->records[i] != NULL; i++)
        tree.records[tree.record_count++] = slice_of(c->records[i]);
    if (tree.record_count > 0)
        tree.record = tree.records[0];
    if (c->missing != NULL)
        assert_true(ip_address_parse(slice_of(c->missing), &missing));
    buf_init(&out, 65536);
    spf_suggest_record(&tree, &missing, c->missing != NULL, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, c->wanted);
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases)];

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, suggests, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
