/* lib/pack/pack.h -- files packed by gzip (RFC 1952) and zip, in memory, with a ceiling.
 *
 *     bytes --pack_gzip()--> .gz            .gz or .zip --pack_each()--> the files in it
 *
 * The only room that sees zlib. Of zip it reads what mail carries: stored and deflated members,
 * found by the central directory. No encryption, no zip64, no other methods: such a member is an
 * error that names it. */
#ifndef LIB_PACK_PACK_H
#define LIB_PACK_PACK_H

#include "base/base.h"

#define PACK_MEMBERS_MAX 100 /* of one archive; what lies beyond is ERR_LIMIT */

/* Appends `in` as one gzip member without name or time. ERR_LIMIT: `out` is full. */
MUST_USE int pack_gzip(struct slice in, struct buf *out, struct err *e);

/* Whether the bytes begin like a gzip or zip file. */
bool pack_is_one(struct slice data);

/* Calls `each` for every file in `data`, whose bytes are good for that call; it returns false to
 * stop, which is no error. `bytes_max` bounds what all of them hold together: a bomb ends there
 * with ERR_LIMIT, having cost no more memory than that. ERR_SYNTAX: it is broken. */
MUST_USE int pack_each(struct slice data, size_t bytes_max,
                       bool (*each)(void *ctx, struct slice file), void *ctx, struct err *e);

#endif
