#include "lib/text/encoded_word.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/text/base64.h"
#include "lib/text/charset.h"

#define ENCODED_WORD_MAX 75 /* RFC 2047 2 */
#define DECODED_MAX (1u << 20)

struct word {
    struct slice charset, text;
    char encoding; /* 'b' or 'q' */
    size_t used;   /* bytes of the whole word */
};

/* Reads =?charset*language?encoding?text?= at the start of `s`. Longer words than the standard
 * allows, and spaces inside of the text, are found in the wild and taken. */
static bool take_word(struct slice s, struct word *word_out)
{
    if (!slice_starts(s, SLICE("=?")))
        return false;
    struct slice rest = slice_from(s, 2);
    struct slice charset = slice_cut(&rest, '?');
    struct slice encoding = slice_cut(&rest, '?');
    if (charset.n == 0 || encoding.n != 1 || slice_find(charset, ' ') != SLICE_NONE)
        return false;
    char kind = ascii_lower(encoding.p[0]);
    size_t end = slice_search(rest, SLICE("?="));
    if ((kind != 'b' && kind != 'q') || end == SLICE_NONE)
        return false;
    struct slice text = slice_sub(rest, 0, end);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '?' || text.p[i] == '\n' || text.p[i] == '\r')
            return false;
    *word_out =
        (struct word){slice_cut(&charset, '*'), text, kind, (size_t)(text.p + text.n + 2 - s.p)};
    return true;
}

/* Appends the word's bytes, still in its charset. */
static void append_bytes(const struct word *w, struct buf *raw)
{
    if (w->encoding == 'b') {
        base64_decode_lenient(w->text, raw);
        return;
    }
    for (size_t i = 0; i < w->text.n; i++) {
        char c = w->text.p[i];
        int high = c == '=' && i + 2 < w->text.n ? ascii_hex_value(w->text.p[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex_value(w->text.p[i + 2]) : -1;
        if (low >= 0) {
            buf_append_char(raw, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_append_char(raw, c == '_' ? ' ' : c);
        }
    }
}

/* Converts what has been collected, with control characters made harmless. */
static void flush(struct slice charset, struct buf *raw, struct buf *out)
{
    size_t from = out->n;

    (void)charset_to_utf8(charset, buf_slice(raw), out);
    for (size_t i = from; i < out->n; i++)
        if (ascii_is_control(out->p[i]))
            out->p[i] = ' ';
    buf_clear(raw);
}

static size_t space_at(struct slice s)
{
    return s.n - slice_trim_start(s).n;
}

/* Decodes a run of words that only white space separates; returns the bytes used. */
static size_t decode_run(struct slice s, struct word w, struct buf *raw, struct buf *out)
{
    size_t used = 0;

    for (;;) {
        struct slice charset = w.charset;
        append_bytes(&w, raw);
        used += w.used;
        size_t gap = space_at(slice_from(s, used));
        if (!take_word(slice_from(s, used + gap), &w)) {
            flush(charset, raw, out);
            return used;
        }
        if (!slice_eq_nocase(charset, w.charset))
            flush(charset, raw, out);
        used += gap;
    }
}

void encoded_word_decode(struct slice in, struct buf *out)
{
    struct buf raw;
    struct word w;

    buf_init(&raw, DECODED_MAX);
    in = slice_trim(in);
    while (in.n > 0 && !out->full) {
        if (in.p[0] == '=' && take_word(in, &w)) {
            in = slice_from(in, decode_run(in, w, &raw, out));
            continue;
        }
        size_t n = utf8_sequence(in);
        if (in.p[0] == '\r' || in.p[0] == '\n') { /* folding */
            n = 1;
        } else if (ascii_is_control(in.p[0])) {
            buf_append_char(out, ' ');
        } else if (n == 0) { /* 8-bit without a charset */
            n = 1;
            (void)charset_to_utf8((struct slice){NULL, 0}, slice_sub(in, 0, 1), out);
        } else {
            buf_append(out, slice_sub(in, 0, n));
        }
        in = slice_from(in, n);
    }
    buf_finish(&raw);
}

void encoded_word_encode(struct slice text, struct buf *out)
{
    static const struct slice open = SLICE_INIT("=?utf-8?B?"), close = SLICE_INIT("?=");
    size_t room = (ENCODED_WORD_MAX - open.n - close.n) / 4 * 3;
    bool plain = slice_search(text, SLICE("=?")) == SLICE_NONE;

    for (size_t i = 0; i < text.n && plain; i++)
        plain = text.p[i] >= ' ' && text.p[i] < 0x7f;
    if (plain) {
        buf_append(out, text);
        return;
    }
    for (size_t at = 0; at < text.n;) {
        size_t n = 0;
        while (at + n < text.n) { /* a word never ends inside a character */
            size_t one = utf8_sequence(slice_from(text, at + n));
            one = one > 0 ? one : 1;
            if (n + one > room)
                break;
            n += one;
        }
        if (at > 0)
            buf_append(out, SLICE("\r\n "));
        buf_append(out, open);
        base64_encode(slice_sub(text, at, n), out);
        buf_append(out, close);
        at += n;
    }
}
