/* The public faces together: what one signs, the other verifies. */
#include <waybill/dkim.h>
#include <waybill/verify.h>

#include "base/test.h"
#include "lib/crypt/key.h"
#include "lib/dkim/record.h"

#define NOW_S 1700000000

static const char header[] = "From: a@example.com\r\nSubject: x\r\n\r\n";
static const char body[] = "Hello.\r\n";

static const struct library_case {
    const char *name, *client, *sent_body;
    enum waybill_dns_status status; /* of every answer */
    enum crypt_key_type type;
    enum waybill_result spf, dkim, dmarc;
} cases[] = {
    {"an RSA signature", "192.0.2.1", body, WAYBILL_DNS_OK, CRYPT_RSA, WAYBILL_PASS, WAYBILL_PASS,
     WAYBILL_PASS},
    {"an Ed25519 signature, from elsewhere", "192.0.2.2", body, WAYBILL_DNS_OK, CRYPT_ED25519,
     WAYBILL_FAIL, WAYBILL_PASS, WAYBILL_PASS},
    {"a changed body, from elsewhere", "192.0.2.2", "Hullo.\r\n", WAYBILL_DNS_OK, CRYPT_ED25519,
     WAYBILL_FAIL, WAYBILL_FAIL, WAYBILL_FAIL},
    {"an unknown client", NULL, body, WAYBILL_DNS_OK, CRYPT_ED25519, WAYBILL_NONE, WAYBILL_PASS,
     WAYBILL_PASS},
    {"no DNS", "192.0.2.1", body, WAYBILL_DNS_TIMEOUT, CRYPT_ED25519, WAYBILL_TEMPERROR,
     WAYBILL_TEMPERROR, WAYBILL_TEMPERROR},
};

static void answer(const struct library_case *c, struct waybill_verifier *v,
                   const struct waybill_dns_question *q, struct slice key_record)
{
    struct slice name = slice_of(q->name);
    struct slice text = slice_ends(name, SLICE("_domainkey.example.com")) ? key_record
                        : slice_eq(name, SLICE("_dmarc.example.com")) ? SLICE("v=DMARC1; p=reject")
                        : slice_eq(name, SLICE("example.com")) ? SLICE("v=spf1 ip4:192.0.2.1 -all")
                                                               : SLICE("");
    struct waybill_dns_record record = {.data = text.p, .size = text.n};
    struct waybill_dns_answer a = {.status = c->status, .records = &record, .count = 1};

    assert_int_equal(q->type, WAYBILL_DNS_TXT);
    if (a.status == WAYBILL_DNS_OK && text.n == 0)
        a = (struct waybill_dns_answer){.status = WAYBILL_DNS_NXDOMAIN};
    waybill_verifier_answer(v, q->id, &a);
    waybill_verifier_answer(v, q->id, &a); /* a second answer is not heard */
}

static void sign(struct crypt_key *key, struct buf *out)
{
    struct waybill_signer *s = waybill_signer_create();
    struct waybill_text fields;
    struct waybill_error error;
    struct buf pem;
    struct err e;

    buf_init(&pem, CRYPT_KEY_FILE_MAX_BYTES);
    assert_int_equal(waybill_signer_begin(s, header, sizeof header - 1, NOW_S, &error), -1);
    assert_int_equal(waybill_signer_add_key(s, "example.com", "s", "no key", 6, &error), -1);
    assert_int_equal(crypt_key_write_private(key, &pem, &e), 0);
    assert_int_equal(waybill_signer_add_key(s, "example.com", "s", pem.p, pem.n, &error), 0);
    assert_int_equal(waybill_signer_begin(s, "X: y\r\n", 6, NOW_S, &error), -1); /* no From */
    assert_int_equal(waybill_signer_begin(s, header, sizeof header - 1, NOW_S, &error), 0);
    for (size_t i = 0; body[i]; i++)
        waybill_signer_body(s, &body[i], 1);
    assert_int_equal(waybill_signer_finish(s, &fields, &error), 0);
    buf_append(out, (struct slice){fields.bytes, fields.size});
    buf_append_text(out, header);
    buf_finish(&pem);
    waybill_signer_destroy(&s);
    assert_null(s);
}

