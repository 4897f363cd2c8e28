#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "store/spool/crc32c.h"
#include "store/spool/spool_in.h"

#define FIRST_BUFFER_BYTES 4096
#define HEAD_MAX_BYTES (1u << 20)

int write_all(const struct disk *disk, int fd, struct iovec *pieces, int count, uint64_t at,
              int *errnum_out)
{
    while (count > 0) {
        int batch = count < IOV_MAX ? count : IOV_MAX;
        ssize_t done = disk->pwritev(disk->ctx, fd, pieces, batch, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            *errnum_out = done < 0 ? errno : ENOSPC;
            return -1;
        }
        at += (uint64_t)done;
        size_t left = (size_t)done;
        while (count > 0 && left >= pieces->iov_len) {
            left -= pieces->iov_len;
            pieces++;
            count--;
        }
        if (left > 0) {
            pieces->iov_base = (char *)pieces->iov_base + left;
            pieces->iov_len -= left;
        }
    }
    return 0;
}

int spool_fail(struct spool *spool, int errnum, const char *doing, struct err *e)
{
    spool->full = errnum == ENOSPC || errnum == EDQUOT;
    spool->counters.failures++;
    return err_system(e, errnum, "cannot %s in %s", doing, spool->dir);
}

static void grow(struct spool_writer *w, size_t need)
{
    if (need <= w->cap)
        return;
    size_t cap = w->cap < FIRST_BUFFER_BYTES ? FIRST_BUFFER_BYTES : w->cap;
    while (cap < need)
        cap *= 2; /* need is bounded by buffer_bytes and HEAD_MAX_BYTES */
    w->buffer = mem_resize(w->buffer, cap);
    w->cap = cap;
}

struct spool_writer *spool_stage_begin(struct spool *spool, struct id id, uint64_t size_hint)
{
    struct spool_writer *w = mem_alloc(sizeof *w);
    uint64_t likely = size_hint < spool->buffer_bytes ? size_hint : spool->buffer_bytes;

    w->spool = spool;
    w->id = id;
    w->fd = -1;
    w->n = SPOOL_RECORD_HEADER_BYTES;
    if (likely > 0) { /* exactly once, with room for a head */
        w->cap = SPOOL_RECORD_HEADER_BYTES + (size_t)likely + 2048;
        w->buffer = mem_resize(NULL, w->cap);
    }
    list_append(&spool->streaming, &w->link);
    return w;
}

void writer_destroy(struct spool_writer *w)
{
    list_remove(&w->link);
    if (w->fd >= 0) {
        char *path = segment_path(w->spool->dir, w->record.segment, SEGMENT_BIG);
        close(w->fd);
        w->spool->disk->unlink(w->spool->disk->ctx, path); /* if it stays, opening removes it */
        free(path);
    }
    free(w->buffer);
    free(w);
}

/* Writes what a large message has gathered. */
static int flush(struct spool_writer *w, struct err *e)
{
    struct iovec piece = {w->buffer, w->n};
    int errnum;

    if (w->n == 0)
        return 0;
    if (write_all(w->spool->disk, w->fd, &piece, 1, w->offset, &errnum) != 0)
        return spool_fail(w->spool, errnum, "write a large message", e);
    w->offset += w->n;
    w->n = 0;
    return 0;
}

/* From now on this message has its own file. The header's place is written as zeros first, so
 * nobody takes an unfinished file for a record. */
static int become_large(struct spool_writer *w, struct err *e)
{
    struct spool *spool = w->spool;

    if (segment_create(spool, spool->next_segment, SEGMENT_BIG, &w->fd, e) != 0) {
        w->fd = -1;
        return -1;
    }
    w->record.segment = spool->next_segment++;
    memset(w->buffer, 0, SPOOL_RECORD_HEADER_BYTES);
    return flush(w, e);
}

int spool_writer_append(struct spool_writer *w, struct slice bytes, struct err *e)
{
    size_t most = w->spool->buffer_bytes;

    w->record.body_crc = crc32c(w->record.body_crc, bytes);
    w->record.body_n += bytes.n;
    while (bytes.n > 0) {
        size_t room = w->n < most ? most - w->n : 0;
        size_t n = bytes.n < room ? bytes.n : room;
        if (n > 0) {
            grow(w, w->n + n);
            memcpy(w->buffer + w->n, bytes.p, n);
            w->n += n;
            bytes = slice_from(bytes, n);
        }
        if (bytes.n > 0 && (w->fd < 0 ? become_large(w, e) : flush(w, e)) != 0)
            return -1;
    }
    return 0;
}

/* The rest of a large message, the head, and last the header that makes it a record. */
static int finish_large(struct spool_writer *w, struct err *e)
{
    unsigned char header[SPOOL_RECORD_HEADER_BYTES];
    struct iovec piece = {header, sizeof header};
    int errnum;

    if (flush(w, e) != 0)
        return -1;
    record_encode(&w->record, header);
    if (write_all(w->spool->disk, w->fd, &piece, 1, 0, &errnum) != 0)
        return spool_fail(w->spool, errnum, "write a large message", e);
    return 0;
}

int spool_writer_finish(struct spool_writer **writer, struct slice head,
                        struct spool_place *place_out, struct err *e)
{
    struct spool_writer *w = *writer;
    struct spool *spool = w->spool;

    if (head.n > HEAD_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "a head of %zu bytes is over %u", head.n, HEAD_MAX_BYTES);
    grow(w, w->n + head.n);
    if (head.n > 0)
        memcpy(w->buffer + w->n, head.p, head.n);
    w->n += head.n;
    w->record.id = w->id;
    w->record.head_n = (uint32_t)head.n; /* bounded above */
    w->record.head_crc = crc32c(0, head);
    if (w->fd >= 0) {
        if (finish_large(w, e) != 0)
            return -1;
        w->offset = 0;
    } else {
        if (segment_ensure(spool, e) != 0)
            return -1;
        w->record.segment = spool->segment;
        w->offset = spool->staged_end;
        spool->staged_end += w->n;
        record_encode(&w->record, (unsigned char *)w->buffer);
    }
    *place_out = (struct spool_place){.segment = w->record.segment,
                                      .offset = w->offset,
                                      .body_n = w->record.body_n,
                                      .head_n = w->record.head_n};
    list_remove(&w->link);
    list_append(&spool->finished, &w->link);
    *writer = NULL;
    return 0;
}

void spool_writer_abort(struct spool_writer **w)
{
    if (*w != NULL)
        writer_destroy(*w);
    *w = NULL;
}
