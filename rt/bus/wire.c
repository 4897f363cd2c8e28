#include "rt/bus/wire.h"

#include <endian.h>

static void put(struct buf *b, const void *p, size_t n)
{
    buf_append(b, (struct slice){p, n});
}

void wire_put_u8(struct buf *b, uint8_t value)
{
    put(b, &value, sizeof value);
}

void wire_put_u16(struct buf *b, uint16_t value)
{
    value = htole16(value);
    put(b, &value, sizeof value);
}

void wire_put_u32(struct buf *b, uint32_t value)
{
    value = htole32(value);
    put(b, &value, sizeof value);
}

void wire_put_u64(struct buf *b, uint64_t value)
{
    value = htole64(value);
    put(b, &value, sizeof value);
}

void wire_put_i64(struct buf *b, int64_t value)
{
    wire_put_u64(b, (uint64_t)value); /* two's complement on both ends */
}

void wire_put_bool(struct buf *b, bool value)
{
    wire_put_u8(b, value);
}

void wire_put_bytes(struct buf *b, struct slice value)
{
    if (value.n > UINT32_MAX) { /* no frame is that long */
        b->full = true;
        return;
    }
    wire_put_u32(b, (uint32_t)value.n);
    buf_append(b, value);
}

void wire_put_raw(struct buf *b, struct slice value)
{
    buf_append(b, value);
}

struct wire_reader wire_read(struct slice message)
{
    return (struct wire_reader){.rest = message};
}

/* The next n bytes; empty, and bad for ever, when they are not there. */
static struct slice take(struct wire_reader *r, size_t n)
{
    struct slice head = {r->rest.p, n};

    if (r->bad || n > r->rest.n) {
        *r = (struct wire_reader){.bad = true};
        return (struct slice){NULL, 0};
    }
    r->rest = slice_from(r->rest, n);
    return head;
}

static void get(struct wire_reader *r, void *out, size_t n)
{
    struct slice s = take(r, n);

    if (s.n == n)
        memcpy(out, s.p, n);
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    uint8_t value = 0;

    get(r, &value, sizeof value);
    return value;
}

uint16_t wire_get_u16(struct wire_reader *r)
{
    uint16_t value = 0;

    get(r, &value, sizeof value);
    return le16toh(value);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    uint32_t value = 0;

    get(r, &value, sizeof value);
    return le32toh(value);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    uint64_t value = 0;

    get(r, &value, sizeof value);
    return le64toh(value);
}

int64_t wire_get_i64(struct wire_reader *r)
{
    return (int64_t)wire_get_u64(r);
}

bool wire_get_bool(struct wire_reader *r)
{
    uint8_t value = wire_get_u8(r);

    if (value > 1)
        *r = (struct wire_reader){.bad = true};
    return value == 1;
}

struct slice wire_get_bytes(struct wire_reader *r)
{
    return take(r, wire_get_u32(r));
}

struct slice wire_get_rest(struct wire_reader *r)
{
    return take(r, r->rest.n);
}

bool wire_is_good(const struct wire_reader *r)
{
    return !r->bad && r->rest.n == 0;
}
