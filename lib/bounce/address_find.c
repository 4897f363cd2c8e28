/* Addresses in running text. Header fields have lib/addr; here nothing is promised. */
#include "base/ascii.h"
#include "lib/bounce/report_in.h"

#define ADDRESS_MAX 320

static bool is_local_char(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

static bool is_domain_char(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80 || c == '-' || c == '.' || c == '_';
}

/* The start of a quoted local part that ends before the '@' at `at`; `at` if there is none. */
static size_t quoted_start(struct slice text, size_t at)
{
    size_t low = at > ADDRESS_MAX ? at - ADDRESS_MAX : 0;

    if (at < 2 || text.p[at - 1] != '"')
        return at;
    for (size_t i = at - 1; i > low;) {
        i--;
        if (text.p[i] == '\n')
            return at;
        if (text.p[i] == '"' && (i == 0 || text.p[i - 1] != '\\'))
            return i;
    }
    return at;
}

/* "smtp=a@b", "=a@b" and "'a@b'" are how some write an address. */
static size_t skip_prefix(struct slice text, size_t start, size_t at)
{
    static const char *const prefixes[] = {"smtp=", "rfc822=", "to=", "for=", "rcpt=", "address="};

    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct slice prefix = slice_of(prefixes[i]);
        if (at - start > prefix.n &&
            slice_starts_nocase(slice_sub(text, start, at - start), prefix))
            start += prefix.n;
    }
    if (slice_starts(slice_from(text, start), SLICE("=?")))
        return start; /* an encoded word where none belongs, but it is the address */
    while (start < at && strchr("'`.=*|-/?&!{~^", text.p[start]) != NULL)
        start++;
    return start;
}

static size_t domain_end(struct slice text, size_t at)
{
    size_t end = at + 1;

    if (end < text.n && text.p[end] == '[') {
        size_t close = slice_find(slice_from(text, end), ']');
        return close == SLICE_NONE || close > 64 ? at : end + close + 1;
    }
    while (end < text.n && end - at < ADDRESS_MAX && is_domain_char(text.p[end]))
        end++;
    while (end > at + 1 && strchr(".-_", text.p[end - 1]) != NULL)
        end--;
    return end;
}

/* "<local part with spaces@domain>" and "<@relay:user@domain>" */
static void widen_to_brackets(struct slice text, struct found_address *found, size_t end)
{
    if (found->start > 0 && text.p[found->start - 1] == '<' && end < text.n && text.p[end] == '>') {
        found->start--;
        found->end = end + 1;
        found->in_brackets = true;
    }
}

static bool address_at(struct slice text, size_t low, size_t at, struct found_address *found_out)
{
    size_t start = quoted_start(text, at), end = domain_end(text, at);

    if (start == at) {
        while (start > low && at - start < ADDRESS_MAX && is_local_char(text.p[start - 1]))
            start--;
        start = skip_prefix(text, start, at);
    }
    if (start >= at || end <= at + 1)
        return false;
    struct slice address = slice_sub(text, start, end - start);
    bool is_cut = slice_starts(slice_from(text, end), SLICE("...")) &&
                  slice_find(slice_from(text, at), '.') == end - at;
    if (is_cut || (address.p[0] != '"' && slice_search(address, SLICE("...")) != SLICE_NONE))
        return false; /* "david...@example.org", "a@david...": nobody's address */
    *found_out = (struct found_address){
        .address = slice_sub(text, start, end - start),
        .start = start,
        .end = end,
    };
    widen_to_brackets(text, found_out, end);
    return true;
}

bool address_find(struct slice text, size_t at, struct found_address *found_out)
{
    size_t low = at;

    for (size_t i = at; i < text.n; i++) {
        const char *p = memchr(text.p + i, '@', text.n - i);
        if (p == NULL)
            return false;
        i = (size_t)(p - text.p); /* within the text */
        if (address_at(text, low, i, found_out))
            return true;
        low = i + 1;
    }
    return false;
}
