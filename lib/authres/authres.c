#include "lib/authres/authres.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/text/idna.h"
#include "lib/text/quoted_string.h"

#define FIELD_NAME "Authentication-Results"
#define VERSION_MAX 999

struct reader {
    struct slice whole, rest;
    struct arena *arena;
    struct err *e;
};

static int broken(struct reader *r, const char *what)
{
    struct slice near = slice_sub(slice_trim(r->rest), 0, 40);

    return err_set(r->e, ERR_SYNTAX, "%s at byte %zu: \"%.*s\"", what, r->whole.n - r->rest.n,
                   SLICE_ARG(near));
}

static void skip(struct reader *r)
{
    r->rest = header_skip_cfws(r->rest);
}

static bool at(const struct reader *r, char c)
{
    return r->rest.n > 0 && r->rest.p[0] == c;
}

/* Takes one character, if it is there, with the white space and comments around it. */
static bool take(struct reader *r, char c)
{
    skip(r);
    if (!at(r, c))
        return false;
    r->rest = slice_from(r->rest, 1);
    skip(r);
    return true;
}

/* letters, digits and hyphens (RFC 5321 Keyword); '_' is found in properties */
static struct slice take_keyword(struct reader *r)
{
    size_t n = 0;

    while (n < r->rest.n &&
           (ascii_is_alnum(r->rest.p[n]) || r->rest.p[n] == '-' || r->rest.p[n] == '_'))
        n++;
    struct slice word = slice_sub(r->rest, 0, n);
    r->rest = slice_from(r->rest, n);
    return word;
}

/* A quoted string, unquoted into the arena. */
static int take_quoted(struct reader *r, struct slice *value_out)
{
    struct slice s = slice_from(r->rest, 1);
    char *text = arena_alloc(r->arena, s.n + 1);
    size_t n = 0;

    if (!text)
        return err_set(r->e, ERR_LIMIT, "the field is too large");
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') {
            *value_out = (struct slice){text, n};
            r->rest = slice_from(s, i + 1);
            return 0;
        }
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        if (s.p[i] != '\r' && s.p[i] != '\n')
            text[n++] = s.p[i];
    }
    return broken(r, "a quoted string does not end");
}

/* A value as found: quoted, or everything up to white space, ';' or a comment. With `pvalue`, an
 * address may have a quoted local part. */
static int take_value(struct reader *r, struct slice *value_out)
{
    size_t n = 0;
    bool quoted = false;

    if (at(r, '"')) {
        struct reader ahead = *r;

        if (take_quoted(&ahead, value_out))
            return -1;
        if (!at(&ahead, '@')) {
            r->rest = ahead.rest;
            return 0;
        }
    }
    /* A quoted local part is kept as written. */
    for (; n < r->rest.n; n++) {
        char c = r->rest.p[n];

        if (quoted && c == '\\' && n + 1 < r->rest.n) {
            n++;
            continue;
        }
        quoted ^= c == '"';
        if (!quoted && (ascii_is_space(c) || c == ';' || c == '('))
            break;
    }
    if (n == 0)
        return broken(r, "a value is missing");
    *value_out = slice_sub(r->rest, 0, n);
    r->rest = slice_from(r->rest, n);
    return 0;
}

static bool take_version(struct reader *r, unsigned *version_out)
{
    size_t n = 0;
    uint64_t value;

    while (n < r->rest.n && ascii_is_digit(r->rest.p[n]))
        n++;
    if (!slice_to_u64(slice_sub(r->rest, 0, n), &value) || value > VERSION_MAX)
        return false;
    *version_out = (unsigned)value;
    r->rest = slice_from(r->rest, n);
    return true;
}

/* ptype "." property "=" pvalue, or reason "=" value. */
static int take_property(struct reader *r, struct authres_result *result,
                         struct authres_property ***last)
{
    struct slice word = take_keyword(r);
    struct authres_property *p;

    if (word.n == 0)
        return broken(r, "a property is expected");
    if (take(r, '=')) {
        struct slice ignored; /* found: "x-tls=pass version=TLSv1.2" */
        return take_value(r, slice_eq_nocase(word, SLICE("reason")) ? &result->reason : &ignored);
    }
    if (!take(r, '.'))
        return broken(r, "a property needs a dot");
    p = arena_alloc(r->arena, sizeof *p);
    if (!p)
        return err_set(r->e, ERR_LIMIT, "the field is too large");
    p->type = word;
    p->name = take_keyword(r);
    if (p->name.n == 0 || !take(r, '='))
        return broken(r, "a property needs a name and a value");
    if (at(r, ';') || r->rest.n == 0)
        p->value = SLICE(""); /* found: "smtp.mailfrom=;" */
    else if (take_value(r, &p->value))
        return -1;
    **last = p;
    *last = &p->next;
    return 0;
}

