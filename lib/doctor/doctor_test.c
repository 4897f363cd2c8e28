/* A played world: a zone file that says what is right, a case that changes it or what is true here,
 * and the rules that must be found. Each case is played twice: answers in order, and backwards. */
#include "lib/doctor/doctor.h"

#include "base/test.h"
#include "lib/dnsmsg/zone.h"
#include "lib/doctor/transport_in.h"

#define KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define OTHER_KEY "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
#define ZONE_MAX 16384

/* One name a line, so that a case can take a line's place by its beginning. */
static const char *const world[] = {
    "example.com. TXT \"v=spf1 ip4:192.0.2.1 ~all\"",
    "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"",
    "r.example.com. MX 10 mail.example.com.",
    "mail.example.com. A 192.0.2.1",
    "1.2.0.192.in-addr.arpa. PTR mail.example.com.",
    "s._domainkey.example.com. TXT \"v=DKIM1; k=ed25519; p=" KEY "\"",
    "_dmarc.example.com. TXT \"v=DMARC1; p=none; rua=mailto:d@example.com\"",
    "_mta-sts.r.example.com. TXT \"v=STSv1; id=1\"",
    "mta-sts.r.example.com. CNAME mail.example.com.",
    "_smtp._tls.r.example.com. TXT \"v=TLSRPTv1; rua=mailto:t@example.com\"",
};

