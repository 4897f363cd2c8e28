/* waybill arc: verify and seal (RFC 8617). */
#include "app/cli.h"
#include "app/eml.h"
#include "app/resolver.h"
#include "base/json.h"
#include "lib/dkim/arc.h"

#define OUTPUT_MAX ((size_t)16 << 20)

int cmd_arc(int argc, char **argv);

struct arc_command {
    bool json;
    const char *dns, *key, *domain, *selector, *results;
    int64_t now, min_rsa_bits;
};

/* Runs the verifier over a message; its verdict is valid as long as `v`. */
static const struct arc_verdict *judge(const struct arc_command *o, struct arc_verifier *v,
                                       const struct eml *eml, struct resolver **dns)
{
    struct dns_question question;
    struct err err;
    size_t id;

    if (arc_verifier_begin(v, eml->header, &err) != 0)
        cli_die("%s", err.text);
    arc_verifier_body(v, eml->body);
    arc_verifier_finish(v);
    while (arc_verifier_question(v, &id, &question)) {
        struct dns_answer answer;

        if (*dns == NULL)
            *dns = resolver_open(o->dns);
        resolver_ask(*dns, question, &answer);
        arc_verifier_answer(v, id, &answer);
    }
    if (arc_verifier_step(v) != STEP_DONE)
        cli_die("a question stayed without an answer");
    return arc_verifier_verdict(v);
}

static struct arc_verifier *make_verifier(const struct arc_command *o)
{
    struct dkim_verify_options options = {.now_unix_s = cli_now(o->now),
                                          .min_rsa_bits = (unsigned)o->min_rsa_bits};

    return arc_verifier_create(&options);
}

static void verdict_json(const struct arc_verdict *d, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_string(&j, "result", arc_result_name(d->result));
    json_member_int(&j, "instances", d->instances);
    json_member_string(&j, "reason", d->reason);
    if (d->sealer.n > 0)
        json_member_text(&j, "sealer", d->sealer);
    json_member_bool(&j, "temporary", d->temporary);
    json_end(&j);
    buf_append_char(out, '\n');
}

static void verdict_text(const struct arc_verdict *d, struct buf *out)
{
    enum cli_style style = d->result == ARC_PASS   ? CLI_GREEN
                           : d->result == ARC_FAIL ? CLI_RED
                                                   : CLI_PLAIN;

    buf_printf(out, "%s%s%s  %u set%s", cli_style(style), arc_result_name(d->result),
               cli_style(CLI_PLAIN), d->instances, d->instances == 1 ? "" : "s");
    if (d->sealer.n > 0) {
        buf_append_text(out, ", the newest sealed by ");
        cli_append_safe(out, d->sealer);
    }
    buf_append_text(out, "\n      ");
    cli_append_safe(out, slice_of(d->reason));
    buf_append_text(out, "\n\n");
    if (d->result == ARC_PASS)
        buf_append_text(out, "Every hop that sealed is known; whether to believe them is your "
                             "decision.\n");
    else if (d->temporary)
        buf_append_text(out, "DNS did not answer: try again later.\n");
    else if (d->result == ARC_FAIL)
        buf_append_text(out, "Treat the message as if it had no chain.\n");
    else
        buf_append_text(out, "Nothing to do: nobody on the way sealed it.\n");
}

static int run_verify(const struct arc_command *o, const char *path)
{
    struct arc_verifier *v = make_verifier(o);
    struct resolver *dns = NULL;
    const struct arc_verdict *d;
    enum arc_result result;
    struct buf out;
    struct eml eml;

    eml_open(path, &eml);
    d = judge(o, v, &eml, &dns);
    result = d->result;
    buf_init(&out, OUTPUT_MAX);
    if (o->json)
        verdict_json(d, &out);
    else
        verdict_text(d, &out);
    cli_write(&out);
    buf_finish(&out);
    arc_verifier_destroy(&v);
    resolver_close(&dns);
    eml_close(&eml);
    return result == ARC_FAIL ? CLI_BAD_ANSWER : CLI_GOOD;
}

