#include "store/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool/spool_in.h"

static int lock_dir(struct spool *spool, struct err *e)
{
    if (mkdir(spool->dir, 0750) != 0 && errno != EEXIST)
        return err_system(e, errno, "cannot make %s", spool->dir);
    spool->lock_fd = open(spool->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->lock_fd < 0)
        return err_system(e, errno, "cannot open %s", spool->dir);
    if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_TEMP, "%s is in use by another process", spool->dir);
    return err_system(e, errno, "cannot lock %s", spool->dir);
}

int spool_open(const struct spool_settings *settings, struct spool **spool_out,
               struct spool_recovery *recovery_out, struct err *e)
{
    struct spool *spool = mem_alloc(sizeof *spool);
    struct spool_recovery recovery = {0};

    spool->dir = mem_string(settings->dir);
    spool->disk = settings->disk != NULL ? settings->disk : &disk_system;
    spool->segment_bytes =
        settings->segment_bytes > 0 ? settings->segment_bytes : SEGMENT_BYTES_DEFAULT;
    spool->buffer_bytes =
        settings->buffer_bytes > 0 ? settings->buffer_bytes : BUFFER_BYTES_DEFAULT;
    spool->spares_wanted =
        settings->spare_segments > 0 ? settings->spare_segments : SPARE_SEGMENTS_DEFAULT;
    spool->spare_numbers = mem_alloc(spool->spares_wanted * sizeof *spool->spare_numbers);
    spool->next_segment = settings->last_segment + 1;
    spool->fd = spool->filling_fd = spool->lock_fd = -1;
    list_init(&spool->streaming);
    list_init(&spool->finished);
    if (lock_dir(spool, e) != 0 || spool_recover(spool, settings, &recovery, e) != 0) {
        spool_close(&spool);
        return -1;
    }
    if (recovery_out != NULL)
        *recovery_out = recovery;
    *spool_out = spool;
    return 0;
}

static void drop_all(struct list *writers)
{
    LIST_EACH(writers, link)
    writer_destroy(CONTAINER_OF(link, struct spool_writer, link));
}

void spool_close(struct spool **spool)
{
    struct spool *s = *spool;

    if (s == NULL)
        return;
    drop_all(&s->streaming);
    drop_all(&s->finished);
    if (s->fd >= 0)
        close(s->fd);
    if (s->filling_fd >= 0)
        close(s->filling_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->spare_numbers);
    free(s->dir);
    free(s);
    *spool = NULL;
}

/* --- the commit --- */

/* One pwritev for all small messages (they lie behind each other), then their sync. */
static int store_small(struct spool *spool, struct err *e)
{
    const struct disk *disk = spool->disk;
    size_t count = 0;
    int errnum, result = 0;

    if (spool->staged_end == spool->end)
        return 0;
    LIST_EACH(&spool->finished, link)
    count++;
    struct iovec *pieces = mem_alloc(count * sizeof *pieces);
    int n = 0;
    LIST_EACH(&spool->finished, link)
    {
        struct spool_writer *w = CONTAINER_OF(link, struct spool_writer, link);
        if (w->fd < 0)
            pieces[n++] = (struct iovec){w->buffer, w->n};
    }
    if (write_all(disk, spool->fd, pieces, n, spool->end, &errnum) != 0) {
        result = spool_fail(spool, errnum, "write messages", e);
        if (spool->full) { /* give back what this group took; the segment itself is sound */
            (void)disk->ftruncate(disk->ctx, spool->fd, (off_t)spool->end);
            goto out;
        }
    } else if (disk->fdatasync(disk->ctx, spool->fd) != 0) {
        result = spool_fail(spool, errno, "sync messages", e);
    } else {
        spool->counters.syncs++;
        goto out;
    }
    /* After a failed sync the kernel may believe that the pages are clean: nothing that is written
     * here later could be trusted. What was committed before stays where it is. */
    close(spool->fd);
    spool->fd = -1;
out:
    free(pieces);
    return result;
}

static int store_large(struct spool *spool, struct err *e)
{
    const struct disk *disk = spool->disk;

    LIST_EACH(&spool->finished, link)
    {
        struct spool_writer *w = CONTAINER_OF(link, struct spool_writer, link);
        if (w->fd < 0)
            continue;
        if (disk->fdatasync(disk->ctx, w->fd) != 0)
            return spool_fail(spool, errno, "sync a large message", e);
        spool->counters.syncs++;
    }
    return 0;
}