static const struct doctor_case {
    const char *name;
    const char *changes; /* lines that take the place of those with the same name and type */
    const char *uses;  /* "IP/DOMAIN/VIA IP/DOMAIN ..." from the ledger, "IP" and "@SMART_HOST" from
                          the settings; NULL: --ip 192.0.2.1 */
    const char *found; /* rules in order, without the good ones; '?' behind temporary ones */
    const char *text;  /* must stand in one of the sentences or records, or NULL */
} cases[] = {
    {"all is well", NULL, NULL, "", "SPF allows the addresses in use, with 0 of 10 lookups"},
    {"an include that went away",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 include:gone.test -all\"", NULL, "spf-no-record",
     "gone.test does not exist"},
    {"an include whose target has no SPF record any more",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 include:mail.example.com -all\"", NULL,
     "spf-no-record", "mail.example.com has no SPF record"},
    {"the record to publish is without what went away",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 include:gone.test a:x.test -all\"", NULL,
     "spf-no-record spf-no-address", "\"v=spf1 ip4:192.0.2.1 -all\""},
    {"of two SPF records none is lost",
     "r.example.com. TXT \"v=spf1 include:s.test ~all\"\n"
     "r.example.com. TXT \"v=spf1 redirect=t.test\"\n"
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"\ns.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
     "t.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"",
     NULL, "spf-two-records", "\"v=spf1 include:s.test include:t.test ip4:192.0.2.1 -all\""},
    {"a service that is no longer used",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 include:s.test -all\"\n"
     "s.test. TXT \"v=spf1 ip4:203.0.113.0/24 ~all\"",
     NULL, "spf-unused-include", "include:s.test"},
    {"an include that DNS does not answer for is no fault",
     "r.example.com. TXT \"v=spf1 include:s.test -all\"\n;!servfail s.test TXT", NULL, "dns?",
     "no answer for TXT of s.test"},
    {"no answer at all is no fault", ";!timeout r.example.com TXT\n;!timeout r.example.com MX",
     NULL, "dns? dns?", NULL},
    {"no answer about the key", ";!servfail s._domainkey.example.com TXT", NULL, "dns?", NULL},
    {"another key", "s._domainkey.example.com. TXT \"v=DKIM1; k=ed25519; p=" OTHER_KEY "\"", NULL,
     "dkim-wrong-key", NULL},
    {"no answer about the policy", ";!servfail _dmarc.example.com TXT", NULL, "dns?", NULL},
    {"no policy, and no answer about where it might stand",
     "_dmarc.example.com. A 192.0.2.1\n;!servfail dmarc.example.com TXT", NULL, "dns?", NULL},
    {"a policy under the wrong name is moved, not written anew",
     "_dmarc.example.com. A 192.0.2.1\ndmarc.example.com. TXT \"v=DMARC1; p=reject; "
     "rua=mailto:x@example.com\"",
     NULL, "dmarc-wrong-name",
     "_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:x@example.com\""},
    {"no policy: reports go where init sends them", "_dmarc.example.com. A 192.0.2.1", NULL,
     "dmarc-missing", "rua=mailto:dmarc-reports@r.example.com"},
    {"two policies",
     "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"\n_dmarc.example.com. TXT \"v=DMARC1; "
     "p=none\"",
     NULL, "dmarc-two-records", "there are 2 DMARC records"},
    {"the testing flag is taken off",
     "_dmarc.example.com. TXT \"v=DMARC1;p=reject; T = y; rua=mailto:d@example.com\"", NULL,
     "dmarc-testing", "\"v=DMARC1; p=reject; rua=mailto:d@example.com\""},
    {"our name does not lead back", "mail.example.com. A 192.0.2.9", NULL, "ptr-not-confirmed",
     "mail.example.com. 3600 IN A 192.0.2.1"},
    {"another name does not lead back", "1.2.0.192.in-addr.arpa. PTR other.test.", NULL,
     "ptr-not-confirmed", "IN PTR mail.example.com."},
    {"no answer whether the name leads back",
     "1.2.0.192.in-addr.arpa. PTR other.test.\n;!servfail other.test A", NULL, "dns?", NULL},
    {"one of several names is ours",
     "1.2.0.192.in-addr.arpa. PTR other.test.\n1.2.0.192.in-addr.arpa. PTR mail.example.com.", NULL,
     "", NULL},
    {"an MX without an address",
     "r.example.com. MX 10 mail.example.com.\nr.example.com. MX 20 x.test.", NULL,
     "mx-without-address", "x.test"},
    {"terms that depend on the message are not judged by addresses",
     "r.example.com. TXT \"v=spf1 exists:%{i}.x.test include:%{ir}.y.test -all\"", NULL,
     "spf-depends", "depends on the message"},
    /* the ledger */
    {"an address really used that SPF does not allow", NULL,
     "192.0.2.1/r.example.com 192.0.2.2/r.example.com",
     "spf-missing-address spf-missing-address ptr-missing",
     "does not allow 192.0.2.2, which mail really"},
    {"each domain's record must allow its own mail only",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.2 -all\"\n2.2.0.192.in-addr.arpa. PTR "
     "mail.example.com.\n"
     "mail.example.com. A 192.0.2.1\nmail.example.com. A 192.0.2.2",
     "192.0.2.2/r.example.com 192.0.2.1/example.com", "", NULL},
    {"other domains' mail needs a name, not our SPF", "mail.example.com. A 192.0.2.1",
     "192.0.2.1/r.example.com 192.0.2.7/other.test", "ptr-missing", "192.0.2.7 has no name"},
    {"behind NAT it is said once", NULL, "10.0.0.1/r.example.com 10.0.0.2/example.com",
     "private-address", "private address 10.0.0.1"},
    {"loopback is only a hint", NULL, "127.0.0.2/r.example.com", "loopback-address", "127.0.0.2"},
    {"a public address beside a private one", NULL,
     "10.0.0.1/r.example.com 192.0.2.1/r.example.com", "", NULL},
    {"all mail goes through a smart host",
     "example.com. TXT \"v=spf1 include:s.test ~all\"\nr.example.com. TXT \"v=spf1 include:s.test "
     "-all\"\n"
     "s.test. TXT \"v=spf1 ip4:203.0.113.0/24 ~all\"",
     "192.0.2.1/r.example.com/relay.test:587", "", "all mail leaves through relay.test:587"},
    {"a smart host that SPF does not know", NULL, "192.0.2.1/r.example.com/relay.test",
     "spf-smart-host spf-smart-host", "nobody besides this server"},
    {"a smart host and no SPF record", "r.example.com. TXT \"x\"\nexample.com. TXT \"x\"",
     "192.0.2.1/r.example.com/relay.test", "spf-missing spf-missing", "there is no SPF record"},
    {"some mail through a smart host, and its include is in use",
     "r.example.com. TXT \"v=spf1 ip4:192.0.2.1 include:s.test -all\"\n"
     "s.test. TXT \"v=spf1 ip4:203.0.113.0/24 ~all\"",
     "192.0.2.1/r.example.com/relay.test 192.0.2.1/r.example.com", "", NULL},
    {"a smart host of the settings, as long as the ledger knows nothing",
     "example.com. TXT \"v=spf1 include:s.test ~all\"\nr.example.com. TXT \"v=spf1 include:s.test "
     "-all\"\n"
     "s.test. TXT \"v=spf1 ip4:203.0.113.0/24 ~all\"",
     "@relay.test 192.0.2.9", "", "all mail leaves through relay.test"},
    {"what the ledger knows is truer than the settings", NULL,
     "@relay.test 192.0.2.1/r.example.com", "", "SPF allows the addresses in use"},
    /* transport */
    {"no MTA-STS is only a hint", "_mta-sts.r.example.com. A 192.0.2.1", NULL, "mta-sts-missing",
     NULL},
    {"no TLS-RPT is only a hint", "_smtp._tls.r.example.com. A 192.0.2.1", NULL, "tls-rpt-missing",
     NULL},
    {"two MTA-STS records",
     "_mta-sts.r.example.com. TXT \"v=STSv1; id=1\"\n_mta-sts.r.example.com. TXT \"v=STSv1; id=2\"",
     NULL, "mta-sts-two-records", NULL},
    {"two TLS-RPT records",
     "_smtp._tls.r.example.com. TXT \"v=TLSRPTv1; rua=mailto:a@b.test\"\n"
     "_smtp._tls.r.example.com. TXT \"v=TLSRPTv1; rua=mailto:c@b.test\"",
     NULL, "tls-rpt-two-records", NULL},
    {"an MTA-STS record without id", "_mta-sts.r.example.com. TXT \"v=STSv1; mode=enforce\"", NULL,
     "mta-sts-broken", "there is no id="},
    {"an MTA-STS version in the wrong case", "_mta-sts.r.example.com. TXT \"v=stsv1; id=1\"", NULL,
     "mta-sts-broken", NULL},
    {"a wildcard's text is no MTA-STS record", "_mta-sts.r.example.com. TXT \"v=spf1 -all\"", NULL,
     "mta-sts-missing", NULL},
    {"the policy's host is not there", "mta-sts.r.example.com. TXT \"x\"", NULL, "mta-sts-host",
     NULL},
    {"no answer for the policy's host",
     "mta-sts.r.example.com. TXT \"x\"\n;!servfail mta-sts.r.example.com A", NULL, "dns?", NULL},
    {"what the domain itself says about TLS must be right too",
     "_mta-sts.example.com. TXT \"v=STSv1\"", NULL, "mta-sts-broken", NULL},
};

