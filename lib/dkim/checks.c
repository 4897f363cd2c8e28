#include "lib/dkim/checks_in.h"

#include <assert.h>

#include "lib/dkim/tags_in.h"
#include "lib/text/idna.h"

#define NAME_MAX_BYTES 1024 /* while it is put together; a DNS name is shorter */
#define OWN_KEYS_MAX 1000
#define MIN_RSA_BITS 1024 /* RFC 8301 3.2 */

const char *dkim_result_name(enum dkim_result result)
{
    switch (result) {
    case DKIM_PASS:
        return "pass";
    case DKIM_FAIL:
        return "fail";
    case DKIM_TEMPERROR:
        return "temperror";
    case DKIM_PERMERROR:
        return "permerror";
    }
    return "?";
}

/* --- look-ups --- */

void dkim_lookups_init(struct dkim_lookups *l, struct dkim_keys *shared)
{
    uint64_t seed;

    *l = (struct dkim_lookups){.keys = shared};
    if (shared != NULL)
        return;
    crypt_random(&seed, sizeof seed);
    l->keys = l->own_keys = dkim_keys_create(OWN_KEYS_MAX, seed);
}

void dkim_lookups_begin(struct dkim_lookups *l)
{
    for (size_t i = 0; i < l->count; i++) {
        for (size_t k = 0; k < l->list[i]->key_count; k++)
            dkim_keys_release(l->list[i]->keys[k]);
        l->list[i]->key_count = 0;
    }
    l->count = l->answered = 0;
}

void dkim_lookups_finish(struct dkim_lookups *l)
{
    dkim_lookups_begin(l);
    for (size_t i = 0; i < l->made; i++) {
        buf_finish(&l->list[i]->name);
        free(l->list[i]);
    }
    free(l->list);
    dkim_keys_destroy(&l->own_keys);
    *l = (struct dkim_lookups){0};
}

int dkim_lookups_want(struct dkim_lookups *l, const struct dkim_signature *signature,
                      size_t *id_out, struct err *err)
{
    struct dkim_lookup *lookup;
    struct err idna;

    if (l->count == l->made) {
        l->list = mem_resize(l->list, (l->made + 1) * sizeof(struct dkim_lookup *));
        l->list[l->made] = mem_alloc(sizeof *lookup);
        buf_init(&l->list[l->made++]->name, NAME_MAX_BYTES);
    }
    lookup = l->list[l->count];
    buf_clear(&lookup->name);
    if (idna_to_ascii(signature->selector, &lookup->name, &idna) != 0)
        return err_set(err, ERR_SYNTAX, "s=%.*s makes no DNS name", SLICE_ARG(signature->selector));
    buf_append_text(&lookup->name, "._domainkey.");
    if (idna_to_ascii(signature->domain, &lookup->name, &idna) != 0)
        return err_set(err, ERR_SYNTAX, "d=%.*s makes no DNS name", SLICE_ARG(signature->domain));
    if (lookup->name.n > 253)
        return err_set(err, ERR_SYNTAX, "s= and d= together are too long for a DNS name");
    for (*id_out = 0; *id_out < l->count; ++*id_out) {
        if (slice_eq(buf_slice(&l->list[*id_out]->name), buf_slice(&lookup->name)))
            return 0;
    }
    lookup->state = LOOKUP_WANTED;
    lookup->status = DNS_TIMEOUT;
    lookup->key_count = 0;
    l->count++;
    return 0;
}

bool dkim_lookups_question(struct dkim_lookups *l, size_t *id_out,
                           struct dns_question *question_out)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->list[i]->state != LOOKUP_WANTED)
            continue;
        l->list[i]->state = LOOKUP_ASKED;
        *id_out = i;
        *question_out = (struct dns_question){buf_slice(&l->list[i]->name), DNS_TXT};
        return true;
    }
    return false;
}

void dkim_lookups_answer(struct dkim_lookups *l, size_t id, const struct dns_answer *answer)
{
    assert(id < l->count);
    struct dkim_lookup *lookup = l->list[id];

    if (lookup->state == LOOKUP_ANSWERED)
        return;
    lookup->state = LOOKUP_ANSWERED;
    lookup->status = answer->status;
    l->answered++;
    for (size_t i = 0; i < answer->count && lookup->key_count < DKIM_RECORDS_MAX; i++) {
        if (answer->records[i].type == DNS_TXT)
            lookup->keys[lookup->key_count++] = dkim_keys_get(l->keys, answer->records[i].text);
    }
}

/* --- judgement --- */

void dkim_check_decide(struct dkim_check *c, enum dkim_result result)
{
    c->decided = true;
    c->result = result;
}

/* May this key be used for this signature (RFC 6376 6.1.2)? The reason is written where it may not.
 */
