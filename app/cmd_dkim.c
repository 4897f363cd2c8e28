/* waybill dkim: verify, sign, keygen, record, check (RFC 6376, 8301, 8463). */

#include "app/cli.h"
#include "app/eml.h"
#include "app/keyfile.h"
#include "app/resolver.h"
#include "base/json.h"
#include "lib/dkim/sign.h"
#include "lib/dkim/verify.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define PATH_MAX_BYTES 4096
#define RSA_BITS 2048 /* RFC 8301 3.2: signers use at least this */

int cmd_dkim(int argc, char **argv);

struct dkim_command {
    bool json, allow_sha1, force, simple;
    const char *dns, *folder, *key, *algorithm;
    struct cli_list keys;
    int64_t now, min_rsa_bits, bits, expires_s;
};

/* --- verify --- */

static void verdicts_json(const struct dkim_verifier *v, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_key(&j, "signatures");
    json_array(&j);
    for (size_t i = 0; i < dkim_verifier_count(v); i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v, i);

        json_object(&j);
        json_member_string(&j, "result", dkim_result_name(d->result));
        json_member_text(&j, "domain", d->domain);
        json_member_text(&j, "selector", d->selector);
        json_member_text(&j, "algorithm", d->algorithm);
        json_member_string(&j, "reason", d->reason);
        if (d->identity.n > 0)
            json_member_text(&j, "identity", d->identity);
        if (d->has_limit)
            json_member_int(&j, "body_limit", d->limit > INT64_MAX ? INT64_MAX : (int64_t)d->limit);
        if (d->key_bits > 0) {
            json_member_int(&j, "key_bits", d->key_bits);
            json_member_bool(&j, "testing", d->testing);
        }
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

static enum cli_style style_of(enum dkim_result result)
{
    switch (result) {
    case DKIM_PASS:
        return CLI_GREEN;
    case DKIM_TEMPERROR:
        return CLI_YELLOW;
    case DKIM_FAIL:
    case DKIM_PERMERROR:
        return CLI_RED;
    }
    return CLI_PLAIN;
}

/* What the reader can do next, in one sentence. */
static const char *advice_of(enum dkim_result result)
{
    switch (result) {
    case DKIM_PASS:
        return "Nothing to do.";
    case DKIM_FAIL:
        return "Compare with a copy taken before the last hop; a list, a scanner or a footer may "
               "have changed it.\nIf fresh mail fails too, run \"waybill dkim check SELECTOR "
               "DOMAIN "
               "--key FILE\".";
    case DKIM_TEMPERROR:
        return "DNS did not answer: try again later.";
    case DKIM_PERMERROR:
        return "The signer has to act: look at the reason, then at the record with "
               "\"waybill dkim record SELECTOR DOMAIN\".";
    }
    return "";
}

static void verdicts_text(const struct dkim_verifier *v, struct buf *out)
{
    enum dkim_result best = DKIM_PERMERROR;

    for (size_t i = 0; i < dkim_verifier_count(v); i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v, i);

        if (d->result < best)
            best = d->result;
        buf_printf(out, "%s%-9s%s  ", cli_style(style_of(d->result)), dkim_result_name(d->result),
                   cli_style(CLI_PLAIN));
        cli_append_safe(out, d->domain.n > 0 ? d->domain : SLICE("(no domain)"));
        buf_append_text(out, "  selector ");
        cli_append_safe(out, d->selector.n > 0 ? d->selector : SLICE("(none)"));
        buf_append_text(out, "  ");
        cli_append_safe(out, d->algorithm);
        if (d->key_bits > 0 && !slice_starts(d->algorithm, SLICE("ed")))
            buf_printf(out, ", %u bits", d->key_bits);
        buf_append_text(out, "\n           ");
        cli_append_safe(out, slice_of(d->reason));
        buf_append_char(out, '\n');
    }
    if (dkim_verifier_count(v) == 0)
        buf_append_text(out, "The message has no DKIM signature.\n");
    else
        buf_printf(out, "\n%s\n", advice_of(best));
}