/* --- playing --- */

static bool same_set(struct slice a, struct slice b)
{
    for (int i = 0; i < 2; i++)
        if (!slice_eq_nocase(slice_cut(&a, ' '), slice_cut(&b, ' ')))
            return false;
    return true;
}

static bool is_replaced(const char *changes, const char *line)
{
    struct slice rest = slice_of(changes);

    while (rest.n > 0)
        if (same_set(slice_line(&rest), slice_of(line)))
            return true;
    return false;
}

/* A line `;!servfail NAME TYPE` makes that set fail, so it must not be there either. */
static bool is_failing(const char *changes, const char *line)
{
    struct slice rest = slice_of(changes);

    while (rest.n > 0) {
        struct slice change = slice_line(&rest), words = slice_of(line);
        struct slice name = slice_cut(&words, ' ');

        if (!slice_starts(change, SLICE(";!")))
            continue;
        (void)slice_cut(&change, ' ');
        name.n--; /* the root dot */
        if (slice_eq(slice_cut(&change, ' '), name) &&
            slice_eq(slice_cut(&words, ' '), slice_cut(&change, ' ')))
            return true;
    }
    return false;
}

static struct dns_zone *make_zone(const char *changes)
{
    struct dns_zone *z;
    struct buf text;
    struct err e;

