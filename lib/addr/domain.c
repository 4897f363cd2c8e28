#include "lib/addr/domain.h"

#include "base/ascii.h"
#include "base/utf8.h"

static bool is_label(struct slice label, bool utf8)
{
    if (label.n == 0 || label.n > DOMAIN_LABEL_MAX || label.p[0] == '-' ||
        label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        bool high = (unsigned char)label.p[i] >= 0x80;
        if (!(high && utf8) && !ascii_is_alnum(label.p[i]) && label.p[i] != '-' &&
            label.p[i] != '_')
            return false;
    }
    return true;
}

bool domain_is_name(struct slice text, bool utf8)
{
    if (text.n == 0 || text.n > DOMAIN_MAX || text.p[text.n - 1] == '.')
        return false;
    if (utf8 && !utf8_valid(text))
        return false;
    while (text.n > 0)
        if (!is_label(slice_cut(&text, '.'), utf8))
            return false;
    return true;
}

bool domain_is_qualified(struct slice text, bool utf8)
{
    size_t dot = slice_find_last(text, '.');

    if (!domain_is_name(text, utf8) || dot == SLICE_NONE)
        return false;
    for (size_t i = dot + 1; i < text.n; i++)
        if (!ascii_is_digit(text.p[i]))
            return true;
    return false;
}

bool domain_literal_parse(struct slice text, struct ip_address *ip_out)
{
    *ip_out = (struct ip_address){.family = IP_NONE};
    if (text.n < 3 || text.n > DOMAIN_MAX || text.p[0] != '[' || text.p[text.n - 1] != ']')
        return false;
    struct slice inner = slice_sub(text, 1, text.n - 2);
    if (slice_starts_nocase(inner, SLICE("IPv6:")))
        return ip_address_parse(slice_from(inner, 5), ip_out) && ip_out->family == IP_V6;
    if (ip_address_parse(inner, ip_out) && ip_out->family == IP_V4)
        return true;
    *ip_out = (struct ip_address){.family = IP_NONE};
    struct slice content = inner;
    struct slice tag = slice_cut(&content, ':'); /* RFC 5321 4.1.3: General-address-literal */
    if (content.n == 0 || !domain_is_name(tag, false) || slice_find(tag, '.') != SLICE_NONE)
        return false;
    for (size_t i = 0; i < content.n; i++)
        if (content.p[i] <= ' ' || content.p[i] > '~' || content.p[i] == '[' ||
            content.p[i] == '\\' || content.p[i] == ']')
            return false;
    return true;
}

static struct slice without_dot(struct slice name)
{
    return name.n > 0 && name.p[name.n - 1] == '.' ? slice_sub(name, 0, name.n - 1) : name;
}

struct slice domain_of_address(struct slice address)
{
    size_t at = slice_find_last(address, '@');

    return at == SLICE_NONE ? SLICE("") : slice_from(address, at + 1);
}

bool domain_equal(struct slice a, struct slice b)
{
    return slice_eq_nocase(without_dot(a), without_dot(b));
}

bool domain_is_within(struct slice name, struct slice parent)
{
    name = without_dot(name);
    parent = without_dot(parent);
    if (parent.n == 0 || !slice_ends_nocase(name, parent))
        return false;
    return name.n == parent.n || name.p[name.n - parent.n - 1] == '.';
}
