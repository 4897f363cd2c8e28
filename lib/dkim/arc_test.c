/* Chains sealed here, hop by hop, and then damaged. */
#include "base/test.h"
#include "lib/dkim/arc.h"

#define NOW 1700000000
#define HEADER "From: Joe <joe@b.example>\r\nSubject: a chain\r\n"
#define BODY "Hello.\r\n"

static struct crypt_key *the_key;
static struct buf the_record;

enum damage {
    NO_DAMAGE,
    CHANGE_BODY,
    CHANGE_SUBJECT,
    DROP_TOP_SEAL,
    DOUBLE_SEAL,
    CHANGE_FIRST_RESULTS,
    CHANGE_TOP_CV,
    NO_DNS,
    NO_KEY,
};
static const struct arc_case {
    const char *name;
    unsigned hops;
    enum damage damage;
    enum arc_result result;
    unsigned instances;
    const char *reason; /* a part of it */
} cases[] = {
    {"no chain", 0, NO_DAMAGE, ARC_NONE, 0, "no ARC fields"},
    {"one set", 1, NO_DAMAGE, ARC_PASS, 1, "its seal"},
    {"three sets", 3, NO_DAMAGE, ARC_PASS, 3, "all seals"},
    {"fifty sets", 50, NO_DAMAGE, ARC_PASS, 50, "all seals"},
    {"the body changed", 2, CHANGE_BODY, ARC_FAIL, 2, "message signature i=2: the body"},
    {"the subject changed", 2, CHANGE_SUBJECT, ARC_FAIL, 2, "message signature i=2"},
    {"the newest seal is gone", 2, DROP_TOP_SEAL, ARC_FAIL, 2,
     "ARC-Seal field with i=2 is missing"},
    {"a seal is there twice", 2, DOUBLE_SEAL, ARC_FAIL, 2, "two ARC-Seal fields with i=2"},
    {"the first results changed", 3, CHANGE_FIRST_RESULTS, ARC_FAIL, 3, "the seal i=3"},
    {"the second seal says cv=none", 2, CHANGE_TOP_CV, ARC_FAIL, 2, "only cv=pass is right"},
    {"DNS does not answer", 2, NO_DNS, ARC_FAIL, 2, "no answer about the key"},
    {"the key is gone", 2, NO_KEY, ARC_FAIL, 2, "there is no key"},
};

static struct arc_verdict verify(struct arc_verifier *v, struct slice header, struct slice body,
                                 enum damage damage)
{
    struct dns_record record = {.type = DNS_TXT, .text = buf_slice(&the_record)};
    struct dns_answer answer = {.status = DNS_OK, .records = &record, .count = 1};
    struct dns_question question;
    struct err err;
    size_t id, questions = 0;

    if (damage == NO_DNS)
        answer = (struct dns_answer){.status = DNS_SERVFAIL};
    if (damage == NO_KEY)
        answer = (struct dns_answer){.status = DNS_NXDOMAIN};
    assert_int_equal(arc_verifier_begin(v, header, &err), 0);
    arc_verifier_body(v, body);
    arc_verifier_finish(v);
    for (; arc_verifier_question(v, &id, &question); questions++)
        arc_verifier_answer(v, id, &answer);
    assert_true(questions <= 1); /* one key seals all */
    assert_int_equal(arc_verifier_step(v), STEP_DONE);
    return *arc_verifier_verdict(v);
}

/* Puts one set on top of `message`, which is a header. */
static int seal(struct arc_sealer *s, const struct arc_verdict *chain, struct buf *header,
                struct err *err)
{
    const struct arc_seal_options options = {.domain = SLICE("b.example"),
                                             .selector = SLICE("s"),
                                             .algorithm = DKIM_ED25519_SHA256,
                                             .results = SLICE("b.example;\r\n\tspf=pass"),
                                             .signed_at_s = NOW,
                                             .chain = *chain};
    struct buf signature, set;
    int result = -1;

    buf_init(&signature, 4096);
    buf_init(&set, 1u << 20);
    arc_sealer_begin(s);
    arc_sealer_body(s, SLICE(BODY));
    if (arc_sealer_finish(s, &options, buf_slice(header), err) != 0)
        goto out;
    assert_int_equal(arc_sealer_write(s, &set, err), -1);
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&signature);
        assert_int_equal(crypt_key_sign(the_key, arc_sealer_digest(s), &signature, err), 0);
        assert_int_equal(arc_sealer_answer(s, buf_slice(&signature), err), 0);
    }
    assert_int_equal(arc_sealer_digest(s).n, 0);
    result = arc_sealer_write(s, &set, err);
    buf_append(&set, buf_slice(header));
    buf_clear(header);
    buf_append(header, buf_slice(&set));
out:
    buf_finish(&signature);
    buf_finish(&set);
    return result;
}

static void replace(struct buf *b, struct slice what, struct slice with, bool last)
{
    struct buf out;
    size_t at = slice_search(buf_slice(b), what), next;

    for (next = at; last && next != SLICE_NONE;) {
        next = slice_search(slice_from(buf_slice(b), at + 1), what);
        at += next == SLICE_NONE ? 0 : next + 1;
    }
    assert_int_not_equal(at, SLICE_NONE);
    buf_init(&out, b->max);
    buf_append(&out, slice_sub(buf_slice(b), 0, at));
    buf_append(&out, with);
    buf_append(&out, slice_from(buf_slice(b), at + what.n));
    buf_clear(b);
    buf_append(b, buf_slice(&out));
    buf_finish(&out);
}

