/* Any value of a DKIM-Signature field: it is refused with a reason, or it says what it must, and
 * reading it again from its own slices says the same. Whole messages never crash the verifier, and
 * one more good signature does not change the verdict of the others. */
#include <assert.h>

#include "lib/dkim/signature_in.h"
#include "lib/dkim/tags_in.h"

static void check_tags(struct slice in)
{
    struct dkim_tags tags, again;
    struct buf rebuilt;
    struct err err = {0};

    if (dkim_tags_read(in, &tags, &err) != 0) {
        assert(err.text[0] != '\0');
        return;
    }
    /* tags written anew are the same tags */
    buf_init(&rebuilt, 2 * in.n + 16);
    for (size_t i = 0; i < tags.count; i++) {
        buf_append(&rebuilt, tags.list[i].name);
        buf_append_char(&rebuilt, '=');
        buf_append(&rebuilt, tags.list[i].value);
        buf_append_char(&rebuilt, ';');
    }
    assert(!rebuilt.full);
    assert(dkim_tags_read(buf_slice(&rebuilt), &again, &err) == 0);
    assert(again.count == tags.count);
    for (size_t i = 0; i < tags.count; i++) {
        assert(slice_eq(again.list[i].name, tags.list[i].name));
        assert(slice_eq(again.list[i].value, tags.list[i].value));
    }
    buf_finish(&rebuilt);
}

static void check_signature(enum dkim_field_kind kind, const struct dkim_field *field)
{
    const struct dkim_verify_options options = {.now_unix_s = 1700000000};
    struct dkim_signature s;
    struct buf scratch;
    struct err err = {0};

    buf_init(&scratch, 1u << 20);
    if (dkim_signature_read(kind, field, &options, &scratch, &s, &err) != 0) {
        assert(err.text[0] != '\0');
    } else {
        assert(s.domain.n > 0 && s.selector.n > 0 && s.b.n > 0 && s.b_span.n >= s.b.n);
        assert(s.b_span.p >= field->raw.p &&
               s.b_span.p + s.b_span.n <= field->raw.p + field->raw.n);
        assert(kind == FIELD_DKIM_SIGNATURE ||
               (s.instance >= 1 && s.instance <= ARC_INSTANCES_MAX));
    }
    buf_finish(&scratch);
}

static size_t verify(struct slice header, enum dkim_result *results, size_t max)
{
    const struct dkim_verify_options options = {.now_unix_s = 1700000000};
    struct dkim_verifier *v = dkim_verifier_create(&options);
    const struct dns_answer nothing = {.status = DNS_NXDOMAIN};
    struct dns_question question;
    struct err err;
    size_t id, count = 0;

    if (dkim_verifier_begin(v, header, &err) == 0) {
        dkim_verifier_body(v, SLICE("x\r\n"));
        dkim_verifier_finish(v);
        while (dkim_verifier_question(v, &id, &question))
            dkim_verifier_answer(v, id, &nothing);
        assert(dkim_verifier_step(v) == STEP_DONE);
        count = dkim_verifier_count(v);
        for (size_t i = 0; i < count && i < max; i++) {
            results[i] = dkim_verifier_verdict(v, i)->result;
            assert(results[i] != DKIM_PASS && dkim_verifier_verdict(v, i)->reason[0] != '\0');
        }
    }
    dkim_verifier_destroy(&v);
    return count;
}

#define RESULTS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    enum dkim_result alone[RESULTS], beside[RESULTS];
    struct dkim_fields fields = {0};
    struct buf header;
    struct err err;

    if (size > 65536)
        return 0;
    check_tags(in);
    buf_init(&header, size + 256);
    buf_append_text(&header, "DKIM-Signature: ");
    buf_append(&header, in);
    buf_append_text(&header, "\r\n");
    if (dkim_fields_read(&fields, buf_slice(&header), 1000, &err) == 0 && fields.count > 0) {
        check_signature(FIELD_DKIM_SIGNATURE, &fields.list[0]);
        check_signature(FIELD_ARC_MESSAGE, &fields.list[0]);
        check_signature(FIELD_ARC_SEAL, &fields.list[0]);
    }
    size_t n = verify(buf_slice(&header), alone, RESULTS);
    buf_append_text(&header,
                    "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=YWJj; "
                    "b=YWJj\r\n");
    size_t m = verify(buf_slice(&header), beside, RESULTS);
    assert(m == n + 1 || slice_search(in, SLICE("\r\n\r\n")) != SLICE_NONE ||
           slice_ends(in, SLICE("\r\n")) || slice_starts(in, SLICE("\n")));
    for (size_t i = 0; i < n && i < m && i < RESULTS; i++)
        assert(alone[i] == beside[i]);
    dkim_fields_finish(&fields);
    buf_finish(&header);
    return 0;
}
