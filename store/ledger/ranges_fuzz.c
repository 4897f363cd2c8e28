/* Any text: what is read, is written again byte for byte. */
#include <assert.h>

#include "store/ledger/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct range_list list = {0};
    struct buf out;
    struct err e;

    buf_init(&out, 1 << 20);
    if (ranges_parse(text, 1000000, &list, &e) == 0) {
        ranges_print(range_list_view(&list), &out);
        assert(slice_eq(buf_slice(&out), text));
    }
    buf_finish(&out);
    range_list_finish(&list);
    return 0;
}
