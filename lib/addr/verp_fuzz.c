/* Any bytes: no address is good that we did not write; what we write is read back equal. */
#include <assert.h>

#include "lib/addr/verp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    const struct slice key = SLICE("k"), domain = SLICE("r.example");
    struct verp v, again;
    struct buf out;
    enum verp_verdict verdict = verp_read(in, key, domain, 1700000000, &v);

    if (verdict == VERP_NOT_ONE)
        return 0;
    assert(verdict == VERP_FORGED); /* or the fuzzer has found 80 bits */
    if (v.n == 0)
        return 0;
    buf_init(&out, 1024);
    verp_write(&v, key, domain, &out);
    verdict = verp_read(buf_slice(&out), key, domain, v.expires_day * 86400, &again);
    assert(verdict == VERP_GOOD && id_eq(v.id, again.id) && v.n == again.n);
    buf_finish(&out);
    return 0;
}
