#include "lib/dkim/arc.h"

#include <assert.h>

#include "lib/dkim/arc_in.h"
#include "lib/dkim/checks_in.h"
#include "lib/dkim/tags_in.h"

#define SCRATCH_MAX_BYTES (2 * DKIM_HEADER_MAX_BYTES)

struct arc_verifier {
    struct dkim_verify_options options;
    struct dkim_fields fields;
    struct dkim_bodies bodies;
    struct dkim_lookups lookups;
    struct crypt_hash *hash;
    struct buf scratch, covered;
    struct arc_sets sets;
    struct dkim_check message;                 /* of the newest set */
    struct dkim_check seals[ARC_SETS_MAX + 1]; /* by instance */
    bool decided, body_ended;
    struct err reason;
    struct arc_verdict verdict;
};

struct arc_verifier *arc_verifier_create(const struct dkim_verify_options *options)
{
    struct arc_verifier *v = mem_alloc(sizeof *v);

    v->options = *options;
    v->options.allow_sha1 = false; /* RFC 8617 4.1: nothing but what RFC 8301 left */
    v->hash = crypt_hash_create(CRYPT_SHA256);
    dkim_lookups_init(&v->lookups, options->keys);
    buf_init(&v->scratch, SCRATCH_MAX_BYTES);
    buf_init(&v->covered, SCRATCH_MAX_BYTES);
    return v;
}

void arc_verifier_destroy(struct arc_verifier **v)
{
    if (*v == NULL)
        return;
    dkim_fields_finish(&(*v)->fields);
    dkim_bodies_finish(&(*v)->bodies);
    dkim_lookups_finish(&(*v)->lookups);
    crypt_hash_destroy(&(*v)->hash);
    buf_finish(&(*v)->scratch);
    buf_finish(&(*v)->covered);
    free(*v);
    *v = NULL;
}

void arc_verifier_set_now(struct arc_verifier *v, int64_t now_unix_s)
{
    v->options.now_unix_s = now_unix_s;
}

static void decide(struct arc_verifier *v, enum arc_result result)
{
    v->decided = true;
    v->verdict.result = result;
    v->verdict.reason = v->reason.text;
}

/* cv= says what the sealer found: none in the first set, pass in all others (RFC 8617 5.2). */
static int check_cv(const struct dkim_signature *seal, struct err *err)
{
    struct slice wanted = seal->instance == 1 ? SLICE("none") : SLICE("pass");

    if (slice_eq(seal->cv, wanted))
        return 0;
    return err_set(err, ERR_SYNTAX, "the seal i=%u says cv=%.*s, where only cv=%.*s is right",
                   seal->instance, SLICE_ARG(seal->cv), SLICE_ARG(wanted));
}

/* The digest that a seal signs: all sets up to its own, its own b= empty (RFC 8617 5.1.1).
 * `covered` holds the sets before it and gets its set in full. */
static void digest_seal(struct arc_verifier *v, unsigned i)
{
    const struct dkim_field *const *set = v->sets.part[i];
    size_t before;

    canon_header(CANON_RELAXED, set[ARC_RESULTS]->raw, &v->covered);
    canon_header(CANON_RELAXED, set[ARC_MESSAGE]->raw, &v->covered);
    before = v->covered.n;
    dkim_field_without(CANON_RELAXED, set[ARC_SEAL], v->seals[i].signature.b_span, &v->scratch,
                       &v->covered);
    crypt_hash_update(v->hash, buf_slice(&v->covered));
    crypt_hash_finish(v->hash, &v->seals[i].digest);
    v->covered.n = before;
    canon_header(CANON_RELAXED, set[ARC_SEAL]->raw, &v->covered);
}

static int prepare_seals(struct arc_verifier *v)
{
    buf_clear(&v->covered);
    for (unsigned i = 1; i <= v->sets.highest; i++) {
        struct dkim_check *c = &v->seals[i];

        if (dkim_signature_read(FIELD_ARC_SEAL, v->sets.part[i][ARC_SEAL], &v->options, &v->scratch,
                                &c->signature, &v->reason) != 0 ||
            check_cv(&c->signature, &v->reason) != 0 ||
            dkim_lookups_want(&v->lookups, &c->signature, &c->lookup, &v->reason) != 0)
            return -1;
        digest_seal(v, i);
        if (v->covered.full)
            return err_set(&v->reason, ERR_LIMIT, "the chain is too large");
    }
    return 0;
}

static int prepare_message(struct arc_verifier *v)
{
    const struct dkim_field *field = v->sets.part[v->sets.highest][ARC_MESSAGE];
    struct dkim_check *c = &v->message;

    if (dkim_signature_read(FIELD_ARC_MESSAGE, field, &v->options, &v->scratch, &c->signature,
                            &v->reason) != 0 ||
        dkim_lookups_want(&v->lookups, &c->signature, &c->lookup, &v->reason) != 0)
        return -1;
    c->body =
        dkim_bodies_want(&v->bodies, c->signature.body_canon, CRYPT_SHA256, c->signature.limit);
    buf_clear(&v->covered);
    dkim_signature_covered(&c->signature, &v->fields, field, &v->scratch, &v->covered);
    if (v->covered.full)
        return err_set(&v->reason, ERR_LIMIT, "what the message signature covers is too large");
    crypt_hash_update(v->hash, buf_slice(&v->covered));
    crypt_hash_finish(v->hash, &c->digest);
    return 0;
}

