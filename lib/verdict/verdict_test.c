#include "lib/verdict/verdict.h"

#include "base/test.h"
#include "base/utf8.h"
#include "lib/authres/authres.h"
#include "lib/dkim/sign.h"
#include "lib/dnsmsg/zone.h"

#define NOW_S 1700000000

static const struct verdict_case {
    const char *name, *zone, *client, *from;
    bool sign;
    enum spf_result spf;
    enum dmarc_result dmarc;
    const char *field; /* is somewhere in Authentication-Results */
} cases[] = {
    {"SPF alone carries DMARC", "example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n", "192.0.2.1",
     "From: a@example.com\r\n", false, SPF_PASS, DMARC_PASS, "dmarc=pass"},
    {"DKIM alone carries DMARC", "example.com. TXT \"v=spf1 -all\"\n", "192.0.2.1",
     "From: a@example.com\r\n", true, SPF_FAIL, DMARC_PASS, "header.d=example.com"},
    {"neither passes", "example.com. TXT \"v=spf1 -all\"\n", "192.0.2.1", "From: a@example.com\r\n",
     false, SPF_FAIL, DMARC_FAIL, "policy.dmarc=reject"},
    {"without a client SPF is none", "example.com. TXT \"v=spf1 -all\"\n", NULL,
     "From: a@example.com\r\n", true, SPF_NONE, DMARC_PASS, "spf=none"},
    {"two authors of one domain", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1",
     "From: a@example.com, b@EXAMPLE.com\r\n", false, SPF_PASS, DMARC_PASS, "dmarc=pass"},
    {"authors of two domains are nobody", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1",
     "From: a@example.com, b@example.org\r\n", false, SPF_PASS, DMARC_PERMERROR, "dmarc=permerror"},
    {"two From fields", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1",
     "From: a@example.com\r\nfrom : b@example.com\r\n", false, SPF_PASS, DMARC_PERMERROR,
     "dmarc=permerror"},
    {"a second From field behind a line that is none", "example.com. TXT \"v=spf1 +all\"\n",
     "192.0.2.1", "From: a@example.com\r\nno field\r\nFROM : b@example.com\r\n", false, SPF_PASS,
     DMARC_PERMERROR, "dmarc=permerror"},
    {"a group of authors", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1",
     "From: \"the, board\": a@example.com;\r\n", false, SPF_PASS, DMARC_PASS, "dmarc=pass"},
    {"nobody in the group", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1", "From: board:;\r\n",
     false, SPF_PASS, DMARC_PERMERROR, "dmarc=permerror"},
    {"a silent SPF server leaves DMARC open", ";!timeout example.com. TXT\n", "192.0.2.1",
     "From: a@example.com\r\n", false, SPF_TEMPERROR, DMARC_TEMPERROR, "dmarc=temperror"},
    {"a silent SPF server leaves DKIM alone", ";!timeout example.com. TXT\n", "192.0.2.1",
     "From: a@example.com\r\n", true, SPF_TEMPERROR, DMARC_PASS, "spf=temperror"},
};

static void sign(struct crypt_key *key, struct slice header, struct slice body, struct buf *out)
{
    struct dkim_signer *signer = dkim_signer_create();
    struct dkim_sign_spec spec = {.domain = SLICE("example.com"),
                                  .selector = SLICE("s"),
                                  .algorithm = DKIM_ED25519_SHA256,
                                  .header_canon = CANON_RELAXED,
                                  .body_canon = CANON_RELAXED};
    struct dkim_sign_options options = {.specs = &spec, .spec_count = 1, .signed_at_s = NOW_S};
    struct buf signature;
    struct err e;

    buf_init(&signature, CRYPT_SIGNATURE_MAX_BYTES);
    assert_int_equal(dkim_signer_begin(signer, &options, header, &e), 0);
    dkim_signer_body(signer, body);
    dkim_signer_finish(signer);
    assert_int_equal(crypt_key_sign(key, dkim_signer_digest(signer, 0), &signature, &e), 0);
    assert_int_equal(dkim_signer_answer(signer, 0, buf_slice(&signature), &e), 0);
    assert_int_equal(dkim_signer_write(signer, out, &e), 0);
    buf_finish(&signature);
    dkim_signer_destroy(&signer);
}

