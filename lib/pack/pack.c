#include "lib/pack/pack.h"

#include <zlib.h>

#define STEP_BYTES 65536
#define WINDOW_GZIP (15 + 16) /* zlib's way to ask for the gzip format */
#define WINDOW_RAW (-15)

/* of zip, all numbers little-endian */
#define LOCAL_MAGIC "PK\x03\x04"
#define LOCAL_BYTES 30
#define ENTRY_MAGIC "PK\x01\x02"
#define ENTRY_BYTES 46
#define END_MAGIC "PK\x05\x06"
#define END_BYTES 22
#define COMMENT_MAX 65535
#define METHOD_STORED 0
#define METHOD_DEFLATED 8
#define FLAG_ENCRYPTED 1u

/* --- gzip --- */

int pack_gzip(struct slice in, struct buf *out, struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p}; /* zlib reads it only */
    int code =
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY);
    size_t left = in.n;

    if (code != Z_OK)
        return err_set(e, ERR_LIMIT, "no memory for compression");
    do {
        char *room = buf_room(out, STEP_BYTES);

        if (room == NULL)
            break;
        if (z.avail_in == 0) {
            z.avail_in = left > STEP_BYTES ? STEP_BYTES : (uInt)left;
            left -= z.avail_in;
        }
        z.next_out = (Bytef *)room;
        z.avail_out = STEP_BYTES;
        code = deflate(&z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
        buf_claim(out, STEP_BYTES - z.avail_out);
    } while (code == Z_OK || code == Z_BUF_ERROR);
    (void)deflateEnd(&z);
    if (code != Z_STREAM_END)
        return err_set(e, ERR_LIMIT, "compressed, it is larger than %zu bytes", out->max);
    return 0;
}

/* Inflates one stream; *used_out: how many bytes of `in` it took. */
static int inflate_one(struct slice in, int window, struct buf *out, size_t *used_out,
                       struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p}; /* zlib reads it only */
    size_t left = in.n;
    int code = inflateInit2(&z, window);
    bool full = false;

    if (code != Z_OK)
        return err_set(e, ERR_LIMIT, "no memory for decompression");
    do {
        size_t size = out->max - out->n < STEP_BYTES ? out->max - out->n : STEP_BYTES;
        char *room = size > 0 ? buf_room(out, size) : NULL;

        full = room == NULL;
        if (full)
            break;
        if (z.avail_in == 0) {
            z.avail_in = left > STEP_BYTES ? STEP_BYTES : (uInt)left;
            left -= z.avail_in;
        }
        z.next_out = (Bytef *)room;
        z.avail_out = (uInt)size; /* at most STEP_BYTES */
        code = inflate(&z, Z_NO_FLUSH);
        buf_claim(out, size - z.avail_out);
    } while (code == Z_OK);
    *used_out = in.n - left - z.avail_in;
    (void)inflateEnd(&z);
    if (full)
        return err_set(e, ERR_LIMIT, "unpacked, it is larger than %zu bytes", out->max);
    if (code != Z_STREAM_END)
        return err_set(e, ERR_SYNTAX, "the compressed data is broken or cut");
    return 0;
}

/* Members of one gzip file are one file (RFC 1952 2.2). */
static int open_gzip(struct slice data, struct buf *out, struct err *e)
{
    size_t used;

    do {
        if (inflate_one(data, WINDOW_GZIP, out, &used, e) < 0)
            return -1;
        data = slice_from(data, used);
    } while (slice_starts(data, SLICE("\x1f\x8b"))); /* what else follows is padding */
    return 0;
}

/* --- zip --- */

static unsigned u16_at(struct slice s, size_t at)
{
    return (unsigned char)s.p[at] | (unsigned)(unsigned char)s.p[at + 1] << 8;
}

static size_t u32_at(struct slice s, size_t at)
{
    return (size_t)u16_at(s, at) | (size_t)u16_at(s, at + 2) << 16;
}

/* The record behind the central directory; it is looked for from the end. */
static bool find_end(struct slice data, struct slice *end_out)
{
    size_t farthest = END_BYTES + COMMENT_MAX;

    for (size_t back = END_BYTES; back <= data.n && back <= farthest; back++) {
        struct slice tail = slice_from(data, data.n - back);

        if (slice_starts(tail, SLICE(END_MAGIC)) && u16_at(tail, 20) <= back - END_BYTES) {
            *end_out = tail;
            return true;
        }
    }
    return false;
}

struct entry {
    unsigned flags, method;
    size_t crc, packed_bytes, bytes, offset;
};

