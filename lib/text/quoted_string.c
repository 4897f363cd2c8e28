#include "lib/text/quoted_string.h"

#include "base/ascii.h"
#include "base/utf8.h"

#define CUT SLICE("...")

/* The first `max` octets, less what would be half a character. */
static struct slice cut_text(struct slice value, size_t max)
{
    while (max > 0 && max < value.n && ((unsigned char)value.p[max] & 0xc0) == 0x80)
        max--;
    return slice_sub(value, 0, max);
}

void quoted_string_append(struct slice value, size_t max, struct buf *out)
{
    bool is_cut = value.n > max, is_utf8 = utf8_valid(value);

    if (is_cut)
        value = cut_text(value, max > CUT.n ? max - CUT.n : 0);
    buf_append_char(out, '"');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool is_high = (unsigned char)c >= 0x80;

        if (c == '"' || c == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, ascii_is_control(c) || (is_high && !is_utf8) ? '?' : c);
    }
    if (is_cut)
        buf_append(out, CUT);
    buf_append_char(out, '"');
}
