/* The fields cover the header block without a gap, and parsing the block alone gives them again. */
#include <assert.h>

#include "lib/message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct arena *a = arena_create(1 << 24);
    struct header h, again;
    struct err e;

    if (header_parse(in, NULL, a, &h, &e) == 0) {
        const char *at = h.block.p;
        for (size_t i = 0; i < h.count; i++) {
            assert(h.fields[i].raw.p == at && h.fields[i].name.n > 0);
            at += h.fields[i].raw.n;
        }
        assert(h.count == 0 || at == h.block.p + h.block.n);
        if (!slice_starts(h.block, SLICE("From ")) && !slice_starts(h.block, SLICE(">From "))) {
            assert(header_parse(h.block, NULL, a, &again, &e) == 0);
            assert(again.count == h.count);
        }
        for (size_t i = 0; i < h.count; i++) {
            struct slice line = header_unfolded(h.fields[i].value, a);
            assert(slice_find(line, '\n') == SLICE_NONE && slice_find(line, '\r') == SLICE_NONE);
        }
    }
    (void)header_skip_cfws(in);
    arena_destroy(&a);
    return 0;
}