/* Takes one entry off the front of the central directory. */
static bool next_entry(struct slice *directory, struct entry *entry_out)
{
    struct slice d = *directory;

    if (d.n < ENTRY_BYTES || !slice_starts(d, SLICE(ENTRY_MAGIC)))
        return false;
    *entry_out = (struct entry){.flags = u16_at(d, 8),
                                .method = u16_at(d, 10),
                                .crc = u32_at(d, 16),
                                .packed_bytes = u32_at(d, 20),
                                .bytes = u32_at(d, 24),
                                .offset = u32_at(d, 42)};
    *directory = slice_from(d, (size_t)ENTRY_BYTES + u16_at(d, 28) + u16_at(d, 30) + u16_at(d, 32));
    return true;
}

/* The bytes of an entry as they are stored. */
static bool find_packed(struct slice data, const struct entry *entry, struct slice *packed_out)
{
    struct slice local = slice_from(data, entry->offset);

    if (local.n < LOCAL_BYTES || !slice_starts(local, SLICE(LOCAL_MAGIC)))
        return false;
    local = slice_from(local, (size_t)LOCAL_BYTES + u16_at(local, 26) + u16_at(local, 28));
    *packed_out = slice_sub(local, 0, entry->packed_bytes);
    return packed_out->n == entry->packed_bytes;
}

static int open_entry(struct slice data, const struct entry *entry, struct buf *out, struct err *e)
{
    struct slice packed;
    size_t used;

    if (!find_packed(data, entry, &packed))
        return err_set(e, ERR_SYNTAX, "the zip file is broken or cut");
    if ((entry->flags & FLAG_ENCRYPTED) != 0)
        return err_set(e, ERR_SYNTAX, "the zip file is encrypted");
    if (entry->bytes > out->max)
        return err_set(e, ERR_LIMIT, "unpacked, it is larger than %zu bytes", out->max);
    if (entry->method == METHOD_STORED)
        buf_append(out, packed);
    else if (entry->method != METHOD_DEFLATED)
        return err_set(e, ERR_SYNTAX, "the zip file uses method %u, which is not read",
                       entry->method);
    else if (inflate_one(packed, WINDOW_RAW, out, &used, e) < 0)
        return -1;
    if (out->full)
        return err_set(e, ERR_LIMIT, "unpacked, it is larger than %zu bytes", out->max);
    if (out->n != entry->bytes ||
        crc32_z(0, (const Bytef *)(out->n > 0 ? out->p : ""), out->n) != entry->crc)
        return err_set(e, ERR_SYNTAX, "a file in the zip file is damaged");
    return 0;
}

static int each_in_zip(struct slice data, size_t bytes_max,
                       bool (*each)(void *ctx, struct slice file), void *ctx, struct err *e)
{
    struct slice end, directory;
    struct entry entry;
    bool go_on = true;

    if (!find_end(data, &end))
        return err_set(e, ERR_SYNTAX, "the zip file has no directory; it is cut or broken");
    unsigned count = u16_at(end, 10);
    if (count > PACK_MEMBERS_MAX)
        return err_set(e, ERR_LIMIT, "the zip file holds %u files, at most %d are read", count,
                       PACK_MEMBERS_MAX);
    directory = slice_sub(slice_from(data, u32_at(end, 16)), 0, u32_at(end, 12));
    for (unsigned i = 0; i < count && go_on; i++) {
        struct buf file;

        if (!next_entry(&directory, &entry))
            return err_set(e, ERR_SYNTAX, "the zip file's directory is broken");
        buf_init(&file, bytes_max);
        int result = open_entry(data, &entry, &file, e);
        bytes_max -= file.n;
        if (result == 0 && file.n > 0)
            go_on = each(ctx, buf_slice(&file));
        buf_finish(&file);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* --- either --- */

bool pack_is_one(struct slice data)
{
    return slice_starts(data, SLICE("\x1f\x8b")) || slice_starts(data, SLICE(LOCAL_MAGIC));
}

int pack_each(struct slice data, size_t bytes_max, bool (*each)(void *ctx, struct slice file),
              void *ctx, struct err *e)
{
    struct buf file;
    int result;

    if (slice_starts(data, SLICE(LOCAL_MAGIC)))
        return each_in_zip(data, bytes_max, each, ctx, e);
    if (!slice_starts(data, SLICE("\x1f\x8b")))
        return err_set(e, ERR_SYNTAX, "this is no gzip or zip file");
    buf_init(&file, bytes_max);
    result = open_gzip(data, &file, e);
    if (result == 0 && file.n > 0)
        (void)each(ctx, buf_slice(&file));
    buf_finish(&file);
    return result;
}
