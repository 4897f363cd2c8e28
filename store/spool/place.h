/* store/spool/place.h -- where a message's bytes lie in the spool. The ledger keeps it. */
#ifndef STORE_SPOOL_PLACE_H
#define STORE_SPOOL_PLACE_H

#include "base/id.h"

struct spool_place {
    uint64_t segment; /* the file's number; 0: nowhere */
    uint64_t offset;  /* of the record's header in it */
    uint64_t body_n;  /* bytes as the client sent them */
    uint32_t head_n;  /* bytes to send before the body: Received, signatures, ... */
};

#define SPOOL_RECORD_HEADER_BYTES 64
/* What the record takes on disk. */
static inline uint64_t spool_place_bytes(const struct spool_place *place)
{
    return SPOOL_RECORD_HEADER_BYTES + place->body_n + place->head_n;
}

#endif
