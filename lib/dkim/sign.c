#include "lib/dkim/sign.h"

#include <assert.h>

#include "lib/crypt/key.h"
#include "lib/dkim/bodies_in.h"
#include "lib/dkim/fields_in.h"
#include "lib/dkim/tags_in.h"
#include "lib/dkim/write_in.h"
#include "lib/text/base64.h"

#define FIELD_MAX_BYTES (DKIM_NAMES_MAX_BYTES + 8192)

const struct slice dkim_sign_fields[] = {
    SLICE_INIT("From"),
    SLICE_INIT("Sender"),
    SLICE_INIT("Reply-To"),
    SLICE_INIT("Subject"),
    SLICE_INIT("Date"),
    SLICE_INIT("Message-ID"),
    SLICE_INIT("To"),
    SLICE_INIT("Cc"),
    SLICE_INIT("MIME-Version"),
    SLICE_INIT("Content-Type"),
    SLICE_INIT("Content-Transfer-Encoding"),
    SLICE_INIT("Content-ID"),
    SLICE_INIT("Content-Description"),
    SLICE_INIT("In-Reply-To"),
    SLICE_INIT("References"),
    SLICE_INIT("Resent-Date"),
    SLICE_INIT("Resent-From"),
    SLICE_INIT("Resent-To"),
    SLICE_INIT("Resent-Cc"),
    SLICE_INIT("List-Id"),
    SLICE_INIT("List-Help"),
    SLICE_INIT("List-Unsubscribe"),
    SLICE_INIT("List-Unsubscribe-Post"),
    SLICE_INIT("List-Subscribe"),
    SLICE_INIT("List-Post"),
    SLICE_INIT("List-Owner"),
    SLICE_INIT("List-Archive"),
    SLICE_INIT("Feedback-ID"),
};
const size_t dkim_sign_field_count = COUNT(dkim_sign_fields);

const struct slice dkim_oversign_fields[] = {
    SLICE_INIT("From"), SLICE_INIT("To"),         SLICE_INIT("Subject"),
    SLICE_INIT("Date"), SLICE_INIT("Message-ID"),
};
const size_t dkim_oversign_field_count = COUNT(dkim_oversign_fields);

struct making {
    struct dkim_sign_spec spec;
    size_t body;            /* which of the body hashes */
    size_t text_at, text_n; /* the field up to b=, in `text` */
    struct crypt_digest digest;
    struct buf signature; /* raw */
};
struct dkim_signer {
    struct dkim_fields fields;
    struct dkim_bodies bodies;
    struct crypt_hash *hash;
    struct buf names;        /* "From:From:To", folded */
    struct buf canonical[2]; /* the chosen fields, by enum canon; empty when no spec wants it */
    struct buf text;         /* the fields that are being made */
    struct buf scratch;
    int64_t signed_at_s, expires_at_s;
    size_t count;
    struct making making[DKIM_SIGNER_SIGNATURES_MAX];
};

struct dkim_signer *dkim_signer_create(void)
{
    struct dkim_signer *s = mem_alloc(sizeof *s);

    s->hash = crypt_hash_create(CRYPT_SHA256);
    buf_init(&s->names, DKIM_NAMES_MAX_BYTES);
    for (size_t i = 0; i < COUNT(s->canonical); i++)
        buf_init(&s->canonical[i], 2 * DKIM_SIGNER_HEADER_MAX_BYTES);
    buf_init(&s->text, DKIM_SIGNER_SIGNATURES_MAX * FIELD_MAX_BYTES);
    buf_init(&s->scratch, 2 * FIELD_MAX_BYTES);
    for (size_t i = 0; i < COUNT(s->making); i++)
        buf_init(&s->making[i].signature, CRYPT_SIGNATURE_MAX_BYTES);
    return s;
}

void dkim_signer_destroy(struct dkim_signer **s)
{
    if (*s == NULL)
        return;
    dkim_fields_finish(&(*s)->fields);
    dkim_bodies_finish(&(*s)->bodies);
    crypt_hash_destroy(&(*s)->hash);
    buf_finish(&(*s)->names);
    for (size_t i = 0; i < COUNT((*s)->canonical); i++)
        buf_finish(&(*s)->canonical[i]);
    buf_finish(&(*s)->text);
    buf_finish(&(*s)->scratch);
    for (size_t i = 0; i < COUNT((*s)->making); i++)
        buf_finish(&(*s)->making[i].signature);
    free(*s);
    *s = NULL;
}

/* --- begin: what is asked for, and the header --- */

