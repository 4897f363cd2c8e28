/* store/spool/disk_test.h -- a disk for tests: refuses the n-th call, stops the process at it, or
 * forgets what was not synced, as a power cut does.
 *
 * Writes go to the real file at once, so that reading works; the old bytes are kept until the sync
 * (which costs nothing here). A power cut puts back, for each 512-byte sector that was not synced,
 * the old bytes or leaves the new ones; names that were made, changed or removed go back as well
 * unless their directory was synced. One disk a process: test_disk. */
#ifndef STORE_SPOOL_DISK_TEST_H
#define STORE_SPOOL_DISK_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool/disk.h"

#define SECTOR_BYTES 512u
#define TRACKED_MAX 64u

enum disk_ending {
    DISK_FAILS,      /* the call fails with `errnum`, once */
    DISK_STAYS_BAD,  /* this call and the next nine do */
    DISK_KILLS,      /* the process ends there, as with kill -9 */
    DISK_KILLS_LATE, /* it ends in the middle of a write */
    DISK_LOSES_ALL,  /* the power goes, and nothing that was not synced stays */
    DISK_LOSES_SOME,
};
struct disk_fault {
    uint64_t at; /* the call, counted from 1; 0: none */
    enum disk_ending ending;
    int errnum;
};

struct undo {
    struct undo *next; /* the one before in time */
    uint64_t at;
    size_t n;
    char old[];
};
struct tracked {
    char path[300];
    struct undo *undos;
    off_t synced_size;
    bool is_new; /* its name is not durable */
};
struct renamed {
    char from[300], to[300];
};

static struct {
    uint64_t count;
    struct disk_fault fault;
    struct tracked files[TRACKED_MAX];
    size_t file_n;
    struct renamed renames[TRACKED_MAX];
    size_t rename_n;
} test_disk;

static inline struct tracked *test_disk_find(const char *path)
{
    for (size_t i = 0; i < test_disk.file_n; i++)
        if (strncmp(test_disk.files[i].path, path, sizeof test_disk.files[i].path) == 0)
            return &test_disk.files[i];
    return NULL;
}

static inline struct tracked *test_disk_track(const char *path, bool is_new)
{
    struct tracked *t = test_disk_find(path);
    struct stat st;

    if (t != NULL)
        return t;
    if (test_disk.file_n == TRACKED_MAX)
        abort();
    t = &test_disk.files[test_disk.file_n++];
    *t = (struct tracked){.is_new = is_new,
                          .synced_size = !is_new && stat(path, &st) == 0 ? st.st_size : 0};
    snprintf(t->path, sizeof t->path, "%s", path);
    return t;
}

/* Keeps what the file holds at [at, at+n). */
static inline void test_disk_remember(const char *path, uint64_t at, size_t n)
{
    struct tracked *t = test_disk_track(path, false);
    struct undo *undo = mem_alloc(sizeof *undo + n);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    undo->at = at;
    undo->n = n;
    if (fd >= 0 && pread(fd, undo->old, n, (off_t)at) < 0)
        abort();
    if (fd >= 0)
        close(fd);
    undo->next = t->undos;
    t->undos = undo;
}

static inline void test_disk_synced(const char *path)
{
    struct tracked *t = test_disk_track(path, false);
    struct stat st;

    while (t->undos != NULL) {
        struct undo *undo = t->undos;
        t->undos = undo->next;
        free(undo);
    }
    if (stat(path, &st) == 0)
        t->synced_size = st.st_size;
}

static inline bool test_disk_chance(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (*seed >> 40 & 1) != 0;
}

static inline void test_disk_lose(struct tracked *t, bool keep_some, uint64_t seed)
{
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    bool keep_size = keep_some && test_disk_chance(&seed);
    for (struct undo *undo = t->undos; undo != NULL; undo = undo->next) {
        for (size_t i = 0; i < undo->n;) {
            uint64_t sector = (undo->at + i) / SECTOR_BYTES;
            size_t n = (size_t)((sector + 1) * SECTOR_BYTES - (undo->at + i));
            uint64_t dice = seed ^ sector * UINT64_C(0x9e3779b97f4a7c15);
            n = n < undo->n - i ? n : undo->n - i;
            /* The same sector falls the same way each time. */
            if (!(keep_some && test_disk_chance(&dice)) &&
                pwrite(fd, undo->old + i, n, (off_t)(undo->at + i)) < 0)
                abort();
            i += n;
        }
    }
    if (!keep_size && fstat(fd, &st) == 0 && st.st_size != t->synced_size &&
        ftruncate(fd, t->synced_size) != 0)
        abort();
    close(fd);
}

