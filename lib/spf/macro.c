#include "lib/spf/macro.h"

#include "base/ascii.h"
#include "lib/dnsmsg/name.h"

#define DELIMITERS ".-+,/_="

/* One "%{...}": letter, transformers, delimiters. */
struct macro {
    char letter;
    bool reverse;
    size_t keep; /* the right-hand parts that stay; 0: all */
    struct slice delimiters;
    size_t used; /* bytes of the text */
};

static bool is_in(const char *set, char c)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Reads the macro at the start of `s` ("%{"). */
static bool read_macro(struct slice s, bool explanation, struct macro *m)
{
    size_t i = 2, digits = 0;

    *m = (struct macro){0};
    if (s.n < 4 || s.p[1] != '{')
        return false;
    m->letter = s.p[i++];
    if (!is_in(explanation ? "slodiphvcrt" : "slodiphv", ascii_lower(m->letter)))
        return false;
    for (; i < s.n && ascii_is_digit(s.p[i]); i++, digits++)
        if (m->keep < 1000)
            m->keep = m->keep * 10 + (size_t)(s.p[i] - '0');
    if (digits > 0 && m->keep == 0)
        return false;
    if (i < s.n && ascii_lower(s.p[i]) == 'r') {
        m->reverse = true;
        i++;
    }
    size_t start = i;
    while (i < s.n && is_in(DELIMITERS, s.p[i]))
        i++;
    m->delimiters = i > start ? slice_sub(s, start, i - start) : SLICE(".");
    if (i >= s.n || s.p[i] != '}')
        return false;
    m->used = i + 1;
    return true;
}

bool spf_macro_check(struct slice text, bool explanation, struct slice *tail_out,
                     bool *ends_in_macro_out)
{
    struct macro m;
    size_t tail = 0;

    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];

        if (c != '%') {
            /* macro-literal: %x21-24 / %x26-7E */
            if (c < 0x21 || c > 0x7e) {
                if (c != ' ' || !explanation)
                    return false;
            }
            i++;
            continue;
        }
        if (i + 1 < text.n && is_in("%_-", text.p[i + 1]))
            i += 2;
        else if (read_macro(slice_from(text, i), explanation, &m))
            i += m.used;
        else
            return false;
        tail = i;
    }
    *tail_out = slice_from(text, tail);
    *ends_in_macro_out = tail == text.n && text.n > 0;
    return true;
}

/* The next macro with a letter at or behind `*at`, which is moved behind it. */
static bool next_macro(struct slice text, size_t *at, struct macro *m)
{
    while (*at < text.n) {
        if (text.p[*at] != '%') {
            (*at)++;
        } else if (read_macro(slice_from(text, *at), true, m)) {
            *at += m->used;
            return true;
        } else {
            *at += 2;
        }
    }
    return false;
}

bool spf_macro_needs_ptr(struct slice text)
{
    struct macro m;

    if (slice_find(text, '%') == SLICE_NONE)
        return false;
    for (size_t at = 0; next_macro(text, &at, &m);)
        if (ascii_lower(m.letter) == 'p')
            return true;
    return false;
}

bool spf_macro_is_personal(struct slice text)
{
    struct macro m;

    for (size_t at = 0; next_macro(text, &at, &m);)
        if (ascii_lower(m.letter) != 'd')
            return true;
    return false;
}

/* The value of a macro letter before transformation. */
static void append_value(char letter, const struct spf_macro_values *v, struct buf *out)
{
    char text[IP_NIBBLES_MAX];
    size_t length;
    struct slice unknown = SLICE("unknown");

    switch (ascii_lower(letter)) {
    case 's':
        buf_append(out, v->local);
        buf_append_char(out, '@');
        buf_append(out, v->sender_domain);
        break;
    case 'l':
        buf_append(out, v->local);
        break;
    case 'o':
        buf_append(out, v->sender_domain);
        break;
    case 'd':
        buf_append(out, v->domain);
        break;
    case 'h':
        buf_append(out, v->helo);
        break;
    case 'p':
        buf_append(out, v->validated.n > 0 ? v->validated : unknown);
        break;
    case 'r':
        buf_append(out, v->receiver.n > 0 ? v->receiver : unknown);
        break;
    case 'v':
        buf_append_text(out, v->client.family == IP_V6 ? "ip6" : "in-addr");
        break;
    case 'i':
        length = ip_address_nibbles(&v->client, text);
        for (size_t i = 0; i < length;
             i++) /* nibbles in capitals: DNS does not care, people read */
            buf_append_char(out, ascii_upper(text[i]));
        break;
    case 'c':
        buf_append(out, (struct slice){text, ip_address_format(&v->client, text)});
        break;
    case 't':
        buf_printf(out, "%lld", (long long)v->unix_s);
        break;
    }
}

