#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/spool/spool_in.h"

static bool has_spare(const struct spool *spool, uint64_t number)
{
    for (unsigned i = 0; i < spool->spares; i++)
        if (spool->spare_numbers[i] == number)
            return true;
    return false;
}

/* Decides about each file by its name alone. *newest_out: the highest shared segment that stays. */
static int sort_files(struct spool *spool, const struct spool_settings *settings, DIR *d,
                      struct spool_recovery *recovery, uint64_t *newest_out, struct err *e)
{
    *newest_out = 0;
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        uint64_t number;
        enum segment_kind kind;
        if (!segment_name_read(entry->d_name, &number, &kind))
            continue;
        if (number >= spool->next_segment)
            spool->next_segment = number + 1;
        if (kind == SEGMENT_SPARE) {
            /* It may be half filled: only its blocks matter, and those grow when written. */
            if (has_spare(spool, number))
                continue; /* renamed a moment ago, and listed under both names */
            if (spool->spares < spool->spares_wanted)
                spool->spare_numbers[spool->spares++] = number;
            else if (segment_retire(spool, number, kind, e) != 0)
                return -1;
        } else if (settings->is_known != NULL &&
                   !settings->is_known(settings->is_known_ctx, number)) {
            if (segment_retire(spool, number, kind, e) != 0)
                return -1;
            recovery->removed_segments++;
        } else {
            recovery->segments++;
            if (kind == SEGMENT_SHARED && number > *newest_out)
                *newest_out = number;
        }
    }
    return 0;
}

static bool count_record(void *ctx, struct id id, const struct spool_place *place)
{
    uint64_t *count = ctx;

    (void)id, (void)place;
    (*count)++;
    return true;
}

/* Whether something other than an earlier life of the file, or nothing, follows the good part. */
static bool has_torn_tail(int fd, uint64_t segment, uint64_t end)
{
    static const unsigned char nothing[SPOOL_RECORD_HEADER_BYTES];
    unsigned char header[SPOOL_RECORD_HEADER_BYTES];
    struct record record;
    ssize_t n = pread(fd, header, sizeof header, (off_t)end);

    if (n <= 0)
        return false;
    if (n < (ssize_t)sizeof header)
        return true;
    if (memcmp(header, nothing, sizeof header) == 0)
        return false;
    return !record_decode(header, &record) || record.segment >= segment;
}

uint64_t spool_torn_bytes(const char *dir, uint64_t segment, uint64_t end)
{
    struct err ignored;
    uint64_t bytes = 0;
    int fd;

    if (spool_open_read(dir, segment, &fd, &ignored) != 0)
        return 0;
    if (has_torn_tail(fd, segment, end)) {
        off_t size = lseek(fd, 0, SEEK_END);
        bytes = size > (off_t)end ? (uint64_t)size - end : 0;
    }
    close(fd);
    return bytes;
}

/* Finds the end of the newest segment, cuts what is torn, and goes on writing there. */
static int resume(struct spool *spool, uint64_t newest, struct spool_recovery *recovery,
                  struct err *e)
{
    const struct disk *disk = spool->disk;
    uint64_t end;

    if (spool_each_record(spool->dir, newest, count_record, &recovery->scanned_records, &end, e) !=
        0)
        return -1;
    char *path = segment_path(spool->dir, newest, SEGMENT_SHARED);
    int fd = disk->open(disk->ctx, path, O_RDWR, 0);
    free(path);
    if (fd < 0)
        return err_system(e, errno, "cannot open segment %llu in %s", (unsigned long long)newest,
                          spool->dir);
    recovery->cut_segment = newest;
    recovery->cut_bytes = spool_torn_bytes(spool->dir, newest, end);
    if (recovery->cut_bytes > 0) {
        if (disk->ftruncate(disk->ctx, fd, (off_t)end) != 0) {
            close(fd);
            return err_system(e, errno, "cannot cut segment %llu in %s", (unsigned long long)newest,
                              spool->dir);
        }
        (void)disk->allocate(disk->ctx, fd, (off_t)spool->segment_bytes);
    }
    if (end >= spool->segment_bytes) {
        close(fd);
        return 0;
    }
    spool->fd = fd;
    spool->segment = newest;
    spool->end = spool->staged_end = end;
    return 0;
}

int spool_recover(struct spool *spool, const struct spool_settings *settings,
                  struct spool_recovery *recovery, struct err *e)
{
    uint64_t newest;
    DIR *d = opendir(spool->dir);

    if (d == NULL)
        return err_system(e, errno, "cannot open %s", spool->dir);
    int result = sort_files(spool, settings, d, recovery, &newest, e);
    closedir(d);
    spool->dir_changed = true; /* names from before a crash may not be durable yet */
    if (result != 0 || newest == 0)
        return result;
    return resume(spool, newest, recovery, e);
}