static void answer_all(struct verdict *v, const struct dns_zone *zone)
{
    struct dns_question question;
    uint64_t id;

    while (verdict_question(v, &id, &question)) {
        struct dns_answer answer;

        dns_zone_answer(zone, question, &answer);
        verdict_answer(v, id, &answer);
    }
}

static void run_case(void **state)
{
    const struct verdict_case *c = *state;
    struct slice body = SLICE("Hello.\r\n");
    struct verdict_request request = {.helo = SLICE("mail.example.com"),
                                      .mail_from = SLICE("bounce@example.com"),
                                      .receiver = SLICE("mx.example.net"),
                                      .unix_s = NOW_S};
    struct verdict *v = verdict_create(NULL);
    struct crypt_key *key;
    struct buf zone_text, header, record, field;
    struct err e;

    buf_init(&zone_text, 65536);
    buf_init(&header, 65536);
    buf_init(&record, 65536);
    buf_init(&field, 65536);
    assert_int_equal(crypt_key_generate(CRYPT_ED25519, 0, &key, &e), 0);
    assert_int_equal(dkim_record_write(key, &record, &e), 0);
    buf_printf(&zone_text, "%s_dmarc.example.com. TXT \"v=DMARC1; p=reject\"\n", c->zone);
    buf_append_text(&zone_text, "s._domainkey.example.com. TXT ");
    dkim_record_quote(buf_slice(&record), &zone_text);
    buf_append_char(&zone_text, '\n');
    struct dns_zone *zone = dns_zone_create(buf_slice(&zone_text), &e);
    assert_non_null(zone);
    if (c->sign)
        sign(key, slice_of(c->from), body, &header);
    buf_append_text(&header, c->from);
    if (c->client)
        assert_true(ip_address_parse(slice_of(c->client), &request.client));

    for (unsigned twice = 0; twice < 2; twice++) { /* begun again, it judges the same */
        assert_int_equal(verdict_begin(v, &request, buf_slice(&header), &e), 0);
        answer_all(v, zone); /* while the body is not there yet */
        assert_int_equal(verdict_step(v), STEP_WAIT);
        verdict_body(v, body);
        verdict_finish(v);
        answer_all(v, zone);
        assert_int_equal(verdict_step(v), STEP_DONE);
        assert_int_equal(verdict_spf(v)->result, c->spf);
        assert_int_equal(verdict_dkim_count(v), c->sign);
        assert_int_equal(verdict_dmarc(v)->result, c->dmarc);
        buf_clear(&field);
        verdict_results_field(v, request.receiver, &field);
        verdict_received_spf(v, &field);
        assert_true(slice_search(buf_slice(&field), slice_of(c->field)) != SLICE_NONE);
    }
    crypt_key_destroy(&key);
    verdict_destroy(&v);
    dns_zone_destroy(&zone);
    buf_finish(&zone_text);
    buf_finish(&header);
    buf_finish(&record);
    buf_finish(&field);
}

/* What strangers write must stand in the fields as a value and as nothing else. */
static const struct hostile_case {
    const char *name, *from, *helo;
} hostile[] = {
    {"line ends", "a\r\nX: y@example.com", "h\r\n\r\nbody"},
    {"quotes", "\"a\\\"; dkim=pass\"@example.com", "\"\\"},
    {"brackets", "a(b)c)(@example.com", ")(\\"},
    {"other results", "a; dkim=pass header.d=example.com", "h; spf=pass"},
    {"octets that are no UTF-8", "\xff\xfe@\x80.example", "\xc3"},
    {"UTF-8",
     "j\xc3\xbcrgen@b\xc3\xbc"
     "cher.example",
     "\xe2\x80\xa8"},
    {"dots and signs", ".a..b.@@x@", "..."},
    {"nearly nothing", "@", "="},
};