static int take_result(struct reader *r, struct authres_result *result)
{
    struct authres_property **last = &result->properties;

    result->version = 1;
    result->method = take_keyword(r);
    if (result->method.n == 0)
        return broken(r, "a method is expected");
    if (take(r, '/') && !take_version(r, &result->version))
        return broken(r, "a method's version is a number");
    if (!take(r, '='))
        return broken(r, "a method needs a result");
    result->result = take_keyword(r);
    if (result->result.n == 0)
        return broken(r, "a result is expected");
    skip(r);
    for (size_t count = 0; r->rest.n > 0 && !at(r, ';'); count++) {
        if (count == AUTHRES_PROPERTIES_MAX)
            return err_set(r->e, ERR_LIMIT, "more than %d properties", AUTHRES_PROPERTIES_MAX);
        if (take_property(r, result, &last))
            return -1;
        skip(r);
    }
    return 0;
}

/* "none" alone means that nothing was tested. */
static bool take_none(struct reader *r)
{
    struct reader ahead = *r;

    if (!slice_eq_nocase(take_keyword(&ahead), SLICE("none")))
        return false;
    skip(&ahead);
    if (at(&ahead, '=') || at(&ahead, '/'))
        return false;
    r->rest = ahead.rest;
    return true;
}

static int take_results(struct reader *r, struct authres *a)
{
    struct authres_result **last = &a->results;
    bool any = false;

    for (size_t count = 0; take(r, ';'); count++) {
        if (r->rest.n == 0 && any)
            break; /* found: a semicolon at the end */
        if (count == AUTHRES_RESULTS_MAX)
            return err_set(r->e, ERR_LIMIT, "more than %d results", AUTHRES_RESULTS_MAX);
        if (take_none(r)) {
            skip(r);
            if (any || r->rest.n > 0)
                return broken(r, "\"none\" stands beside results");
            return 0;
        }
        any = true;
        struct authres_result *result = arena_alloc(r->arena, sizeof *result);
        if (!result)
            return err_set(r->e, ERR_LIMIT, "the field is too large");
        if (take_result(r, result))
            return -1;
        *last = result;
        last = &result->next;
    }
    skip(r);
    if (r->rest.n > 0)
        return broken(r, "a semicolon is expected");
    return any ? 0 : broken(r, "there is no result");
}

static int take_id(struct reader *r, struct slice *id_out)
{
    skip(r);
    if (r->rest.n == 0 || at(r, ';'))
        return broken(r, "the name of the authenticating host is missing");
    return take_value(r, id_out);
}

int authres_parse(struct slice value, struct arena *arena, struct authres *authres_out,
                  struct err *e)
{
    struct reader r = {value, value, arena, e};
    struct authres *a = authres_out;

    *a = (struct authres){.version = 1};
    if (take_id(&r, &a->authserv_id))
        return -1;
    skip(&r);
    if (r.rest.n > 0 && !at(&r, ';') && !take_version(&r, &a->version))
        return broken(&r, "a version or a semicolon is expected");
    if (a->version != 1)
        return err_set(e, ERR_SYNTAX, "version %u is not known", a->version);
    return take_results(&r, a);
}

struct slice authres_property(const struct authres_result *r, const char *type, const char *name)
{
    for (const struct authres_property *p = r->properties; p; p = p->next)
        if (slice_eq_nocase(p->type, slice_of(type)) && slice_eq_nocase(p->name, slice_of(name)))
            return p->value;
    return (struct slice){0};
}

/* --- writing --- */

/* RFC 2045 5.1. */
static bool is_token(struct slice value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= ' ' || value.p[i] > '~' || strchr("()<>@,;:\\\"/[]?=", value.p[i]))
            return false;
    return value.n > 0;
}

/* Tokens with single dots between. */
static bool is_dotted(struct slice value)
{
    bool good = !slice_ends(value, SLICE("."));

    while (value.n > 0 && good)
        good = is_token(slice_cut(&value, '.'));
    return good;
}

