#include "lib/message/mime.h"

#include "base/ascii.h"
#include "lib/text/base64.h"
#include "lib/text/charset.h"
#include "lib/text/quoted_printable.h"

#define DEPTH_MAX 50
#define PARTS_MAX 10000
#define BOUNDARY_MAX 256 /* RFC 2046 5.1.1 says 70 */

struct parse {
    struct arena *a;
    struct mime_limits limits;
    size_t parts;
    struct err *e;
};

/* --- one part --- */

static const struct slice plain_text = SLICE_INIT("text/plain");
static const struct slice rfc822 = SLICE_INIT("message/rfc822");

static enum mime_encoding encoding_of(const struct header *h, struct arena *a)
{
    const struct field *f = header_first(h, "Content-Transfer-Encoding");
    static const struct {
        const char *name;
        enum mime_encoding encoding;
    } names[] = {
        {"7bit", MIME_IDENTITY},       {"8bit", MIME_IDENTITY},
        {"binary", MIME_IDENTITY},     {"base64", MIME_BASE64},
        {"x-uuencode", MIME_UUENCODE}, {"uuencode", MIME_UUENCODE},
        {"x-uue", MIME_UUENCODE},      {"quoted-printable", MIME_QUOTED_PRINTABLE},
        {"7-bit", MIME_IDENTITY},      {"8-bit", MIME_IDENTITY},
    };

    if (f == NULL)
        return MIME_IDENTITY;
    struct slice text = mime_value_parse(f->value, a).text;
    for (size_t i = 0; i < COUNT(names); i++)
        if (slice_eq(text, slice_of(names[i].name)))
            return names[i].encoding;
    return MIME_UNKNOWN_ENCODING;
}

static bool is_type(struct slice text)
{
    size_t slash = slice_find(text, '/');

    return slash != SLICE_NONE && slash > 0 && slash + 1 < text.n;
}

/* Makes the part out of its bytes; NULL when a ceiling is reached (p->e says which). */
static struct mime_part *make_part(struct parse *p, struct slice raw, struct mime_part *parent)
{
    struct mime_part *part = arena_alloc(p->a, sizeof *part);

    if (part == NULL) {
        err_set(p->e, ERR_LIMIT, "no room for more than %zu MIME parts", p->parts);
        return NULL;
    }
    part->raw = raw;
    part->parent = parent;
    part->depth = parent != NULL ? parent->depth + 1 : 0;
    part->number = p->parts++;
    part->body = message_split(raw).body;
    if (header_parse(raw, &p->limits.header, p->a, &part->header, p->e) != 0)
        return NULL;
    part->encoding = encoding_of(&part->header, p->a);
    const struct field *type = header_first(&part->header, "Content-Type");
    const struct field *disposition = header_first(&part->header, "Content-Disposition");
    if (type != NULL)
        part->type = mime_value_parse(type->value, p->a);
    if (!is_type(part->type.text))
        part->type.text = type == NULL && parent != NULL && mime_is(parent, "multipart/digest")
                              ? rfc822
                              : plain_text;
    if (disposition != NULL)
        part->disposition = mime_value_parse(disposition->value, p->a);
    return part;
}

/* --- dividing --- */

struct cut {
    struct slice content; /* between two boundaries, without the line end before the second */
    struct slice rest;    /* behind the boundary line */
    bool found, last;     /* `last`: the closing boundary */
};

/* Finds the next line "--boundary" in `s`. */
static struct cut find_boundary(struct slice s, struct slice boundary)
{
    size_t at = 0;

    while (at < s.n) {
        struct slice here = slice_from(s, at);
        const char *dash = memchr(here.p, '-', here.n); /* base64 has none: this is fast */
        if (dash == NULL)
            break;
        at = (size_t)(dash - s.p);
        if (at + 1 >= s.n || s.p[at + 1] != '-') {
            at++;
            continue;
        }
        struct slice after = slice_from(s, at + 2);
        bool line_start = at == 0 || s.p[at - 1] == '\n' || s.p[at - 1] == '\r';
        if (!line_start || !slice_starts(after, boundary)) {
            at += line_start ? 2 : 1;
            continue;
        }
        after = slice_from(after, boundary.n);
        struct slice rest = after, tail = slice_line(&rest);
        bool last = slice_starts(tail, SLICE("--"));
        if (slice_trim(slice_from(tail, last ? 2 : 0)).n > 0) {
            at += 2; /* a longer boundary that begins like ours */
            continue;
        }
        size_t end = at;
        if (end > 0 && s.p[end - 1] == '\n')
            end--;
        if (end > 0 && s.p[end - 1] == '\r')
            end--;
        return (struct cut){slice_sub(s, 0, end), rest, true, last};
    }
    return (struct cut){s, {NULL, 0}, false, true};
}

static bool may_divide(struct parse *p, struct mime_part *part)
{
    if (part->depth < p->limits.depth_max && p->parts < p->limits.parts_max)
        return true;
    part->is_cut = true;
    return false;
}

