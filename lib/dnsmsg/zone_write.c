#include "lib/dnsmsg/zone_write.h"

#include "lib/dnsmsg/name.h"

#define STRING_MAX 255

void dns_zone_write_txt(struct slice name, struct slice text, struct buf *out)
{
    dns_name_escape(name, out);
    buf_append_text(out, ". 3600 IN TXT");
    do {
        struct slice part = slice_sub(text, 0, STRING_MAX);

        buf_append_text(out, " \"");
        for (size_t i = 0; i < part.n; i++) {
            char c = part.p[i];

            if (c == '"' || c == '\\')
                buf_append_char(out, '\\');
            if (c < 0x20 || c > 0x7e)
                buf_printf(out, "\\%03u", (unsigned)(unsigned char)c);
            else
                buf_append_char(out, c);
        }
        buf_append_char(out, '"');
        text = slice_from(text, part.n);
    } while (text.n > 0);
    buf_append_char(out, '\n');
}
