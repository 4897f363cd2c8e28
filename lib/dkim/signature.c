#include "lib/dkim/signature_in.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/dkim/tags_in.h"
#include "lib/message/date.h"
#include "lib/text/idna.h"

#define NAME_MAX_BYTES 1024 /* of a domain in U-labels */

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
    switch (algorithm) {
    case DKIM_RSA_SHA256:
        return "rsa-sha256";
    case DKIM_ED25519_SHA256:
        return "ed25519-sha256";
    case DKIM_RSA_SHA1:
        return "rsa-sha1";
    }
    return "?";
}

enum crypt_hash_kind dkim_signature_hash(const struct dkim_signature *signature)
{
    return signature->algorithm == DKIM_RSA_SHA1 ? CRYPT_SHA1 : CRYPT_SHA256;
}

/* What a reader of one tag needs. */
struct reading {
    const struct dkim_tags *tags;
    const struct dkim_verify_options *options;
    struct buf *scratch;
    struct dkim_signature *to;
    struct err *err;
};

static struct slice value_of(const struct reading *r, const char *name)
{
    const struct dkim_tag *tag = dkim_tags_find(r->tags, name);

    return tag != NULL ? tag->value : (struct slice){NULL, 0};
}

static int missing(const struct reading *r, const char *name)
{
    return err_set(r->err, ERR_SYNTAX, "the tag %s= is %s", name,
                   dkim_tags_find(r->tags, name) != NULL ? "empty" : "missing");
}

/* d=, s= and a= are taken first, so that even a broken signature can be named. */
static void read_identification(const struct reading *r)
{
    r->to->domain = value_of(r, "d");
    r->to->selector = value_of(r, "s");
    r->to->identity = value_of(r, "i");
    r->to->algorithm_text = value_of(r, "a");
    if (r->to->kind != FIELD_DKIM_SIGNATURE)
        r->to->identity.n = 0;
}

static int read_version(const struct reading *r)
{
    struct slice v = value_of(r, "v");

    if (v.n == 0)
        return missing(r, "v");
    if (!slice_eq(v, SLICE("1")))
        return err_set(r->err, ERR_SYNTAX, "v=%.*s is not a version that is known",
                       SLICE_ARG(slice_sub(v, 0, 40)));
    return 0;
}

static int read_algorithm(const struct reading *r)
{
    static const enum dkim_algorithm all[] = {DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_RSA_SHA1};
    struct slice a = r->to->algorithm_text;

    if (a.n == 0)
        return missing(r, "a");
    for (size_t i = 0; i < COUNT(all); i++) {
        if (!slice_eq(a, slice_of(dkim_algorithm_name(all[i]))))
            continue;
        r->to->algorithm = all[i];
        if (all[i] == DKIM_RSA_SHA1 && !r->options->allow_sha1)
            return err_set(r->err, ERR_SYNTAX, "rsa-sha1 proves nothing any more (RFC 8301)");
        return 0;
    }
    return err_set(r->err, ERR_SYNTAX, "a=%.*s is not an algorithm that is known",
                   SLICE_ARG(slice_sub(a, 0, 40)));
}

static int read_domain(const struct reading *r)
{
    if (r->to->domain.n == 0)
        return missing(r, "d");
    if (!dkim_is_domain(r->to->domain, 2))
        return err_set(r->err, ERR_SYNTAX, "d=%.*s is no domain name",
                       SLICE_ARG(slice_sub(r->to->domain, 0, 60)));
    if (r->to->selector.n == 0)
        return missing(r, "s");
    if (!dkim_is_domain(r->to->selector, 1))
        return err_set(r->err, ERR_SYNTAX, "s=%.*s is no selector",
                       SLICE_ARG(slice_sub(r->to->selector, 0, 60)));
    return 0;
}

static int read_signature(const struct reading *r)
{
    const struct dkim_tag *b = dkim_tags_find(r->tags, "b");

    if (b == NULL || b->value.n == 0)
        return missing(r, "b");
    r->to->b = b->value;
    r->to->b_span = b->span;
    return dkim_base64_read(b->value, "b=", NULL, r->err); /* decoded when the key is there */
}