static void do_damage(enum damage damage, struct buf *header)
{
    switch (damage) {
    case NO_DAMAGE:
    case CHANGE_BODY:
    case NO_DNS:
    case NO_KEY:
        return;
    case CHANGE_SUBJECT:
        replace(header, SLICE("a chain"), SLICE("a claim"), false);
        return;
    case DROP_TOP_SEAL:
        replace(header, SLICE("ARC-Seal:"), SLICE("X-Seal:"), false);
        return;
    case DOUBLE_SEAL:
        buf_append_text(header, "ARC-Seal: a=rsa-sha256; b=YWJj; i=2\r\n");
        return;
    case CHANGE_FIRST_RESULTS:
        replace(header, SLICE("spf=pass"), SLICE("spf=fail"), true);
        return;
    case CHANGE_TOP_CV:
        replace(header, SLICE("cv=pass"), SLICE("cv=none"), false);
        return;
    }
}

static void run_case(void **state)
{
    const struct arc_case *c = *state;
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    struct arc_verifier *v = arc_verifier_create(&options);
    struct arc_sealer *s = arc_sealer_create();
    struct arc_verdict verdict;
    struct buf header;
    struct err err;

    buf_init(&header, 1u << 20);
    buf_append_text(&header, HEADER);
    for (unsigned i = 0; i < c->hops; i++) {
        verdict = verify(v, buf_slice(&header), SLICE(BODY), NO_DAMAGE);
        assert_int_equal(seal(s, &verdict, &header, &err), 0);
    }
    do_damage(c->damage, &header);
    verdict = verify(v, buf_slice(&header), c->damage == CHANGE_BODY ? SLICE("other") : SLICE(BODY),
                     c->damage);
    assert_int_equal(verdict.result, c->result);
    assert_int_equal(verdict.instances, c->instances);
    assert_int_equal(verdict.temporary, c->damage == NO_DNS);
    if (strstr(verdict.reason, c->reason) == NULL)
        fail_msg("%s", verdict.reason);
    buf_finish(&header);
    arc_verifier_destroy(&v);
    arc_sealer_destroy(&s);
    arc_sealer_destroy(&s);
}

/* A broken chain gets one more set that says cv=fail and covers itself only; then it is closed. */
static void run_broken(void **state)
{
    const struct dkim_verify_options options = {.now_unix_s = NOW};
    struct arc_verifier *v = arc_verifier_create(&options);
    struct arc_sealer *s = arc_sealer_create();
    struct arc_verdict verdict;
    struct buf header;
    struct err err;

    (void)state;
    buf_init(&header, 1u << 20);
    buf_append_text(&header, HEADER);
    verdict = verify(v, buf_slice(&header), SLICE(BODY), NO_DAMAGE);
    assert_int_equal(seal(s, &verdict, &header, &err), 0);
    do_damage(CHANGE_SUBJECT, &header);
    verdict = verify(v, buf_slice(&header), SLICE(BODY), NO_DAMAGE);
    assert_int_equal(verdict.result, ARC_FAIL);
    assert_int_equal(seal(s, &verdict, &header, &err), 0);
    assert_true(
        slice_starts(buf_slice(&header), SLICE("ARC-Seal: i=2; a=ed25519-sha256; cv=fail;")));
    verdict = verify(v, buf_slice(&header), SLICE(BODY), NO_DAMAGE);
    assert_true(verdict.result == ARC_FAIL && verdict.broken_before);
    assert_int_equal(seal(s, &verdict, &header, &err), -1);
    assert_int_equal(err.code, ERR_FOUND);
    buf_finish(&header);
    arc_verifier_destroy(&v);
    arc_sealer_destroy(&s);
}

static int refuse(struct arc_sealer *s, const struct arc_seal_options *options, struct slice header,
                  struct err *err)
{
    arc_sealer_begin(s);
    return arc_sealer_finish(s, options, header, err);
}

static void run_refused(void **state)
{
    struct arc_seal_options options = {.domain = SLICE("b.example"),
                                       .selector = SLICE("s"),
                                       .results = SLICE("b.example\r\nX: y")};
    struct arc_sealer *s = arc_sealer_create();
    struct buf header;
    struct err err;

    (void)state;
    assert_int_equal(refuse(s, &options, SLICE(HEADER), &err), -1);
    options.results = SLICE("");
    assert_int_equal(refuse(s, &options, SLICE(HEADER), &err), -1);
    options.results = SLICE("b.example; none");
    options.algorithm = DKIM_RSA_SHA1;
    assert_int_equal(refuse(s, &options, SLICE(HEADER), &err), -1);
    options.algorithm = DKIM_RSA_SHA256;
    buf_init(&header, 1u << 20);
    buf_append_text(&header, "ARC-Seal: i=50; a=rsa-sha256; b=YWJj\r\n");
    options.chain.result = ARC_FAIL;
    assert_int_equal(refuse(s, &options, buf_slice(&header), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    options.chain.temporary = true;
    assert_int_equal(refuse(s, &options, SLICE(HEADER), &err), -1);
    assert_int_equal(err.code, ERR_TEMP);
    buf_finish(&header);
    arc_sealer_destroy(&s);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2];
    struct err err;
    int failed;

    buf_init(&the_record, DKIM_RECORD_MAX_BYTES);
    if (crypt_key_generate(CRYPT_ED25519, 0, &the_key, &err) != 0 ||
        dkim_record_write(the_key, &the_record, &err) != 0)
        return 1;
    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(run_broken);
    tests[COUNT(cases) + 1] = (struct CMUnitTest)cmocka_unit_test(run_refused);
    failed = _cmocka_run_group_tests("arc", tests, COUNT(tests), NULL, NULL);
    crypt_key_destroy(&the_key);
    buf_finish(&the_record);
    return failed;
}
