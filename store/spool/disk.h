/* store/spool/disk.h -- the file calls that durability rests on, as a table.
 *
 * The spool changes files through this table only, so that a test can refuse the n-th call, stop
 * the process at it, or take back what was not synced, as a power cut does. Reading needs no
 * table. Each call returns what the system call returns and sets errno. */
#ifndef STORE_SPOOL_DISK_H
#define STORE_SPOOL_DISK_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

struct disk {
    void *ctx;
    int (*open)(void *ctx, const char *path, int flags, mode_t mode);
    ssize_t (*pwritev)(void *ctx, int fd, const struct iovec *pieces, int count, off_t at);
    int (*fdatasync)(void *ctx, int fd);
    int (*allocate)(void *ctx, int fd, off_t size); /* as fallocate(2) with mode 0, from 0 */
    int (*ftruncate)(void *ctx, int fd, off_t size);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*fsync_dir)(void *ctx, const char *path); /* makes names in this directory durable */
};

extern const struct disk disk_system; /* the operating system's */

#endif
