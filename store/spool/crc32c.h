/* store/spool/crc32c.h -- CRC-32C (Castagnoli), the checksum of records; by the processor's own
 * instruction where it has one (x86-64 with SSE 4.2: about 8 bytes a nanosecond), by table
 * elsewhere. */
#ifndef STORE_SPOOL_CRC32C_H
#define STORE_SPOOL_CRC32C_H

#include "base/base.h"

/* Start with crc 0 and feed pieces in order; the result is the usual CRC-32C at every point. */
uint32_t crc32c(uint32_t crc, struct slice bytes);
uint32_t crc32c_by_table(uint32_t crc, struct slice bytes); /* the same, for tests */

#endif
