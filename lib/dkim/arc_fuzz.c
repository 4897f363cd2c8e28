/* Any header: a verdict comes, questions end, the number of sets stays in bounds; and a seal that
 * is put on top is found again, one instance higher. */
#include <assert.h>

#include "lib/dkim/arc.h"

static struct arc_verdict verify(struct arc_verifier *v, struct slice header)
{
    const struct dns_answer nothing = {.status = DNS_NODATA};
    struct dns_question question;
    struct err err;
    size_t id;

    if (arc_verifier_begin(v, header, &err) != 0)
        return (struct arc_verdict){.result = ARC_FAIL, .instances = ARC_SETS_MAX};
    arc_verifier_body(v, SLICE("x\r\n"));
    arc_verifier_finish(v);
    while (arc_verifier_question(v, &id, &question))
        arc_verifier_answer(v, id, &nothing);
    assert(arc_verifier_step(v) == STEP_DONE);
    assert(arc_verifier_verdict(v)->result != ARC_PASS); /* there is no key */
    assert(arc_verifier_verdict(v)->instances <= ARC_SETS_MAX);
    assert(arc_verifier_verdict(v)->reason[0] != '\0');
    return *arc_verifier_verdict(v);
}

static bool seal(struct slice header, const struct arc_verdict *chain, struct buf *out)
{
    struct arc_sealer *s = arc_sealer_create();
    struct arc_seal_options options = {.domain = SLICE("b.example"),
                                       .selector = SLICE("s"),
                                       .results = SLICE("b.example; none"),
                                       .chain = *chain};
    struct err err;
    bool sealed = false;

    options.chain.temporary = false;
    arc_sealer_begin(s);
    arc_sealer_body(s, SLICE("x\r\n"));
    if (arc_sealer_finish(s, &options, header, &err) == 0) {
        sealed = true;
        while (sealed && arc_sealer_digest(s).n > 0)
            sealed = arc_sealer_answer(s, SLICE("signature"), &err) == 0;
        sealed = sealed && arc_sealer_write(s, out, &err) == 0;
    }
    arc_sealer_destroy(&s);
    return sealed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dkim_verify_options options = {.now_unix_s = 1700000000};
    struct arc_verifier *v = arc_verifier_create(&options);
    struct slice in = {(const char *)data, size};
    struct arc_verdict before, after;
    struct buf out;

    if (size > 65536) {
        arc_verifier_destroy(&v);
        return 0;
    }
    buf_init(&out, size + (1u << 20));
    before = verify(v, in);
    if (seal(in, &before, &out)) {
        buf_append(&out, in);
        bool continues = size > 0 && (in.p[0] == ' ' || in.p[0] == '\t'); /* a fold of our field */

        after = verify(v, buf_slice(&out));
        assert(continues || after.instances == before.instances + 1);
    }
    buf_finish(&out);
    arc_verifier_destroy(&v);
    return 0;
}