    buf_init(&text, ZONE_MAX);
    for (size_t i = 0; i < COUNT(world); i++) {
        struct slice rest = slice_of(world[i]);
        struct slice name = slice_cut(&rest, ' ');
        /* A name that a case gives another type instead is gone with its old one. */
        bool gone = is_replaced(changes, world[i]) || is_failing(changes, world[i]);
        struct slice others = slice_of(changes);

        while (!gone && others.n > 0) {
            struct slice line = slice_line(&others);
            gone = slice_eq(slice_cut(&line, ' '), name) && slice_search(name, SLICE("r.ex")) != 0;
        }
        if (!gone)
            buf_printf(&text, "%s\n", world[i]);
    }
    buf_printf(&text, "%s\n", changes ? changes : "");
    z = dns_zone_create(buf_slice(&text), &e);
    if (!z)
        fail_msg("%s in:\n%.*s", e.text, SLICE_ARG(buf_slice(&text)));
    buf_finish(&text);
    return z;
}

static void add_uses(struct doctor_subject *s, const char *uses)
{
    struct slice rest = slice_of(uses);
    struct doctor_address a = {.origin = DOCTOR_FROM_OPTION};

    if (!uses) {
        assert_true(ip_address_parse(SLICE("192.0.2.1"), &a.ip));
        assert_true(doctor_add_address(s, &a));
    }
    while (rest.n > 0) {
        struct slice word = slice_cut(&rest, ' ');

        if (slice_starts(word, SLICE("@"))) { /* the settings' smart host */
            s->smart_host = slice_from(word, 1);
            continue;
        }
        a = (struct doctor_address){.messages = 1, .origin = DOCTOR_FROM_SETTING};
        assert_true(ip_address_parse(slice_cut(&word, '/'), &a.ip));
        a.domain = slice_cut(&word, '/');
        a.via = word;
        assert_true(a.domain.n > 0 ? doctor_add_use(s, &a) : doctor_add_address(s, &a));
    }
}

static void make_subject(struct doctor_subject *s, const char *uses)
{
    *s = (struct doctor_subject){.parts = DOCTOR_PART_ALL,
                                 .domain = SLICE("example.com"),
                                 .return_path = SLICE("r.example.com"),
                                 .hostname = SLICE("mail.example.com")};
    add_uses(s, uses);
    s->signers[s->signer_count++] =
        (struct doctor_signer){s->domain, SLICE("s"), SLICE("v=DKIM1; k=ed25519; p=" KEY)};
    assert_true(doctor_add_receiver(s, s->return_path));
}

/* Asks the zone until it is done; the answers of a round come in order or backwards. */
static unsigned play(struct doctor *d, const struct dns_zone *z, bool backwards)
{
    struct dns_question questions[DOCTOR_QUESTIONS_MAX];
    size_t numbers[DOCTOR_QUESTIONS_MAX];
    unsigned asked = 0;

    while (doctor_step(d) == STEP_WAIT) {
        size_t n = 0;

        while (doctor_question(d, &questions[n], &numbers[n]))
            n++;
        assert_true(n > 0);
        asked += (unsigned)n;
        for (size_t i = 0; i < n; i++) {
            size_t at = backwards ? n - 1 - i : i;
            struct dns_answer answer;

            if (i > 0)
                assert_int_equal(doctor_step(d), STEP_WAIT); /* not before all are there */
            dns_zone_answer(z, questions[at], &answer);
            doctor_answer(d, numbers[at], &answer);
            doctor_answer(d, numbers[at], &answer); /* twice is once */
        }
    }
    return asked;
}

static void list_rules(const struct doctor *d, const char *text, struct buf *rules)
{
    bool seen = !text;

    for (const struct doctor_finding *f = doctor_findings(d); f; f = f->next) {
        seen = seen || slice_search(f->text, slice_of(text)) != SLICE_NONE ||
               slice_search(f->publish, slice_of(text)) != SLICE_NONE;
        assert_true(f->area.n > 0 && f->name.n > 0);
        if (f->severity != DOCTOR_GOOD)
            buf_printf(rules, "%s%s%s", rules->n > 0 ? " " : "", f->rule, f->temporary ? "?" : "");
    }
    if (!seen)
        fail_msg("no finding says \"%s\"", text);
}

