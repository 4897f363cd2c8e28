#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool/spool_in.h"

static const char *const suffixes[] = {
    [SEGMENT_SHARED] = "seg", [SEGMENT_BIG] = "big", [SEGMENT_SPARE] = "spare"};

void segment_name(char name_out[NAME_MAX_BYTES], uint64_t number, enum segment_kind kind)
{
    snprintf(name_out, NAME_MAX_BYTES, "%010llu.%s", (unsigned long long)number, suffixes[kind]);
}

bool segment_name_read(const char *name, uint64_t *number_out, enum segment_kind *kind_out)
{
    struct slice rest = slice_of(name);
    struct slice digits = slice_cut(&rest, '.');

    for (size_t i = 0; i < COUNT(suffixes); i++) {
        if (digits.n >= 10 && slice_eq(rest, slice_of(suffixes[i])) &&
            slice_to_u64(digits, number_out)) {
            *kind_out = (enum segment_kind)i; /* the table is indexed by it */
            return true;
        }
    }
    return false;
}

char *segment_path(const char *dir, uint64_t number, enum segment_kind kind)
{
    size_t size = strlen(dir) + 1 + NAME_MAX_BYTES;
    char *path = mem_alloc(size);
    char name[NAME_MAX_BYTES];

    segment_name(name, number, kind);
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

/* Gives a spare file the new name. -1 when there is none that could be used. */
static int reuse_spare(struct spool *spool, const char *path)
{
    int fd = -1;

    while (fd < 0 && spool->spares > 0) {
        char *spare =
            segment_path(spool->dir, spool->spare_numbers[--spool->spares], SEGMENT_SPARE);
        if (spool->disk->rename(spool->disk->ctx, spare, path) == 0)
            fd = spool->disk->open(spool->disk->ctx, path, O_RDWR, 0);
        free(spare);
    }
    return fd;
}

int segment_create(struct spool *spool, uint64_t number, enum segment_kind kind, int *fd_out,
                   struct err *e)
{
    const struct disk *disk = spool->disk;
    char *path = segment_path(spool->dir, number, kind);
    int fd = kind == SEGMENT_SHARED ? reuse_spare(spool, path) : -1;
    int result = 0;

    if (fd < 0) {
        fd = disk->open(disk->ctx, path, O_RDWR | O_CREAT | O_EXCL, 0640);
        /* A courtesy to the file system: without the space, writing will tell. */
        if (fd >= 0 && kind == SEGMENT_SHARED)
            (void)disk->allocate(disk->ctx, fd, (off_t)spool->segment_bytes);
    }
    if (fd < 0) {
        result = spool_fail(spool, errno, "create a segment", e);
        goto out;
    }
    spool->dir_changed = true;
    *fd_out = fd;
out:
    free(path);
    return result;
}

int segment_ensure(struct spool *spool, struct err *e)
{
    if (spool->fd >= 0)
        return 0;
    uint64_t number = spool->next_segment;
    if (segment_create(spool, number, SEGMENT_SHARED, &spool->fd, e) != 0) {
        spool->fd = -1;
        return -1;
    }
    spool->next_segment++;
    spool->segment = number;
    spool->end = spool->staged_end = 0;
    return 0;
}

int segment_retire(struct spool *spool, uint64_t number, enum segment_kind kind, struct err *e)
{
    const struct disk *disk = spool->disk;
    char *path = segment_path(spool->dir, number, kind);
    struct stat st;
    int result = 0;

    if (kind == SEGMENT_SHARED && spool->spares < spool->spares_wanted && stat(path, &st) == 0 &&
        (uint64_t)st.st_size >= spool->segment_bytes) {
        char *spare = segment_path(spool->dir, number, SEGMENT_SPARE);
        bool kept = disk->rename(disk->ctx, path, spare) == 0;
        free(spare);
        if (kept) {
            spool->spare_numbers[spool->spares++] = number;
            goto out;
        }
    }
    if (disk->unlink(disk->ctx, path) != 0 && errno != ENOENT)
        result = err_system(e, errno, "cannot remove %s", path);
out:
    free(path);
    return result;
}

int spool_prepare_step(struct spool *spool, bool *more_out, struct err *e)
{
    static const char zeros[1 << 16];
    const struct disk *disk = spool->disk;
    struct iovec pieces[16];
    int errnum;

    *more_out = false;
    if (spool->filling_fd < 0) {
        if (spool->spares >= spool->spares_wanted)
            return 0;
        char *path = segment_path(spool->dir, spool->next_segment, SEGMENT_SPARE);
        spool->filling_fd = disk->open(disk->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0640);
        free(path);
        if (spool->filling_fd < 0)
            return spool_fail(spool, errno, "create a spare segment", e);
        spool->filling_number = spool->next_segment++;
        spool->filled_bytes = 0;
    }
    for (size_t i = 0; i < COUNT(pieces); i++)
        pieces[i] = (struct iovec){(void *)(uintptr_t)zeros, sizeof zeros}; /* only read */
    bool good = write_all(disk, spool->filling_fd, pieces, COUNT(pieces), spool->filled_bytes,
                          &errnum) == 0;
    spool->filled_bytes += sizeof zeros * COUNT(pieces);
    if (good && spool->filled_bytes < spool->segment_bytes) {
        *more_out = true;
        return 0;
    }
    good = good && disk->fdatasync(disk->ctx, spool->filling_fd) == 0;
    close(spool->filling_fd);
    spool->filling_fd = -1;
    if (good) {
        spool->spare_numbers[spool->spares++] = spool->filling_number;
        *more_out = spool->spares < spool->spares_wanted;
        return 0;
    }
    spool->spares_wanted = spool->spares; /* no room for luxury */
    return segment_retire(spool, spool->filling_number, SEGMENT_SPARE, e);
}