/* RFC 3986 2.3: everything but the unreserved characters. */
static void append_part(struct slice part, bool escape, struct buf *out)
{
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];

        if (!escape || ascii_is_alnum(c) || is_in("-._~", c))
            buf_append_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static bool is_delimiter(const struct macro *m, char c)
{
    return memchr(m->delimiters.p, c, m->delimiters.n) != NULL;
}

/* Cuts the part before the first delimiter off `*rest`, or the one behind the last delimiter. */
static struct slice take_part(const struct macro *m, bool last, struct slice *rest)
{
    struct slice part = *rest;
    size_t n = 0;

    while (n < rest->n && !is_delimiter(m, last ? rest->p[rest->n - 1 - n] : rest->p[n]))
        n++;
    part = last ? slice_from(part, part.n - n) : slice_sub(part, 0, n);
    size_t used = n < rest->n ? n + 1 : n;
    *rest = last ? slice_sub(*rest, 0, rest->n - used) : slice_from(*rest, used);
    return part;
}

/* Splits, reverses, keeps the right-hand parts, joins with dots (RFC 7208 7.3). */
static void transform(struct slice value, const struct macro *m, struct buf *out)
{
    size_t count = 1;

    for (size_t i = 0; i < value.n; i++)
        count += is_delimiter(m, value.p[i]);
    size_t keep = m->keep > 0 && m->keep < count ? m->keep : count;
    for (size_t i = 0; i < count; i++) {
        struct slice part = take_part(m, m->reverse, &value);

        if (i < count - keep)
            continue;
        append_part(part, ascii_is_upper(m->letter), out);
        if (i + 1 < count)
            buf_append_char(out, '.');
    }
}

static void expand_one(const struct macro *m, const struct spf_macro_values *v, struct buf *out)
{
    size_t start = out->n;
    struct buf value;

    if (!m->reverse && m->keep == 0 && m->delimiters.n == 1 && m->delimiters.p[0] == '.' &&
        !ascii_is_upper(m->letter)) {
        append_value(m->letter, v, out);
        return;
    }
    buf_init(&value, out->max);
    append_value(m->letter, v, &value);
    if (value.full)
        out->full = true;
    else
        transform(buf_slice(&value), m, out);
    buf_finish(&value);
    if (out->full)
        out->n = start;
}

bool spf_macro_needs_local(struct slice text)
{
    struct macro m;

    for (size_t at = 0; next_macro(text, &at, &m);)
        if (is_in("ls", ascii_lower(m.letter)))
            return true;
    return false;
}

void spf_macro_expand(struct slice text, const struct spf_macro_values *v, struct buf *out)
{
    struct macro m;

    for (size_t i = 0; i < text.n;) {
        size_t run = slice_find(slice_from(text, i), '%');

        if (run == SLICE_NONE)
            run = text.n - i;
        if (run > 0) {
            buf_append(out, slice_sub(text, i, run));
            i += run;
        } else if (read_macro(slice_from(text, i), true, &m)) {
            expand_one(&m, v, out);
            i += m.used;
        } else {
            char c = i + 1 < text.n ? text.p[i + 1] : '%';
            buf_append_text(out, c == '_' ? " " : c == '-' ? "%20" : "%");
            i += 2;
        }
    }
}

struct slice spf_macro_fit_name(struct slice name)
{
    name = dns_name_trim(name);
    while (name.n > DNS_NAME_MAX)
        slice_cut(&name, '.');
    return name;
}
