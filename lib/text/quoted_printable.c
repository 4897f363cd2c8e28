#include "lib/text/quoted_printable.h"

#include "base/ascii.h"

#define LINE_WIDTH 76 /* RFC 2045 6.7 (5) */

/* Appends the decoded line `s` (no line end in it); true when it ended in a soft line break. */
static bool decode_line(struct slice s, struct buf *out)
{
    while (s.n > 0 && ascii_is_wsp(s.p[s.n - 1]))
        s.n--;
    bool soft = s.n > 0 && s.p[s.n - 1] == '=';
    if (soft)
        s.n--;
    while (s.n > 0) {
        size_t at = slice_find(s, '=');
        if (at == SLICE_NONE) {
            buf_append(out, s);
            break;
        }
        buf_append(out, slice_sub(s, 0, at));
        s = slice_from(s, at);
        int high = s.n > 2 ? ascii_hex_value(s.p[1]) : -1;
        int low = s.n > 2 ? ascii_hex_value(s.p[2]) : -1;
        if (high >= 0 && low >= 0)
            buf_append_char(out, (char)(high << 4 | low));
        else
            buf_append_char(out, '=');
        s = slice_from(s, high >= 0 && low >= 0 ? 3 : 1);
    }
    return soft;
}

void quoted_printable_decode(struct slice in, struct buf *out)
{
    while (in.n > 0 && !out->full) {
        struct slice rest = in;
        struct slice line = slice_line(&rest);
        struct slice end = slice_sub(in, line.n, in.n - line.n - rest.n);
        if (!decode_line(line, out))
            buf_append(out, end);
        in = rest;
    }
}

void quoted_printable_encode(struct slice in, struct buf *out)
{
    size_t column = 0;

    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        bool crlf = c == '\r' && i + 1 < in.n && in.p[i + 1] == '\n';
        if (c == '\n' || crlf) {
            buf_append(out, SLICE("\r\n"));
            column = 0;
            i += crlf;
            continue;
        }
        bool last = i + 1 == in.n || in.p[i + 1] == '\n' ||
                    (in.p[i + 1] == '\r' && i + 2 < in.n && in.p[i + 2] == '\n');
        bool plain = (c > ' ' && c < 0x7f && c != '=') || (ascii_is_wsp(c) && !last);
        size_t width = plain ? 1 : 3;
        if (column + width > LINE_WIDTH - 1) { /* room for the soft break's '=' */
            buf_append(out, SLICE("=\r\n"));
            column = 0;
        }
        if (plain)
            buf_append_char(out, c);
        else
            buf_printf(out, "=%02X", (unsigned char)c);
        column += width;
    }
}
