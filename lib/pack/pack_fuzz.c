/* Property: whatever the bytes are, no more comes out than the ceiling says; what comes out, packed
 * again, comes out again. */
#include <assert.h>
#include <string.h>

#include "lib/pack/pack.h"

#define CEILING 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t all;
    bool is_again;
    struct slice file;
};

static bool take_again(void *ctx, struct slice file)
{
    struct seen *seen = ctx;

    seen->is_again = slice_eq(file, seen->file);
    return true;
}

static bool take_file(void *ctx, struct slice file)
{
    struct seen *all = ctx, again = {.file = file};
    struct buf packed;
    struct err e;

    all->all += file.n;
    buf_init(&packed, 1 << 20);
    assert(pack_gzip(file, &packed, &e) == 0);
    assert(pack_each(buf_slice(&packed), file.n + 1, take_again, &again, &e) == 0);
    assert(again.is_again);
    buf_finish(&packed);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct err e;
    int result = pack_each((struct slice){(const char *)data, size}, CEILING, take_file, &seen, &e);

    (void)result;
    assert(seen.all <= CEILING);
    return 0;
}