static int run_verify(const struct dkim_command *o, const char *path)
{
    struct dkim_verify_options options = {.now_unix_s = cli_now(o->now),
                                          .allow_sha1 = o->allow_sha1,
                                          .min_rsa_bits = (unsigned)o->min_rsa_bits};
    struct dkim_verifier *v = dkim_verifier_create(&options);
    struct resolver *dns = NULL;
    struct dns_question question;
    struct buf out;
    struct err err;
    struct eml eml;
    size_t id;
    bool good = false;

    eml_open(path, &eml);
    if (dkim_verifier_begin(v, eml.header, &err) != 0)
        cli_die("%s: %s", path, err.text);
    dkim_verifier_body(v, eml.body);
    dkim_verifier_finish(v);
    while (dkim_verifier_question(v, &id, &question)) {
        struct dns_answer answer;

        if (dns == NULL)
            dns = resolver_open(o->dns);
        resolver_ask(dns, question, &answer);
        dkim_verifier_answer(v, id, &answer);
    }
    if (dkim_verifier_step(v) != STEP_DONE)
        cli_die("%s: a question stayed without an answer", path);
    for (size_t i = 0; i < dkim_verifier_count(v); i++)
        good = good || dkim_verifier_verdict(v, i)->result == DKIM_PASS;
    buf_init(&out, OUTPUT_MAX);
    if (o->json)
        verdicts_json(v, &out);
    else
        verdicts_text(v, &out);
    cli_write(&out);
    buf_finish(&out);
    dkim_verifier_destroy(&v);
    resolver_close(&dns);
    eml_close(&eml);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}

/* --- keys --- */

/* "SELECTOR._domainkey.DOMAIN. IN TXT "..."" */
static void append_record(struct slice selector, struct slice domain, const struct crypt_key *key,
                          struct buf *record, struct buf *out)
{
    struct err err;

    if (dkim_record_write(key, record, &err) != 0)
        cli_die("%s", err.text);
    buf_printf(out, "%.*s._domainkey.%.*s. IN TXT ", SLICE_ARG(selector), SLICE_ARG(domain));
    dkim_record_quote(buf_slice(record), out);
    buf_append_char(out, '\n');
}

static void check_names(struct slice selector, struct slice domain)
{
    struct slice both[] = {selector, domain};

    for (size_t k = 0; k < COUNT(both); k++) {
        for (size_t i = 0; i < both[k].n; i++) {
            char c = both[k].p[i];

            if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                c != '-' && c != '_' && c != '.')
                cli_die("\"%.*s\" is no DNS name (write international names as xn--...)",
                        SLICE_ARG(both[k]));
        }
        if (both[k].n == 0 || both[k].p[0] == '.' || both[k].p[both[k].n - 1] == '.')
            cli_die("\"%.*s\" is no DNS name", SLICE_ARG(both[k]));
    }
}

static const struct kind {
    enum crypt_key_type type;
    const char *name, *suffix;
} kinds[] = {{CRYPT_RSA, "rsa", ""}, {CRYPT_ED25519, "ed25519", "-ed"}};

static void make_key(const struct dkim_command *o, const struct kind *kind, struct slice domain,
                     struct slice selector, struct json *j, struct buf *out)
{
    struct crypt_key *key;
    struct buf record, name;
    struct err err;
    char path[PATH_MAX_BYTES];

    buf_init(&record, DKIM_RECORD_MAX_BYTES);
    buf_init(&name, 256);
    buf_printf(&name, "%.*s%s", SLICE_ARG(selector), kind->suffix);
    int n = snprintf(path, sizeof path, "%s/%.*s.%.*s.pem", o->folder, SLICE_ARG(domain),
                     SLICE_ARG(buf_slice(&name)));
    if (n < 0 || (size_t)n >= sizeof path || name.full)
        cli_die("the names are too long");
    if (crypt_key_generate(kind->type, (unsigned)o->bits, &key, &err) != 0)
        cli_die("%s", err.text);
    keyfile_write(path, key, o->force);
    if (o->json) {
        if (dkim_record_write(key, &record, &err) != 0)
            cli_die("%s", err.text);
        json_object(j);
        json_member_string(j, "algorithm", kind->name);
        json_member_text(j, "selector", buf_slice(&name));
        json_member_string(j, "file", path);
        json_member_text(j, "record", buf_slice(&record));
        json_end(j);
    } else {
        buf_printf(out, "; %s, private key in %s\n", kind->name, path);
        append_record(buf_slice(&name), domain, key, &record, out);
    }
    crypt_key_destroy(&key);
    buf_finish(&record);
    buf_finish(&name);
}