static void run_hostile(void **state)
{
    const struct hostile_case *c = *state;
    char longer[3000];
    struct slice senders[] = {slice_of(c->from), SLICE(""), {longer, sizeof longer}};
    struct verdict_request request = {
        .helo = slice_of(c->helo), .client = {IP_V4, {192, 0, 2, 1}}, .unix_s = NOW_S};
    struct verdict *v = verdict_create(NULL);
    struct dns_answer none = {.status = DNS_NXDOMAIN};
    struct dns_question question;
    struct arena *arena = arena_create(1 << 20);
    struct buf field;
    struct authres a;
    struct err e;
    uint64_t id;

    buf_init(&field, 1 << 20);
    for (size_t i = 0; i < sizeof longer; i++)
        longer[i] = c->from[i % strlen(c->from)];
    for (size_t i = 0; i < COUNT(senders); i++) {
        request.mail_from = senders[i];
        assert_int_equal(verdict_begin(v, &request,
                                       SLICE("From: a@example.com\r\n"
                                             "DKIM-Signature: v=1; d=a(;\r\n s=\"; a=)\\; x\r\n"),
                                       &e),
                         0);
        verdict_finish(v);
        while (verdict_question(v, &id, &question))
            verdict_answer(v, id, &none);
        assert_int_equal(verdict_step(v), STEP_DONE);
        buf_clear(&field);
        verdict_results_field(v, SLICE("mx.example.net"), &field);
        struct slice value = slice_from(buf_slice(&field), strlen("Authentication-Results:"));
        if (authres_parse(value, arena, &a, &e))
            fail_msg("%s: %.*s", e.text, SLICE_ARG(value));
        size_t results = 0;
        for (const struct authres_result *r = a.results; r; r = r->next)
            results++;
        assert_int_equal(results, 3); /* spf, dkim, dmarc: nobody added one */
        assert_true(slice_eq(a.results->method, SLICE("spf")));
        assert_true(slice_eq(a.results->next->method, SLICE("dkim")));
        verdict_received_spf(v, &field);
        for (struct slice rest = buf_slice(&field); rest.n > 0;) {
            struct slice line = slice_line(&rest);

            assert_in_range(line.n, 1, 998);
            assert_true(line.p[0] == ' ' || slice_starts(line, SLICE("Authentication-Results: ")) ||
                        slice_starts(line, SLICE("Received-SPF: ")));
        }
        assert_true(utf8_valid(buf_slice(&field)));
    }
    buf_finish(&field);
    arena_destroy(&arena);
    verdict_destroy(&v);
}

/* d= in U-labels is aligned with an author in A-labels. */
static void names_are_compared_as_a_labels(void **state)
{
    struct verdict *v = verdict_create(NULL);
    struct verdict_request request = {.client = {IP_V4, {192, 0, 2, 1}},
                                      .mail_from = SLICE("a@b\xc3\xbc"
                                                         "cher.example"),
                                      .unix_s = NOW_S};
    struct err e;
    struct dns_question question;
    uint64_t id;
    struct dns_zone *zone =
        dns_zone_create(SLICE("xn--bcher-kva.example. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
                              "_dmarc.xn--bcher-kva.example. TXT \"v=DMARC1; p=reject; aspf=s\"\n"),
                        &e);

    (void)state;
    assert_non_null(zone);
    assert_int_equal(verdict_begin(v, &request, SLICE("From: x@xn--bcher-kva.example\r\n"), &e), 0);
    verdict_finish(v);
    while (verdict_question(v, &id, &question)) {
        struct dns_answer answer;

        dns_zone_answer(zone, question, &answer);
        verdict_answer(v, id, &answer);
    }
    assert_int_equal(verdict_step(v), STEP_DONE);
    assert_int_equal(verdict_dmarc(v)->result, DMARC_PASS);
    dns_zone_destroy(&zone);
    verdict_destroy(&v);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + COUNT(hostile) + 1] = {
        cmocka_unit_test(names_are_compared_as_a_labels)};
    size_t n = 1;

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[n++] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    for (size_t i = 0; i < COUNT(hostile); i++)
        tests[n++] = (struct CMUnitTest){hostile[i].name, run_hostile, NULL, NULL,
                                         (void *)(uintptr_t)&hostile[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
