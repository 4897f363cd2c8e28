#include "lib/smtp/scan_in.h"

#ifdef __SSE2__ /* every x86-64; elsewhere the callers' memchr() does all the work */
#include <emmintrin.h>

#define BLOCK 16

static unsigned places_of(__m128i block, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(c)));
}

size_t smtp_scan_plain(struct slice text, bool has_dots, bool *at_line_start)
{
    unsigned after_cr = 0, after_lf = *at_line_start; /* bit i: the byte before byte i was one */
    size_t at = 0;

    for (; text.n - at >= BLOCK; at += BLOCK) {
        const __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(text.p + at));
        unsigned cr = places_of(block, '\r'), lf = places_of(block, '\n');

        after_cr |= cr << 1;
        after_lf |= lf << 1;
        if ((lf ^ after_cr) << 16 != 0 || (has_dots && (places_of(block, '.') & after_lf) != 0)) {
            after_cr ^= cr << 1; /* this block is not taken: back to the carried bits */
            after_lf ^= lf << 1;
            break;
        }
        after_cr >>= BLOCK;
        after_lf >>= BLOCK;
    }
    if (at > 0)
        *at_line_start = (after_lf & 1) != 0;
    return at - (after_cr & 1); /* a CR waits for its LF */
}
#else
size_t smtp_scan_plain(struct slice text, bool has_dots, bool *at_line_start)
{
    (void)text, (void)has_dots, (void)at_line_start;
    return 0;
}
#endif
