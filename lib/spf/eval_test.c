#include "lib/spf/eval.h"

#include "base/test.h"
#include "lib/dnsmsg/zone.h"
#include "lib/spf/macro.h"

/* The names of one played world; a case may ask any of them. */
static const char world[] =
    "$ORIGIN example.com.\n"
    "@ TXT \"v=spf1 ip4:192.0.2.0/24 a:www.example.com/31 mx include:sub.example.com -all\"\n"
    "www A 198.51.100.8\n"
    "@ MX 10 mail\n"
    "mail A 203.0.113.1\n"
    "mail AAAA 2001:db8::25\n"
    "sub TXT \"v=spf1 exists:%{ir}.%{v}.list.example.com ~all\"\n"
    "1.2.0.10.in-addr.list A 127.0.0.2\n"
    "explained TXT \"v=spf1 -all exp=why.%{d}\"\n"
    "why.explained TXT \"%{i} may not send for %{o}%_(%{c}, %{t}, %{r})\"\n"
    "badly TXT \"v=spf1 -all exp=broken.%{d}\"\n"
    "broken.badly TXT \"%{x}\"\n"
    "loop TXT \"v=spf1 redirect=loop.example.com\"\n"
    "two TXT \"v=spf1 -all\"\n"
    "two TXT \"v=spf1 +all\"\n"
    "error TXT \"v=spf1 ip4:192.0.2.1 a:1.2.3.4 -all\"\n"
    "empty TXT \"v=spf1 a:x1.example.com a:x2.example.com a:x3.example.com -all\"\n"
    "slow TXT \"v=spf1 a:time.example.com -all\"\n"
    ";!timeout time A\n"
    "noinc TXT \"v=spf1 include:www.example.com -all\"\n"
    "neutral TXT v=spf1\n"
    "host TXT \"v=spf1 ptr:trusted.example.com -all\"\n"
    "9.2.0.192.in-addr.arpa. PTR a.trusted.example.com.\n"
    "a.trusted A 192.0.2.9\n"
    "many MX 1 m1\nmany MX 2 m2\nmany MX 3 m3\nmany MX 4 m4\nmany MX 5 m5\nmany MX 6 m6\n"
    "many MX 7 m7\nmany MX 8 m8\nmany MX 9 m9\nmany MX 10 m10\nmany MX 11 m11\n"
    "many TXT \"v=spf1 mx -all\"\n"
    "local TXT \"v=spf1 exists:%{l2r-}.%{o}._l.example.com -all\"\n"
    "b.a.local.example.com._l A 127.0.0.2\n"
    "moved TXT \"v=spf1 redirect=explained.example.com\"\n"
    "outer TXT \"v=spf1 include:explained.example.com -all\"\n"
    "ten TXT \"v=spf1 a a a a a a a a a a ip4:192.0.2.77 a -all\"\n"
    "ten A 198.51.100.1\n"
    "xn--bcher-kva TXT \"v=spf1 exists:%{d}.in.example.com -all\"\n"
    "xn--bcher-kva.example.com.in A 127.0.0.2\n"
    "ptrs TXT \"v=spf1 ptr:a.example.com ptr:b.example.com ptr:c.example.com -all\"\n"
    "utf8 TXT \"v=spf1 exists:%{l}.in.example.com include:%{s} ip4:192.0.2.7 -all\"\n";