static int read_body_hash(const struct reading *r)
{
    struct slice bh = value_of(r, "bh");

    if (bh.n == 0)
        return missing(r, "bh");
    buf_clear(r->scratch);
    if (dkim_base64_read(bh, "bh=", r->scratch, r->err) != 0)
        return -1;
    r->to->body_hash_n = SIZE_MAX;
    if (r->scratch->n <= sizeof r->to->body_hash) {
        r->to->body_hash_n = r->scratch->n;
        memcpy(r->to->body_hash, r->scratch->p, r->scratch->n);
    }
    return 0;
}

static bool read_canon(struct slice word, enum canon *canon_out)
{
    *canon_out = slice_eq(word, SLICE("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
    return *canon_out == CANON_RELAXED || slice_eq(word, SLICE("simple"));
}

static int read_canons(const struct reading *r)
{
    const struct dkim_tag *c = dkim_tags_find(r->tags, "c");
    struct slice body, header;

    r->to->header_canon = r->to->body_canon = CANON_SIMPLE;
    if (c == NULL)
        return 0;
    body = c->value;
    header = slice_cut(&body, '/');
    if (!read_canon(header, &r->to->header_canon) ||
        (header.n != c->value.n && !read_canon(body, &r->to->body_canon)))
        return err_set(r->err, ERR_SYNTAX, "c=%.*s is not a canonical form that is known",
                       SLICE_ARG(slice_sub(c->value, 0, 40)));
    return 0;
}

/* hdr-name is field-name of RFC 5322: printable ASCII but the colon; ';' cannot occur here. Empty
 * names are let by: they cover nothing. */
static bool is_field_name(struct slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return false;
    }
    return true;
}

static int read_names(const struct reading *r)
{
    const struct dkim_tag *h = dkim_tags_find(r->tags, "h");
    struct slice rest;
    size_t count = 0;
    bool from = false;

    if (h == NULL || (h->value.n == 0 && r->to->kind == FIELD_DKIM_SIGNATURE))
        return missing(r, "h");
    r->to->names = rest = h->value;
    while (rest.n > 0) {
        struct slice name = dkim_trim(slice_cut(&rest, ':'));

        if (!is_field_name(name))
            return err_set(r->err, ERR_SYNTAX, "h= names \"%.*s\", which no header field can be",
                           SLICE_ARG(slice_sub(name, 0, 60)));
        if (++count > DKIM_NAMES_MAX)
            return err_set(r->err, ERR_LIMIT, "h= has more than %d names", DKIM_NAMES_MAX);
        from = from || slice_eq_nocase(name, SLICE("From"));
        if (r->to->kind == FIELD_ARC_MESSAGE && slice_eq_nocase(name, SLICE("ARC-Seal")))
            return err_set(r->err, ERR_SYNTAX, "h= names ARC-Seal (RFC 8617 4.1.2)");
    }
    if (!from && r->to->kind == FIELD_DKIM_SIGNATURE)
        return err_set(r->err, ERR_SYNTAX, "h= does not name From, so the sender is not covered");
    return 0;
}

/* dkim-quoted-printable (RFC 6376 2.11): =XX, and white space that means nothing. A broken =XX
 * stays as it is written. */
static void decode_quoted(struct slice in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '=' && in.n - i > 2 && ascii_hex_value(in.p[i + 1]) >= 0 &&
            ascii_hex_value(in.p[i + 2]) >= 0) {
            int value = ascii_hex_value(in.p[i + 1]) * 16 + ascii_hex_value(in.p[i + 2]);

            buf_append_char(out, (char)value); /* an octet */
            i += 2;
        } else if (!ascii_is_space(in.p[i])) {
            buf_append_char(out, in.p[i]);
        }
    }
}

/* Compares as A-labels: d= and i= may each be written in either way (RFC 8616 5). True if `name` is
 * `parent` or lies below it. */
