#include "lib/dmarc/eval.h"

#include "base/test.h"
#include "lib/dnsmsg/zone.h"

static const struct dmarc_case {
    const char *name, *zone, *author, *dkim, *spf;
    enum dmarc_result result;
    enum dmarc_policy policy;
    const char *organization;
    size_t queries; /* of policy records */
} cases[] = {
    {"a signature of a subdomain is aligned", "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"",
     "example.com", "mail.example.com", NULL, DMARC_PASS, DMARC_POLICY_REJECT, "example.com", 3},
    {"strict alignment wants the same name",
     "_dmarc.example.com. TXT \"v=DMARC1; p=reject; adkim=s\"", "example.com", "mail.example.com",
     NULL, DMARC_FAIL, DMARC_POLICY_REJECT, "example.com", 2},
    {"strict for DKIM leaves SPF relaxed",
     "_dmarc.example.com. TXT \"v=DMARC1; p=reject; adkim=s\"", "example.com", NULL,
     "mail.example.com", DMARC_PASS, DMARC_POLICY_REJECT, "example.com", 3},
    {"two organizations below a public suffix",
     "_dmarc.bank.example. TXT \"v=DMARC1; p=reject; psd=y\"", "giant.bank.example",
     "mega.bank.example", NULL, DMARC_FAIL, DMARC_POLICY_REJECT, "giant.bank.example", 3},
    {"an organization that says so", "_dmarc.mail.example.com. TXT \"v=DMARC1; p=reject; psd=n\"",
     "a.mail.example.com", NULL, "b.mail.example.com", DMARC_PASS, DMARC_POLICY_REJECT,
     "mail.example.com", 3},
    {"the record of a subdomain is not the organization's",
     "_dmarc.a.example.com. TXT \"v=DMARC1; p=quarantine\"\n"
     "_dmarc.example.com. TXT \"v=DMARC1; p=none\"",
     "a.example.com", NULL, NULL, DMARC_FAIL, DMARC_POLICY_QUARANTINE, "example.com", 3},
    {"testing lowers the policy", "_dmarc.example.com. TXT \"v=DMARC1; p=quarantine; t=y\"",
     "example.com", NULL, NULL, DMARC_FAIL, DMARC_POLICY_NONE, "example.com", 2},
    {"a name that does not exist",
     "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"", "no.example.com",
     NULL, NULL, DMARC_FAIL, DMARC_POLICY_REJECT, "example.com", 3},
    {"a name that exists without an address",
     "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"\n"
     "is.example.com. MX 1 is.example.com.",
     "is.example.com", NULL, NULL, DMARC_FAIL, DMARC_POLICY_QUARANTINE, "example.com", 3},
    {"eight questions at most", "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"",
     "a.b.c.d.e.f.g.h.i.example.com", NULL, NULL, DMARC_FAIL, DMARC_POLICY_REJECT, "example.com",
     8},
    {"two records are none, and the walk goes on",
     "_dmarc.example.com. TXT \"v=DMARC1; p=quarantine\"\n"
     "_dmarc.a.example.com. TXT \"v=DMARC1; p=reject\"\n"
     "_dmarc.a.example.com. TXT \"v=DMARC1; p=none\"",
     "a.example.com", NULL, NULL, DMARC_FAIL, DMARC_POLICY_QUARANTINE, "example.com", 3},
    {"no record", "x. TXT y", "example.com", "example.com", NULL, DMARC_NONE, DMARC_POLICY_NONE,
     "example.com", 2},
    {"no answer about the policy", ";!timeout _dmarc.example.com.", "a.example.com", NULL, NULL,
     DMARC_TEMPERROR, DMARC_POLICY_NONE, "a.example.com", 3},
    {"no answer that would not matter",
     "_dmarc.a.example.com. TXT \"v=DMARC1; p=reject\"\n;!servfail _dmarc.com.", "a.example.com",
     "a.example.com", NULL, DMARC_PASS, DMARC_POLICY_REJECT, "a.example.com", 3},
    {"no answer about the alignment",
     "_dmarc.a.example.com. TXT \"v=DMARC1; p=reject\"\n;!servfail _dmarc.com.", "a.example.com",
     "b.example.com", NULL, DMARC_TEMPERROR, DMARC_POLICY_REJECT, "a.example.com", 4},
    {"a broken policy with a report address",
     "_dmarc.example.com. TXT \"v=DMARC1; p=bob; rua=mailto:a@example.com!10m\"", "example.com",
     NULL, NULL, DMARC_FAIL, DMARC_POLICY_NONE, "example.com", 2},
    {"a broken policy without one", "_dmarc.example.com. TXT \"v=DMARC1; p=bob\"", "example.com",
     NULL, NULL, DMARC_NONE, DMARC_POLICY_NONE, "example.com", 2},
    {"an address literal", "x. TXT y", "[192.0.2.1]", NULL, NULL, DMARC_PERMERROR,
     DMARC_POLICY_NONE, "", 0},
    {"capitals", "_dmarc.example.com. TXT \"v=DMARC1; P=Reject; ADKIM=S\"", "EXAMPLE.com",
     "Example.COM", NULL, DMARC_PASS, DMARC_POLICY_REJECT, "example.com", 2},
};

