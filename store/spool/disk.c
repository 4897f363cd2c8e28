#include "store/spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int disk_open(void *ctx, const char *path, int flags, mode_t mode)
{
    (void)ctx;
    return open(path, flags | O_CLOEXEC, mode);
}

static ssize_t disk_pwritev(void *ctx, int fd, const struct iovec *pieces, int count, off_t at)
{
    (void)ctx;
    return pwritev(fd, pieces, count, at);
}

static int disk_fdatasync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd);
}

static int disk_allocate(void *ctx, int fd, off_t size)
{
    (void)ctx;
    return fallocate(fd, 0, 0, size);
}

static int disk_ftruncate(void *ctx, int fd, off_t size)
{
    (void)ctx;
    return ftruncate(fd, size);
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    return rename(from, to);
}

static int disk_unlink(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path);
}

static int disk_fsync_dir(void *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result, saved;

    (void)ctx;
    if (fd < 0)
        return -1;
    result = fsync(fd);
    saved = errno;
    close(fd);
    errno = saved;
    return result;
}

const struct disk disk_system = {
    .open = disk_open,
    .pwritev = disk_pwritev,
    .fdatasync = disk_fdatasync,
    .allocate = disk_allocate,
    .ftruncate = disk_ftruncate,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .fsync_dir = disk_fsync_dir,
};