static int run_keygen(const struct dkim_command *o, struct slice domain, struct slice selector)
{
    struct buf out;
    struct json j;
    size_t made = 0;

    check_names(selector, domain);
    if (o->bits < RSA_BITS)
        cli_die("an RSA key needs at least %d bits (RFC 8301 3.2)", RSA_BITS);
    if (o->bits > CRYPT_RSA_BITS_MAX)
        cli_die("an RSA key has at most %d bits", CRYPT_RSA_BITS_MAX);
    buf_init(&out, OUTPUT_MAX);
    json_begin(&j, &out);
    if (o->json)
        json_array(&j);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (o->algorithm != NULL && strcmp(o->algorithm, kinds[i].name) != 0)
            continue;
        make_key(o, &kinds[i], domain, selector, &j, &out);
        made++;
    }
    if (made == 0)
        cli_die("--algorithm is rsa or ed25519; without it a key of each is made");
    if (o->json)
        json_end(&j);
    else
        buf_append_text(&out, "; Publish these records, then run \"waybill dkim check\" before you "
                              "sign with the keys.");
    buf_append_char(&out, '\n');
    cli_write(&out);
    buf_finish(&out);
    return CLI_GOOD;
}

/* --- sign --- */

/* --key FILE:SELECTOR:DOMAIN. The file's name may hold colons, the others cannot. */
static struct crypt_key *take_key_option(const char *text, bool simple,
                                         struct dkim_sign_spec *spec_out)
{
    struct slice all = slice_of(text), file;
    size_t colon = slice_find_last(all, ':');
    struct crypt_key *key;
    char path[PATH_MAX_BYTES];

    *spec_out = (struct dkim_sign_spec){.header_canon = simple ? CANON_SIMPLE : CANON_RELAXED,
                                        .body_canon = simple ? CANON_SIMPLE : CANON_RELAXED};
    file = slice_sub(all, 0, colon == SLICE_NONE ? 0 : colon);
    if (colon != SLICE_NONE)
        spec_out->domain = slice_from(all, colon + 1);
    colon = slice_find_last(file, ':');
    if (colon == SLICE_NONE || colon >= sizeof path)
        cli_die("--key is FILE:SELECTOR:DOMAIN, not \"%s\"", text);
    spec_out->selector = slice_from(file, colon + 1);
    memcpy(path, file.p, colon);
    path[colon] = '\0';
    key = keyfile_read(path);
    spec_out->algorithm = crypt_key_type(key) == CRYPT_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
    return key;
}

static void answer_all(struct dkim_signer *s, struct crypt_key *const *keys)
{
    struct buf signature;
    struct err err;

    buf_init(&signature, CRYPT_SIGNATURE_MAX_BYTES);
    for (size_t i = 0; i < dkim_signer_count(s); i++) {
        buf_clear(&signature);
        if (crypt_key_sign(keys[i], dkim_signer_digest(s, i), &signature, &err) != 0 ||
            dkim_signer_answer(s, i, buf_slice(&signature), &err) != 0)
            cli_die("%s", err.text);
    }
    buf_finish(&signature);
}

