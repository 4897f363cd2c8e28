/* store/ledger/vfs_test.h -- SQLite's files on the disk of store/spool/disk_test.h: each write,
 * sync, truncation and removal is a call that may fail, kill, or be forgotten. */
#ifndef STORE_LEDGER_VFS_TEST_H
#define STORE_LEDGER_VFS_TEST_H

#include <sqlite3.h>

#include "store/spool/disk_test.h"

#define TEST_VFS "waybill-test"

struct test_file {
    sqlite3_file base;
    const char *path; /* SQLite keeps it while the file is open; NULL: a temporary file */
    sqlite3_file *real;
};

static inline struct test_file *test_file_of(sqlite3_file *file)
{
    return (struct test_file *)(void *)file;
}
#define REAL(file) (test_file_of(file)->real)

static inline int vfs_fail(bool is_write)
{
    return errno == ENOSPC ? SQLITE_FULL : is_write ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
}

static inline int vfs_close(sqlite3_file *file)
{
    int code = REAL(file)->pMethods->xClose(REAL(file));

    free(REAL(file));
    return code;
}
static inline int vfs_read(sqlite3_file *file, void *room, int n, sqlite3_int64 at)
{
    return REAL(file)->pMethods->xRead(REAL(file), room, n, at);
}
static inline int vfs_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    const char *path = test_file_of(file)->path;

    if (path != NULL) {
        test_disk_remember(path, (uint64_t)at, (size_t)n);
        if (test_disk_step(false)) {
            int code = vfs_fail(true);
            (void)REAL(file)->pMethods->xWrite(REAL(file), bytes, n / 2, at);
            test_disk_step(true);
            return code;
        }
    }
    return REAL(file)->pMethods->xWrite(REAL(file), bytes, n, at);
}
static inline int vfs_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    const char *path = test_file_of(file)->path;
    struct stat st;

    if (path != NULL) {
        if (test_disk_step(false))
            return SQLITE_IOERR_TRUNCATE;
        if (stat(path, &st) == 0 && st.st_size > size)
            test_disk_remember(path, (uint64_t)size, (size_t)(st.st_size - size));
    }
    return REAL(file)->pMethods->xTruncate(REAL(file), size);
}
static inline int vfs_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    if (test_file_of(file)->path == NULL)
        return SQLITE_OK;
    if (test_disk_step(false))
        return vfs_fail(false);
    test_disk_synced(test_file_of(file)->path);
    return SQLITE_OK;
}
static inline int vfs_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}
static inline int vfs_lock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xLock(REAL(file), level);
}
static inline int vfs_unlock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xUnlock(REAL(file), level);
}
static inline int vfs_check_lock(sqlite3_file *file, int *out)
{
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), out);
}
static inline int vfs_control(sqlite3_file *file, int op, void *arg)
{
    return REAL(file)->pMethods->xFileControl(REAL(file), op, arg);
}
static inline int vfs_sector(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}
static inline int vfs_device(sqlite3_file *file)
{
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}
static inline int vfs_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **p)
{
    return REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, p);
}
static inline int vfs_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}
static inline void vfs_shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}
static inline int vfs_shm_unmap(sqlite3_file *file, int delete)
{
    return REAL(file)->pMethods->xShmUnmap(REAL(file), delete);
}

static const sqlite3_io_methods test_methods = {
    .iVersion = 2,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_check_lock,
    .xFileControl = vfs_control,
    .xSectorSize = vfs_sector,
    .xDeviceCharacteristics = vfs_device,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};

static inline int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                           int *flags_out)
{
    sqlite3_vfs *real = vfs->pAppData;
    struct test_file *t = test_file_of(file);

    t->base.pMethods = NULL;
    t->path = path;
    t->real = mem_alloc((size_t)real->szOsFile);
    int code = real->xOpen(real, path, t->real, flags, flags_out);
    if (code == SQLITE_OK)
        t->base.pMethods = &test_methods;
    else
        free(t->real);
    return code;
}

static inline int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    sqlite3_vfs *real = vfs->pAppData;

    (void)sync_dir; /* syncs cost nothing here */
    return real->xDelete(real, path, 0);
}

/* Makes TEST_VFS known to SQLite; calling it twice is fine. */
static inline void test_vfs_register(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    vfs = *real;
    vfs.szOsFile = (int)sizeof(struct test_file);
    vfs.zName = TEST_VFS;
    vfs.pAppData = real;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    sqlite3_vfs_register(&vfs, 0);
}

#endif