static int store_names(struct spool *spool, struct err *e)
{
    if (!spool->dir_changed)
        return 0;
    if (spool->disk->fsync_dir(spool->disk->ctx, spool->dir) != 0)
        return spool_fail(spool, errno, "sync the directory", e);
    spool->counters.syncs++;
    spool->dir_changed = false;
    return 0;
}

/* The group is stored: its writers go, its files stay. */
static void settle(struct spool *spool)
{
    LIST_EACH(&spool->finished, link)
    {
        struct spool_writer *w = CONTAINER_OF(link, struct spool_writer, link);
        spool->counters.records++;
        spool->counters.bytes += SPOOL_RECORD_HEADER_BYTES + w->record.body_n + w->record.head_n;
        if (w->fd >= 0)
            close(w->fd);
        w->fd = -1; /* so that writer_destroy() leaves the file alone */
        writer_destroy(w);
    }
    spool->end = spool->staged_end;
    if (spool->fd >= 0 && spool->end >= spool->segment_bytes) {
        close(spool->fd);
        spool->fd = -1;
    }
    spool->full = false;
    spool->counters.commits++;
}

int spool_commit(struct spool *spool, struct err *e)
{
    if (list_is_empty(&spool->finished))
        return 0;
    if (store_small(spool, e) == 0 && store_large(spool, e) == 0 && store_names(spool, e) == 0) {
        settle(spool);
        return 0;
    }
    spool_rollback(spool);
    return -1;
}

void spool_rollback(struct spool *spool)
{
    drop_all(&spool->finished);
    spool->staged_end = spool->end;
}

/* --- questions --- */

bool spool_is_full(const struct spool *spool)
{
    return spool->full;
}

bool spool_has_staged(const struct spool *spool)
{
    return !list_is_empty(&spool->finished);
}

uint64_t spool_current_segment(const struct spool *spool)
{
    return spool->fd >= 0 ? spool->segment : 0;
}

struct spool_counters spool_counters(const struct spool *spool)
{
    return spool->counters;
}

/* --- house-keeping --- */

static bool is_staged_for(const struct spool *spool, uint64_t segment)
{
    if (spool->fd >= 0 && spool->segment == segment)
        return true;
    for (int which = 0; which < 2; which++) {
        const struct list *writers = which == 0 ? &spool->streaming : &spool->finished;
        LIST_EACH(writers, link)
        {
            const struct spool_writer *w = CONTAINER_OF(link, struct spool_writer, link);
            if (w->record.segment == segment)
                return true;
        }
    }
    return false;
}

int spool_remove_segment(struct spool *spool, uint64_t segment, struct err *e)
{
    struct stat st;

    if (is_staged_for(spool, segment))
        return err_set(e, ERR_TEMP, "segment %llu is being written", (unsigned long long)segment);
    char *path = segment_path(spool->dir, segment, SEGMENT_BIG);
    enum segment_kind kind = stat(path, &st) == 0 ? SEGMENT_BIG : SEGMENT_SHARED;
    free(path);
    return segment_retire(spool, segment, kind, e);
}

int spool_stage_copy(struct spool *spool, struct id id, const struct spool_place *from,
                     struct spool_place *place_out, struct err *e)
{
    struct spool_writer *w = NULL;
    struct spool_reader reader;
    struct buf head;
    char piece[16384];
    size_t n;
    int fd = -1, result = -1;

    buf_init(&head, (size_t)from->head_n + 1);
    if (spool_open_read(spool->dir, from->segment, &fd, e) != 0)
        goto out;
    if (spool_read_head(fd, id, from, &head, e) != 0 ||
        spool_reader_init(&reader, fd, id, from, e) != 0)
        goto out;
    w = spool_stage_begin(spool, id, from->body_n);
    for (uint64_t at = 0;; at += n) {
        if (spool_reader_read(&reader, piece, sizeof piece, &n, e) != 0)
            goto out;
        if (n == 0)
            break;
        /* The reader hands out the head first; that part is taken already. */
        size_t skip = at < from->head_n ? (size_t)(from->head_n - at) : 0;
        if (spool_writer_append(w, slice_from((struct slice){piece, n}, skip), e) != 0)
            goto out;
    }
    result = spool_writer_finish(&w, buf_slice(&head), place_out, e);
out:
    spool_writer_abort(&w);
    if (fd >= 0)
        close(fd);
    buf_finish(&head);
    return result;
}