static void run_case(void **state)
{
    const struct doctor_case *c = *state;
    struct doctor_subject *s = mem_alloc(sizeof *s);
    struct dns_zone *z = make_zone(c->changes);
    struct buf rules;

    for (int backwards = 0; backwards < 2; backwards++) {
        make_subject(s, c->uses);
        struct doctor *d = doctor_create(s);
        (void)play(d, z, backwards != 0);
        buf_init(&rules, 4096);
        list_rules(d, c->text, &rules);
        buf_append_char(&rules, '\0');
        assert_string_equal(rules.p, c->found);
        buf_finish(&rules);
        doctor_destroy(&d);
    }
    dns_zone_destroy(&z);
    free(s);
}

/* --- ceilings --- */

/* One host after the other: more rounds than anybody should go. */
static void write_long_way(struct buf *zone)
{
    buf_append_text(zone, "example.com. TXT \"v=spf1\"");
    for (int i = 0; i < 40; i++)
        buf_printf(zone, " \" mx:m%d.test\"", i);
    buf_append_text(zone, " \" -all\"\n");
    for (int i = 0; i < 40; i++)
        for (int k = 0; k < 40; k++)
            buf_printf(zone, "m%d.test. MX 1 h%d.m%d.test.\n", i, k, i);
}

/* All at once: more questions than anybody should be asked. */
static void write_many_hosts(struct buf *zone)
{
    for (int i = 0; i < 500; i++)
        buf_printf(zone, "r.example.com. MX 1 h%d.test.\n", i);
}

static void it_gives_up(void **state)
{
    static void (*const writers[])(struct buf * zone) = {write_long_way, write_many_hosts};
    struct doctor_subject *s = mem_alloc(sizeof *s);
    struct buf zone, rules;
    struct err e;
    (void)state;

    for (size_t i = 0; i < COUNT(writers); i++) {
        buf_init(&zone, 1u << 20);
        buf_init(&rules, 65536);
        writers[i](&zone);
        struct dns_zone *z = dns_zone_create(buf_slice(&zone), &e);
        assert_non_null(z);
        make_subject(s, NULL);
        struct doctor *d = doctor_create(s);
        unsigned asked = play(d, z, false);
        assert_in_range(asked, i == 0 ? 100 : DOCTOR_QUESTIONS_MAX - 1, DOCTOR_QUESTIONS_MAX);
        list_rules(d, "not all was looked at", &rules);
        assert_true(slice_ends(buf_slice(&rules), SLICE("doctor-limit")));
        assert_true(slice_search(buf_slice(&rules), SLICE("dns?")) != SLICE_NONE);
        doctor_destroy(&d);
        dns_zone_destroy(&z);
        buf_finish(&zone);
        buf_finish(&rules);
    }
    free(s);
}

static void a_subject_has_ceilings(void **state)
{
    struct doctor_subject *s = mem_alloc(sizeof *s);
    struct doctor_address a = {.domain = SLICE("example.com"),
                               .messages = 1,
                               .first_ms = 5,
                               .last_ms = 7,
                               .ip = {.family = IP_V4}};
    char names[DOCTOR_RECEIVERS_MAX + 1][16];
    (void)state;

    make_subject(s, "");
    for (unsigned i = 0; i <= DOCTOR_ADDRESSES_MAX; i++) {
        a.ip.bytes[3] = (uint8_t)i;
        assert_int_equal(doctor_add_use(s, &a), i < DOCTOR_ADDRESSES_MAX);
    }
    a.ip.bytes[3] = 0;
    a.first_ms = 3;
    assert_true(doctor_add_use(s, &a)); /* joined with the one that is there */
    assert_int_equal(s->addresses[0].messages, 2);
    assert_int_equal(s->addresses[0].first_ms, 3);
    assert_int_equal(s->addresses[0].last_ms, 7);
    s->receiver_count = 0;
    for (unsigned i = 0; i <= DOCTOR_RECEIVERS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "d%u.test", i);
        assert_int_equal(doctor_add_receiver(s, slice_of(names[i])), i < DOCTOR_RECEIVERS_MAX);
    }
    free(s);
}

