/* Content-Type and its kin: a value with parameters (RFC 2045 5.1, RFC 2231). */
#include "base/ascii.h"
#include "lib/message/mime.h"
#include "lib/text/charset.h"
#include "lib/text/encoded_word.h"

/* One parameter as written: name*3* has part 3 and is_extended. */
struct piece {
    struct slice name, value;
    unsigned part;
    bool has_part, is_extended, used;
};

static bool is_token_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct slice lowered(struct slice s, struct arena *a)
{
    char *p = arena_alloc(a, s.n + 1);

    if (p == NULL)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    return (struct slice){p, s.n};
}

/* A token or a quoted string; senders also write unquoted spaces and slashes: up to the ';'. */
static struct slice take_value(struct slice *rest, struct arena *a)
{
    struct buf out;
    size_t i = 0;

    if (rest->n == 0 || rest->p[0] != '"') {
        while (i < rest->n && rest->p[i] != ';')
            i++;
        struct slice s = slice_sub(*rest, 0, i);
        *rest = slice_from(*rest, i);
        for (size_t k = 0; k < s.n; k++) /* a comment ends it */
            if (s.p[k] == '(' && k > 0 && ascii_is_space(s.p[k - 1]))
                s.n = k;
        return slice_trim(s);
    }
    buf_init(&out, MIME_VALUE_MAX);
    for (i = 1; i < rest->n && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
        if (rest->p[i] != '\r' && rest->p[i] != '\n')
            buf_append_char(&out, rest->p[i]);
    }
    *rest = slice_from(*rest, i + (i < rest->n));
    struct slice copy = arena_copy(a, buf_slice(&out));
    buf_finish(&out);
    return copy;
}

/* "name*3*" into its parts (RFC 2231 3, 4). */
static void take_marks(struct piece *p)
{
    size_t star = slice_find(p->name, '*');
    struct slice marks;
    uint64_t part;

    if (star == SLICE_NONE)
        return;
    marks = slice_from(p->name, star + 1);
    p->name = slice_sub(p->name, 0, star);
    if (marks.n == 0) {
        p->is_extended = true;
        return;
    }
    if (marks.p[marks.n - 1] == '*') {
        p->is_extended = true;
        marks.n--;
    }
    if (slice_to_u64(marks, &part) && part < MIME_PARAMS_MAX) {
        p->part = (unsigned)part;
        p->has_part = true;
    }
}

static size_t take_pieces(struct slice rest, struct arena *a, struct piece *pieces)
{
    size_t count = 0;

    while (count < MIME_PARAMS_MAX) {
        rest = header_skip_cfws(rest);
        while (rest.n > 0 && (rest.p[0] == ';' || ascii_is_space(rest.p[0])))
            rest = header_skip_cfws(slice_from(rest, 1));
        size_t n = 0;
        while (n < rest.n && is_token_char(rest.p[n]))
            n++;
        struct slice name = slice_sub(rest, 0, n);
        rest = header_skip_cfws(slice_from(rest, n));
        if (name.n == 0 || rest.n == 0 || rest.p[0] != '=') {
            size_t next = slice_find(rest, ';');
            if (next == SLICE_NONE)
                break;
            rest = slice_from(rest, next);
            continue;
        }
        rest = header_skip_cfws(slice_from(rest, 1));
        struct piece p = {.name = lowered(name, a)};
        take_marks(&p);
        p.value = take_value(&rest, a);
        pieces[count++] = p;
    }
    return count;
}

static void append_percent(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? ascii_hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(s.p[i + 2]) : -1;
        if (low >= 0) {
            buf_append_char(out, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_append_char(out, s.p[i]);
        }
    }
}

/* Joins the pieces of pieces[at]'s parameter into one UTF-8 value. */
static struct slice join(struct piece *pieces, size_t count, size_t at, struct arena *a)
{
    struct slice name = pieces[at].name, charset = {NULL, 0}, result;
    bool extended = false;
    struct buf raw, out;

    buf_init(&raw, MIME_VALUE_MAX);
    buf_init(&out, (size_t)4 * MIME_VALUE_MAX);
    for (unsigned part = 0;; part++) {
        size_t i = 0;
        while (i < count && !(pieces[i].has_part && pieces[i].part == part && !pieces[i].used &&
                              slice_eq(pieces[i].name, name)))
            i++;
        if (!pieces[at].has_part)
            i = at;
        if (i == count)
            break;
        struct slice value = pieces[i].value;
        pieces[i].used = true;
        if (pieces[i].is_extended && part == 0) { /* charset'language'text */
            struct slice rest = value, set = slice_cut(&rest, '\'');
            size_t quote = slice_find(rest, '\'');
            if (quote != SLICE_NONE) {
                charset = set;
                value = slice_from(rest, quote + 1);
            }
        }
        extended = extended || pieces[i].is_extended;
        if (pieces[i].is_extended)
            append_percent(value, &raw);
        else
            buf_append(&raw, value);
        if (!pieces[at].has_part)
            break;
    }
    if (extended)
        (void)charset_to_utf8(charset, buf_slice(&raw), &out);
    else if (slice_search(buf_slice(&raw), SLICE("=?")) != SLICE_NONE)
        encoded_word_decode(buf_slice(&raw), &out); /* against RFC 2047 5, and common */
    else
        buf_append(&out, buf_slice(&raw));
    result = arena_copy(a, buf_slice(&out));
    buf_finish(&raw);
    buf_finish(&out);
    return result;
}

struct mime_value mime_value_parse(struct slice field_value, struct arena *a)
{
    struct mime_value v = {0};
    struct piece pieces[MIME_PARAMS_MAX];
    struct slice rest = header_skip_cfws(slice_sub(field_value, 0, MIME_VALUE_MAX));
    size_t n = 0, length = 0;

    char *text = arena_alloc(a, rest.n + 1);
    if (text == NULL)
        return v;
    while (n < rest.n && rest.p[n] != ';') {
        struct slice left = slice_from(rest, n);
        struct slice after = header_skip_cfws(left);
        n += left.n - after.n;
        if (after.n == 0 || after.p[0] == ';')
            break;
        if (left.n != after.n && length > 0 && text[length - 1] != '/' && after.p[0] != '/')
            break; /* "text/plain charset=x": a missing semicolon */
        text[length++] = ascii_lower(rest.p[n++]);
    }
    v.text = (struct slice){text, length};
    size_t count = take_pieces(slice_from(rest, n), a, pieces);
    struct mime_param *params = arena_array(a, count, sizeof *params);
    if (params == NULL)
        return v;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].used || (pieces[i].has_part && pieces[i].part != 0))
            continue;
        /* An extended form beside a plain one of the same name is the better one. */
        bool is_second = false;
        for (size_t k = 0; k < v.count; k++)
            if (slice_eq(params[k].name, pieces[i].name)) {
                is_second = true;
                if (pieces[i].is_extended)
                    params[k].value = join(pieces, count, i, a);
            }
        if (!is_second) {
            params[v.count].name = pieces[i].name;
            params[v.count++].value = join(pieces, count, i, a);
        }
    }
    v.params = params;
    return v;
}

struct slice mime_value_param(const struct mime_value *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (slice_eq(v->params[i].name, slice_of(name)))
            return v->params[i].value;
    return (struct slice){NULL, 0};
}