static int check_spec(const struct dkim_sign_spec *spec, struct err *err)
{
    if (dkim_write_check(spec->domain, spec->selector, spec->algorithm, err) != 0)
        return -1;
    if (spec->identity.n > 0) {
        size_t at = slice_find_last(spec->identity, '@');

        if (at == SLICE_NONE || !dkim_is_within(slice_from(spec->identity, at + 1), spec->domain))
            return err_set(err, ERR_SYNTAX, "the identity \"%.*s\" (i=) does not belong to %.*s",
                           SLICE_ARG(spec->identity), SLICE_ARG(spec->domain));
        for (size_t i = 0; i < at; i++) {
            char c = spec->identity.p[i];

            if (c <= ' ' || c > '~' || c == ';' || c == '=' || c == '@')
                return err_set(err, ERR_SYNTAX,
                               "the identity \"%.*s\" (i=) needs characters that "
                               "are not written here",
                               SLICE_ARG(spec->identity));
        }
    }
    return 0;
}

/* Lists a field as often as it occurs, and takes it into the canonical header, bottom up. */
static void take_fields(struct dkim_signer *s, struct slice name, const bool wanted[2],
                        size_t *column)
{
    const struct dkim_field *field;

    while ((field = dkim_fields_take(&s->fields, name)) != NULL) {
        dkim_write_name(&s->names, name, column);
        for (unsigned kind = 0; kind < 2; kind++) {
            if (wanted[kind])
                canon_header((enum canon)kind /* 0 and 1 */, field->raw, &s->canonical[kind]);
        }
    }
}

/* Takes all chosen fields. Names that are listed once too often come where their fields are, so
 * that the list reads well: "From:From:Subject:Subject". */
static int choose_fields(struct dkim_signer *s, const struct dkim_sign_options *o,
                         const bool wanted[2], struct err *err)
{
    const struct slice *fields = o->fields != NULL ? o->fields : dkim_sign_fields;
    size_t field_count = o->fields != NULL ? o->field_count : dkim_sign_field_count;
    const struct slice *over = o->oversign != NULL ? o->oversign : dkim_oversign_fields;
    size_t over_count = o->oversign != NULL ? o->oversign_count : dkim_oversign_field_count;
    size_t column = DKIM_FIRST_COLUMN;

    if (dkim_fields_count(&s->fields, SLICE("From")) == 0)
        return err_set(err, ERR_SYNTAX, "the message has no From field, so it cannot be signed");
    dkim_fields_start(&s->fields);
    take_fields(s, SLICE("From"), wanted, &column);
    dkim_write_name(&s->names, SLICE("From"), &column);
    for (size_t i = 0; i < over_count; i++) {
        if (slice_eq_nocase(over[i], SLICE("From")))
            continue;
        take_fields(s, over[i], wanted, &column);
        dkim_write_name(&s->names, over[i], &column);
    }
    for (size_t i = 0; i < field_count; i++)
        take_fields(s, fields[i], wanted, &column);
    if (s->names.full || s->canonical[0].full || s->canonical[1].full)
        return err_set(err, ERR_LIMIT, "the header is too large to be signed");
    return 0;
}

int dkim_signer_begin(struct dkim_signer *s, const struct dkim_sign_options *options,
                      struct slice header, struct err *err)
{
    bool wanted[2] = {false, false};

    s->count = 0;
    if (options->spec_count == 0 || options->spec_count > DKIM_SIGNER_SIGNATURES_MAX)
        return err_set(err, ERR_LIMIT, "%zu signatures are asked for; 1 to %d can be made",
                       options->spec_count, DKIM_SIGNER_SIGNATURES_MAX);
    if (header.n > DKIM_SIGNER_HEADER_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "a header of %zu bytes is too large to be signed", header.n);
    if (options->expires_at_s > 0 && options->expires_at_s <= options->signed_at_s)
        return err_set(err, ERR_SYNTAX, "the signature would expire before it is made");
    buf_clear(&s->names);
    buf_clear(&s->text);
    buf_clear(&s->canonical[CANON_SIMPLE]);
    buf_clear(&s->canonical[CANON_RELAXED]);
    dkim_bodies_begin(&s->bodies);
    s->signed_at_s = options->signed_at_s;
    s->expires_at_s = options->expires_at_s;
    for (size_t i = 0; i < options->spec_count; i++) {
        struct making *m = &s->making[i];

        m->spec = options->specs[i];
        if (check_spec(&m->spec, err) != 0)
            return -1;
        m->body = dkim_bodies_want(&s->bodies, m->spec.body_canon, CRYPT_SHA256, CANON_NO_LIMIT);
        wanted[m->spec.header_canon] = true;
        buf_clear(&m->signature);
    }
    if (dkim_fields_read(&s->fields, header, DKIM_SIGNER_FIELDS_MAX, err) != 0 ||
        choose_fields(s, options, wanted, err) != 0)
        return -1;
    s->count = options->spec_count;
    return 0;
}

