#include "lib/dkim/verify.h"

#include <assert.h>

#include "lib/dkim/checks_in.h"
#include "lib/dkim/tags_in.h"

#define SCRATCH_MAX_BYTES (2 * DKIM_HEADER_MAX_BYTES)

struct dkim_verifier {
    struct dkim_verify_options options;
    struct dkim_fields fields;
    struct dkim_bodies bodies;
    struct dkim_lookups lookups;
    struct crypt_hash *hashes[2]; /* by enum crypt_hash_kind; made when wanted */
    struct buf scratch, covered;
    bool body_ended, judged;
    size_t count;
    struct dkim_check *checks; /* DKIM_SIGNATURES_MAX of them */
    struct dkim_verdict *verdicts;
    size_t capacity;
};

struct dkim_verifier *dkim_verifier_create(const struct dkim_verify_options *options)
{
    struct dkim_verifier *v = mem_alloc(sizeof *v);

    v->options = *options;
    dkim_lookups_init(&v->lookups, options->keys);
    buf_init(&v->scratch, SCRATCH_MAX_BYTES);
    buf_init(&v->covered, SCRATCH_MAX_BYTES);
    return v;
}

void dkim_verifier_destroy(struct dkim_verifier **v)
{
    if (*v == NULL)
        return;
    dkim_fields_finish(&(*v)->fields);
    dkim_bodies_finish(&(*v)->bodies);
    dkim_lookups_finish(&(*v)->lookups);
    crypt_hash_destroy(&(*v)->hashes[CRYPT_SHA256]);
    crypt_hash_destroy(&(*v)->hashes[CRYPT_SHA1]);
    buf_finish(&(*v)->scratch);
    buf_finish(&(*v)->covered);
    free((*v)->checks);
    free((*v)->verdicts);
    free(*v);
    *v = NULL;
}

void dkim_verifier_set_now(struct dkim_verifier *v, int64_t now_unix_s)
{
    v->options.now_unix_s = now_unix_s;
}

static struct dkim_check *add_check(struct dkim_verifier *v)
{
    if (v->count == v->capacity) {
        v->capacity = v->capacity > 0 ? 2 * v->capacity : 4;
        v->checks = mem_resize(v->checks, v->capacity * sizeof *v->checks);
        v->verdicts = mem_resize(v->verdicts, v->capacity * sizeof *v->verdicts);
    }
    v->checks[v->count] = (struct dkim_check){0};
    return &v->checks[v->count++];
}

/* Everything that can be known without body and key. */
static void prepare(struct dkim_verifier *v, const struct dkim_field *field)
{
    struct dkim_check *c = add_check(v);
    enum crypt_hash_kind kind;

    c->problem = DKIM_PROBLEM_SYNTAX; /* of whatever is decided here */
    if (v->count > DKIM_SIGNATURES_MAX) {
        err_set(&c->reason, ERR_LIMIT, "only the first %d signatures of a message are judged",
                DKIM_SIGNATURES_MAX);
        dkim_check_decide(c, DKIM_PERMERROR);
        return;
    }
    if (dkim_signature_read(FIELD_DKIM_SIGNATURE, field, &v->options, &v->scratch, &c->signature,
                            &c->reason) != 0 ||
        dkim_lookups_want(&v->lookups, &c->signature, &c->lookup, &c->reason) != 0) {
        if (c->signature.expired)
            c->problem = DKIM_PROBLEM_EXPIRED;
        dkim_check_decide(c, DKIM_PERMERROR);
        return;
    }
    kind = dkim_signature_hash(&c->signature);
    c->body = dkim_bodies_want(&v->bodies, c->signature.body_canon, kind, c->signature.limit);
    if (c->body == DKIM_BODY_NONE) {
        err_set(&c->reason, ERR_LIMIT,
                "the signatures want more than %d different hashes of the body", DKIM_BODIES_MAX);
        dkim_check_decide(c, DKIM_PERMERROR);
        return;
    }
    buf_clear(&v->covered);
    dkim_signature_covered(&c->signature, &v->fields, field, &v->scratch, &v->covered);
    if (v->covered.full) {
        err_set(&c->reason, ERR_LIMIT, "what the signature covers is too large");
        dkim_check_decide(c, DKIM_PERMERROR);
        return;
    }
    if (v->hashes[kind] == NULL)
        v->hashes[kind] = crypt_hash_create(kind);
    crypt_hash_update(v->hashes[kind], buf_slice(&v->covered));
    crypt_hash_finish(v->hashes[kind], &c->digest);
}

int dkim_verifier_begin(struct dkim_verifier *v, struct slice header, struct err *err)
{
    v->count = 0;
    v->body_ended = v->judged = false;
    dkim_lookups_begin(&v->lookups);
    dkim_bodies_begin(&v->bodies);
    if (header.n > DKIM_HEADER_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "a header of %zu bytes is too large", header.n);
    if (dkim_fields_read(&v->fields, header, DKIM_HEADER_FIELDS_MAX, err) != 0)
        return -1;
    for (size_t i = 0; i < v->fields.count && v->count <= DKIM_SIGNATURES_MAX; i++) {
        if (slice_eq_nocase(v->fields.list[i].name, SLICE("DKIM-Signature")))
            prepare(v, &v->fields.list[i]);
    }
    return 0;
}

void dkim_verifier_body(struct dkim_verifier *v, struct slice bytes)
{
    dkim_bodies_feed(&v->bodies, bytes);
}

void dkim_verifier_finish(struct dkim_verifier *v)
{
    assert(!v->body_ended);
    dkim_bodies_end(&v->bodies);
    v->body_ended = true;
}

bool dkim_verifier_question(struct dkim_verifier *v, size_t *id_out,
                            struct dns_question *question_out)
{
    return dkim_lookups_question(&v->lookups, id_out, question_out);
}

void dkim_verifier_answer(struct dkim_verifier *v, size_t id, const struct dns_answer *answer)
{
    dkim_lookups_answer(&v->lookups, id, answer);
}

static void judge(struct dkim_verifier *v, size_t i)
{
    struct dkim_check *c = &v->checks[i];
    const struct dkim_signature *s = &c->signature;

    dkim_check_judge(c, &v->lookups, c->decided ? NULL : v->bodies.list[c->body], &v->options,
                     &v->scratch);
    v->verdicts[i] = (struct dkim_verdict){
        .result = c->result,
        .domain = s->domain,
        .selector = s->selector,
        .identity = s->identity,
        .algorithm = s->algorithm_text,
        .has_limit = s->has_limit,
        .limit = s->limit,
        .testing = c->testing,
        .key_bits = c->key_bits,
        .problem = c->problem,
        .reason = c->reason.text,
    };
}

enum step dkim_verifier_step(struct dkim_verifier *v)
{
    if (!v->body_ended || v->lookups.answered < v->lookups.count)
        return STEP_WAIT;
    for (size_t i = 0; i < v->count && !v->judged; i++)
        judge(v, i);
    v->judged = true;
    return STEP_DONE;
}

size_t dkim_verifier_count(const struct dkim_verifier *v)
{
    return v->count;
}

const struct dkim_verdict *dkim_verifier_verdict(const struct dkim_verifier *v, size_t i)
{
    assert(v->judged && i < v->count);
    return &v->verdicts[i];
}
