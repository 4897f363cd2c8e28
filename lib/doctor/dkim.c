/* DKIM: is each key that signs here published as it is used? */
#include "lib/crypt/key.h"
#include "lib/dkim/record.h"
#include "lib/doctor/doctor_in.h"

#define RSA_BITS_MIN 2048 /* RFC 8301 3.2: signers use at least this */
#define STRING_BYTES 255

/* What is wrong with a published key that can be read, as a rule and a sentence; NULL: nothing. */
static const char *compare(struct doctor *d, const struct doctor_signer *signer,
                           const struct dkim_record *record, const struct crypt_key *published,
                           struct slice *why_out)
{
    struct dkim_record mine;
    struct crypt_key *key = NULL;
    struct err e;

    if (record->revoked) {
        *why_out = SLICE("the key is revoked (p= is empty), and this server still signs with it: "
                         "every signature fails");
        return "dkim-revoked";
    }
    bool is_same = dkim_record_read(signer->record, &mine, &key, &e) == 0 && key &&
                   crypt_key_same_public(published, key);
    crypt_key_destroy(&key);
    if (!is_same) {
        *why_out = SLICE("another key is published than the one this server signs with: every "
                         "signature fails");
        return "dkim-wrong-key";
    }
    if (crypt_key_type(published) == CRYPT_RSA && crypt_key_bits(published) < RSA_BITS_MIN) {
        *why_out = arena_printf(d->words,
                                "the key has %u bits; signers use at least 2048 (RFC 8301 3.2). "
                                "`waybill dkim keygen %.*s NEW-SELECTOR` makes a new one",
                                crypt_key_bits(published), SLICE_ARG(signer->domain));
        return "dkim-short-key";
    }
    if (record->testing) {
        *why_out = SLICE("the flag t=y says that DKIM is only being tested: receivers may ignore "
                         "the signatures");
        return "dkim-testing";
    }
    return NULL;
}

static const char *judge_text(struct doctor *d, const struct doctor_signer *signer,
                              struct slice text, struct slice *why_out)
{
    struct dkim_record record;
    struct crypt_key *key = NULL;
    const char *rule;
    struct err e;

    if (text.n < signer->record.n && text.n % STRING_BYTES == 0 && text.n > 0) {
        *why_out =
            arena_printf(d->words,
                         "the record is cut at %zu characters: a string in DNS holds 255, so "
                         "a longer record has to be several strings of one record",
                         text.n);
        return "dkim-cut";
    }
    if (dkim_record_read(text, &record, &key, &e)) {
        *why_out = arena_printf(d->words, "the key cannot be read: %s", e.text);
        return "dkim-broken";
    }
    rule = compare(d, signer, &record, key, why_out);
    crypt_key_destroy(&key);
    return rule;
}

static const char *judge_answer(struct doctor *d, const struct doctor_signer *signer,
                                const struct dns_answer *answer, struct slice *why_out)
{
    if (answer->status != DNS_OK) {
        *why_out =
            SLICE("the key that this server signs with is not published: every signature fails");
        return "dkim-missing";
    }
    if (answer->count > 1) {
        *why_out = SLICE("there are several TXT records: receivers may take the wrong one");
        return "dkim-two-records";
    }
    return judge_text(d, signer, answer->records[0].text, why_out);
}

static void examine_signer(struct doctor *d, const struct doctor_signer *signer)
{
    struct slice name = arena_printf(d->words, "%.*s._domainkey.%.*s", SLICE_ARG(signer->selector),
                                     SLICE_ARG(signer->domain));
    const struct dns_answer *answer = doctor_ask(d, name, DNS_TXT);
    struct slice why = {0};

    if (!answer)
        return;
    doctor_begin(d, "dkim", name);
    if (doctor_is_silent(d, answer, name))
        return;
    const char *rule = judge_answer(d, signer, answer, &why);
    if (!rule) {
        doctor_find(d, DOCTOR_GOOD, "dkim", name,
                    SLICE("the key is published as this server uses it"));
        return;
    }
    struct doctor_finding *f = doctor_find(
        d, strcmp(rule, "dkim-testing") == 0 ? DOCTOR_WARNING : DOCTOR_ERROR, rule, name, why);
    if (strcmp(rule, "dkim-short-key") != 0)
        f->publish = doctor_publish_txt(d, name, signer->record);
}

void doctor_examine_dkim(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;

    for (size_t i = 0; i < s->signer_count; i++)
        examine_signer(d, &s->signers[i]);
    doctor_begin(d, "dkim", s->domain);
    if (s->signer_count == 0)
        doctor_find(d, DOCTOR_WARNING, "dkim-none", s->domain,
                    SLICE("no key signs for this domain here: `waybill init` makes one"));
}
