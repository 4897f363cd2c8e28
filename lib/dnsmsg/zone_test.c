#include "lib/dnsmsg/zone.h"

#include "base/test.h"
#include "lib/dnsmsg/name.h"

/* One line for an answer: the status, then each record's value. */
static void print_answer(const struct dns_answer *a, struct buf *out)
{
    char text[IP_TEXT_MAX];

    buf_append_text(out, dns_status_text(a->status));
    for (size_t i = 0; i < a->count; i++) {
        const struct dns_record *r = &a->records[i];

        buf_append_char(out, ' ');
        if (r->type == DNS_A || r->type == DNS_AAAA)
            buf_append(out, (struct slice){text, ip_address_format(&r->address, text)});
        else if (r->type == DNS_MX)
            buf_printf(out, "%u/%.*s", r->preference, SLICE_ARG(r->name));
        else if (r->type == DNS_TXT)
            buf_printf(out, "%zu'%.*s'", r->string_count, SLICE_ARG(r->text));
        else if (r->type == DNS_TLSA)
            buf_printf(out, "%u%u%u:%zu", r->usage, r->selector, r->matching, r->data.n);
        else if (r->name.n > 0)
            buf_append(out, r->name);
        else
            buf_printf(out, "%zu bytes", r->data.n);
    }
}

static const char file[] = "; a zone\n"
                           "$ORIGIN Example.COM.\n"
                           "$TTL 60\n"
                           "@ IN A 192.0.2.1\n"
                           "  300 IN A 192.0.2.2\n"
                           "@ MX 10 mail\n"
                           "@ MX 0 .\n"
                           "mail AAAA 2001:db8::1\n"
                           "www CNAME mail\n"
                           "www TYPE65534 \\# 0\n"
                           "loop CNAME pool\n"
                           "pool CNAME loop\n"
                           "gone CNAME nowhere.example.net.\n"
                           "deep.down.under TXT \"x\"\n"
                           "txt TXT \"v=spf1 \" \"-all\\; \\\"q\\\" \\200\"\n"
                           "bare TXT v=1\n"
                           "wire TYPE1 \\# 4 c0000203\n"
                           "other TYPE999 \\# 3 010203\n"
                           "dane TLSA 3 1 1 0011 2233\n"
                           "exists TYPE65534 \\# 0\n"
                           "odd\\032name\\'s TXT yes\n"
                           ";!timeout slow.example.com.\n"
                           "slow TXT here\n"
                           ";!servfail broken A\n"
                           "broken TXT fine\n"
                           "toslow CNAME slow\n"
                           "@ SOA ns.example.com. root.example.com. (1 2\n"
                           "   3 4 ; five follows\n"
                           "   5)\n";

static const struct {
    const char *name, *question;
    enum dns_type type;
    const char *answer;
} cases[] = {
    {"all addresses of the origin", "example.com", DNS_A, "ok 192.0.2.1 192.0.2.2"},
    {"case and the root dot do not matter", "EXAMPLE.com.", DNS_A, "ok 192.0.2.1 192.0.2.2"},
    {"mail exchangers, a null one among them", "example.com", DNS_MX, "ok 10/mail.example.com 0/"},
    {"an alias is followed", "www.example.com", DNS_AAAA, "ok 2001:db8::1"},
    {"an alias asked for itself", "www.example.com", DNS_CNAME, "ok mail.example.com"},
    {"a type beside the alias", "www.example.com", (enum dns_type)65534, "ok 0 bytes"},
    {"aliases in a circle fail", "loop.example.com", DNS_A, "server failure"},
    {"an alias to nowhere", "gone.example.com", DNS_A, "no such name"},
    {"an empty name with names below", "under.example.com", DNS_TXT, "no data"},
    {"a name above the origin", "com", DNS_TXT, "no data"},
    {"an absent name", "absent.example.com", DNS_A, "no such name"},
    {"another type of a name", "mail.example.com", DNS_A, "no data"},
    {"strings are joined, escapes resolved", "txt.example.com", DNS_TXT,
     "ok 2'v=spf1 -all; \"q\" \xc8'"},
    {"a bare string", "bare.example.com", DNS_TXT, "ok 1'v=1'"},
    {"a known type in its unknown form", "wire.example.com", DNS_A, "ok 192.0.2.3"},
    {"an unknown type", "other.example.com", (enum dns_type)999, "ok 3 bytes"},
    {"an association for TLS", "dane.example.com", DNS_TLSA, "ok 311:4"},
    {"a name that merely exists", "exists.example.com", DNS_A, "no data"},
    {"a strange byte in a name", "odd NAME's.example.com", DNS_TXT, "ok 1'yes'"},
    {"a time-out spares what is held", "slow.example.com", DNS_TXT, "ok 1'here'"},
    {"a time-out for the rest", "slow.example.com", DNS_A, "time-out"},
    {"a failure of one type", "broken.example.com", DNS_A, "server failure"},
    {"a failure of one type spares the others", "broken.example.com", DNS_MX, "no data"},
    {"an alias to a failure", "toslow.example.com", DNS_MX, "time-out"},
    {"parentheses join lines", "example.com", DNS_SOA, "ok ns.example.com"},
    {"a name that is too long", NULL, DNS_A, "no such name"},
};

static void run_case(void **state)
{
    size_t at = (size_t)((const char *)*state - (const char *)cases) / sizeof cases[0];
    char name[400];
    struct dns_answer answer;
    struct buf out;
    struct err e;
    struct dns_zone *z = dns_zone_create(SLICE(file), &e);

    if (!z)
        fail_msg("%s", e.text);
    buf_init(&out, 1000);
    memset(name, 'x', sizeof name);
    struct slice asked =
        cases[at].question ? slice_of(cases[at].question) : (struct slice){name, sizeof name};
    dns_zone_answer(z, (struct dns_question){asked, cases[at].type}, &answer);
    print_answer(&answer, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, cases[at].answer);
    buf_finish(&out);
    dns_zone_destroy(&z);
}

