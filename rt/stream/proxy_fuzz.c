/* Any bytes: cut anywhere, the verdict is the whole's; MORE never turns back; what is used was
 * there and within the limit. */
#include <assert.h>

#include "rt/stream/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct proxy_header whole, h;
    size_t used = 0, used_cut = 0;
    enum proxy_verdict verdict = proxy_parse(in, &whole, &used), cut = PROXY_MORE;

    if (verdict == PROXY_GOOD)
        assert(used <= size && used <= PROXY_HEADER_MAX);
    if (verdict == PROXY_MORE)
        assert(size < PROXY_HEADER_MAX);
    for (size_t n = 0; n <= size && cut == PROXY_MORE; n++)
        cut = proxy_parse(slice_sub(in, 0, n), &h, &used_cut);
    assert(cut == verdict);
    if (verdict == PROXY_GOOD) {
        assert(used == used_cut && whole.has_addresses == h.has_addresses);
        assert(!h.has_addresses || ip_address_equal(&h.source, &whole.source));
    }
    return 0;
}
