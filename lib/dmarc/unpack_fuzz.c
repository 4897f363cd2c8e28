/* Property: whatever the bytes are, no XML is larger than the ceiling (or the bytes themselves),
 * and a good answer means that there was some. */
#include <assert.h>

#include "lib/dmarc/unpack.h"

#define CEILING 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t found, most;
};

static void take_xml(void *ctx, struct slice xml)
{
    struct seen *seen = ctx;

    seen->found++;
    assert(xml.n > 0 && xml.n <= seen->most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.most = size > CEILING ? size : CEILING};
    struct arena *arena = arena_create((size_t)16 << 20);
    struct err e;

    if (dmarc_unpack((struct slice){(const char *)data, size}, CEILING, arena, take_xml, &seen,
                     &e) == 0)
        assert(seen.found > 0);
    arena_destroy(&arena);
    return 0;
}
