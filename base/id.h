/* base/id.h -- the one id of a message: 128 bits that sort by time, written in 26 characters.
 *
 *     hi: 48 bits unix ms, 6 bits lane, 10 bits counter     lo: 64 random bits
 *
 * The text is Crockford's base32 (0-9 A-Z without I, L, O, U), most significant digit first, as in
 * a ULID, so texts sort like the numbers. `hi` alone is unique within one maker and is the key in
 * the ledger; `lo` keeps ids from being guessed and keeps two machines apart. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/base.h"

#define ID_TEXT_N 26
#define ID_BYTES_N 16

struct id {
    uint64_t hi, lo; /* both 0: no message */
};

/* Makes ids that only ever grow, even when the clock steps back. Start it with the highest `hi`
 * that was ever given out (0 at first). */
struct id_maker {
    uint64_t last_hi;
    unsigned lane; /* 0 to ID_LANES - 1: makers that run side by side each have their own */
};
#define ID_LANES 64
struct id id_make(struct id_maker *maker, int64_t unix_ms, uint64_t random);

static inline bool id_eq(struct id a, struct id b)
{
    return a.hi == b.hi && a.lo == b.lo;
}
static inline bool id_is_none(struct id id)
{
    return id.hi == 0 && id.lo == 0;
}
/* When the id was made, by the clock of its maker. */
static inline int64_t id_unix_ms(struct id id)
{
    return (int64_t)(id.hi >> 16); /* 48 bits: always fits */
}

/* Writes 26 characters and a NUL. */
void id_encode(struct id id, char text_out[ID_TEXT_N + 1]);
/* Reads exactly 26 characters, either case; false for anything else (and for over 128 bits). */
MUST_USE bool id_decode(struct slice text, struct id *id_out);

/* Big-endian bytes, which sort as the ids do. */
void id_to_bytes(struct id id, unsigned char bytes_out[ID_BYTES_N]);
struct id id_from_bytes(const unsigned char bytes[ID_BYTES_N]);

#endif
