/* waybill bench dkim: how near signing and verifying a message come to the bare operation. */
#include "app/bench.h"

#include <time.h>

#include "app/cli.h"
#include "base/json.h"
#include "lib/dkim/sign.h"
#include "lib/dkim/verify.h"

#define BODY_BYTES 10240
#define ROUNDS 20          /* bare and whole by turns, so that both meet the same noise */
#define ROUND_NS 100000000 /* of CPU time, for each of them in each round */
#define NOW_S 1700000000

struct bench_dkim {
    struct crypt_key *key;
    struct slice header, body;
    struct dkim_sign_spec spec;
    struct dkim_sign_options options;
    struct dkim_signer *signer;
    struct dkim_verifier *verifier;
    struct dns_record record;
    struct dns_answer answer;
    struct buf signature, field, header_signed;
};

static int64_t cpu_ns(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        cli_die("this system does not measure CPU time");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void need(int result, const struct err *err)
{
    if (result != 0)
        cli_die("%s", err->text);
}

/* --- the four things that are measured --- */

static void bare_sign(struct bench_dkim *b)
{
    struct err err;

    buf_clear(&b->signature);
    need(crypt_key_sign(b->key, slice_sub(b->body, 0, 32), &b->signature, &err), &err);
}

static void whole_sign(struct bench_dkim *b)
{
    struct err err;

    need(dkim_signer_begin(b->signer, &b->options, b->header, &err), &err);
    dkim_signer_body(b->signer, b->body);
    dkim_signer_finish(b->signer);
    buf_clear(&b->signature);
    need(crypt_key_sign(b->key, dkim_signer_digest(b->signer, 0), &b->signature, &err), &err);
    need(dkim_signer_answer(b->signer, 0, buf_slice(&b->signature), &err), &err);
    buf_clear(&b->field);
    need(dkim_signer_write(b->signer, &b->field, &err), &err);
}

static void bare_verify(struct bench_dkim *b)
{
    if (!crypt_key_verify(b->key, CRYPT_SHA256, slice_sub(b->body, 0, 32),
                          buf_slice(&b->signature)))
        cli_die("a signature of our own does not verify");
}

static void whole_verify(struct bench_dkim *b)
{
    struct dns_question question;
    struct err err;
    size_t id;

    need(dkim_verifier_begin(b->verifier, buf_slice(&b->header_signed), &err), &err);
    dkim_verifier_body(b->verifier, b->body);
    dkim_verifier_finish(b->verifier);
    while (dkim_verifier_question(b->verifier, &id, &question))
        dkim_verifier_answer(b->verifier, id, &b->answer);
    if (dkim_verifier_step(b->verifier) != STEP_DONE ||
        dkim_verifier_verdict(b->verifier, 0)->result != DKIM_PASS)
        cli_die("a message of our own does not verify: %s",
                dkim_verifier_verdict(b->verifier, 0)->reason);
}

typedef void operation(struct bench_dkim *b);

struct rate {
    int64_t ns, count;
};
static double per_second(const struct rate *r)
{
    return r->ns > 0 ? (double)r->count * 1e9 / (double)r->ns : 0;
}

static void run_round(struct bench_dkim *b, operation *run, struct rate *rate)
{
    int64_t start = cpu_ns(), spent = 0;

    while (spent < ROUND_NS) {
        for (unsigned i = 0; i < 16; i++)
            run(b);
        rate->count += 16;
        spent = cpu_ns() - start;
    }
    rate->ns += spent;
}

static void report(struct bench_dkim *b, const char *name, operation *bare, operation *whole,
                   struct json *j, struct buf *out)
{
    struct rate limit = {0, 0}, got = {0, 0};

    for (unsigned i = 0; i < ROUNDS; i++) {
        bare(b); /* verify needs the signature over the bare digest */
        run_round(b, bare, &limit);
        run_round(b, whole, &got);
        if (bare == bare_verify)
            bare_sign(b);
    }
    if (j != NULL) {
        json_key(j, name);
        json_object(j);
        json_key(j, "limit_per_s");
        json_double(j, per_second(&limit), 0);
        json_key(j, "messages_per_s");
        json_double(j, per_second(&got), 0);
        json_key(j, "ratio");
        json_double(j, per_second(&got) / per_second(&limit), 3);
        json_end(j);
        return;
    }
    buf_printf(out, "%-16s %10.0f/s %10.0f/s %8.2f\n", name, per_second(&limit), per_second(&got),
               per_second(&got) / per_second(&limit));
}

/* --- a message of ten kilobytes, as people write them --- */

static void make_message(struct buf *header, struct buf *body)
{
    static const char *const words[] = {"the", "message", "travels",  "with", "a",    "paper,",
                                        "and", "every",   "hand",     "that", "held", "it",
                                        "is",  "written", "on  this", "one.", "=20",  "<p>"};
    size_t column = 0;

    buf_append_text(header,
                    "Received: from client.example (client.example [192.0.2.1])\r\n"
                    "\tby mx.example (Waybill) with ESMTPS id 01J0000000000000000000000A\r\n"
                    "\tfor <someone@example.net>; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                    "From: A Person <person@bench.example>\r\n"
                    "To: Some One <someone@example.net>\r\n"
                    "Subject: A message of ten kilobytes\r\n"
                    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                    "Message-ID: <01J0000000000000000000000A@bench.example>\r\n"
                    "MIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n"
                    "List-Unsubscribe: <https://bench.example/u/1>\r\n"
                    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    for (size_t i = 0; body->n < BODY_BYTES; i = (i * 5 + 7) % 9973) {
        const char *word = words[i % COUNT(words)];

        bool first = column == 0 || column + strlen(word) > 74;

        if (first && column > 0) {
            buf_append_text(body, "\r\n");
            column = 0;
        }
        buf_printf(body, "%s%s", first ? "" : " ", word);
        column += strlen(word) + 1;
    }
}

static void bench_key(enum crypt_key_type type, const char *name, struct json *j, struct buf *out)
{
    struct dkim_verify_options options = {.now_unix_s = NOW_S};
    struct bench_dkim b = {.signer = dkim_signer_create(),
                           .verifier = dkim_verifier_create(&options)};
    struct buf header, body, text;
    char label[32];
    struct err err;

    buf_init(&header, 65536);
    buf_init(&body, 65536);
    buf_init(&text, DKIM_RECORD_MAX_BYTES);
    buf_init(&b.signature, CRYPT_SIGNATURE_MAX_BYTES);
    buf_init(&b.field, 65536);
    buf_init(&b.header_signed, 65536);
    make_message(&header, &body);
    b.header = buf_slice(&header);
    b.body = buf_slice(&body);
    need(crypt_key_generate(type, 2048, &b.key, &err), &err);
    need(dkim_record_write(b.key, &text, &err), &err);
    b.record = (struct dns_record){.type = DNS_TXT, .text = buf_slice(&text)};
    b.answer = (struct dns_answer){.status = DNS_OK, .records = &b.record, .count = 1};
    b.spec = (struct dkim_sign_spec){SLICE("bench.example"),
                                     SLICE("s1"),
                                     SLICE(""),
                                     type == CRYPT_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256,
                                     CANON_RELAXED,
                                     CANON_RELAXED};
    b.options = (struct dkim_sign_options){.specs = &b.spec, .spec_count = 1, .signed_at_s = NOW_S};
    whole_sign(&b);
    buf_append(&b.header_signed, buf_slice(&b.field));
    buf_append(&b.header_signed, b.header);
    (void)snprintf(label, sizeof label, "%s%s", name, j != NULL ? "_sign" : " sign");
    report(&b, label, bare_sign, whole_sign, j, out);
    (void)snprintf(label, sizeof label, "%s%s", name, j != NULL ? "_verify" : " verify");
    bare_sign(&b);
    report(&b, label, bare_verify, whole_verify, j, out);
    crypt_key_destroy(&b.key);
    dkim_signer_destroy(&b.signer);
    dkim_verifier_destroy(&b.verifier);
    buf_finish(&header);
    buf_finish(&body);
    buf_finish(&text);
    buf_finish(&b.signature);
    buf_finish(&b.field);
    buf_finish(&b.header_signed);
}

int bench_dkim(bool json)
{
    struct buf out;
    struct json j;

    buf_init(&out, 65536);
    json_begin(&j, &out);
    if (json)
        json_object(&j);
    else
        buf_printf(&out,
                   "One thread, a message of %d bytes, relaxed/relaxed, keys cached.\n"
                   "%-16s %12s %12s %8s\n",
                   BODY_BYTES, "", "operation", "message", "ratio");
    bench_key(CRYPT_RSA, "rsa2048", json ? &j : NULL, &out);
    bench_key(CRYPT_ED25519, "ed25519", json ? &j : NULL, &out);
    if (json) {
        json_end(&j);
        buf_append_char(&out, '\n');
    } else {
        buf_append_text(&out,
                        "The ratio says how much of the bare operation's speed is left when a "
                        "whole message is handled.\n");
    }
    cli_write(&out);
    buf_finish(&out);
    return CLI_GOOD;
}
