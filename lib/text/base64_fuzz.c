/* What is encoded comes back; what the strict reader takes, the lenient one reads the same. */
#include <assert.h>

#include "lib/text/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct buf encoded, strict, lenient;
    struct err e;

    buf_init(&encoded, 4 * size + 4);
    buf_init(&strict, size + 4);
    buf_init(&lenient, size + 4);
    base64_encode(in, &encoded);
    assert(base64_decode(buf_slice(&encoded), &strict, &e) == 0);
    assert(slice_eq(buf_slice(&strict), in));
    buf_clear(&strict);
    base64_decode_lenient(in, &lenient);
    if (base64_decode(in, &strict, &e) == 0)
        assert(slice_eq(buf_slice(&strict), buf_slice(&lenient)));
    buf_finish(&encoded);
    buf_finish(&strict);
    buf_finish(&lenient);
    return 0;
}
