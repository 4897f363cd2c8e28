#include "base/ascii.h"
#include "base/base.h"

struct slice slice_of(const char *text)
{
    return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

struct slice slice_from(struct slice s, size_t at)
{
    if (at >= s.n)
        return (struct slice){s.p == NULL ? NULL : s.p + s.n, 0};
    return (struct slice){s.p + at, s.n - at};
}

struct slice slice_sub(struct slice s, size_t at, size_t n)
{
    struct slice tail = slice_from(s, at);

    if (n < tail.n)
        tail.n = n;
    return tail;
}

bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    return a.n == b.n && slice_starts_nocase(a, b);
}

int slice_compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return prefix.n == 0 || (s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
            return false;
    return true;
}

bool slice_ends(struct slice s, struct slice suffix)
{
    return s.n >= suffix.n && slice_eq(slice_from(s, s.n - suffix.n), suffix);
}

bool slice_ends_nocase(struct slice s, struct slice suffix)
{
    return s.n >= suffix.n && slice_eq_nocase(slice_from(s, s.n - suffix.n), suffix);
}

size_t slice_find(struct slice s, char c)
{
    const char *hit = s.n == 0 ? NULL : memchr(s.p, c, s.n);

    return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

size_t slice_find_last(struct slice s, char c)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == c)
            return i - 1;
    return SLICE_NONE;
}

size_t slice_search(struct slice s, struct slice needle)
{
    if (needle.n == 0)
        return 0;
    for (size_t at = 0; at + needle.n <= s.n; at++) {
        size_t hop = slice_find(slice_from(s, at), needle.p[0]);

        if (hop == SLICE_NONE)
            return SLICE_NONE;
        at += hop;
        if (slice_starts(slice_from(s, at), needle))
            return at;
    }
    return SLICE_NONE;
}

size_t slice_search_nocase(struct slice s, struct slice needle)
{
    if (needle.n == 0)
        return 0;
    /* most places fail at their first letter: only the others are looked at closely */
    char low = ascii_lower(needle.p[0]);
    char up = low >= 'a' && low <= 'z' ? (char)(low - 'a' + 'A') : low;
    for (size_t at = 0; at + needle.n <= s.n; at++)
        if ((s.p[at] == low || s.p[at] == up) && slice_starts_nocase(slice_from(s, at), needle))
            return at;
    return SLICE_NONE;
}

struct slice slice_cut(struct slice *rest, char sep)
{
    struct slice all = *rest;
    size_t at = slice_find(all, sep);

    if (at == SLICE_NONE) {
        *rest = slice_from(all, all.n);
        return all;
    }
    *rest = slice_from(all, at + 1);
    return slice_sub(all, 0, at);
}

struct slice slice_line(struct slice *rest)
{
    struct slice all = *rest;
    size_t end = 0;

    /* Byte by byte: a search for LF alone would read a file of CR lines again for each line. */
    while (end < all.n && all.p[end] != '\n' && all.p[end] != '\r')
        end++;
    bool crlf = end + 1 < all.n && all.p[end] == '\r' && all.p[end + 1] == '\n';
    *rest = slice_from(all, end + (crlf ? 2 : 1));
    return slice_sub(all, 0, end);
}

struct slice slice_trim_start(struct slice s)
{
    while (s.n > 0 && ascii_is_space(s.p[0]))
        s = slice_from(s, 1);
    return s;
}

struct slice slice_trim(struct slice s)
{
    s = slice_trim_start(s);
    while (s.n > 0 && ascii_is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool slice_to_u64(struct slice s, uint64_t *value_out)
{
    uint64_t value = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
            return false;
    }
    *value_out = value;
    return true;
}

struct slice slice_lower(struct slice s, char *room, size_t cap)
{
    size_t n = s.n < cap ? s.n : 0;

    for (size_t i = 0; i < n; i++)
        room[i] = ascii_lower(s.p[i]);
    return (struct slice){room, n};
}