static inline void test_disk_cut_power(bool keep_some, uint64_t seed)
{
    for (size_t i = 0; i < test_disk.file_n; i++)
        test_disk_lose(&test_disk.files[i], keep_some, seed + i);
    for (size_t i = test_disk.rename_n; i-- > 0;)
        if (!keep_some || test_disk_chance(&seed))
            rename(test_disk.renames[i].to, test_disk.renames[i].from);
    for (size_t i = 0; i < test_disk.file_n; i++)
        if (test_disk.files[i].is_new && (!keep_some || test_disk_chance(&seed)))
            unlink(test_disk.files[i].path);
}

/* Counts a call. True: it must fail, errno is set. `is_late`: the half of a write is done. */
static inline bool test_disk_step(bool is_late)
{
    const struct disk_fault *f = &test_disk.fault;

    if (!is_late)
        test_disk.count++;
    if (f->at == 0 || test_disk.count < f->at ||
        test_disk.count > f->at + (f->ending == DISK_STAYS_BAD ? 9 : 0))
        return false;
    errno = f->errnum;
    switch (f->ending) {
    case DISK_FAILS:
    case DISK_STAYS_BAD:
        return true;
    case DISK_KILLS:
        _exit(9);
    case DISK_KILLS_LATE:
        if (is_late)
            _exit(9);
        return true; /* the caller writes half, and comes again */
    case DISK_LOSES_ALL:
    case DISK_LOSES_SOME:
        test_disk_cut_power(f->ending == DISK_LOSES_SOME, f->at * 77);
        _exit(9);
    }
    return false;
}

/* --- struct disk --- */

static inline void test_disk_path(int fd, char path[300])
{
    char link[64];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 299);
    path[n > 0 ? n : 0] = '\0';
}

static inline int test_open(void *ctx, const char *path, int flags, mode_t mode)
{
    (void)ctx;
    if (test_disk_step(false))
        return -1;
    bool is_new = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
    int fd = disk_system.open(NULL, path, flags, mode);
    if (fd >= 0)
        test_disk_track(path, is_new);
    return fd;
}

static inline ssize_t test_pwritev(void *ctx, int fd, const struct iovec *pieces, int count,
                                   off_t at)
{
    char path[300];
    size_t n = 0;

    (void)ctx;
    test_disk_path(fd, path);
    for (int i = 0; i < count; i++)
        n += pieces[i].iov_len;
    test_disk_remember(path, (uint64_t)at, n);
    if (!test_disk_step(false))
        return pwritev(fd, pieces, count, at);
    int errnum = errno;
    ssize_t half = pwrite(fd, pieces[0].iov_base, pieces[0].iov_len / 2, at);
    test_disk_step(true);
    errno = errnum;
    return errnum == ENOSPC && half > 0 ? half : -1; /* a full disk shows as a short write first */
}

static inline int test_fdatasync(void *ctx, int fd)
{
    char path[300];

    (void)ctx;
    if (test_disk_step(false))
        return -1;
    test_disk_path(fd, path);
    test_disk_synced(path);
    return 0;
}

static inline int test_ftruncate(void *ctx, int fd, off_t size)
{
    char path[300];
    struct stat st;

    (void)ctx;
    if (test_disk_step(false))
        return -1;
    test_disk_path(fd, path);
    if (fstat(fd, &st) == 0 && st.st_size > size)
        test_disk_remember(path, (uint64_t)size, (size_t)(st.st_size - size));
    return ftruncate(fd, size);
}

static inline int test_allocate(void *ctx, int fd, off_t size)
{
    (void)ctx;
    if (test_disk_step(false))
        return -1;
    return disk_system.allocate(NULL, fd, size);
}

static inline int test_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    if (test_disk_step(false))
        return -1;
    int result = rename(from, to);
    struct tracked *t = test_disk_track(from, false);
    if (result == 0 && test_disk.rename_n < TRACKED_MAX) {
        struct renamed *r = &test_disk.renames[test_disk.rename_n++];
        snprintf(r->from, sizeof r->from, "%s", from);
        snprintf(r->to, sizeof r->to, "%s", to);
        snprintf(t->path, sizeof t->path, "%s", to);
    }
    return result;
}

static inline int test_unlink(void *ctx, const char *path)
{
    char gone[300];

    if (access(path, F_OK) != 0) {
        errno = ENOENT;
        return -1;
    }
    snprintf(gone, sizeof gone, "%.290s.gone", path);
    return test_rename(ctx, path, gone);
}

static inline int test_fsync_dir(void *ctx, const char *path)
{
    (void)ctx, (void)path; /* there is one directory with names that change */
    if (test_disk_step(false))
        return -1;
    for (size_t i = 0; i < test_disk.file_n; i++)
        test_disk.files[i].is_new = false;
    test_disk.rename_n = 0;
    return 0;
}

static const struct disk test_disk_calls = {
    .open = test_open,
    .pwritev = test_pwritev,
    .fdatasync = test_fdatasync,
    .allocate = test_allocate,
    .ftruncate = test_ftruncate,
    .rename = test_rename,
    .unlink = test_unlink,
    .fsync_dir = test_fsync_dir,
};

#endif
