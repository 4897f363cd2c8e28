/* store/spool/record_in.h -- the 64 bytes before every record, little-endian:
 *
 *      0 magic "WBR1"       4 CRC-32C of bytes 8..63
 *      8 segment           16 id.hi        24 id.lo
 *     32 body_n            40 head_n       44 CRC-32C of the body     48 CRC-32C of the head
 *     52 zero
 *
 * The segment's number is in it because files are used again: what an earlier life of the file
 * left behind is not a record of this one. */
#ifndef STORE_SPOOL_RECORD_IN_H
#define STORE_SPOOL_RECORD_IN_H

#include "store/spool/place.h"

struct record {
    uint64_t segment;
    struct id id;
    uint64_t body_n;
    uint32_t head_n, body_crc, head_crc;
};

void record_encode(const struct record *record, unsigned char out[SPOOL_RECORD_HEADER_BYTES]);
/* False when magic or checksum do not fit. */
MUST_USE bool record_decode(const unsigned char in[SPOOL_RECORD_HEADER_BYTES],
                            struct record *record_out);

#endif
