#include "lib/spf/merge.h"

#include "base/test.h"

static const struct merge_case {
    const char *name;
    const char *records[3];
    const char *wanted;
} cases[] = {
    {"each term once, and the strictest all",
     {"v=spf1 ip4:192.0.2.0/24 a:mail.example ~all",
      "v=spf1 A:mail.example include:y.example -all"},
     "v=spf1 ip4:192.0.2.0/24 a:mail.example include:y.example -all"},
    {"the order of the answers does not matter for all",
     {"v=spf1 mx -all", "v=spf1 a ~all"},
     "v=spf1 mx a -all"},
    {"beside an all a redirect is an include",
     {"v=spf1 redirect=x.example", "v=spf1 mx ?all exp=e.example"},
     "v=spf1 include:x.example mx ?all exp=e.example"},
    {"of two redirects one stays",
     {"v=spf1 redirect=x.example", "v=spf1 redirect=y.example"},
     "v=spf1 include:y.example redirect=x.example"},
    {"what cannot be read is left out", {"v=spf1 mx:: -all", "v=spf1 a ~all"}, "v=spf1 a ~all"},
    {"nothing can be read", {"v=spf1 mx:: -all", "v=spf1 ip4:x ~all"}, ""},
};

static void merges(void **state)
{
    const struct merge_case *c = *state;
    struct slice records[COUNT(c->records)];
    size_t count = 0;
    struct buf out;

    for (; count < COUNT(c->records) && c->records[count] != NULL; count++)
        records[count] = slice_of(c->records[count]);
    buf_init(&out, 65536);
    spf_merge_records(records, count, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, c->wanted);
    buf_finish(&out);
}

static void the_terms_have_a_ceiling(void **state)
{
    struct slice record;
    struct buf text, out;
    size_t terms = 0;
    (void)state;

    buf_init(&text, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_append_text(&text, "v=spf1");
    for (unsigned i = 0; i < 2 * SPF_MERGE_TERMS_MAX; i++)
        buf_printf(&text, " a:h%u.example", i);
    record = buf_slice(&text);
    spf_merge_records(&record, 1, &out);
    for (struct slice rest = buf_slice(&out); rest.n > 0; terms++)
        (void)slice_cut(&rest, ' ');
    assert_int_equal(terms, 1 + SPF_MERGE_TERMS_MAX);
    buf_finish(&text);
    buf_finish(&out);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {cmocka_unit_test(the_terms_have_a_ceiling)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, merges, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