/* A subject for a part looks at that part only. */
static void parts_are_apart(void **state)
{
    static const struct {
        unsigned parts;
        const char *areas;
    } parts[] = {
        {DOCTOR_PART_AUTHOR, "spf example.com dkim s._domainkey.example.com dmarc example.com "},
        {DOCTOR_PART_RETURN_PATH, "spf r.example.com mx r.example.com "},
        {DOCTOR_PART_HOST, "ptr 1.2.0.192.in-addr.arpa "},
    };
    struct doctor_subject *s = mem_alloc(sizeof *s);
    struct dns_zone *z = make_zone(NULL);
    struct buf areas;
    (void)state;

    for (size_t i = 0; i < COUNT(parts); i++) {
        make_subject(s, NULL);
        s->parts = parts[i].parts;
        s->receiver_count = 0;
        struct doctor *d = doctor_create(s);
        (void)play(d, z, false);
        buf_init(&areas, 4096);
        for (const struct doctor_finding *f = doctor_findings(d); f; f = f->next)
            buf_printf(&areas, "%.*s ", SLICE_ARG(f->area));
        buf_append_char(&areas, '\0');
        assert_string_equal(areas.p, parts[i].areas);
        buf_finish(&areas);
        doctor_destroy(&d);
    }
    dns_zone_destroy(&z);
    free(s);
}

/* --- the grammars of the two TLS records --- */

static const struct record_case {
    const char *text, *value; /* NULL: broken */
    bool is_sts;
} records[] = {
    {"v=STSv1; id=20160831085700Z;", "20160831085700Z", true}, /* RFC 8461 3.1 */
    {"v=STSv1;id=a", "a", true},
    {"v=STSv1 ; \tid=a ; x=1", "a", true},
    {"v=STSv1; id=", NULL, true},
    {"v=STSv1; id=a; id=b", NULL, true},
    {"v=STSv1; id=a-b", NULL, true},
    {"v=STSv1; id=123456789012345678901234567890123", NULL, true},
    {"v=STSv1; id =a", NULL, true},
    {"v=STSv1; id=a;;", NULL, true},
    {"v=STSv1", NULL, true},
    {"id=a; v=STSv1", NULL, true},
    {"v=TLSRPTv1;rua=mailto:reports@example.com", "mailto:reports@example.com", false},
    {"v=TLSRPTv1; rua = https://reporting.example.com/v1/tlsrpt , mailto:a@b",
     "https://reporting.example.com/v1/tlsrpt , mailto:a@b", false},
    {"v=TLSRPTv1; rua=ftp://x", NULL, false},
    {"v=TLSRPTv1; rua=mailto:nobody", NULL, false},
    {"v=TLSRPTv1; rua=mailto:a@b!10m", NULL, false},
    {"v=TLSRPTv1; rua=reports@example.com", NULL, false},
    {"v=TLSRPTv1;", NULL, false},
};

static void records_are_read(void **state)
{
    struct slice value;
    struct err e;
    (void)state;

    for (size_t i = 0; i < COUNT(records); i++) {
        const struct record_case *r = &records[i];
        int result = r->is_sts ? sts_record_read(slice_of(r->text), &value, &e)
                               : tlsrpt_record_read(slice_of(r->text), &value, &e);

        if ((result == 0) != (r->value != NULL) ||
            (result == 0 && !slice_eq(value, slice_of(r->value))))
            fail_msg("%s: %.*s", r->text, SLICE_ARG(value));
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 4];
    size_t n = 0;

    for (; n < COUNT(cases); n++)
        tests[n] =
            (struct CMUnitTest){cases[n].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[n]};
    tests[n++] = (struct CMUnitTest){"too many questions", it_gives_up, NULL, NULL, NULL};
    tests[n++] =
        (struct CMUnitTest){"a subject has ceilings", a_subject_has_ceilings, NULL, NULL, NULL};
    tests[n++] = (struct CMUnitTest){"parts are apart", parts_are_apart, NULL, NULL, NULL};
    tests[n++] = (struct CMUnitTest){"the records of MTA-STS and TLS-RPT", records_are_read, NULL,
                                     NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
