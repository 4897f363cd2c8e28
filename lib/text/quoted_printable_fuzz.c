/* What is decoded is never longer; what is encoded decodes to the same text. */
#include <assert.h>

#include "lib/text/quoted_printable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct buf decoded, encoded, again;

    buf_init(&decoded, size);
    buf_init(&encoded, 4 * size + 100);
    buf_init(&again, 2 * size + 100);
    quoted_printable_decode(in, &decoded);
    assert(!decoded.full);
    quoted_printable_encode(in, &encoded);
    assert(!encoded.full);
    struct slice rest = buf_slice(&encoded);
    while (rest.n > 0)
        assert(slice_line(&rest).n <= 76);
    quoted_printable_decode(buf_slice(&encoded), &again);
    /* Every line end became CR LF; compare line by line. */
    struct slice a = in, b = buf_slice(&again);
    while (a.n > 0) {
        size_t at = slice_find(a, '\n');
        struct slice line = slice_sub(a, 0, at == SLICE_NONE ? a.n : at);
        a = slice_from(a, at == SLICE_NONE ? a.n : at + 1);
        if (at != SLICE_NONE && line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        assert(slice_starts(b, line));
        b = slice_from(b, line.n);
        if (at != SLICE_NONE) {
            assert(slice_starts(b, SLICE("\r\n")));
            b = slice_from(b, 2);
        }
    }
    assert(b.n == 0);
    buf_finish(&decoded);
    buf_finish(&encoded);
    buf_finish(&again);
    return 0;
}
