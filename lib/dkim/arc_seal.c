#include <assert.h>

#include "lib/dkim/arc.h"
#include "lib/dkim/arc_in.h"
#include "lib/dkim/bodies_in.h"
#include "lib/dkim/write_in.h"
#include "lib/text/base64.h"

#define RESULTS_MAX_BYTES 65536
#define TEXT_MAX_BYTES (DKIM_NAMES_MAX_BYTES + 16384)

enum sealing { SEALING_MESSAGE, SEALING_SEAL, SEALING_DONE };

struct arc_sealer {
    struct arc_seal_options options;
    struct dkim_fields fields;
    struct dkim_bodies bodies;
    struct arc_sets sets;
    struct crypt_hash *hash;
    struct buf names, canonical, chain, scratch;
    struct buf results, message, seal; /* the fields that are being made */
    unsigned instance;
    enum arc_result cv;
    enum sealing state;
    struct crypt_digest digest;
};

struct arc_sealer *arc_sealer_create(void)
{
    struct arc_sealer *s = mem_alloc(sizeof *s);

    s->hash = crypt_hash_create(CRYPT_SHA256);
    buf_init(&s->names, DKIM_NAMES_MAX_BYTES);
    buf_init(&s->canonical, 2 * DKIM_SIGNER_HEADER_MAX_BYTES);
    buf_init(&s->chain, 2 * DKIM_SIGNER_HEADER_MAX_BYTES);
    buf_init(&s->scratch, 2 * TEXT_MAX_BYTES);
    buf_init(&s->results, RESULTS_MAX_BYTES);
    buf_init(&s->message, TEXT_MAX_BYTES);
    buf_init(&s->seal, TEXT_MAX_BYTES);
    return s;
}

void arc_sealer_destroy(struct arc_sealer **s)
{
    if (*s == NULL)
        return;
    struct buf *bufs[] = {&(*s)->names,   &(*s)->canonical, &(*s)->chain, &(*s)->scratch,
                          &(*s)->results, &(*s)->message,   &(*s)->seal};
    dkim_fields_finish(&(*s)->fields);
    dkim_bodies_finish(&(*s)->bodies);
    crypt_hash_destroy(&(*s)->hash);
    for (size_t i = 0; i < COUNT(bufs); i++)
        buf_finish(bufs[i]);
    free(*s);
    *s = NULL;
}

/* Every line of ours must stay inside the field. */
static int check_results(struct slice results, struct err *err)
{
    if (results.n == 0)
        return err_set(err, ERR_SYNTAX, "ARC-Authentication-Results needs at least our name");
    for (size_t i = 0; i < results.n; i++) {
        char c = results.p[i];
        bool folds = i + 2 < results.n && c == '\r' && results.p[i + 1] == '\n' &&
                     (results.p[i + 2] == ' ' || results.p[i + 2] == '\t');
        bool ends_fold = i > 0 && c == '\n' && results.p[i - 1] == '\r';

        if (c == '\0' || ((c == '\r' || c == '\n') && !folds && !ends_fold))
            return err_set(err, ERR_SYNTAX, "a line end inside the authentication results");
    }
    return 0;
}

static int begin_instance(struct arc_sealer *s, struct err *err)
{
    const struct arc_verdict *chain = &s->options.chain;
    struct err broken;
    int readable = arc_sets_read(&s->fields, &s->sets, &broken);

    if (chain->broken_before)
        return err_set(err, ERR_FOUND,
                       "the newest seal says cv=fail: the chain is closed, and "
                       "no set is added (RFC 8617 5.1)");
    if (s->sets.highest >= ARC_SETS_MAX)
        return err_set(err, ERR_LIMIT, "the chain has %d sets already", ARC_SETS_MAX);
    if (chain->temporary)
        return err_set(err, ERR_TEMP, "the chain could not be judged: DNS did not answer");
    s->instance = s->sets.highest + 1;
    s->cv = readable != 0 ? ARC_FAIL : s->sets.highest == 0 ? ARC_NONE : chain->result;
    if (s->cv == ARC_NONE && s->sets.highest > 0)
        return err_set(err, ERR_SYNTAX, "the message has a chain, but it was not judged");
    return 0;
}

/* h= and the canonical fields. Nothing is oversigned: those who forward may add fields. */
static void choose_fields(struct arc_sealer *s)
{
    const struct slice *names = s->options.fields;
    size_t count = s->options.field_count, column = DKIM_FIRST_COLUMN;

    if (names == NULL) {
        names = dkim_sign_fields;
        count = dkim_sign_field_count;
    }
    dkim_fields_start(&s->fields);
    for (size_t i = 0; i <= count; i++) {
        /* the default list has no DKIM-Signature; here it is the best of evidence */
        struct slice name = i < count ? names[i] : SLICE("DKIM-Signature");
        const struct dkim_field *field;

        if (i == count && s->options.fields != NULL)
            break;
        while ((field = dkim_fields_take(&s->fields, name)) != NULL) {
            dkim_write_name(&s->names, name, &column);
            canon_header(CANON_RELAXED, field->raw, &s->canonical);
        }
    }
}

void arc_sealer_begin(struct arc_sealer *s)
{
    s->state = SEALING_DONE;
    buf_clear(&s->names);
    buf_clear(&s->canonical);
    buf_clear(&s->chain);
    buf_clear(&s->results);
    buf_clear(&s->message);
    buf_clear(&s->seal);
    dkim_bodies_begin(&s->bodies);
    (void)dkim_bodies_want(&s->bodies, CANON_RELAXED, CRYPT_SHA256, CANON_NO_LIMIT);
}

