#include "lib/message/canon.h"

#include "base/ascii.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_END SLICE("\r\n")

/* Asked for each run and each line: two comparisons, no call. */
static inline bool starts_line_end(struct slice s)
{
    return s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n';
}
static inline bool ends_line_end(struct slice s)
{
    return s.n >= 2 && s.p[s.n - 2] == '\r' && s.p[s.n - 1] == '\n';
}

void canon_body_init(struct canon_body *c, enum canon kind, uint64_t limit, canon_sink *sink,
                     void *ctx)
{
    /* `out` is not cleared: it is written before it is read */
    c->kind = kind;
    c->sink = sink;
    c->ctx = ctx;
    c->limit = limit;
    c->produced = 0;
    c->held_lines = 0;
    c->held_space = c->held_cr = false;
    c->used = 0;
}

/* --- output --- */

static void flush(struct canon_body *c)
{
    if (c->used > 0)
        c->sink(c->ctx, (struct slice){c->out, c->used});
    c->used = 0;
}

static void put(struct canon_body *c, struct slice s)
{
    uint64_t left = c->produced < c->limit ? c->limit - c->produced : 0;

    c->produced += s.n;
    if (s.n > left)
        s.n = (size_t)left; /* less than s.n, which was a size */
    if (s.n == 0)
        return;
    if (s.n > sizeof c->out - c->used)
        flush(c);
    if (s.n >= sizeof c->out) {
        c->sink(c->ctx, s);
        return;
    }
    memcpy(c->out + c->used, s.p, s.n);
    c->used += s.n;
}

/* Something follows that is content: what was held back before it is content, too. */
static void put_held(struct canon_body *c)
{
    if (c->held_lines == 0 && !c->held_space && !c->held_cr)
        return;
    for (; c->held_lines > 0; c->held_lines--)
        put(c, LINE_END);
    if (c->held_space)
        put(c, SLICE(" "));
    if (c->held_cr)
        put(c, SLICE("\r"));
    c->held_space = c->held_cr = false;
}

static void hold_line_end(struct canon_body *c)
{
    c->held_lines++;
    c->held_space = c->held_cr = false; /* WSP at the end of a line goes; the CR was its end */
}

/* --- what may be copied as it is --- */

/* Relaxed: must the octet `a`, with `b` behind it, be looked at more closely? In a header each CR
 * must, for it may begin a fold; in a body put_run() looks after line ends. */
static inline bool is_special(char a, char b, bool header)
{
    return a == '\t' || (header && a == '\r') || (a == ' ' && (ascii_is_wsp(b) || b == '\r'));
}

/* The offset of the first special octet; the last octet of `s` is special if it is WSP, because
 * what follows it is not known yet. */
static inline size_t plain_run(struct slice s, bool header)
{
    size_t i = 0;

#ifdef __SSE2__
    const __m128i tab = _mm_set1_epi8('\t'), space = _mm_set1_epi8(' '), cr = _mm_set1_epi8('\r');

    for (; i + 17 <= s.n; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i + 1));
        __m128i always = _mm_cmpeq_epi8(a, tab), a_space = _mm_cmpeq_epi8(a, space);
        __m128i b_any = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(b, tab), _mm_cmpeq_epi8(b, space)),
                                     _mm_cmpeq_epi8(b, cr));

        if (header)
            always = _mm_or_si128(always, _mm_cmpeq_epi8(a, cr));
        int mask = _mm_movemask_epi8(_mm_or_si128(always, _mm_and_si128(a_space, b_any)));
        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask); /* sixteen bits, never negative */
    }
#endif
    for (; i + 1 < s.n; i++) {
        if (is_special(s.p[i], s.p[i + 1], header))
            return i;
    }
    return s.n > 0 && (ascii_is_wsp(s.p[s.n - 1]) || (header && s.p[s.n - 1] == '\r')) ? s.n - 1
                                                                                       : s.n;
}