static const struct spf_case {
    const char *name, *ip, *helo, *from;
    enum spf_result result;
    const char *mechanism, *explanation;
    unsigned lookups, voids;
} cases[] = {
    {"an address of the record", "192.0.2.7", "h", "u@example.com", SPF_PASS, "ip4:192.0.2.0/24",
     "", 0, 0},
    {"a mapped address counts as IPv4", "::ffff:192.0.2.7", "h", "u@example.com", SPF_PASS,
     "ip4:192.0.2.0/24", "", 0, 0},
    {"a host's network", "198.51.100.9", "h", "u@example.com", SPF_PASS, "a:www.example.com/31", "",
     1, 0},
    {"a mail exchanger over IPv6", "2001:db8::25", "h", "u@example.com", SPF_PASS, "mx", "", 2, 1},
    {"an include passes", "10.0.2.1", "h", "u@example.com", SPF_PASS, "include:sub.example.com", "",
     4, 0},
    {"an include does not pass on its softfail", "10.0.0.1", "h", "u@example.com", SPF_FAIL, "-all",
     "", 4, 1},
    {"the explanation", "10.0.0.1", "h", "u@explained.example.com", SPF_FAIL, "-all",
     "10.0.0.1 may not send for explained.example.com (10.0.0.1, 1000, mx.example.net)", 0, 0},
    {"a broken explanation is none", "10.0.0.1", "h", "u@badly.example.com", SPF_FAIL, "-all", "",
     0, 0},
    {"the explanation of the redirect's target", "10.0.0.1", "h", "u@moved.example.com", SPF_FAIL,
     "-all", "10.0.0.1 may not send for moved.example.com (10.0.0.1, 1000, mx.example.net)", 1, 0},
    {"an include's explanation is not ours", "10.0.0.1", "h", "u@outer.example.com", SPF_FAIL,
     "-all", "", 1, 0},
    {"a circle of redirects", "10.0.0.1", "h", "u@loop.example.com", SPF_PERMERROR,
     "redirect=loop.example.com", "", 11, 0},
    {"two records", "10.0.0.1", "h", "u@two.example.com", SPF_PERMERROR, "", "", 0, 0},
    {"an error behind a match", "192.0.2.1", "h", "u@error.example.com", SPF_PERMERROR, "", "", 0,
     0},
    {"three void lookups", "10.0.0.1", "h", "u@empty.example.com", SPF_PERMERROR,
     "a:x3.example.com", "", 3, 3},
    {"no answer", "10.0.0.1", "h", "u@slow.example.com", SPF_TEMPERROR, "a:time.example.com", "", 1,
     0},
    {"an include without a record", "10.0.0.1", "h", "u@noinc.example.com", SPF_PERMERROR,
     "include:www.example.com", "", 1, 0},
    {"a record without terms", "10.0.0.1", "h", "u@neutral.example.com", SPF_NEUTRAL, "default", "",
     0, 0},
    {"a validated name", "192.0.2.9", "h", "u@host.example.com", SPF_PASS,
     "ptr:trusted.example.com", "", 1, 0},
    {"a mail exchanger with eleven hosts", "192.0.2.9", "h", "u@many.example.com", SPF_PERMERROR,
     "mx", "", 1, 0},
    {"macros of the local part", "192.0.2.9", "h", "x-y@local.example.com", SPF_FAIL, "-all", "", 1,
     1},
    {"the last two parts, reversed", "192.0.2.9", "h", "a-b-c@local.example.com", SPF_PASS,
     "exists:%{l2r-}.%{o}._l.example.com", "", 1, 0},
    {"the null sender", "192.0.2.7", "example.com", "", SPF_PASS, "ip4:192.0.2.0/24", "", 0, 0},
    {"no record", "192.0.2.7", "h", "u@www.example.com", SPF_NONE, "", "", 0, 0},
    {"no such domain", "192.0.2.7", "h", "u@absent.example.com", SPF_NONE, "", "", 0, 0},
    {"one label", "192.0.2.7", "localhost", "", SPF_NONE, "", "", 0, 0},
    {"an address literal", "192.0.2.7", "[192.0.2.7]", "", SPF_NONE, "", "", 0, 0},
    {"ten lookups are allowed", "192.0.2.77", "h", "u@ten.example.com", SPF_PASS, "ip4:192.0.2.77",
     "", 10, 0},
    {"a sender in U-labels is looked up in A-labels", "192.0.2.7", "h",
     "u@b\xc3\xbc"
     "cher.example.com",
     SPF_PASS, "exists:%{d}.in.example.com", "", 1, 0},
    {"a HELO name in U-labels", "192.0.2.7",
     "b\xc3\xbc"
     "cher.example.com",
     "", SPF_PASS, "exists:%{d}.in.example.com", "", 1, 0},
    {"a sender that is no UTF-8", "192.0.2.7", "h", "u@b\xfc.example.com", SPF_NONE, "", "", 0, 0},
    {"a local part in UTF-8 matches nothing", "192.0.2.7", "h", "j\xc3\xbcrgen@utf8.example.com",
     SPF_PASS, "ip4:192.0.2.7", "", 2, 0},
    {"every ptr of a client without a name is void", "198.51.100.77", "h", "u@ptrs.example.com",
     SPF_PERMERROR, "ptr:c.example.com", "", 3, 3},
    {"eleven are not", "10.0.0.1", "h", "u@ten.example.com", SPF_PERMERROR, "a", "", 11, 0},
};

