#include "lib/dnsmsg/name.h"

#include "base/ascii.h"

struct slice dns_name_trim(struct slice name)
{
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

bool dns_name_is_valid(struct slice name)
{
    size_t label = 0;

    name = dns_name_trim(name);
    if (name.n == 0 || name.n > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '.') {
            if (++label > DNS_LABEL_MAX)
                return false;
        } else if (label == 0) {
            return false;
        } else {
            label = 0;
        }
    }
    return label > 0;
}

bool dns_name_is_host(struct slice name)
{
    name = dns_name_trim(name);
    if (!dns_name_is_valid(name) || dns_name_labels(name) < 2)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool at_end = i == 0 || i + 1 == name.n || name.p[i - 1] == '.' || name.p[i + 1] == '.';

        if (c == '-' ? at_end : c != '.' && c != '_' && !ascii_is_alnum(c))
            return false;
    }
    return true;
}

bool dns_name_equal(struct slice a, struct slice b)
{
    return slice_eq_nocase(dns_name_trim(a), dns_name_trim(b));
}

bool dns_name_is_within(struct slice name, struct slice parent)
{
    name = dns_name_trim(name);
    parent = dns_name_trim(parent);
    if (parent.n == 0)
        return true;
    if (name.n <= parent.n)
        return slice_eq_nocase(name, parent);
    return name.p[name.n - parent.n - 1] == '.' && slice_ends_nocase(name, parent);
}

size_t dns_name_labels(struct slice name)
{
    size_t labels = 1;

    name = dns_name_trim(name);
    if (name.n == 0)
        return 0;
    for (size_t i = 0; i < name.n; i++)
        labels += name.p[i] == '.';
    return labels;
}

struct slice dns_name_parent(struct slice name)
{
    struct slice rest = dns_name_trim(name);

    slice_cut(&rest, '.');
    return rest;
}

struct slice dns_name_tail(struct slice name, size_t count)
{
    name = dns_name_trim(name);
    for (size_t labels = dns_name_labels(name); labels > count; labels--)
        name = dns_name_parent(name);
    return name;
}

void dns_name_escape(struct slice name, struct buf *out)
{
    name = dns_name_trim(name);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (c == '.' || c == '-' || c == '_' || ascii_is_alnum(c))
            buf_append_char(out, c);
        else
            buf_printf(out, "\\%03u", (unsigned)(unsigned char)c);
    }
}

/* One byte of master-file text at `*at`, escapes resolved. False when an escape is broken. */
static bool take_byte(struct slice s, size_t *at, char *byte_out, bool *escaped_out)
{
    *escaped_out = s.p[*at] == '\\';
    if (!*escaped_out) {
        *byte_out = s.p[(*at)++];
        return true;
    }
    if (*at + 1 >= s.n)
        return false;
    if (!ascii_is_digit(s.p[*at + 1])) {
        *byte_out = s.p[*at + 1];
        *at += 2;
        return true;
    }
    uint64_t value;
    if (*at + 3 >= s.n || !slice_to_u64(slice_sub(s, *at + 1, 3), &value) || value > 255)
        return false;
    *byte_out = (char)(unsigned char)value;
    *at += 4;
    return true;
}

bool dns_name_unescape(struct slice escaped, struct buf *out)
{
    size_t start = out->n;

    for (size_t i = 0; i < escaped.n;) {
        char c;
        bool was_escaped;

        if (!take_byte(escaped, &i, &c, &was_escaped) || (was_escaped && c == '.'))
            return false;
        buf_append_char(out, ascii_lower(c));
    }
    if (out->full)
        return false;
    struct slice name = {out->p + start, out->n - start};
    if (name.n == 0 || slice_eq(name, SLICE("."))) { /* the root */
        out->n = start;
        return escaped.n > 0;
    }
    if (!dns_name_is_valid(name))
        return false;
    out->n = start + dns_name_trim(name).n;
    return true;
}
