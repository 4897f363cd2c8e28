#include "lib/verdict/verdict.h"

#include "base/test.h"
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
    {"two authors are nobody", "example.com. TXT \"v=spf1 +all\"\n", "192.0.2.1",
     "From: a@example.com, b@example.com\r\n", false, SPF_PASS, DMARC_PERMERROR, "dmarc=permerror"},
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

int main(void)
{
    RUN_TABLE(cases, run_case);
}
