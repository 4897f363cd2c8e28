/* Any field decodes to one line of UTF-8, and so does its encoding. */
#include <assert.h>

#include "base/utf8.h"
#include "lib/text/encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct buf shown, encoded, again;

    buf_init(&shown, 8 * size + 16);
    buf_init(&encoded, 64 * size + 100);
    buf_init(&again, 8 * size + 16);
    encoded_word_decode(in, &shown);
    assert(utf8_valid(buf_slice(&shown)));
    assert(slice_find(buf_slice(&shown), '\n') == SLICE_NONE);
    encoded_word_encode(buf_slice(&shown), &encoded);
    encoded_word_decode(buf_slice(&encoded), &again);
    assert(slice_eq(slice_trim(buf_slice(&again)), slice_trim(buf_slice(&shown))));
    buf_finish(&shown);
    buf_finish(&encoded);
    buf_finish(&again);
    return 0;
}
