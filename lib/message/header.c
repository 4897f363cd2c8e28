#include "lib/message/header.h"

#include "base/ascii.h"

/* Length of the line end at the start of `s`: CR LF, LF or CR. */
static size_t line_end_length(struct slice s)
{
    if (s.n == 0 || (s.p[0] != '\r' && s.p[0] != '\n'))
        return 0;
    return s.p[0] == '\r' && s.n > 1 && s.p[1] == '\n' ? 2 : 1;
}

/* Offset behind the line (with its end) that begins at the start of `s`. */
static size_t line_length(struct slice s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
        n++;
    return n + line_end_length(slice_from(s, n));
}

/* Offset of the colon when the line begins with a field name (RFC 5322 2.2; white space before the
 * colon is obsolete, 4.5), else SLICE_NONE. UTF-8 in names is taken as it comes. */
static size_t colon_at(struct slice line)
{
    size_t i = 0;

    while (i < line.n && line.p[i] != ':' && (unsigned char)line.p[i] > ' ' && line.p[i] != 0x7f)
        i++;
    size_t name_end = i;
    while (i < line.n && ascii_is_wsp(line.p[i]))
        i++;
    return name_end > 0 && i < line.n && line.p[i] == ':' ? i : SLICE_NONE;
}

/* Length of the field at the start of `s` with its continuation lines; 0 if there is none. */
static size_t field_length(struct slice s)
{
    size_t n = line_length(s);

    if (colon_at(slice_sub(s, 0, n)) == SLICE_NONE)
        return 0;
    while (n < s.n && ascii_is_wsp(s.p[n]))
        n += line_length(slice_from(s, n));
    return n;
}

struct message_parts message_split(struct slice message)
{
    struct message_parts parts = {0};
    struct slice rest = message;
    size_t n = 0, used;

    if (slice_starts(rest, SLICE("From ")) || slice_starts(rest, SLICE(">From "))) {
        parts.envelope = slice_sub(rest, 0, line_length(rest));
        rest = slice_from(rest, parts.envelope.n);
    }
    while (n < rest.n && (used = field_length(slice_from(rest, n))) > 0)
        n += used;
    parts.header = slice_sub(rest, 0, n);
    parts.has_body = n < rest.n;
    n += line_end_length(slice_from(rest, n));
    parts.body = slice_from(rest, n);
    return parts;
}

static struct field make_field(struct slice raw)
{
    size_t colon = colon_at(raw);
    struct field f = {raw, slice_sub(raw, 0, colon), slice_from(raw, colon + 1)};

    while (f.name.n > 0 && ascii_is_wsp(f.name.p[f.name.n - 1]))
        f.name.n--;
    if (f.value.n > 0 && f.value.p[f.value.n - 1] == '\n')
        f.value.n--;
    if (f.value.n > 0 && f.value.p[f.value.n - 1] == '\r')
        f.value.n--;
    return f;
}

int header_parse(struct slice message, const struct header_limits *limits, struct arena *a,
                 struct header *header_out, struct err *e)
{
    size_t fields_max =
        limits != NULL && limits->fields_max > 0 ? limits->fields_max : HEADER_FIELDS_MAX;
    size_t size_max = limits != NULL && limits->size_max > 0 ? limits->size_max : HEADER_SIZE_MAX;
    struct slice rest = message_split(message).header;
    struct field *fields = NULL;
    size_t count = 0, capacity = 0, used = 0, n;
    int result = 0;

    for (*header_out = (struct header){.block = rest}; rest.n > 0; rest = slice_from(rest, n)) {
        n = field_length(rest);
        used += n;
        if (count == fields_max || used > size_max) {
            result = err_set(e, ERR_LIMIT, "the header has more than %zu fields or %zu bytes",
                             fields_max, size_max);
            break;
        }
        if (count == capacity) {
            size_t larger = capacity == 0 ? 32 : 2 * capacity;
            struct field *moved = arena_array(a, larger, sizeof *moved);
            if (moved == NULL) {
                result = err_set(e, ERR_LIMIT, "no room for a header of %zu fields", count);
                break;
            }
            if (count > 0)
                memcpy(moved, fields, count * sizeof *fields);
            fields = moved;
            capacity = larger;
        }
        fields[count++] = make_field(slice_sub(rest, 0, n));
    }
    header_out->fields = fields;
    header_out->count = count;
    return result;
}

const struct field *header_next(const struct header *h, const char *name, const struct field *after)
{
    size_t i = after != NULL ? (size_t)(after - h->fields) + 1 : 0;

    for (; i < h->count; i++)
        if (slice_eq_nocase(h->fields[i].name, slice_of(name)))
            return &h->fields[i];
    return NULL;
}

const struct field *header_first(const struct header *h, const char *name)
{
    return header_next(h, name, NULL);
}

const struct field *header_last(const struct header *h, const char *name)
{
    for (size_t i = h->count; i > 0; i--)
        if (slice_eq_nocase(h->fields[i - 1].name, slice_of(name)))
            return &h->fields[i - 1];
    return NULL;
}

size_t header_count(const struct header *h, const char *name)
{
    size_t count = 0;

    for (const struct field *f = NULL; (f = header_next(h, name, f)) != NULL;)
        count++;
    return count;
}

struct slice header_value(const struct header *h, const char *name)
{
    const struct field *f = header_first(h, name);

    return f != NULL ? slice_trim(f->value) : (struct slice){NULL, 0};
}

void header_unfold(struct slice value, struct buf *out)
{
    value = slice_trim(value);
    while (value.n > 0) {
        size_t n = 0;
        while (n < value.n && value.p[n] != '\r' && value.p[n] != '\n')
            n++;
        buf_append(out, slice_sub(value, 0, n));
        value = slice_from(value, n + (n < value.n));
    }
}

struct slice header_unfolded(struct slice value, struct arena *a)
{
    struct slice trimmed = slice_trim(value);
    struct buf out;

    if (slice_find(trimmed, '\n') == SLICE_NONE && slice_find(trimmed, '\r') == SLICE_NONE)
        return trimmed;
    buf_init(&out, trimmed.n);
    header_unfold(trimmed, &out);
    struct slice copy = arena_copy(a, buf_slice(&out));
    buf_finish(&out);
    return copy;
}

struct slice header_skip_cfws(struct slice s)
{
    size_t i = 0, depth = 0;

    for (; i < s.n; i++) {
        if (depth > 0 && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (depth > 0 && s.p[i] == ')')
            depth--;
        else if (depth == 0 && !ascii_is_space(s.p[i]))
            break;
    }
    return slice_from(s, i);
}