void dkim_signer_body(struct dkim_signer *s, struct slice bytes)
{
    dkim_bodies_feed(&s->bodies, bytes);
}

/* --- finish: the field without its signature, and the digest over all --- */

static const char *canon_name(enum canon canon)
{
    return canon == CANON_RELAXED ? "relaxed" : "simple";
}

/* Everything up to "b=" (RFC 6376 3.5). Lines are kept short; the tags that may be long each have
 * a line of their own. */
static void write_field(struct dkim_signer *s, struct making *m)
{
    struct buf *out = &s->text;
    const struct dkim_sign_spec *spec = &m->spec;

    m->text_at = out->n;
    buf_printf(out, "DKIM-Signature: v=1; a=%s; c=%s/%s;\r\n\td=%.*s; s=%.*s;",
               dkim_algorithm_name(spec->algorithm), canon_name(spec->header_canon),
               canon_name(spec->body_canon), SLICE_ARG(spec->domain), SLICE_ARG(spec->selector));
    if (s->signed_at_s >= 0 || s->expires_at_s > 0)
        buf_append(out, SLICE("\r\n\t"));
    if (s->signed_at_s >= 0)
        buf_printf(out, "t=%lld;", (long long)s->signed_at_s);
    if (s->expires_at_s > 0)
        buf_printf(out, "%sx=%lld;", s->signed_at_s >= 0 ? " " : "", (long long)s->expires_at_s);
    if (spec->identity.n > 0)
        buf_printf(out, "\r\n\ti=%.*s;", SLICE_ARG(spec->identity));
    buf_append(out, SLICE("\r\n\th="));
    buf_append(out, buf_slice(&s->names));
    buf_append(out, SLICE(";\r\n\tbh="));
    base64_encode(crypt_digest_slice(&s->bodies.list[m->body]->digest), out);
    buf_append(out, SLICE(";\r\n\tb="));
    m->text_n = out->n - m->text_at;
}

void dkim_signer_finish(struct dkim_signer *s)
{
    dkim_bodies_end(&s->bodies);
    for (size_t i = 0; i < s->count; i++) {
        struct making *m = &s->making[i];

        write_field(s, m);
        buf_clear(&s->scratch);
        canon_header(m->spec.header_canon, slice_sub(buf_slice(&s->text), m->text_at, m->text_n),
                     &s->scratch);
        assert(!s->text.full && !s->scratch.full); /* the names were limited in begin */
        crypt_hash_update(s->hash, buf_slice(&s->canonical[m->spec.header_canon]));
        crypt_hash_update(s->hash, slice_sub(buf_slice(&s->scratch), 0, s->scratch.n - 2));
        crypt_hash_finish(s->hash, &m->digest);
    }
}

size_t dkim_signer_count(const struct dkim_signer *s)
{
    return s->count;
}

struct slice dkim_signer_digest(const struct dkim_signer *s, size_t i)
{
    assert(i < s->count);
    return crypt_digest_slice(&s->making[i].digest);
}

int dkim_signer_answer(struct dkim_signer *s, size_t i, struct slice signature, struct err *err)
{
    assert(i < s->count);
    struct making *m = &s->making[i];

    buf_clear(&m->signature);
    if (signature.n == 0)
        return err_set(err, ERR_SYNTAX, "the signature is empty");
    buf_append(&m->signature, signature);
    if (m->signature.full)
        return err_set(err, ERR_LIMIT, "a signature of %zu octets is too long", signature.n);
    return 0;
}

int dkim_signer_write(const struct dkim_signer *s, struct buf *out, struct err *err)
{
    size_t written = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct making *m = &s->making[i];

        if (m->signature.n == 0)
            continue;
        buf_append(out, slice_sub(buf_slice(&s->text), m->text_at, m->text_n));
        dkim_write_signature(out, buf_slice(&m->signature));
        written++;
    }
    if (written == 0)
        return err_set(err, ERR_LIMIT, "no signature was answered");
    if (out->full)
        return err_set(err, ERR_LIMIT, "no room for the signature fields");
    return 0;
}
