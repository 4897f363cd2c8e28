#include "lib/smtp/reply.h"

#include "base/ascii.h"

#define LINE_TEXT_MAX 480 /* with code, enhanced code and CR LF within 512, RFC 5321 4.5.3.1.5 */

/* RFC 2034 4: the class is that of the code. */
static const char *default_enhanced(unsigned code)
{
    switch (code) {
    case 421:
        return "4.3.0";
    case 500:
    case 501:
        return "5.5.2";
    case 502:
    case 503:
        return "5.5.1";
    case 504:
    case 555:
        return "5.5.4";
    default:
        return code >= 500 ? "5.0.0" : code >= 400 ? "4.0.0" : "2.0.0";
    }
}

static void append_printable(struct slice text, struct buf *out)
{
    size_t start = 0;

    for (size_t i = 0; i < text.n; i++)
        if (ascii_is_control(text.p[i])) {
            buf_append(out, slice_sub(text, start, i - start));
            buf_append_char(out, '?');
            start = i + 1;
        }
    buf_append(out, slice_from(text, start));
}

void smtp_reply_write(struct smtp_reply reply, struct buf *out)
{
    struct slice rest = slice_of(reply.text);
    struct slice enhanced =
        slice_of(reply.enhanced != NULL ? reply.enhanced : default_enhanced(reply.code));
    /* RFC 2034 3: no enhanced code in 3yz replies and in the greeting, which is written elsewhere.
     */
    bool has_enhanced = reply.code < 300 || reply.code >= 400;

    do {
        struct slice line = slice_cut(&rest, '\n');

        buf_append_u64(out, reply.code);
        buf_append_char(out, rest.n > 0 ? '-' : ' ');
        if (has_enhanced) {
            buf_append(out, enhanced);
            buf_append_char(out, ' ');
        }
        append_printable(slice_sub(line, 0, LINE_TEXT_MAX), out);
        buf_append(out, SLICE("\r\n"));
    } while (rest.n > 0);
}