static void run_case(void **state)
{
    const struct dmarc_case *c = *state;
    struct err e;
    struct dns_zone *z = dns_zone_create(slice_of(c->zone), &e);
    struct dmarc *d = dmarc_create();
    struct slice dkim = slice_of(c->dkim), spf = slice_of(c->spf);
    const struct slice *names;
    struct dmarc_request request = {.author_domain = slice_of(c->author),
                                    .dkim = &dkim,
                                    .dkim_count = c->dkim != NULL,
                                    .spf = &spf,
                                    .spf_count = c->spf != NULL};

    if (!z)
        fail_msg("%s", e.text);
    for (enum step step = dmarc_start(d, &request); step == STEP_WAIT;) {
        struct dns_answer a;
        dns_zone_answer(z, dmarc_question(d), &a);
        step = dmarc_answer(d, &a);
    }
    const struct dmarc_outcome *o = dmarc_outcome(d);
    assert_string_equal(dmarc_result_text(o->result), dmarc_result_text(c->result));
    assert_string_equal(dmarc_policy_text(o->policy), dmarc_policy_text(c->policy));
    if (!slice_eq(o->organizational_domain, slice_of(c->organization)))
        fail_msg("%.*s", SLICE_ARG(o->organizational_domain));
    assert_int_equal(dmarc_queried(d, &names), c->queries);
    assert_int_equal(o->disposition, o->result == DMARC_FAIL ? o->policy : DMARC_POLICY_NONE);
    dmarc_destroy(&d);
    dns_zone_destroy(&z);
}

static const struct record_case {
    const char *name, *text;
    bool is;
    unsigned bad, unknown, old, uris;
} records[] = {
    {"the usual", "v=DMARC1; p=none; rua=mailto:a@b.example,mailto:c@d.example", true, 0, 0, 0, 2},
    {"a small version", "v=dmarc1; p=none", false, 0, 0, 0, 0},
    {"spaces around", "v = DMARC1 ; p = none", true, 0, 0, 0, 0},
    {"another version", "v=DMARC1x; p=none", false, 0, 0, 0, 0},
    {"a space in front", " v=DMARC1; p=none", false, 0, 0, 0, 0},
    {"the version is not first", "p=none; v=DMARC1", false, 0, 0, 0, 0},
    {"tags of RFC 7489", "v=DMARC1; p=none; pct=20; ri=3600; rf=afrf", true, 0, 0, 3, 0},
    {"a tag said twice", "v=DMARC1; p=none; p=reject", true, 1, 0, 0, 0},
    {"unknown tags", "v=DMARC1; p=none; x=1; y", true, 0, 2, 0, 0},
    {"no URI", "v=DMARC1; p=none; rua=a@b.example", true, 1, 0, 0, 0},
    {"an address with a size", "v=DMARC1; p=none; rua=mailto:a@b.example!50m", true, 0, 0, 0, 1},
};

static void run_record(void **state)
{
    const struct record_case *c = *state;
    struct slice text = slice_of(c->text), uri;
    unsigned uris = 0;

    assert_int_equal(dmarc_record_is(text), c->is);
    if (!c->is)
        return;
    struct dmarc_record r = dmarc_record_parse(text);
    for (struct slice list = r.rua; dmarc_uri_next(&list, &uri);)
        uris += slice_find(uri, '!') == SLICE_NONE;
    assert_int_equal(r.bad_tags, c->bad);
    assert_int_equal(r.unknown_tags, c->unknown);
    assert_int_equal(r.old_tags, c->old);
    assert_int_equal(uris, c->uris);
}