/* Copies content; line ends at its end are held back, and so is a CR where the input ends. */
static void put_run(struct canon_body *c, struct slice run, bool input_ends)
{
    bool ends_in_cr = input_ends && run.n > 0 && run.p[run.n - 1] == '\r';
    size_t lines = 0;

    if (ends_in_cr)
        run.n--;
    while (ends_line_end(run)) {
        run.n -= 2;
        lines++;
    }
    if (run.n > 0) {
        put_held(c);
        put(c, run);
    } else if (lines > 0) {
        c->held_space = false;
    }
    c->held_lines += lines;
    c->held_cr = ends_in_cr;
}

/* Takes the WSP or the line end at the start of `bytes`, which only may be held back; returns how
 * many octets that were. */
static size_t take_held(struct canon_body *c, struct slice bytes)
{
    size_t n = 0;

    if (c->held_cr) {
        if (bytes.p[0] != '\n') {
            put_held(c);
            return 0;
        }
        hold_line_end(c);
        return 1;
    }
    if (c->held_space && starts_line_end(bytes)) {
        hold_line_end(c);
        return 2;
    }
    if (c->kind == CANON_RELAXED) {
        while (n < bytes.n && ascii_is_wsp(bytes.p[n]))
            n++;
        c->held_space = c->held_space || n > 0;
    }
    return n;
}

void canon_body_feed(struct canon_body *c, struct slice bytes)
{
    while (bytes.n > 0) {
        size_t n = take_held(c, bytes);

        if (n == 0) {
            n = c->kind == CANON_RELAXED ? plain_run(bytes, false) : bytes.n;
            put_run(c, (struct slice){bytes.p, n}, n == bytes.n);
        }
        bytes.p += n;
        bytes.n -= n;
    }
}

void canon_body_finish(struct canon_body *c)
{
    if (c->held_cr)
        put_held(c); /* a CR that no LF followed is content */
    /* RFC 6376 3.4.3: a body without content is one CR LF; 3.4.4: it is nothing. */
    if (c->produced > 0 || c->kind == CANON_SIMPLE)
        put(c, LINE_END);
    flush(c);
}

/* --- header fields --- */

/* How many octets of WSP and folds stand at the start of `s`. */
static size_t fold_length(struct slice s)
{
    size_t n = 0;

    for (;;) {
        if (n < s.n && ascii_is_wsp(s.p[n]))
            n++;
        else if (s.n - n >= 3 && s.p[n] == '\r' && s.p[n + 1] == '\n' && ascii_is_wsp(s.p[n + 2]))
            n += 3;
        else
            return n;
    }
}

/* RFC 6376 3.4.2: unfold, one SP for each run of WSP, none at the ends. */
static void relax_value(struct slice value, struct buf *out)
{
    char *start = buf_room(out, value.n + LINE_END.n);
    char *to = start;

    if (start == NULL)
        return;
    while (value.n > 0) {
        size_t skip = fold_length(value), n;

        value.p += skip;
        value.n -= skip;
        if (value.n == 0)
            break;
        if (skip > 0 && to > start)
            *to++ = ' ';
        n = plain_run(value, true);
        if (n == 0)
            n = 1; /* a CR that folds nothing */
        memcpy(to, value.p, n);
        to += n;
        value.p += n;
        value.n -= n;
    }
    *to++ = '\r';
    *to++ = '\n';
    buf_claim(out, (size_t)(to - start)); /* `to` never falls behind `start` */
}

void canon_header(enum canon kind, struct slice field, struct buf *out)
{
    if (ends_line_end(field))
        field.n -= LINE_END.n;
    switch (kind) {
    case CANON_SIMPLE:
        buf_append(out, field);
        buf_append(out, LINE_END);
        return;
    case CANON_RELAXED: {
        struct slice name = slice_cut(&field, ':');
        char *to;

        while (name.n > 0 && ascii_is_wsp(name.p[name.n - 1]))
            name.n--;
        to = buf_room(out, name.n + 1);
        if (to == NULL)
            return;
        for (size_t i = 0; i < name.n; i++)
            to[i] = ascii_lower(name.p[i]);
        to[name.n] = ':';
        buf_claim(out, name.n + 1);
        relax_value(field, out);
        return;
    }
    }
}