void arc_sealer_body(struct arc_sealer *s, struct slice bytes)
{
    dkim_bodies_feed(&s->bodies, bytes);
}

/* What both fields are made of: h= and the canonical header, the results, the chain so far. */
static int prepare(struct arc_sealer *s, struct slice header, struct err *err)
{
    const struct arc_seal_options *options = &s->options;

    if (dkim_write_check(options->domain, options->selector, options->algorithm, err) != 0 ||
        check_results(options->results, err) != 0)
        return -1;
    if (header.n > DKIM_SIGNER_HEADER_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "a header of %zu bytes is too large to be sealed", header.n);
    if (dkim_fields_read(&s->fields, header, DKIM_SIGNER_FIELDS_MAX, err) != 0 ||
        begin_instance(s, err) != 0)
        return -1;
    choose_fields(s);
    buf_printf(&s->results, "ARC-Authentication-Results: i=%u; %.*s\r\n", s->instance,
               SLICE_ARG(options->results));
    /* a broken chain is not covered: the seal vouches for its own set only (RFC 8617 5.1.2) */
    for (unsigned i = 1; i < s->instance && s->cv != ARC_FAIL; i++) {
        for (unsigned part = 0; part < ARC_PARTS; part++)
            canon_header(CANON_RELAXED, s->sets.part[i][part]->raw, &s->chain);
    }
    if (s->names.full || s->canonical.full || s->results.full || s->chain.full)
        return err_set(err, ERR_LIMIT, "the header is too large to be sealed");
    return 0;
}

/* Hashes `before` and the unfinished field. */
static void digest_field(struct arc_sealer *s, const struct buf *before, const struct buf *field)
{
    buf_clear(&s->scratch);
    canon_header(CANON_RELAXED, buf_slice(field), &s->scratch);
    assert(!s->scratch.full && s->scratch.n >= 2);
    crypt_hash_update(s->hash, buf_slice(before));
    crypt_hash_update(s->hash, slice_sub(buf_slice(&s->scratch), 0, s->scratch.n - 2));
    crypt_hash_finish(s->hash, &s->digest);
}

int arc_sealer_finish(struct arc_sealer *s, const struct arc_seal_options *options,
                      struct slice header, struct err *err)
{
    const struct arc_seal_options *o = &s->options;

    s->options = *options;
    dkim_bodies_end(&s->bodies);
    if (prepare(s, header, err) != 0)
        return -1;
    buf_printf(&s->message,
               "ARC-Message-Signature: i=%u; a=%s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s; t=%lld;"
               "\r\n\th=%.*s;\r\n\tbh=",
               s->instance, dkim_algorithm_name(o->algorithm), SLICE_ARG(o->domain),
               SLICE_ARG(o->selector), (long long)o->signed_at_s, SLICE_ARG(buf_slice(&s->names)));
    base64_encode(crypt_digest_slice(&s->bodies.list[0]->digest), &s->message);
    buf_append_text(&s->message, ";\r\n\tb=");
    digest_field(s, &s->canonical, &s->message);
    s->state = SEALING_MESSAGE;
    return 0;
}

struct slice arc_sealer_digest(const struct arc_sealer *s)
{
    return s->state == SEALING_DONE ? (struct slice){NULL, 0} : crypt_digest_slice(&s->digest);
}

static void start_seal(struct arc_sealer *s)
{
    const struct arc_seal_options *o = &s->options;

    canon_header(CANON_RELAXED, buf_slice(&s->results), &s->chain);
    canon_header(CANON_RELAXED, buf_slice(&s->message), &s->chain);
    buf_printf(&s->seal,
               "ARC-Seal: i=%u; a=%s; cv=%s; t=%lld;\r\n\td=%.*s; s=%.*s;\r\n\tb=", s->instance,
               dkim_algorithm_name(o->algorithm), arc_result_name(s->cv), (long long)o->signed_at_s,
               SLICE_ARG(o->domain), SLICE_ARG(o->selector));
    digest_field(s, &s->chain, &s->seal);
}

int arc_sealer_answer(struct arc_sealer *s, struct slice signature, struct err *err)
{
    struct buf *field = s->state == SEALING_MESSAGE ? &s->message : &s->seal;

    assert(s->state != SEALING_DONE);
    if (signature.n == 0 || signature.n > CRYPT_SIGNATURE_MAX_BYTES)
        return err_set(err, ERR_SYNTAX, "a signature of %zu octets", signature.n);
    dkim_write_signature(field, signature);
    if (field->full)
        return err_set(err, ERR_LIMIT, "no room for the seal");
    if (s->state == SEALING_MESSAGE) {
        s->state = SEALING_SEAL;
        start_seal(s);
    } else {
        s->state = SEALING_DONE;
    }
    if (s->chain.full)
        return err_set(err, ERR_LIMIT, "the chain is too large to be sealed");
    return 0;
}

int arc_sealer_write(const struct arc_sealer *s, struct buf *out, struct err *err)
{
    if (s->state != SEALING_DONE || s->seal.n == 0)
        return err_set(err, ERR_FOUND, "the seal is not finished");
    buf_append(out, buf_slice(&s->seal));
    buf_append(out, buf_slice(&s->message));
    buf_append(out, buf_slice(&s->results));
    return out->full ? err_set(err, ERR_LIMIT, "no room for the ARC set") : 0;
}