static bool is_within(struct slice name, struct slice parent, bool *below_out)
{
    struct buf ascii[2];
    struct err ignored;
    bool within = true;

    for (size_t i = 0; i < 2; i++)
        buf_init(&ascii[i], NAME_MAX_BYTES);
    if (!utf8_is_ascii(name) || !utf8_is_ascii(parent)) {
        within = idna_to_ascii(name, &ascii[0], &ignored) == 0 &&
                 idna_to_ascii(parent, &ascii[1], &ignored) == 0;
        name = buf_slice(&ascii[0]);
        parent = buf_slice(&ascii[1]);
    }
    within = within && dkim_is_within(name, parent);
    *below_out = within && name.n != parent.n;
    for (size_t i = 0; i < 2; i++)
        buf_finish(&ascii[i]);
    return within;
}

static int read_identity(const struct reading *r)
{
    const struct dkim_tag *i = dkim_tags_find(r->tags, "i");
    struct slice domain;
    size_t at;

    if (i == NULL)
        return 0;
    buf_clear(r->scratch);
    decode_quoted(i->value, r->scratch);
    domain = buf_slice(r->scratch);
    at = slice_find_last(domain, '@');
    domain = at == SLICE_NONE ? (struct slice){NULL, 0} : slice_from(domain, at + 1);
    if (!dkim_is_domain(domain, 2))
        return err_set(r->err, ERR_SYNTAX, "i=%.*s has no domain",
                       SLICE_ARG(slice_sub(i->value, 0, 60)));
    if (!is_within(domain, r->to->domain, &r->to->identity_below))
        return err_set(r->err, ERR_SYNTAX, "i=%.*s does not lie in d=%.*s",
                       SLICE_ARG(slice_sub(i->value, 0, 60)),
                       SLICE_ARG(slice_sub(r->to->domain, 0, 60)));
    return 0;
}

static int read_query(const struct reading *r)
{
    const struct dkim_tag *q = dkim_tags_find(r->tags, "q");

    if (q == NULL || dkim_list_has(q->value, SLICE("dns/txt")))
        return 0;
    return err_set(r->err, ERR_SYNTAX, "q=%.*s asks for keys elsewhere than in DNS",
                   SLICE_ARG(slice_sub(q->value, 0, 40)));
}

static int read_limit(const struct reading *r)
{
    const struct dkim_tag *l = dkim_tags_find(r->tags, "l");

    r->to->limit = CANON_NO_LIMIT;
    if (l == NULL)
        return 0;
    r->to->has_limit = true;
    if (!dkim_number_read(l->value, &r->to->limit))
        return err_set(r->err, ERR_SYNTAX, "l=%.*s is no number",
                       SLICE_ARG(slice_sub(l->value, 0, 40)));
    return 0;
}

/* Both tags are read before either is held against the clock. */
static int read_times(const struct reading *r)
{
    const struct dkim_tag *t = dkim_tags_find(r->tags, "t"), *x = dkim_tags_find(r->tags, "x");
    uint64_t signed_at = 0, expires_at = UINT64_MAX;
    /* a clock before 1970 is no clock */
    uint64_t now = r->options->now_unix_s > 0 ? (uint64_t)r->options->now_unix_s : 0;

    if (t != NULL && !dkim_number_read(t->value, &signed_at))
        return err_set(r->err, ERR_SYNTAX, "t=%.*s is no time",
                       SLICE_ARG(slice_sub(t->value, 0, 40)));
    if (r->to->kind == FIELD_ARC_SEAL)
        x = NULL;
    if (x != NULL && !dkim_number_read(x->value, &expires_at))
        return err_set(r->err, ERR_SYNTAX, "x=%.*s is no time",
                       SLICE_ARG(slice_sub(x->value, 0, 40)));
    if (t != NULL && x != NULL && expires_at <= signed_at)
        return err_set(r->err, ERR_SYNTAX, "the signature expires (x=) before it was made (t=)");
    if (r->to->kind == FIELD_DKIM_SIGNATURE && t != NULL && signed_at > now + DKIM_CLOCK_SKEW_S)
        return err_set(r->err, ERR_SYNTAX, "the signature was made in the future: t=%llu, now %llu",
                       (unsigned long long)signed_at, (unsigned long long)now);
    if (x != NULL && expires_at < now) {
        r->to->expired = true;
        buf_clear(r->scratch);
        date_format_short((int64_t)expires_at /* below now */, r->scratch);
        return err_set(r->err, ERR_SYNTAX, "the signature expired at %.*s UTC (x=%llu)",
                       SLICE_ARG(buf_slice(r->scratch)), (unsigned long long)expires_at);
    }
    return 0;
}

