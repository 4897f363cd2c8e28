#include "base/id.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct id id_make(struct id_maker *maker, int64_t unix_ms, uint64_t random)
{
    uint64_t lane = (uint64_t)(maker->lane % ID_LANES) << 10;
    uint64_t now_hi = (unix_ms > 0 ? (uint64_t)unix_ms << 16 : 0) | lane;
    uint64_t next_hi = maker->last_hi + 1;

    /* Over 1,024 ids in one millisecond, or a clock that stepped back: borrow from the future. */
    if ((next_hi & 0xfc00) != lane)
        next_hi = (((maker->last_hi >> 16) + 1) << 16) | lane;
    maker->last_hi = now_hi > maker->last_hi ? now_hi : next_hi;
    return (struct id){maker->last_hi, random};
}

void id_encode(struct id id, char text_out[ID_TEXT_N + 1])
{
    for (int i = ID_TEXT_N - 1; i >= 0; i--) {
        text_out[i] = digits[id.lo & 31];
        id.lo = id.lo >> 5 | id.hi << 59;
        id.hi >>= 5;
    }
    text_out[ID_TEXT_N] = '\0';
}

/* The value of a digit, or -1. */
static int digit_value(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - ('a' - 'A'));
    for (int i = 0; i < 32; i++)
        if (digits[i] == c)
            return i;
    return -1;
}

bool id_decode(struct slice text, struct id *id_out)
{
    struct id id = {0, 0};

    if (text.n != ID_TEXT_N || text.p[0] > '7')
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int value = digit_value(text.p[i]);
        if (value < 0)
            return false;
        id.hi = id.hi << 5 | id.lo >> 59;
        id.lo = id.lo << 5 | (uint64_t)value;
    }
    *id_out = id;
    return true;
}

static void put_u64(unsigned char *p, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | p[i];
    return value;
}

void id_to_bytes(struct id id, unsigned char bytes_out[ID_BYTES_N])
{
    put_u64(bytes_out, id.hi);
    put_u64(bytes_out + 8, id.lo);
}

struct id id_from_bytes(const unsigned char bytes[ID_BYTES_N])
{
    return (struct id){get_u64(bytes), get_u64(bytes + 8)};
}