/* Both signatures of the set. */
static void sign_all(struct arc_sealer *s, struct crypt_key *key)
{
    struct buf signature;
    struct err err;

    buf_init(&signature, CRYPT_SIGNATURE_MAX_BYTES);
    while (arc_sealer_digest(s).n > 0) {
        buf_clear(&signature);
        if (crypt_key_sign(key, arc_sealer_digest(s), &signature, &err) != 0 ||
            arc_sealer_answer(s, buf_slice(&signature), &err) != 0)
            cli_die("%s", err.text);
    }
    buf_finish(&signature);
}

static int run_seal(const struct arc_command *o, const char *path)
{
    struct arc_seal_options options = {.domain = slice_of(o->domain),
                                       .selector = slice_of(o->selector),
                                       .results = slice_of(o->results),
                                       .signed_at_s = cli_now(o->now)};
    struct arc_verifier *v = make_verifier(o);
    struct arc_sealer *s = arc_sealer_create();
    struct resolver *dns = NULL;
    struct crypt_key *key;
    struct cli_file file;
    struct buf out;
    struct err err;
    struct eml eml;

    if (o->key == NULL || o->domain == NULL || o->selector == NULL || o->results == NULL)
        cli_die("seal needs --key, --domain, --selector and --results \"OUR-NAME; spf=...\"");
    file = cli_file_need(o->key, CRYPT_KEY_FILE_MAX_BYTES);
    if (crypt_key_read_private(file.data, &key, &err) != 0)
        cli_die("%s: %s", o->key, err.text);
    cli_file_close(&file);
    options.algorithm = crypt_key_type(key) == CRYPT_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
    eml_open(path, &eml);
    options.chain = *judge(o, v, &eml, &dns);
    arc_sealer_begin(s);
    arc_sealer_body(s, eml.body);
    if (arc_sealer_finish(s, &options, eml.header, &err) != 0)
        cli_die("%s: %s", path, err.text);
    sign_all(s, key);
    buf_init(&out, eml.header.n + eml.body.n + OUTPUT_MAX);
    if (arc_sealer_write(s, &out, &err) != 0)
        cli_die("%s", err.text);
    buf_append(&out, eml.header);
    if (!slice_ends(eml.header, SLICE("\r\n")))
        buf_append_text(&out, "\r\n");
    buf_append_text(&out, "\r\n");
    buf_append(&out, eml.body);
    cli_write(&out);
    buf_finish(&out);
    crypt_key_destroy(&key);
    arc_sealer_destroy(&s);
    arc_verifier_destroy(&v);
    resolver_close(&dns);
    eml_close(&eml);
    return CLI_GOOD;
}

int cmd_arc(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "verify|seal FILE", "verifies and extends Authenticated Received Chains (RFC 8617)",
        "  verify   judges the chain of a message\n"
        "  seal     judges it, and writes the message with one more set on top"};
    struct arc_command o = {.now = -1};
    const struct cli_option options[] = {
        CLI_JSON(&o.json),
        CLI_DNS(&o.dns),
        CLI_NOW(&o.now),
        CLI_NUMBER("min-rsa-bits", &o.min_rsa_bits, "N", "refuse shorter keys (1024)"),
        CLI_TEXT("key", &o.key, "FILE", "seal: the private key"),
        CLI_TEXT("domain", &o.domain, "DOMAIN", "seal: our domain (d=)"),
        CLI_TEXT("selector", &o.selector, "NAME", "seal: the key's selector (s=)"),
        CLI_TEXT("results", &o.results, "TEXT", "seal: \"OUR-NAME; spf=pass ...; dkim=...\"")};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct slice verb = operands > 0 ? slice_of(argv[0]) : SLICE("");

    if (o.min_rsa_bits < 0 || o.min_rsa_bits > CRYPT_RSA_BITS_MAX)
        cli_die("--min-rsa-bits is 0 to %d", CRYPT_RSA_BITS_MAX);
    if (slice_eq(verb, SLICE("verify")) && operands == 2)
        return run_verify(&o, argv[1]);
    if (slice_eq(verb, SLICE("seal")) && operands == 2)
        return run_seal(&o, argv[1]);
    cli_die("say verify FILE or seal FILE");
}
