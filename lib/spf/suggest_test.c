#include "lib/spf/suggest.h"

#include "base/test.h"

static const struct suggest_case {
    const char *name;
    const char *record;  /* NULL: there is none */
    const char *missing; /* an address, or NULL */
    enum spf_result all; /* of the tree, as a survey finds it */
    const char *wanted;
} cases[] = {
    {"an address goes in front of all", "v=spf1 mx -all", "192.0.2.1", SPF_FAIL,
     "v=spf1 mx ip4:192.0.2.1 -all"},
    {"an address goes in front of redirect", "v=spf1 mx redirect=x.example", "2001:db8::1",
     SPF_NEUTRAL, "v=spf1 mx ip6:2001:db8::1 redirect=x.example"},
    {"without a record one is begun", NULL, "192.0.2.1", SPF_NEUTRAL, "v=spf1 ip4:192.0.2.1 ~all"},
    {"a record that cannot be read is begun anew", "v=spf1 mx:: -all", "192.0.2.1", SPF_NEUTRAL,
     "v=spf1 ip4:192.0.2.1 ~all"},
};

static void suggests(void **state)
{
    const struct suggest_case *c = *state;
    struct spf_tree tree = {.all = c->all};
    struct ip_address missing;
    struct buf out;

    if (c->record != NULL)
        tree.record = slice_of(c->record);
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