static int run_sign(const struct dkim_command *o, const char *path)
{
    struct dkim_sign_spec specs[DKIM_SIGNER_SIGNATURES_MAX];
    struct crypt_key *keys[DKIM_SIGNER_SIGNATURES_MAX];
    struct dkim_sign_options options = {
        .specs = specs, .spec_count = o->keys.count, .signed_at_s = cli_now(o->now)};
    struct dkim_signer *s = dkim_signer_create();
    struct buf out;
    struct err err;
    struct eml eml;

    if (o->keys.count == 0 || o->keys.count > COUNT(keys))
        cli_die("sign needs --key FILE:SELECTOR:DOMAIN, once for each of 1 to %zu signatures",
                COUNT(keys));
    if (o->expires_s > 0)
        options.expires_at_s = options.signed_at_s + o->expires_s;
    for (size_t i = 0; i < o->keys.count; i++)
        keys[i] = take_key_option(o->keys.items[i], o->simple, &specs[i]);
    eml_open(path, &eml);
    buf_init(&out, eml.header.n + eml.body.n + OUTPUT_MAX);
    if (dkim_signer_begin(s, &options, eml.header, &err) != 0)
        cli_die("%s: %s", path, err.text);
    dkim_signer_body(s, eml.body);
    dkim_signer_finish(s);
    answer_all(s, keys);
    if (dkim_signer_write(s, &out, &err) != 0)
        cli_die("%s", err.text);
    buf_append(&out, eml.header);
    if (!slice_ends(eml.header, SLICE("\r\n")))
        buf_append_text(&out, "\r\n");
    buf_append_text(&out, "\r\n");
    buf_append(&out, eml.body);
    cli_write(&out);
    buf_finish(&out);
    for (size_t i = 0; i < o->keys.count; i++)
        crypt_key_destroy(&keys[i]);
    dkim_signer_destroy(&s);
    eml_close(&eml);
    return CLI_GOOD;
}

/* --- record and check --- */

/* The published key, and what is to be said about it. */
static void describe(const struct dkim_key *key, struct slice name, struct slice text,
                     struct buf *out)
{
    const struct dkim_record *r = &key->record;

    buf_printf(out, "%.*s\n  ", SLICE_ARG(name));
    cli_append_safe(out, text);
    buf_append_char(out, '\n');
    if (key->problem.code != ERR_NONE)
        buf_printf(out, "  unusable: %s\n", key->problem.text);
    else if (r->revoked)
        buf_append_text(out, "  revoked: p= is empty; what was signed with it does not pass\n");
    else
        buf_printf(out, "  %s, %u bits%s\n", r->type == CRYPT_RSA ? "RSA" : "Ed25519",
                   crypt_key_bits(key->key),
                   r->type == CRYPT_RSA && crypt_key_bits(key->key) < RSA_BITS
                       ? "; replace it: signers use at least 2048 (RFC 8301 3.2)"
                       : "");
    if (r->testing)
        buf_append_text(out, "  testing (t=y): take the flag away once mail passes\n");
    if (r->strict)
        buf_append_text(out, "  strict (t=s): i= must not name a subdomain\n");
    if (key->problem.code == ERR_NONE && !r->email)
        buf_append_text(out, "  not for mail: s= allows other services only\n");
    if (key->problem.code == ERR_NONE && !r->sha256)
        buf_append_text(out, "  h= does not allow sha256: no valid signature can use it\n");
}

struct published {
    struct resolver *dns;
    struct dns_answer answer;
    struct dkim_keys *keys;
    struct dkim_key *list[DKIM_RECORDS_MAX];
    size_t count;
    struct buf name;
};

static void look_up(const struct dkim_command *o, struct slice selector, struct slice domain,
                    struct published *p)
{
    *p = (struct published){.dns = resolver_open(o->dns), .keys = dkim_keys_create(16, 0)};
    buf_init(&p->name, 1024);
    check_names(selector, domain);
    buf_printf(&p->name, "%.*s._domainkey.%.*s", SLICE_ARG(selector), SLICE_ARG(domain));
    resolver_ask(p->dns, (struct dns_question){buf_slice(&p->name), DNS_TXT}, &p->answer);
    for (size_t i = 0; i < p->answer.count && p->count < COUNT(p->list); i++)
        p->list[p->count++] = dkim_keys_get(p->keys, p->answer.records[i].text);
}