static void assert_slice(struct slice s, const char *want)
{
    if (!slice_eq(s, slice_of(want)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(s), want);
}

static void run_case(void **state)
{
    const struct spf_case *c = *state;
    struct err e;
    struct dns_zone *z = dns_zone_create(SLICE(world), &e);
    struct spf *s = spf_create();
    struct spf_request request = {.helo = slice_of(c->helo),
                                  .mail_from = slice_of(c->from),
                                  .receiver = SLICE("mx.example.net"),
                                  .unix_s = 1000,
                                  .trace = true};
    if (!z)
        fail_msg("%s", e.text);
    assert_true(ip_address_parse(slice_of(c->ip), &request.client));
    for (int twice = 0; twice < 2; twice++) {
        enum step step = spf_start(s, &request);
        while (step == STEP_WAIT) {
            struct dns_answer a;
            dns_zone_answer(z, spf_question(s), &a);
            step = spf_answer(s, &a);
        }
    }
    const struct spf_outcome *o = spf_outcome(s);
    assert_string_equal(spf_result_text(o->result), spf_result_text(c->result));
    assert_slice(o->mechanism, c->mechanism);
    assert_slice(o->explanation, c->explanation);
    assert_int_equal(o->lookups, c->lookups);
    assert_int_equal(o->void_lookups, c->voids);
    spf_destroy(&s);
    dns_zone_destroy(&z);
}

/* A record with more terms than any other, traced: each is noted, in time. */
static void a_huge_record_is_traced(void **state)
{
    struct spf *s = spf_create();
    struct spf_request request = {.helo = SLICE("h"),
                                  .mail_from = SLICE("u@huge.example.com"),
                                  .client = {IP_V4, {192, 0, 2, 1}},
                                  .trace = true};
    struct buf text;
    size_t terms = 0;
    (void)state;

    buf_init(&text, 65536);
    buf_append_text(&text, "v=spf1");
    for (; text.n < 65000; terms++)
        buf_append_text(&text, " ip6:::1");
    struct dns_record record = {.type = DNS_TXT, .text = buf_slice(&text)};
    struct dns_answer a = {.status = DNS_OK, .records = &record, .count = 1};
    assert_int_equal(spf_start(s, &request), STEP_WAIT);
    assert_int_equal(spf_answer(s, &a), STEP_DONE);
    assert_int_equal(spf_outcome(s)->result, SPF_NEUTRAL);
    for (const struct spf_visit *v = spf_visits(s); v; v = v->next)
        if (!v->is_record) {
            assert_slice(v->note, "no match");
            terms--;
        }
    assert_int_equal(terms, 0);
    buf_finish(&text);
    spf_destroy(&s);
}

static void a_sender_that_is_too_long_is_none(void **state)
{
    struct spf *s = spf_create();
    char text[SPF_IDENTITY_MAX + 100];
    struct spf_request request = {.client = {IP_V4, {192, 0, 2, 1}}};
    (void)state;

    memset(text, 'a', sizeof text);
    memcpy(text + SPF_IDENTITY_MAX - 12, "@example.com.evil.example", 25);
    request.mail_from = (struct slice){text, SPF_IDENTITY_MAX + 13};
    assert_int_equal(spf_start(s, &request), STEP_DONE);
    assert_int_equal(spf_outcome(s)->result, SPF_NONE);
    spf_destroy(&s);
}

/* Macros by themselves, with values that no zone file holds well. */
static void macros_keep_their_parts(void **state)
{
    char local[900];
    struct spf_macro_values v = {.local = {local, sizeof local}};
    struct buf out;
    (void)state;

    for (size_t i = 0; i < sizeof local; i++)
        local[i] = i % 2 ? '-' : (char)('a' + i / 2 % 26);
    buf_init(&out, 4096);
    spf_macro_expand(SLICE("%{l2r-}"), &v, &out);
    assert_slice(buf_slice(&out), "b.a"); /* the first parts, whatever their number */
    buf_clear(&out);
    local[899] = 'z';
    spf_macro_expand(SLICE("%{l2-}"), &v, &out);
    assert_slice(buf_slice(&out), "g.hz");
    buf_clear(&out);
    v.local = SLICE("a-b+c--d");
    spf_macro_expand(SLICE("%{l+-}/%{lr-+}/%{L3-}/%{l99r-}"), &v, &out);
    assert_slice(buf_slice(&out), "a.b.c..d/d..c.b.a/b%2Bc..d/d..b+c.a");
    buf_finish(&out);
}

static void a_nul_in_a_modifiers_name_is_an_error(void **state)
{
    struct spf_record r;
    struct err e;
    (void)state;

    assert_int_equal(spf_record_parse(SLICE("v=spf1 a\0b=c -all"), &r, &e), -1);
}

/* Received-SPF holds what strangers wrote; it must say that and nothing else (RFC 7208 9.1). */
static const struct received_case {
    const char *name, *from, *want;
} received[] = {
    {"an address", "u@example.com",
     "Received-SPF: none client-ip=192.0.2.1;\r\n    envelope-from=\"u@example.com\";\r\n"
     "    identity=mailfrom\r\n"},
    {"no dot-atom", "a..b",
     "Received-SPF: none client-ip=192.0.2.1;\r\n    envelope-from=\"a..b\";\r\n"
     "    identity=mailfrom\r\n"},
    {"a dot at the end", "a.",
     "Received-SPF: none client-ip=192.0.2.1;\r\n    envelope-from=\"a.\";\r\n"
     "    identity=mailfrom\r\n"},
    {"a field of their own", "a\r\nX-Spam: no",
     "Received-SPF: none client-ip=192.0.2.1;\r\n    envelope-from=\"a??X-Spam: no\";\r\n"
     "    identity=mailfrom\r\n"},
    {"an end of the quotes", "\"\\\";receiver=x",
     "Received-SPF: none client-ip=192.0.2.1;\r\n"
     "    envelope-from=\"\\\"\\\\\\\";receiver=x\";\r\n    identity=mailfrom\r\n"},
};

static void run_received(void **state)
{
    const struct received_case *c = *state;
    struct spf_request request = {.mail_from = slice_of(c->from),
                                  .client = {IP_V4, {192, 0, 2, 1}}};
    struct spf_outcome o = {.result = SPF_NONE, .identity = "mailfrom"};
    struct buf out;

    buf_init(&out, 4096);
    spf_received_field(&o, &request, &out);
    assert_slice(buf_slice(&out), c->want);
    buf_finish(&out);
}

static void received_lines_are_short(void **state)
{
    char term[4000];
    struct spf_request request = {.client = {IP_V4, {192, 0, 2, 1}}};
    struct spf_outcome o = {.identity = "helo", .mechanism = {term, sizeof term}};
    struct buf out;
    (void)state;

    memset(term, 'a', sizeof term);
    buf_init(&out, 65536);
    spf_received_field(&o, &request, &out);
    for (struct slice rest = buf_slice(&out); rest.n > 0;)
        assert_true(slice_line(&rest).n <= 998); /* RFC 5322 2.1.1 */
    buf_finish(&out);
}

/* The grammar, one record a case. */
static const struct record_case {
    const char *name, *text, *error; /* NULL: it is right */
} records[] = {
    {"nothing but the version", "v=spf1", NULL},
    {"spaces at the end", "v=spf1 -all   ", NULL},
    {"both prefix lengths", "v=spf1 a/24//64 mx:example.com//64 -all", NULL},
    {"a slash inside a name", "v=spf1 a:foo/24.example.com/24", NULL},
    {"a colon inside a name", "v=spf1 a:foo:bar.example.com", NULL},
    {"a modifier of tomorrow", "v=spf1 moo.cow-far_out=man:dog/cat -all", NULL},
    {"a macro at the end", "v=spf1 exists:%{i}._spf.%{d2}", NULL},
    {"a leading zero", "v=spf1 ip4:192.0.2.0/024",
     "\"ip4:192.0.2.0/024\": the prefix length is not right"},
    {"a prefix of 33", "v=spf1 a/33", "\"a/33\": the prefix length is not right"},
    {"an address in a", "v=spf1 a:192.0.2.1",
     "\"a:192.0.2.1\": an address must be written as ip4: or ip6:"},
    {"a name of one label", "v=spf1 a:museum",
     "\"a:museum\": the domain does not end in a top-level label such as \".com\""},
    {"a tab", "v=spf1 a\t-all", "\"a\t-all\": no such mechanism"},
    {"all with an argument", "v=spf1 -all.", "\"-all.\": no such mechanism"},
    {"all with a prefix", "v=spf1 -all/8", "\"-all/8\": nothing may follow this mechanism"},
    {"include without a domain", "v=spf1 include", "\"include\": this mechanism needs a domain"},
    {"redirect twice", "v=spf1 redirect=a.b redirect=a.b", "\"redirect=a.b\": a second redirect"},
    {"an unknown mechanism", "v=spf1 ipv4:192.0.2.1", "\"ipv4:192.0.2.1\": no such mechanism"},
    {"a macro of an explanation", "v=spf1 exists:%{c}.example.com",
     "\"exists:%{c}.example.com\": a macro or a character that may not stand here"},
    {"no parts at all", "v=spf1 exists:%{d0}.example.com",
     "\"exists:%{d0}.example.com\": a macro or a character that may not stand here"},
    {"a qualifier before a modifier", "v=spf1 -redirect=a.b",
     "\"-redirect=a.b\": the name of a modifier begins with a letter"},
    {"two addresses in one", "v=spf1 ip4:192.0.2.1,192.0.2.2",
     "\"ip4:192.0.2.1,192.0.2.2\": this is no IPv4 address"},
};

static void run_record(void **state)
{
    const struct record_case *c = *state;
    struct spf_record r;
    struct err e = {.text = ""};
    int result = spf_record_parse(slice_of(c->text), &r, &e);

    assert_true(spf_record_is(slice_of(c->text)));
    if (result == 0)
        assert_null(c->error);
    else
        assert_string_equal(e.text, c->error ? c->error : "no error");
}

int main(void)
{
    static const struct CMUnitTest singles[] = {
        cmocka_unit_test(a_huge_record_is_traced),
        cmocka_unit_test(a_sender_that_is_too_long_is_none),
        cmocka_unit_test(macros_keep_their_parts),
        cmocka_unit_test(a_nul_in_a_modifiers_name_is_an_error),
        cmocka_unit_test(received_lines_are_short),
    };
    static struct CMUnitTest
        tests[COUNT(cases) + COUNT(records) + COUNT(received) + COUNT(singles)];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(singles); i++)
        tests[n++] = singles[i];
    for (size_t i = 0; i < COUNT(received); i++)
        tests[n++] = (struct CMUnitTest){received[i].name, run_received, NULL, NULL,
                                         (void *)(uintptr_t)&received[i]};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[n++] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    for (size_t i = 0; i < COUNT(records); i++)
        tests[n++] = (struct CMUnitTest){records[i].name, run_record, NULL, NULL,
                                         (void *)(uintptr_t)&records[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
