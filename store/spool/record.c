#include "store/spool/crc32c.h"
#include "store/spool/record_in.h"

#define MAGIC 0x31524257u /* "WBR1" */

static void put(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static uint32_t header_crc(const unsigned char *header)
{
    return crc32c(0, (struct slice){(const char *)header + 8, SPOOL_RECORD_HEADER_BYTES - 8});
}

void record_encode(const struct record *record, unsigned char out[SPOOL_RECORD_HEADER_BYTES])
{
    memset(out, 0, SPOOL_RECORD_HEADER_BYTES);
    put(out, MAGIC, 4);
    put(out + 8, record->segment, 8);
    put(out + 16, record->id.hi, 8);
    put(out + 24, record->id.lo, 8);
    put(out + 32, record->body_n, 8);
    put(out + 40, record->head_n, 4);
    put(out + 44, record->body_crc, 4);
    put(out + 48, record->head_crc, 4);
    put(out + 4, header_crc(out), 4);
}

bool record_decode(const unsigned char in[SPOOL_RECORD_HEADER_BYTES], struct record *record_out)
{
    if (get(in, 4) != MAGIC || get(in + 4, 4) != header_crc(in))
        return false;
    *record_out = (struct record){
        .segment = get(in + 8, 8),
        .id = {get(in + 16, 8), get(in + 24, 8)},
        .body_n = get(in + 32, 8),
        .head_n = (uint32_t)get(in + 40, 4),   /* four bytes were read */
        .body_crc = (uint32_t)get(in + 44, 4), /* the same */
        .head_crc = (uint32_t)get(in + 48, 4), /* the same */
    };
    return true;
}
