/* Any bytes, read as any sequence of fields: no read leaves the message, the error sticks, and
 * what was read well writes back to the same bytes. */
#include <assert.h>

#include "rt/bus/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t fields = size > 0 ? data[0] % 16u : 0;
    struct slice all = {(const char *)data, size};
    struct slice message = slice_from(all, 1 + fields);
    struct wire_reader r = wire_read(message);
    struct buf again;

    buf_init(&again, size + 1);
    for (size_t i = 0; i < fields && i + 1 < size; i++) {
        switch (data[i + 1] % 6) {
        case 0:
            wire_put_u8(&again, wire_get_u8(&r));
            break;
        case 1:
            wire_put_u16(&again, wire_get_u16(&r));
            break;
        case 2:
            wire_put_u32(&again, wire_get_u32(&r));
            break;
        case 3:
            wire_put_i64(&again, wire_get_i64(&r));
            break;
        case 4:
            wire_put_bool(&again, wire_get_bool(&r));
            break;
        default:
            wire_put_bytes(&again, wire_get_bytes(&r));
            break;
        }
        if (r.bad)
            break;
    }
    if (!r.bad) {
        wire_put_raw(&again, wire_get_rest(&r));
        assert(slice_eq(buf_slice(&again), message));
        assert(wire_is_good(&r));
    }
    buf_finish(&again);
    return 0;
}
