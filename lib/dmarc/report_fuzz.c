/* Property: a report that is read can be written, and what was written reads to the same. */
#include <assert.h>

#include "lib/dmarc/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create((size_t)16 << 20);
    struct dmarc_report one, two;
    struct buf first, second;
    struct err e;

    buf_init(&first, (size_t)8 << 20);
    buf_init(&second, (size_t)8 << 20);
    if (dmarc_report_read((struct slice){(const char *)data, size}, arena, &one, &e) == 0) {
        dmarc_report_write(&one, &first);
        if (!first.full) {
            assert(dmarc_report_read(buf_slice(&first), arena, &two, &e) == 0);
            assert(one.row_count == two.row_count && one.messages == two.messages);
            dmarc_report_write(&two, &second);
            assert(slice_eq(buf_slice(&first), buf_slice(&second)));
        }
    }
    buf_finish(&first);
    buf_finish(&second);
    arena_destroy(&arena);
    return 0;
}