/* Signatures that cannot matter, or are there twice, do not push out the one that does. */
static void the_last_signature_counts(void **state)
{
    char names[100][32];
    struct slice domains[COUNT(names) + 1];
    struct dmarc_request request = {.author_domain = SLICE("example.com"), .dkim = domains};
    struct dmarc *d = dmarc_create();
    struct dns_zone *z;
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], i % 2 ? "list%zu.example.net" : "other.com", i);
        domains[request.dkim_count++] = slice_of(names[i]);
    }
    domains[request.dkim_count++] = SLICE("mail.example.com");
    z = dns_zone_create(SLICE("_dmarc.example.com. TXT \"v=DMARC1; p=reject\""), &e);
    assert_non_null(z);
    for (enum step step = dmarc_start(d, &request); step != STEP_DONE;) {
        struct dns_answer a;

        dns_zone_answer(z, dmarc_question(d), &a);
        step = dmarc_answer(d, &a);
    }
    assert_int_equal(dmarc_outcome(d)->result, DMARC_PASS);
    dmarc_destroy(&d);
    dns_zone_destroy(&z);
}

/* What DNS did not answer may have passed: neither pass nor fail, where it could matter. */
static const struct open_case {
    const char *name, *record, *passed, *dkim_open, *spf_open;
    enum dmarc_result result;
} opens[] = {
    {"the author's own signature is open", "p=reject", NULL, "example.com", NULL, DMARC_TEMPERROR},
    {"SPF of a subdomain is open", "p=reject", NULL, NULL, "m.example.com", DMARC_TEMPERROR},
    {"the same, where alignment is strict", "p=reject; aspf=s", NULL, NULL, "m.example.com",
     DMARC_FAIL},
    {"strict for SPF leaves DKIM open", "p=reject; aspf=s", NULL, "m.example.com", NULL,
     DMARC_TEMPERROR},
    {"a stranger's signature is open", "p=reject", NULL, "example.net", "other.com", DMARC_FAIL},
    {"another one passed", "p=reject", "example.com", "example.com", "m.example.com", DMARC_PASS},
};

static void run_open(void **state)
{
    const struct open_case *c = *state;
    struct slice passed = slice_of(c->passed), dkim = slice_of(c->dkim_open),
                 spf = slice_of(c->spf_open);
    struct dmarc_request request = {.author_domain = SLICE("example.com"),
                                    .dkim = &passed,
                                    .dkim_count = c->passed != NULL,
                                    .dkim_open = &dkim,
                                    .dkim_open_count = c->dkim_open != NULL,
                                    .spf_open = &spf,
                                    .spf_open_count = c->spf_open != NULL};
    struct dmarc *d = dmarc_create();
    struct dns_zone *z;
    struct err e;
    char zone[100];

    snprintf(zone, sizeof zone, "_dmarc.example.com. TXT \"v=DMARC1; %s\"", c->record);
    z = dns_zone_create(slice_of(zone), &e);
    assert_non_null(z);
    for (enum step step = dmarc_start(d, &request); step != STEP_DONE;) {
        struct dns_answer a;

        dns_zone_answer(z, dmarc_question(d), &a);
        step = dmarc_answer(d, &a);
    }
    assert_string_equal(dmarc_result_text(dmarc_outcome(d)->result), dmarc_result_text(c->result));
    dmarc_destroy(&d);
    dns_zone_destroy(&z);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(cases) + COUNT(records) + COUNT(opens) + 1] = {
        cmocka_unit_test(the_last_signature_counts)};
    size_t n = 1;

    for (size_t i = 0; i < COUNT(opens); i++)
        tests[n++] =
            (struct CMUnitTest){opens[i].name, run_open, NULL, NULL, (void *)(uintptr_t)&opens[i]};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[n++] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    for (size_t i = 0; i < COUNT(records); i++)
        tests[n++] = (struct CMUnitTest){records[i].name, run_record, NULL, NULL,
                                         (void *)(uintptr_t)&records[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