static void forget(struct published *p)
{
    for (size_t i = 0; i < p->count; i++)
        dkim_keys_release(p->list[i]);
    dkim_keys_destroy(&p->keys);
    resolver_close(&p->dns);
    buf_finish(&p->name);
}

static void record_json(const struct published *p, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "name", buf_slice(&p->name));
    json_member_string(&j, "dns", dns_status_text(p->answer.status));
    json_key(&j, "records");
    json_array(&j);
    for (size_t i = 0; i < p->count; i++) {
        const struct dkim_key *key = p->list[i];

        json_object(&j);
        json_member_text(&j, "text", p->answer.records[i].text);
        json_member_string(&j, "problem", key->problem.code != ERR_NONE ? key->problem.text : NULL);
        json_member_string(&j, "type", key->record.type == CRYPT_RSA ? "rsa" : "ed25519");
        json_member_int(&j, "bits", key->key != NULL ? crypt_key_bits(key->key) : 0);
        json_member_bool(&j, "revoked", key->record.revoked);
        json_member_bool(&j, "testing", key->record.testing);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

/* record SELECTOR DOMAIN: what is published. record --key FILE SELECTOR DOMAIN: what to publish. */
static int run_record(const struct dkim_command *o, struct slice selector, struct slice domain)
{
    struct published p;
    struct buf out, record;
    bool good;

    buf_init(&out, OUTPUT_MAX);
    if (o->key != NULL) {
        struct crypt_key *key = keyfile_read(o->key);

        check_names(selector, domain);
        buf_init(&record, DKIM_RECORD_MAX_BYTES);
        append_record(selector, domain, key, &record, &out);
        cli_write(&out);
        crypt_key_destroy(&key);
        buf_finish(&record);
        buf_finish(&out);
        return CLI_GOOD;
    }
    look_up(o, selector, domain, &p);
    good = p.count == 1 && p.list[0]->key != NULL;
    if (o->json) {
        record_json(&p, &out);
    } else {
        for (size_t i = 0; i < p.count; i++)
            describe(p.list[i], buf_slice(&p.name), p.answer.records[i].text, &out);
        if (p.count == 0)
            buf_printf(&out, "There is no key at %.*s: %s.\n", SLICE_ARG(buf_slice(&p.name)),
                       dns_status_text(p.answer.status));
        if (p.count > 1)
            buf_append_text(&out, "There are several TXT records; keep one (RFC 6376 3.6.2.2).\n");
    }
    cli_write(&out);
    buf_finish(&out);
    forget(&p);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}

static int run_check(const struct dkim_command *o, struct slice selector, struct slice domain)
{
    struct crypt_key *key;
    struct published p;
    struct buf out, record;
    bool match = false;

    if (o->key == NULL)
        cli_die("check needs --key FILE, the private key that signs");
    key = keyfile_read(o->key);
    look_up(o, selector, domain, &p);
    for (size_t i = 0; i < p.count; i++)
        match = match || (p.list[i]->key != NULL && crypt_key_same_public(p.list[i]->key, key));
    buf_init(&out, OUTPUT_MAX);
    buf_init(&record, DKIM_RECORD_MAX_BYTES);
    if (o->json) {
        struct json j;

        json_begin(&j, &out);
        json_object(&j);
        json_member_bool(&j, "match", match);
        json_member_text(&j, "name", buf_slice(&p.name));
        json_member_string(&j, "dns", dns_status_text(p.answer.status));
        json_end(&j);
        buf_append_char(&out, '\n');
    } else if (match) {
        for (size_t i = 0; i < p.count; i++)
            describe(p.list[i], buf_slice(&p.name), p.answer.records[i].text, &out);
        buf_append_text(&out, "The published key fits the private one.\n");
    } else {
        if (p.count > 0)
            buf_append_text(&out, "Another key is published: signatures by this one fail. To sign "
                                  "with it, publish instead:\n\n");
        else
            buf_printf(&out, "No key is published (%s). Publish:\n\n",
                       dns_status_text(p.answer.status));
        append_record(selector, domain, key, &record, &out);
    }
    cli_write(&out);
    buf_finish(&out);
    buf_finish(&record);
    crypt_key_destroy(&key);
    forget(&p);
    return match ? CLI_GOOD : CLI_BAD_ANSWER;
}

/* --- the command --- */

/* keygen takes DOMAIN SELECTOR, the others SELECTOR DOMAIN. Whoever mixes them up is understood
 * where it is clear: a domain has a dot. */
static void put_in_order(char **selector, char **domain)
{
    char *second = *domain;

    if (strchr(*domain, '.') || !strchr(*selector, '.'))
        return;
    *domain = *selector;
    *selector = second;
}

int cmd_dkim(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "verify|sign FILE, keygen DOMAIN SELECTOR, record|check SELECTOR DOMAIN",
        "signs, verifies, makes and checks DKIM keys (RFC 6376, 8301, 8463)",
        "  verify   judges every signature of a message\n"
        "  sign     writes the message with a signature by each --key FILE:SELECTOR:DOMAIN\n"
        "  keygen   makes an RSA and an Ed25519 key, prints the records to publish\n"
        "  record   shows the published key; with --key FILE the record to publish for it\n"
        "  check    does the published key fit the private one in --key FILE?"};
    struct dkim_command o = {.now = -1, .bits = RSA_BITS, .folder = "."};
    const struct cli_option options[] = {
        CLI_JSON(&o.json),
        CLI_DNS(&o.dns),
        CLI_NOW(&o.now),
        CLI_FLAG("allow-sha1", &o.allow_sha1, "verify: let rsa-sha1 pass (old mail)"),
        CLI_NUMBER("min-rsa-bits", &o.min_rsa_bits, "N", "verify: refuse shorter keys (1024)"),
        CLI_LIST("key", &o.keys, "FILE", "the private key; sign: FILE:SELECTOR:DOMAIN"),
        CLI_NUMBER("expires", &o.expires_s, "SECONDS", "sign: write x=, so much after t="),
        CLI_FLAG("simple", &o.simple, "sign: the simple canonical forms instead of relaxed"),
        CLI_TEXT("algorithm", &o.algorithm, "NAME", "keygen: only rsa, or only ed25519"),
        CLI_NUMBER("bits", &o.bits, "N", "keygen: bits of the RSA key (2048)"),
        CLI_TEXT("folder", &o.folder, "FOLDER", "keygen: where the key files go (here)"),
        CLI_FLAG("force", &o.force, "keygen: replace key files that are there")};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct slice verb = operands > 0 ? slice_of(argv[0]) : SLICE("");

    if (o.keys.count > 0)
        o.key = o.keys.items[0];
    if (o.min_rsa_bits < 0 || o.min_rsa_bits > CRYPT_RSA_BITS_MAX)
        cli_die("--min-rsa-bits is 0 to %d", CRYPT_RSA_BITS_MAX);
    if (slice_eq(verb, SLICE("verify")) && operands == 2)
        return run_verify(&o, argv[1]);
    if (slice_eq(verb, SLICE("sign")) && operands == 2)
        return run_sign(&o, argv[1]);
    if (operands == 3 && slice_eq(verb, SLICE("keygen")))
        put_in_order(&argv[2], &argv[1]);
    else if (operands == 3)
        put_in_order(&argv[1], &argv[2]);
    if (slice_eq(verb, SLICE("keygen")) && operands == 3)
        return run_keygen(&o, slice_of(argv[1]), slice_of(argv[2]));
    if (slice_eq(verb, SLICE("record")) && operands == 3)
        return run_record(&o, slice_of(argv[1]), slice_of(argv[2]));
    if (slice_eq(verb, SLICE("check")) && operands == 3)
        return run_check(&o, slice_of(argv[1]), slice_of(argv[2]));
    cli_die("say verify FILE, sign FILE, keygen DOMAIN SELECTOR, record SELECTOR DOMAIN or check "
            "SELECTOR DOMAIN");
}
