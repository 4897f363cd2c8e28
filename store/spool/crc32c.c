#include "store/spool/crc32c.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

/* Reflected polynomial 0x82f63b78, four bits at a time: sixteen entries need no start-up code. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_by_table(uint32_t crc, struct slice bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes.n; i++) {
        crc ^= (unsigned char)bytes.p[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_by_instruction(uint32_t crc,
                                                                        struct slice bytes)
{
    uint64_t wide = (uint32_t)~crc;
    size_t i = 0;

    for (; i + 8 <= bytes.n; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.p + i, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide; /* the instruction leaves the upper half zero */
    for (; i < bytes.n; i++)
        crc = _mm_crc32_u8(crc, (unsigned char)bytes.p[i]);
    return ~crc;
}
#endif

uint32_t crc32c(uint32_t crc, struct slice bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_by_instruction(crc, bytes);
#endif
    return crc32c_by_table(crc, bytes);
}