/* Step 2 of RFC 8617 5.2: a chain that a sealer found broken stays broken. */
static bool is_broken_before(struct arc_verifier *v)
{
    const struct dkim_field *newest = v->sets.part[v->sets.highest][ARC_SEAL];
    const struct dkim_tag *cv, *d;
    struct dkim_tags tags;
    struct err ignored;

    if (newest == NULL || dkim_tags_read(dkim_field_value(newest), &tags, &ignored) != 0)
        return false;
    cv = dkim_tags_find(&tags, "cv");
    d = dkim_tags_find(&tags, "d");
    v->verdict.sealer = d != NULL ? d->value : SLICE("");
    return cv != NULL && slice_eq(cv->value, SLICE("fail"));
}

int arc_verifier_begin(struct arc_verifier *v, struct slice header, struct err *err)
{
    int found;

    v->decided = v->body_ended = false;
    v->verdict = (struct arc_verdict){.result = ARC_NONE};
    v->reason = (struct err){0};
    v->message = (struct dkim_check){0};
    memset(v->seals, 0, sizeof v->seals);
    dkim_lookups_begin(&v->lookups);
    dkim_bodies_begin(&v->bodies);
    if (header.n > DKIM_HEADER_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "a header of %zu bytes is too large", header.n);
    if (dkim_fields_read(&v->fields, header, DKIM_HEADER_FIELDS_MAX, err) != 0)
        return -1;
    found = arc_sets_read(&v->fields, &v->sets, &v->reason);
    v->verdict.instances = v->sets.highest;
    if (found == 0 && v->sets.highest == 0) {
        err_set(&v->reason, ERR_NONE, "the message has no ARC fields");
        decide(v, ARC_NONE);
        return 0;
    }
    v->verdict.broken_before = is_broken_before(v);
    if (v->verdict.broken_before && found == 0)
        found = err_set(&v->reason, ERR_SYNTAX,
                        "the newest seal (i=%u) says cv=fail: the chain was "
                        "broken before it came to us",
                        v->sets.highest);
    if (found != 0 || prepare_message(v) != 0 || prepare_seals(v) != 0) {
        decide(v, ARC_FAIL);
        dkim_lookups_begin(&v->lookups); /* no question is worth asking any more */
        dkim_bodies_begin(&v->bodies);
    }
    return 0;
}

void arc_verifier_body(struct arc_verifier *v, struct slice bytes)
{
    dkim_bodies_feed(&v->bodies, bytes);
}

void arc_verifier_finish(struct arc_verifier *v)
{
    assert(!v->body_ended);
    dkim_bodies_end(&v->bodies);
    v->body_ended = true;
}

bool arc_verifier_question(struct arc_verifier *v, size_t *id_out,
                           struct dns_question *question_out)
{
    return dkim_lookups_question(&v->lookups, id_out, question_out);
}

void arc_verifier_answer(struct arc_verifier *v, size_t id, const struct dns_answer *answer)
{
    dkim_lookups_answer(&v->lookups, id, answer);
}

/* Notes the failure of one signature; true if it passed. */
static bool passes(struct arc_verifier *v, struct dkim_check *c, const struct dkim_body *body,
                   const char *what, unsigned i)
{
    dkim_check_judge(c, &v->lookups, body, &v->options, &v->scratch);
    if (c->result == DKIM_PASS)
        return true;
    v->verdict.temporary = c->result == DKIM_TEMPERROR;
    err_set(&v->reason, ERR_SYNTAX, "%s i=%u: %.200s", what, i, c->reason.text);
    decide(v, ARC_FAIL);
    return false;
}

enum step arc_verifier_step(struct arc_verifier *v)
{
    if (v->decided)
        return STEP_DONE;
    if (!v->body_ended || v->lookups.answered < v->lookups.count)
        return STEP_WAIT;
    if (!passes(v, &v->message, v->bodies.list[v->message.body], "the message signature",
                v->sets.highest))
        return STEP_DONE;
    for (unsigned i = v->sets.highest; i >= 1; i--) {
        if (!passes(v, &v->seals[i], NULL, "the seal", i))
            return STEP_DONE;
    }
    err_set(&v->reason, ERR_NONE, "the newest message signature and %s good",
            v->sets.highest == 1 ? "its seal are" : "all seals are");
    decide(v, ARC_PASS);
    return STEP_DONE;
}

const struct arc_verdict *arc_verifier_verdict(const struct arc_verifier *v)
{
    assert(v->decided);
    return &v->verdict;
}
