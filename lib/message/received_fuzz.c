/* Never fails; what was found stands in the field; reading it again folded differently is the same.
 */
#include <assert.h>

#include "lib/message/received.h"

static void lies_in(struct slice part, struct slice whole)
{
    assert(part.n == 0 || slice_search(whole, part) != SLICE_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct arena *a = arena_create(1 << 20);
    struct received r, again;

    received_parse(in, a, &r);
    lies_in(r.helo, r.value);
    lies_in(r.rdns, r.value);
    lies_in(r.by, r.value);
    lies_in(r.with, r.value);
    lies_in(r.id, r.value);
    lies_in(r.for_address, r.value);
    lies_in(received_host(&r), r.value);
    assert(slice_find(r.value, '\n') == SLICE_NONE);
    received_parse(r.value, a, &again);
    assert(slice_eq(r.value, again.value) && slice_eq(r.by, again.by) && slice_eq(r.id, again.id));
    assert(ip_address_equal(&r.ip, &again.ip) && r.has_date == again.has_date);
    arena_destroy(&a);
    return 0;
}