/* A token, or [ local-part ] "@" domain-name: needs no quotes (RFC 8601 2.2). */
static bool is_pvalue(struct slice value)
{
    struct slice domain = value;
    struct slice local = slice_cut(&domain, '@');

    if (local.n == value.n)
        return is_token(value);
    for (size_t i = 0; i < domain.n; i++)
        if (!ascii_is_alnum(domain.p[i]) && domain.p[i] != '-' && domain.p[i] != '.')
            return false;
    return is_dotted(local) && domain.n > 0 && is_dotted(domain);
}

static void write_value(struct slice value, bool property, struct buf *out)
{
    if (value.n <= AUTHRES_VALUE_MAX && (property ? is_pvalue(value) : is_token(value)))
        buf_append(out, value);
    else
        quoted_string_append(value, AUTHRES_VALUE_MAX, out);
}

static void write_comment(struct slice comment, struct buf *out)
{
    bool is_utf8 = utf8_valid(comment);

    if (comment.n == 0)
        return;
    buf_append_text(out, " (");
    for (size_t i = 0; i < comment.n && i < AUTHRES_VALUE_MAX; i++) {
        char c = comment.p[i];
        bool is_high = (unsigned char)c >= 0x80;

        if (c == '(' || c == ')' || c == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, ascii_is_control(c) || (is_high && !is_utf8) ? '?' : c);
    }
    buf_append_char(out, ')');
}

void authres_write(const struct authres *a, const char *name, unsigned instance, struct buf *out)
{
    buf_printf(out, "%s: ", name);
    if (instance > 0)
        buf_printf(out, "i=%u; ", instance);
    write_value(a->authserv_id, false, out);
    if (!a->results)
        buf_append_text(out, "; none");
    for (const struct authres_result *r = a->results; r; r = r->next) {
        buf_printf(out, ";\r\n    %.*s", SLICE_ARG(r->method));
        if (r->version != 1)
            buf_printf(out, "/%u", r->version);
        buf_printf(out, "=%.*s", SLICE_ARG(r->result));
        write_comment(r->comment, out);
        if (r->reason.n > 0) {
            buf_append_text(out, " reason=");
            write_value(r->reason, false, out);
        }
        for (const struct authres_property *p = r->properties; p; p = p->next) {
            buf_printf(out, "\r\n    %.*s.%.*s=", SLICE_ARG(p->type), SLICE_ARG(p->name));
            write_value(p->value, true, out);
        }
    }
    buf_append_text(out, "\r\n");
}

/* --- stripping --- */

/* Without regard to case, a root dot, and the way in which labels beyond ASCII are written. */
static bool is_same_name(struct slice a, struct slice b)
{
    struct buf names[2];
    struct err ignored;
    bool same = slice_eq_nocase(a, b);

    for (size_t i = 0; i < COUNT(names); i++)
        buf_init(&names[i], AUTHRES_VALUE_MAX);
    same = same || (idna_to_ascii(a, &names[0], &ignored) == 0 &&
                    idna_to_ascii(b, &names[1], &ignored) == 0 &&
                    slice_eq(buf_slice(&names[0]), buf_slice(&names[1])));
    for (size_t i = 0; i < COUNT(names); i++)
        buf_finish(&names[i]);
    return same;
}

bool authres_claims(struct slice value, struct slice authserv_id)
{
    struct arena *arena = arena_create(value.n + 4096);
    struct err e;
    struct reader r = {value, value, arena, &e};
    struct slice id;
    bool claims = true;

    if (take_id(&r, &id) == 0) {
        bool is_hidden = id.n == 0;

        for (size_t i = 0; i < id.n; i++)
            is_hidden = is_hidden || ascii_is_control(id.p[i]);
        claims = is_hidden || is_same_name(id, authserv_id);
    }
    arena_destroy(&arena);
    return claims;
}

static bool is_forged(const struct field *f, struct slice authserv_id)
{
    return slice_eq_nocase(f->name, SLICE(FIELD_NAME)) && authres_claims(f->value, authserv_id);
}

size_t authres_strip(const struct header *h, struct slice authserv_id, struct buf *out)
{
    size_t left_out = 0;

    for (size_t i = 0; i < h->count; i++)
        if (is_forged(&h->fields[i], authserv_id))
            left_out++;
        else
            buf_append(out, h->fields[i].raw);
    return left_out;
}

size_t authres_forged(const struct header *h, struct slice authserv_id, size_t *indexes_out,
                      size_t max)
{
    size_t n = 0;

    for (size_t i = h->count; i > 0 && n < max; i--)
        if (is_forged(&h->fields[i - 1], authserv_id))
            indexes_out[n++] = i - 1;
    return n;
}