static enum dkim_problem key_problem(const struct dkim_key *key, const struct dkim_signature *s,
                                     const struct dkim_verify_options *options, struct err *err)
{
    enum crypt_key_type wanted = s->algorithm == DKIM_ED25519_SHA256 ? CRYPT_ED25519 : CRYPT_RSA;
    unsigned min_bits = options->min_rsa_bits > 0 ? options->min_rsa_bits : MIN_RSA_BITS;
    bool hash_ok = dkim_signature_hash(s) == CRYPT_SHA1 ? key->record.sha1 : key->record.sha256;
    enum dkim_problem problem = DKIM_PROBLEM_BAD_KEY;

    if (key->problem.code != ERR_NONE) {
        err_set(err, ERR_SYNTAX, "%s", key->problem.text);
    } else if (key->record.revoked) {
        problem = DKIM_PROBLEM_REVOKED;
        err_set(err, ERR_SYNTAX, "the key was revoked (p= is empty)");
    } else if (key->record.type != wanted) {
        err_set(err, ERR_SYNTAX, "the key is for %s, the signature says a=%.*s",
                key->record.type == CRYPT_RSA ? "rsa" : "ed25519", SLICE_ARG(s->algorithm_text));
    } else if (!hash_ok) {
        err_set(err, ERR_SYNTAX, "the key does not allow the hash of a=%.*s (h=)",
                SLICE_ARG(s->algorithm_text));
    } else if (!key->record.email) {
        err_set(err, ERR_SYNTAX, "the key is not for mail (s=)");
    } else if (key->record.strict && s->identity_below) {
        err_set(err, ERR_SYNTAX, "i= is in a subdomain, which the key forbids (t=s)");
    } else if (wanted == CRYPT_RSA && crypt_key_bits(key->key) < min_bits) {
        problem = DKIM_PROBLEM_SHORT_KEY;
        err_set(err, ERR_SYNTAX, "the key has %u bits; fewer than %u prove nothing",
                crypt_key_bits(key->key), min_bits);
    } else {
        problem = DKIM_PROBLEM_NONE;
    }
    return problem;
}

static enum dkim_result judge_body(const struct dkim_signature *s, const struct dkim_body *body,
                                   struct err *err)
{
    struct slice claimed = {(const char *)s->body_hash, s->body_hash_n};

    if (s->has_limit && s->limit > body->canon.produced) { /* RFC 6376 3.5, l= */
        err_set(err, ERR_SYNTAX, "l=%llu, but the body has only %llu octets",
                (unsigned long long)s->limit, (unsigned long long)body->canon.produced);
        return DKIM_PERMERROR;
    }
    if (!slice_eq(claimed, crypt_digest_slice(&body->digest))) {
        err_set(err, ERR_SYNTAX, "the body was changed after signing (bh= does not match)");
        return DKIM_FAIL;
    }
    return DKIM_PASS;
}

static enum dkim_result judge_with(struct dkim_check *c, const struct dkim_key *key,
                                   const struct dkim_body *body,
                                   const struct dkim_verify_options *options, struct buf *scratch)
{
    enum dkim_result result;

    c->problem = key_problem(key, &c->signature, options, &c->reason);
    if (c->problem != DKIM_PROBLEM_NONE)
        return DKIM_PERMERROR;
    c->key_bits = crypt_key_bits(key->key);
    c->testing = key->record.testing;
    result = body != NULL ? judge_body(&c->signature, body, &c->reason) : DKIM_PASS;
    if (result != DKIM_PASS) {
        c->problem = result == DKIM_FAIL ? DKIM_PROBLEM_BODY : DKIM_PROBLEM_SYNTAX;
        return result;
    }
    buf_clear(scratch);
    if (dkim_base64_read(c->signature.b, "b=", scratch, &c->reason) != 0) {
        c->problem = DKIM_PROBLEM_SYNTAX;
        return DKIM_PERMERROR;
    }
    if (!crypt_key_verify(key->key, dkim_signature_hash(&c->signature),
                          crypt_digest_slice(&c->digest), buf_slice(scratch))) {
        c->problem = DKIM_PROBLEM_SIGNATURE;
        err_set(&c->reason, ERR_SYNTAX,
                "the signature does not match: a signed header field was "
                "changed, or the key in DNS is another one");
        return DKIM_FAIL;
    }
    err_set(&c->reason, ERR_NONE, "the signature is good%s%s",
            key->record.testing ? "; the key is in testing mode (t=y)" : "",
            c->signature.has_limit ? "; what was added behind l= is not covered" : "");
    return DKIM_PASS;
}

void dkim_check_judge(struct dkim_check *c, const struct dkim_lookups *lookups,
                      const struct dkim_body *body, const struct dkim_verify_options *options,
                      struct buf *scratch)
{
    const struct dkim_lookup *lookup;

    if (c->decided)
        return;
    lookup = lookups->list[c->lookup];
    if (dns_status_is_failure(lookup->status)) {
        err_set(&c->reason, ERR_TEMP, "no answer about the key at %.*s: %s",
                SLICE_ARG(buf_slice(&lookup->name)), dns_status_text(lookup->status));
        c->problem = DKIM_PROBLEM_NO_ANSWER;
        dkim_check_decide(c, DKIM_TEMPERROR);
        return;
    }
    dkim_check_decide(c, DKIM_PERMERROR);
    c->problem = DKIM_PROBLEM_NO_KEY;
    err_set(&c->reason, ERR_SYNTAX, "there is no key at %.*s: %s",
            SLICE_ARG(buf_slice(&lookup->name)), dns_status_text(lookup->status));
    /* Several records: any may be the key (RFC 6376 6.1.2); the best verdict counts. */
    for (size_t i = 0; i < lookup->key_count; i++) {
        struct dkim_check tried = *c;

        tried.result = judge_with(&tried, lookup->keys[i], body, options, scratch);
        if (i == 0 || tried.result < c->result)
            *c = tried;
        if (c->result == DKIM_PASS)
            break;
    }
    dkim_clean(&c->reason);
}