static int divide_multipart(struct parse *p, struct mime_part *part)
{
    struct slice boundary = mime_value_param(&part->type, "boundary");
    struct mime_part **tail = &part->children;

    while (boundary.n > 0 && ascii_is_space(boundary.p[boundary.n - 1]))
        boundary.n--;
    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX) {
        part->is_cut = true;
        return 0;
    }
    struct cut cut = find_boundary(part->body, boundary); /* the preamble */
    if (!cut.found)
        part->is_cut = true;
    while (cut.found && !cut.last) {
        if (!may_divide(p, part))
            return 0;
        cut = find_boundary(cut.rest, boundary);
        if (!cut.found)
            part->is_cut = true;
        *tail = make_part(p, cut.content, part);
        if (*tail == NULL)
            return -1;
        tail = &(*tail)->next;
    }
    return 0;
}

static bool is_message(const struct mime_part *part)
{
    return mime_is(part, "message/rfc822") || mime_is(part, "message/global") ||
           mime_is(part, "text/rfc822") || mime_is(part, "message/news");
}

static int divide(struct parse *p, struct mime_part *part)
{
    if (mime_is_major(part, "multipart"))
        return may_divide(p, part) ? divide_multipart(p, part) : 0;
    /* An encoded message is legal only as 7bit, 8bit or binary (RFC 2046 5.2.1): others stay
     * leaves.
     */
    if (!is_message(part) || part->encoding == MIME_BASE64 ||
        part->encoding == MIME_QUOTED_PRINTABLE || !may_divide(p, part))
        return 0;
    struct slice inner = part->body;
    while (inner.n > 0 && (inner.p[0] == '\n' || inner.p[0] == '\r'))
        inner = slice_from(inner, 1); /* some writers put an empty line first */
    part->children = make_part(p, inner, part);
    return part->children != NULL ? 0 : -1;
}

int mime_parse(struct slice message, const struct mime_limits *limits, struct arena *a,
               struct mime_part **root_out, struct err *e)
{
    struct parse p = {.a = a, .e = e};

    if (limits != NULL)
        p.limits = *limits;
    if (p.limits.depth_max == 0)
        p.limits.depth_max = DEPTH_MAX;
    if (p.limits.parts_max == 0)
        p.limits.parts_max = PARTS_MAX;
    *root_out = make_part(&p, message, NULL);
    if (*root_out == NULL)
        return -1;
    /* Parents first, in the order of the file: mime_next() finds what divide() has just added. */
    for (struct mime_part *part = *root_out; part != NULL;) {
        if (divide(&p, part) != 0)
            return -1;
        if (part->children != NULL) {
            part = part->children;
            continue;
        }
        while (part != NULL && part->next == NULL)
            part = part->parent;
        part = part != NULL ? part->next : NULL;
    }
    return 0;
}

const struct mime_part *mime_next(const struct mime_part *root, const struct mime_part *part)
{
    if (part->children != NULL)
        return part->children;
    while (part != root && part->next == NULL)
        part = part->parent;
    return part != root ? part->next : NULL;
}

bool mime_is(const struct mime_part *part, const char *type)
{
    return slice_eq(part->type.text, slice_of(type));
}

bool mime_is_major(const struct mime_part *part, const char *major)
{
    struct slice name = slice_of(major);

    return part->type.text.n > name.n && slice_starts(part->type.text, name) &&
           part->type.text.p[name.n] == '/';
}

struct slice mime_filename(const struct mime_part *part)
{
    struct slice name = mime_value_param(&part->disposition, "filename");

    if (name.n == 0)
        name = mime_value_param(&part->type, "name");
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/' || name.p[i - 1] == '\\')
            return slice_from(name, i);
    return name;
}

/* --- content --- */

/* One line of uuencoded data. */
static void decode_uu_line(struct slice line, struct buf *out)
{
    size_t count = ((unsigned char)line.p[0] - 32u) & 63;

    for (size_t i = 1; count > 0 && i + 1 < line.n; i += 4) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            unsigned char c = i + k < line.n ? (unsigned char)line.p[i + k] : ' ';
            bits = bits << 6 | ((c - 32u) & 63);
        }
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits}; /* low eight bits */
        size_t n = count < 3 ? count : 3;
        buf_append(out, (struct slice){bytes, n});
        count -= n;
    }
}

static void decode_uu(struct slice in, struct buf *out)
{
    bool inside = false;

    while (in.n > 0 && !out->full) {
        struct slice line = slice_line(&in);
        if (!inside)
            inside = slice_starts(line, SLICE("begin "));
        else if (slice_eq(line, SLICE("end")))
            return;
        else if (line.n > 0)
            decode_uu_line(line, out);
    }
}

void mime_decode(const struct mime_part *part, struct buf *out)
{
    switch (part->encoding) {
    case MIME_IDENTITY:
    case MIME_UNKNOWN_ENCODING:
        buf_append(out, part->body);
        break;
    case MIME_BASE64:
        base64_decode_lenient(part->body, out);
        break;
    case MIME_QUOTED_PRINTABLE:
        quoted_printable_decode(part->body, out);
        break;
    case MIME_UUENCODE:
        decode_uu(part->body, out);
        break;
    }
}

void mime_decode_text(const struct mime_part *part, struct buf *out)
{
    struct buf raw;

    buf_init(&raw, part->body.n + 4); /* no encoding of ours grows when decoded */
    mime_decode(part, &raw);
    (void)charset_to_utf8(mime_value_param(&part->type, "charset"), buf_slice(&raw), out);
    buf_finish(&raw);
}
