#include "lib/text/charset.h"

#include <errno.h>
#include <iconv.h>

#include "base/ascii.h"
#include "base/utf8.h"

#define LABEL_MAX 40

/* Code points of Windows-1252 for the bytes 0x80 to 0x9f; 0 where it has none. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

static bool from_windows_1252(struct slice in, struct buf *out)
{
    bool exact = true;

    for (size_t i = 0; i < in.n && !out->full; i++) {
        unsigned char c = (unsigned char)in.p[i];
        uint32_t point = c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c;
        exact = exact && (point != 0 || c == 0);
        utf8_append(out, point == 0 && c != 0 ? 0xfffd : point);
    }
    return exact;
}

static bool from_utf8(struct slice in, struct buf *out)
{
    utf8_append_clean(out, in);
    return utf8_valid(in);
}

static bool guess(struct slice in, struct buf *out)
{
    if (utf8_valid(in))
        buf_append(out, in);
    else
        (void)from_windows_1252(in, out);
    return utf8_is_ascii(in);
}

/* Feeds iconv through a fixed window, replacing what it refuses. */
static bool from_iconv(iconv_t cd, struct slice in, struct buf *out)
{
    bool exact = true;
    char *p = (char *)(uintptr_t)in.p; /* iconv() never writes through its input */
    size_t left = in.n;

    while (left > 0 && !out->full) {
        char window[512], *to = window;
        size_t room = sizeof window;
        size_t done = iconv(cd, &p, &left, &to, &room);
        bool refused = done == (size_t)-1 && (errno == EILSEQ || errno == EINVAL);
        buf_append(out, (struct slice){window, sizeof window - room});
        exact = exact && (done == 0 || (done == (size_t)-1 && errno == E2BIG));
        if (refused && left > 0) {
            utf8_append(out, 0xfffd);
            p++;
            left--;
        }
    }
    char tail[64], *to = tail;
    size_t room = sizeof tail;
    if (iconv(cd, NULL, NULL, &to, &room) != (size_t)-1)
        buf_append(out, (struct slice){tail, sizeof tail - room});
    return exact;
}

/* Names that senders use and iconv does not know, and sets that are read as a larger one. */
static const struct alias {
    struct slice label;
    const char *name;
} aliases[] = {
    {SLICE_INIT("ks_c_5601-1987"), "CP949"},
    {SLICE_INIT("ks_c_5601"), "CP949"},
    {SLICE_INIT("euc-kr"), "CP949"},
    {SLICE_INIT("gb2312"), "GB18030"},
    {SLICE_INIT("gbk"), "GB18030"},
    {SLICE_INIT("x-gbk"), "GB18030"},
    {SLICE_INIT("shift_jis"), "CP932"},
    {SLICE_INIT("shift-jis"), "CP932"},
    {SLICE_INIT("x-sjis"), "CP932"},
    {SLICE_INIT("x-euc-jp"), "EUC-JP"},
    {SLICE_INIT("iso-2022-jp"), "CP50221"},
    {SLICE_INIT("big5"), "BIG5-HKSCS"},
    {SLICE_INIT("x-mac-roman"), "MACINTOSH"},
    {SLICE_INIT("iso-8859-8-i"), "ISO-8859-8"},
    {SLICE_INIT("unicode-1-1-utf-7"), "UTF-7"},
};

static iconv_t open_set(struct slice charset)
{
    char name[LABEL_MAX + 1] = "";

    for (size_t i = 0; i < charset.n; i++) {
        char c = charset.p[i];
        /* No '/' : iconv would read what follows as flags. */
        if (!ascii_is_alnum(c) && c != '-' && c != '_' && c != ':' && c != '.' && c != '+')
            return (iconv_t)-1;
        name[i] = c;
    }
    for (size_t i = 0; i < COUNT(aliases); i++) {
        if (!slice_eq_nocase(charset, aliases[i].label))
            continue;
        iconv_t cd = iconv_open("UTF-8", aliases[i].name);
        if (cd != (iconv_t)-1)
            return cd;
    }
    return iconv_open("UTF-8", name);
}

bool charset_to_utf8(struct slice charset, struct slice in, struct buf *out)
{
    static const char *const latin[] = {"us-ascii",     "ascii",  "iso-8859-1",
                                        "windows-1252", "cp1252", "latin1"};

    charset = slice_trim(charset);
    if (slice_eq_nocase(charset, SLICE("utf-8")) || slice_eq_nocase(charset, SLICE("utf8")))
        return from_utf8(in, out);
    for (size_t i = 0; i < COUNT(latin); i++) {
        if (!slice_eq_nocase(charset, slice_of(latin[i])))
            continue;
        if (i < 2 && !utf8_is_ascii(in)) { /* called ASCII, and is not */
            (void)guess(in, out);
            return false;
        }
        return from_windows_1252(in, out);
    }
    if (charset.n == 0 || charset.n > LABEL_MAX)
        return guess(in, out);
    iconv_t cd = open_set(charset);
    if (cd == (iconv_t)-1)
        return guess(in, out);
    bool exact = from_iconv(cd, in, out);
    iconv_close(cd);
    return exact;
}