static void run_case(void **state)
{
    const struct library_case *c = *state;
    const struct waybill_verify_request request = {.struct_size = sizeof request,
                                                   .client_ip = c->client,
                                                   .helo = "mail.example.com",
                                                   .mail_from = "a@example.com",
                                                   .receiver = "mx.example.net",
                                                   .unix_time = NOW_S};
    struct waybill_verifier *v = waybill_verifier_create();
    const struct waybill_verify_result *r;
    struct crypt_key *key;
    struct buf signed_header, record;
    struct err e;

    buf_init(&signed_header, 65536);
    buf_init(&record, DKIM_RECORD_MAX_BYTES);
    assert_int_equal(crypt_key_generate(c->type, 2048, &key, &e), 0);
    assert_int_equal(dkim_record_write(key, &record, &e), 0);
    sign(key, &signed_header);
    assert_int_equal(waybill_verifier_begin(v, &request, signed_header.p, signed_header.n, NULL),
                     0);
    waybill_verifier_body(v, c->sent_body, strlen(c->sent_body));
    waybill_verifier_finish(v);
    assert_null(waybill_verifier_result(v));
    for (struct waybill_dns_question q; waybill_verifier_question(v, &q);)
        answer(c, v, &q, buf_slice(&record));
    r = waybill_verifier_result(v);
    assert_non_null(r);
    assert_int_equal(r->spf->result, c->spf);
    assert_int_equal(r->dkim_count, 1);
    assert_int_equal(r->dkim[0]->result, c->dkim);
    assert_int_equal(r->dmarc, c->dmarc);
    assert_int_equal(r->disposition, c->dmarc == WAYBILL_FAIL ? WAYBILL_REJECT : WAYBILL_ACCEPT);
    assert_true(slice_starts((struct slice){r->results_field.bytes, r->results_field.size},
                             SLICE("Authentication-Results: mx.example.net;")));
    assert_int_equal(waybill_verifier_answer_wire(v, 7, "", 0, NULL), -1);
    crypt_key_destroy(&key);
    waybill_verifier_destroy(&v);
    waybill_verifier_destroy(&v); /* twice is fine */
    buf_finish(&signed_header);
    buf_finish(&record);
}

static void a_client_that_is_no_address_is_refused(void **state)
{
    const struct waybill_verify_request request = {.client_ip = "localhost"};
    struct waybill_verifier *v = waybill_verifier_create();
    struct waybill_error error;
    (void)state;

    assert_int_equal(waybill_verifier_begin(v, &request, header, sizeof header - 1, &error), -1);
    assert_true(error.text[0] != '\0');
    /* without a begin nothing is heard, and nothing is asked */
    struct waybill_dns_question question;
    waybill_verifier_body(v, body, sizeof body - 1);
    waybill_verifier_finish(v);
    waybill_verifier_finish(v);
    assert_false(waybill_verifier_question(v, &question));
    assert_null(waybill_verifier_result(v));
    waybill_verifier_destroy(&v);
}

/* A program that was compiled when the request ended behind the sender. */
static void an_older_request_is_understood(void **state)
{
    struct waybill_verify_request request = {
        .struct_size = offsetof(struct waybill_verify_request, receiver),
        .client_ip = "192.0.2.1",
        .mail_from = "a@example.com",
        .receiver = (const char *)1}; /* lies behind its end: not to be read */
    struct waybill_verifier *v = waybill_verifier_create();
    struct waybill_error error;
    (void)state;

    assert_int_equal(waybill_verifier_begin(v, &request, header, sizeof header - 1, &error), 0);
    waybill_verifier_destroy(&v);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {
        cmocka_unit_test(a_client_that_is_no_address_is_refused),
        cmocka_unit_test(an_older_request_is_understood)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
