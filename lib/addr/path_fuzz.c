/* A path that is taken has an address that is taken alone, and its normal form is stable. */
#include <assert.h>

#include "lib/addr/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    unsigned flags = PATH_UTF8 | PATH_NULL | PATH_POSTMASTER;
    struct path path, again;
    struct err e;
    struct buf normal, twice;

    if (path_parse(in, flags, &path, &e) != 0 || path.is_null)
        return 0;
    assert(path.used <= size && in.p[path.used - 1] == '>');
    assert(path_parse_address(path.address, flags, &again, &e) == 0);
    buf_init(&normal, 2000);
    buf_init(&twice, 2000);
    path_normalize(&path, &normal);
    if (path_parse_address(buf_slice(&normal), flags, &again, &e) == 0) {
        path_normalize(&again, &twice);
        assert(slice_eq(buf_slice(&normal), buf_slice(&twice)));
    } else {
        assert(e.code == ERR_LIMIT || path.is_utf8); /* A-labels are longer */
    }
    buf_finish(&normal);
    buf_finish(&twice);
    return 0;
}