static int read_instance(const struct reading *r)
{
    struct slice i = value_of(r, "i");
    uint64_t n;

    if (!dkim_number_read(i, &n) || n == 0 || n > ARC_INSTANCES_MAX)
        return err_set(r->err, ERR_SYNTAX, "i=%.*s is no instance from 1 to %d",
                       SLICE_ARG(slice_sub(i, 0, 40)), ARC_INSTANCES_MAX);
    r->to->instance = (unsigned)n; /* at most 50 */
    return 0;
}

static int read_seal(const struct reading *r)
{
    struct slice cv = value_of(r, "cv");

    if (dkim_tags_find(r->tags, "h") != NULL) /* RFC 8617 4.1.3 */
        return err_set(r->err, ERR_SYNTAX, "an ARC-Seal must not have h=");
    if (!slice_eq(cv, SLICE("none")) && !slice_eq(cv, SLICE("pass")) &&
        !slice_eq(cv, SLICE("fail")))
        return err_set(r->err, ERR_SYNTAX, "cv=%.*s is none of none, pass, fail",
                       SLICE_ARG(slice_sub(cv, 0, 40)));
    r->to->cv = cv;
    return 0;
}

typedef int tag_reader(const struct reading *r);

/* The order is the order of judgement. */
static tag_reader *const dkim_readers[] = {
    read_version, read_algorithm, read_domain, read_signature, read_body_hash, read_canons,
    read_names,   read_identity,  read_query,  read_limit,     read_times,     NULL};
static tag_reader *const message_readers[] = {
    read_instance,  read_algorithm, read_domain, read_signature,
    read_body_hash, read_canons,    read_names,  read_query,
    read_limit,     read_times,     NULL};
static tag_reader *const seal_readers[] = {
    read_instance, read_seal, read_algorithm, read_domain, read_signature, read_times, NULL};

static tag_reader *const *readers_of(enum dkim_field_kind kind)
{
    switch (kind) {
    case FIELD_DKIM_SIGNATURE:
        return dkim_readers;
    case FIELD_ARC_MESSAGE:
        return message_readers;
    case FIELD_ARC_SEAL:
        return seal_readers;
    }
    abort();
}

int dkim_signature_read(enum dkim_field_kind kind, const struct dkim_field *field,
                        const struct dkim_verify_options *options, struct buf *scratch,
                        struct dkim_signature *signature_out, struct err *err)
{
    struct dkim_tags tags;
    struct reading r = {&tags, options, scratch, signature_out, err};
    int result;

    *signature_out = (struct dkim_signature){.kind = kind, .limit = CANON_NO_LIMIT};
    result = dkim_tags_read(dkim_field_value(field), &tags, err);
    read_identification(&r);
    for (tag_reader *const *read = readers_of(kind); result == 0 && *read != NULL; read++)
        result = (*read)(&r);
    if (result != 0)
        dkim_clean(err);
    return result;
}

void dkim_signature_covered(const struct dkim_signature *signature, struct dkim_fields *fields,
                            const struct dkim_field *own, struct buf *scratch, struct buf *out)
{
    struct slice rest = signature->names;

    dkim_fields_start(fields);
    while (rest.n > 0) {
        const struct dkim_field *field = dkim_fields_take(fields, dkim_trim(slice_cut(&rest, ':')));

        if (field != NULL)
            canon_header(signature->header_canon, field->raw, out);
    }
    dkim_field_without(signature->header_canon, own, signature->b_span, scratch, out);
}
