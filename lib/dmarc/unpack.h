/* lib/dmarc/unpack.h -- the XML of aggregate reports out of what carries it.
 *
 *     .xml, .xml.gz, .zip, or mail with one of these attached --dmarc_unpack()--> each XML
 *
 * What something is shows in its first bytes; names and media types are not believed. */
#ifndef LIB_DMARC_UNPACK_H
#define LIB_DMARC_UNPACK_H

#include "base/arena.h"
#include "base/base.h"

/* Calls `each` for every XML found; its bytes are good for that call. `bytes_max` bounds what is
 * unpacked in all; MIME structure lives in `arena`. -1: something was broken or too large (the
 * first trouble is told), or there was nothing: ERR_FOUND. XML may have been found all the same. */
MUST_USE int dmarc_unpack(struct slice data, size_t bytes_max, struct arena *arena,
                          void (*each)(void *ctx, struct slice xml), void *ctx, struct err *e);

#endif
