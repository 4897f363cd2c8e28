#include "base/utf8.h"

#define REPLACEMENT 0xfffdu

size_t utf8_sequence(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return 0;
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool utf8_is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

bool utf8_valid(struct slice s)
{
    while (s.n > 0) {
        size_t n = utf8_sequence(s);
        if (n == 0)
            return false;
        s = slice_from(s, n);
    }
    return true;
}

size_t utf8_length(struct slice s)
{
    size_t count = 0;

    while (s.n > 0) {
        size_t n = utf8_sequence(s);
        s = slice_from(s, n > 0 ? n : 1);
        count++;
    }
    return count;
}

uint32_t utf8_decode(struct slice s, size_t *used_out)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = utf8_sequence(s);

    *used_out = n > 0 ? n : 1;
    if (n == 0)
        return REPLACEMENT;
    uint32_t c = (unsigned char)s.p[0] & first_bits[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
    return c;
}

void utf8_append(struct buf *out, uint32_t c)
{
    char b[4];
    size_t n;

    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = REPLACEMENT;
    /* The casts below keep the low eight bits, which is what each byte holds. */
    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xc0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xe0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        b[0] = (char)(0xf0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3f));
        b[2] = (char)(0x80 | (c >> 6 & 0x3f));
        b[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    buf_append(out, (struct slice){b, n});
}

void utf8_append_clean(struct buf *out, struct slice s)
{
    while (s.n > 0) {
        size_t good = 0, n;

        while (good < s.n && (n = utf8_sequence(slice_from(s, good))) > 0)
            good += n;
        buf_append(out, slice_sub(s, 0, good));
        s = slice_from(s, good);
        if (s.n > 0) {
            utf8_append(out, REPLACEMENT);
            s = slice_from(s, 1);
        }
    }
}