static const struct {
    const char *name, *text, *error;
} refused[] = {
    {"a missing type", "a.example. 300 IN\n", "line 1: a type is missing: a.example."},
    {"an unknown type", "a.example. HINFO x\n", "line 1: unknown record type: HINFO"},
    {"an IPv6 address in A", "\na.example. A ::1\n", "line 2: A needs an IPv4 address: ::1"},
    {"leading zeroes", "a.example. A 1.2.3.04\n", "line 1: A needs an IPv4 address: 1.2.3.04"},
    {"an open string", "a TXT \"x\n", "line 1: a quoted string does not end on its line: x\n"},
    {"an open parenthesis", "a TXT ( x\n", "line 1: a parenthesis does not close: a"},
    {"an empty label", "a..b A 1.2.3.4\n",
     "line 1: this is no domain name that DNS can hold: a..b"},
    {"a dot inside a label", "a\\.b A 1.2.3.4\n",
     "line 1: this is no domain name that DNS can hold: a\\.b"},
    {"a wrong length", "a TYPE99 \\# 2 00\n", "line 1: the length is not the number of bytes: 2"},
    {"an unknown order", ";!explode a\n",
     "line 1: only ;!timeout and ;!servfail are known: explode"},
    {"an unknown directive", "$INCLUDE x\n",
     "line 1: only $ORIGIN and $TTL are known here: $INCLUDE"},
};

static void run_refused(void **state)
{
    size_t at = (size_t)((const char *)*state - (const char *)refused) / sizeof refused[0];
    struct err e = {.code = ERR_NONE};

    assert_null(dns_zone_create(slice_of(refused[at].text), &e));
    assert_int_equal(e.code, ERR_SYNTAX);
    assert_string_equal(e.text, refused[at].error);
}

static const struct {
    const char *name, *text;
    bool valid, host;
} names[] = {
    {"a host", "mail.example.com", true, true},
    {"a root dot", "example.com.", true, true},
    {"one label", "localhost", true, false},
    {"nothing", "", false, false},
    {"only a dot", ".", false, false},
    {"an empty label", "a..b", false, false},
    {"a dot in front", ".a", false, false},
    {"a hyphen at the end of a label", "a-.b", true, false},
    {"an underscore", "_dmarc.example.com", true, true},
    {"a space", "a b.c", true, false},
    {"a label of 64", "x.aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd", false,
     false},
};

static void run_name(void **state)
{
    size_t at = (size_t)((const char *)*state - (const char *)names) / sizeof names[0];
    struct slice name = slice_of(names[at].text);

    assert_int_equal(dns_name_is_valid(name), names[at].valid);
    assert_int_equal(dns_name_is_host(name), names[at].host);
}

static const struct {
    const char *name, *a, *network;
    unsigned bits;
    bool in;
} networks[] = {
    {"the same address", "192.0.2.1", "192.0.2.1", 32, true},
    {"a network of 25 bits, outside", "192.0.2.1", "192.0.2.129", 25, false},
    {"a network of 25 bits, inside", "192.0.2.130", "192.0.2.129", 25, true},
    {"no bits at all", "192.0.2.1", "10.0.0.0", 0, true},
    {"families do not mix", "192.0.2.1", "::", 0, false},
    {"sixty-three bits", "2001:db8:0:1::1", "2001:db8::", 63, true},
    {"sixty-four bits", "2001:db8:0:1::1", "2001:db8::", 64, false},
};

static void run_network(void **state)
{
    size_t at = (size_t)((const char *)*state - (const char *)networks) / sizeof networks[0];
    struct ip_address a, n;

    assert_true(ip_address_parse(slice_of(networks[at].a), &a));
    assert_true(ip_address_parse(slice_of(networks[at].network), &n));
    assert_int_equal(ip_address_in(&a, &n, networks[at].bits), networks[at].in);
}

static void the_forms_of_an_address(void **state)
{
    struct ip_address a;
    char text[IP_REVERSE_MAX], nibbles[IP_NIBBLES_MAX];

    (void)state;
    assert_true(ip_address_parse(SLICE("::ffff:192.0.2.1"), &a));
    a = ip_address_unmap(a);
    assert_int_equal(ip_address_reverse(&a, text), 22);
    assert_string_equal(text, "1.2.0.192.in-addr.arpa");
    assert_true(ip_address_parse(SLICE("2001:DB8::1"), &a));
    assert_int_equal(ip_address_reverse(&a, text), 72);
    assert_string_equal(text,
                        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert_int_equal(ip_address_nibbles(&a, nibbles), 63);
    assert_string_equal(nibbles, "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1");
    assert_false(ip_address_parse(SLICE("1.2.3"), &a));
    assert_int_equal(a.family, IP_NONE);
}

#define TABLE(table, run)                                                                          \
    for (size_t i = 0; i < COUNT(table); i++)                                                      \
        tests[n++] = (struct CMUnitTest)                                                           \
        {                                                                                          \
            (table)[i].name, run, NULL, NULL, (void *)(uintptr_t) & (table)[i]                     \
        }

int main(void)
{
    static struct CMUnitTest
        tests[COUNT(cases) + COUNT(refused) + COUNT(names) + COUNT(networks) + 1];
    size_t n = 0;

    TABLE(cases, run_case);
    TABLE(refused, run_refused);
    TABLE(names, run_name);
    TABLE(networks, run_network);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_forms_of_an_address);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
