#include "lib/text/base64.h"

#include "base/ascii.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (ascii_is_upper(c))
        return c - 'A';
    if (ascii_is_lower(c))
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void base64_encode(struct slice in, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)in.p;

    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (left > 2 ? p[i + 2] : 0);
        char quartet[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
                           left > 1 ? alphabet[bits >> 6 & 63] : '=',
                           left > 2 ? alphabet[bits & 63] : '='};
        buf_append(out, (struct slice){quartet, 4});
    }
}

void base64_encode_lines(struct slice in, unsigned width, struct buf *out)
{
    size_t bytes = width / 4 * 3;

    for (size_t at = 0; at < in.n; at += bytes) {
        base64_encode(slice_sub(in, at, bytes), out);
        buf_append(out, SLICE("\r\n"));
    }
}

/* Appends the bytes of `count` (2 to 4) values. */
static void append_quartet(struct buf *out, uint32_t bits, unsigned count)
{
    bits <<= 6 * (4 - count);
    /* The casts keep the low eight bits. */
    char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    buf_append(out, (struct slice){bytes, count - 1});
}

int base64_decode(struct slice in, struct buf *out, struct err *e)
{
    size_t before = out->n;

    if (in.n % 4 != 0)
        return err_set(e, ERR_SYNTAX, "base64 of %zu characters is cut: a multiple of 4 is needed",
                       in.n);
    for (size_t i = 0; i < in.n; i += 4) {
        unsigned count = i + 4 < in.n || in.p[i + 3] != '=' ? 4 : in.p[i + 2] != '=' ? 3 : 2;
        uint32_t bits = 0;
        for (unsigned k = 0; k < count; k++) {
            int v = value_of(in.p[i + k]);
            if (v < 0) {
                out->n = before;
                return err_set(e, ERR_SYNTAX, "byte 0x%02x at offset %zu is not base64",
                               (unsigned char)in.p[i + k], i + k);
            }
            bits = bits << 6 | (uint32_t)v;
        }
        if ((count == 3 && (bits & 3) != 0) || (count == 2 && (bits & 15) != 0)) {
            out->n = before;
            return err_set(e, ERR_SYNTAX, "base64 ends in bits that belong to no byte");
        }
        append_quartet(out, bits, count);
    }
    if (out->full) {
        out->n = before;
        return err_set(e, ERR_LIMIT, "base64 decodes to more than %zu bytes", out->max);
    }
    return 0;
}

void base64_decode_lenient(struct slice in, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < in.n && !out->full; i++) {
        int v = value_of(in.p[i]);
        if (v < 0 && in.p[i] != '=')
            continue;
        if (v >= 0) {
            bits = bits << 6 | (uint32_t)v;
            count++;
        }
        if (count == 4 || (v < 0 && count > 1))
            append_quartet(out, bits, count);
        if (count == 4 || v < 0)
            bits = count = 0;
    }
    if (count > 1)
        append_quartet(out, bits, count);
}
