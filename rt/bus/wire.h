/* rt/bus/wire.h -- how values are written into a message and read back.
 *
 * Fixed width, little endian, no padding, no tags: both ends are the same program. Text and bytes
 * carry a u32 length in front. Writing is into a buf (its `full` says that the ceiling was met);
 * reading is bounds-checked and its error sticks: after the first bad read everything reads as zero
 * or empty, so a decoder reads all fields and asks wire_is_good() once. */
#ifndef BUS_WIRE_H
#define BUS_WIRE_H

#include "base/base.h"

void wire_put_u8(struct buf *b, uint8_t value);
void wire_put_u16(struct buf *b, uint16_t value);
void wire_put_u32(struct buf *b, uint32_t value);
void wire_put_u64(struct buf *b, uint64_t value);
void wire_put_i64(struct buf *b, int64_t value);
void wire_put_bool(struct buf *b, bool value);
void wire_put_bytes(struct buf *b, struct slice value); /* u32 length, then the bytes */
void wire_put_raw(struct buf *b, struct slice value);   /* the bytes alone: last field only */

struct wire_reader {
    struct slice rest; /* not read yet; the last field may be taken from here as it is */
    bool bad;
};
struct wire_reader wire_read(struct slice message);

uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
int64_t wire_get_i64(struct wire_reader *r);
bool wire_get_bool(struct wire_reader *r);          /* a byte other than 0 and 1 is bad */
struct slice wire_get_bytes(struct wire_reader *r); /* points into the message */
struct slice wire_get_rest(struct wire_reader *r);  /* all that is left; may be empty */

/* Everything was there, and nothing was left over. */
bool wire_is_good(const struct wire_reader *r);

#endif
