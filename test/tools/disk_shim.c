/* disk_shim.c -- LD_PRELOADed into the daemon by test/system/: a disk that ends the process at a
 * chosen call, forgets what was not synced, or is full.
 *
 *     WAYBILL_SHIM_DIR    files below it are watched (not SQLite's -shm, which is no promise)
 *     WAYBILL_SHIM_ORDER  a file that says what to do; it is read at each call, so a test can write
 *                         it while the daemon runs:
 *                           kill N      SIGKILL before the N-th call from now
 *                           half N      the N-th call, if it writes, writes half; then SIGKILL
 *                           power N     what was not synced is taken back; then SIGKILL
 *                           torn N SEED the same for a random half of it: a disk may reorder
 *                           full        writes answer ENOSPC
 *                           broken      syncs answer EIO
 *
 * What a power cut may take back is kept as an undo list: the old bytes of each write, until a sync
 * of that file; each new name, rename and removal, until a sync of its directory. */
#undef _FILE_OFFSET_BITS /* the names below are those that the linker sees */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"

#define PATH_ROOM 700

enum undo_kind { UNDO_BYTES, UNDO_SIZE, UNDO_CREATE, UNDO_RENAME, UNDO_UNLINK };

struct undo {
    struct undo *older;
    enum undo_kind kind;
    ino_t file; /* whose sync makes it durable: the file's, or for names the directory's */
    char path[PATH_ROOM], other[PATH_ROOM]; /* other: where it is now, or where the old one lies */
    off_t at;
    size_t n;
    char bytes[];
};

static struct {
    pthread_mutex_t lock;
    struct undo *newest;
    char order[32];
    unsigned long calls, wanted, seed, saved;
    const char *dir, *order_file;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define NEXT(name) ((__typeof__(&(name)))(uintptr_t)dlsym(RTLD_NEXT, #name))

static bool is_watched(const char *path)
{
    size_t n;

    if (shim.dir == NULL) {
        shim.dir = getenv("WAYBILL_SHIM_DIR");
        shim.order_file = getenv("WAYBILL_SHIM_ORDER");
    }
    if (shim.dir == NULL || shim.order_file == NULL)
        return false;
    n = strlen(shim.dir);
    return strncmp(path, shim.dir, n) == 0 && strstr(path, "-shm") == NULL;
}

static bool is_watched_fd(int fd, char path_out[PATH_ROOM])
{
    char link[40];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path_out, PATH_ROOM - 1);
    if (n <= 0)
        return false;
    path_out[n] = '\0';
    return is_watched(path_out);
}

/* --- what a power cut takes back --- */

static ino_t inode_of_directory(const char *path)
{
    char dir[PATH_ROOM];
    struct stat st;

    (void)snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash != NULL)
        *slash = '\0';
    return stat(dir, &st) == 0 ? st.st_ino : 0;
}

static struct undo *push(enum undo_kind kind, ino_t file, const char *path, size_t room)
{
    struct undo *u = calloc(1, sizeof *u + room);

    u->kind = kind;
    u->file = file;
    (void)snprintf(u->path, sizeof u->path, "%s", path);
    u->older = shim.newest;
    shim.newest = u;
    return u;
}

static void forget_undo(ino_t file)
{
    struct undo **link = &shim.newest;

    while (*link != NULL) {
        struct undo *u = *link;

        if (u->file != file) {
            link = &u->older;
            continue;
        }
        if (u->kind == UNDO_UNLINK || u->kind == UNDO_RENAME)
            (void)NEXT(unlink)(u->other);
        *link = u->older;
        free(u);
    }
}

static void keep_bytes(int fd, const char *path, off_t at, size_t n)
{
    struct stat st;
    struct undo *u;

    if (fstat(fd, &st) != 0)
        return;
    if (at + (off_t)n > st.st_size) {
        u = push(UNDO_SIZE, st.st_ino, path, 0);
        u->at = st.st_size;
    }
    if (at >= st.st_size)
        return;
    if (at + (off_t)n > st.st_size)
        n = (size_t)(st.st_size - at);
    u = push(UNDO_BYTES, st.st_ino, path, n);
    u->at = at;
    u->n = n;
    int copy = NEXT(open64)(path, O_RDONLY | O_CLOEXEC);
    if (copy < 0 || pread(copy, u->bytes, n, at) != (ssize_t)n)
        abort();
    close(copy);
}

static void take_back(const struct undo *u)
{
    int fd;

    switch (u->kind) {
    case UNDO_BYTES:
        fd = NEXT(open64)(u->path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && NEXT(pwrite64)(fd, u->bytes, u->n, u->at) != (ssize_t)u->n)
            abort();
        close(fd);
        break;
    case UNDO_SIZE:
        if (truncate(u->path, u->at) != 0 && errno != ENOENT)
            abort();
        break;
    case UNDO_CREATE:
        (void)NEXT(unlink)(u->path);
        break;
    case UNDO_RENAME: /* the file that `path` replaced lies at `other`; u->bytes: where it came from
                       */
        (void)NEXT(rename)(u->path, u->bytes);
        (void)NEXT(rename)(u->other, u->path);
        break;
    case UNDO_UNLINK:
        (void)NEXT(rename)(u->other, u->path);
        break;
    }
}

static bool is_lucky(void)
{
    shim.seed = shim.seed * 6364136223846793005UL + 1442695040888963407UL;
    return (shim.seed >> 60) & 1;
}

static void cut_power(bool torn)
{
    for (const struct undo *u = shim.newest; u != NULL; u = u->older)
        if (!torn || ((u->kind == UNDO_BYTES || u->kind == UNDO_SIZE) && is_lucky()))
            take_back(u);
}

/* --- each call --- */

static void read_order(void)
{
    char text[64] = "", word[32] = "";
    unsigned long number = 0, seed = 0;
    int fd = NEXT(open64)(shim.order_file, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0)
            text[0] = '\0';
        close(fd);
    }
    if (sscanf(text, "%31s %lu %lu", word, &number, &seed) < 1)
        word[0] = '\0';
    if (strcmp(word, shim.order) != 0 || number != shim.wanted) {
        (void)snprintf(shim.order, sizeof shim.order, "%s", word);
        shim.wanted = number;
        shim.seed = seed;
        shim.calls = 0;
    }
}

static bool is_ordered(const char *what)
{
    return strcmp(shim.order, what) == 0;
}

/* Counts a call; ends the process if it is the one. True: this one writes half, and ends then. */
static bool count_call(void)
{
    read_order();
    if (shim.wanted == 0 || ++shim.calls < shim.wanted)
        return false;
    if (is_ordered("half"))
        return true;
    if (is_ordered("power") || is_ordered("torn"))
        cut_power(is_ordered("torn"));
    (void)kill(getpid(), SIGKILL);
    return false;
}

static ssize_t refuse(int error)
{
    errno = error;
    return -1;
}

static ssize_t end_half(int fd, const void *bytes, size_t n, off_t at)
{
    if (at >= 0)
        (void)!NEXT(pwrite64)(fd, bytes, n / 2, at);
    (void)kill(getpid(), SIGKILL);
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    char path[PATH_ROOM];
    ssize_t result;

    if (!is_watched_fd(fd, path))
        return NEXT(pwrite64)(fd, bytes, n, at);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        result = end_half(fd, bytes, n, at);
    else if (is_ordered("full"))
        result = refuse(ENOSPC);
    else {
        keep_bytes(fd, path, at, n);
        result = NEXT(pwrite64)(fd, bytes, n, at);
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
    char path[PATH_ROOM];
    ssize_t result;
    size_t n = 0;

    if (!is_watched_fd(fd, path))
        return NEXT(pwritev64)(fd, pieces, count, at);
    for (int i = 0; i < count; i++)
        n += pieces[i].iov_len;
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        result = end_half(fd, pieces[0].iov_base, pieces[0].iov_len, at);
    else if (is_ordered("full"))
        result = refuse(ENOSPC);
    else {
        keep_bytes(fd, path, at, n);
        result = NEXT(pwritev64)(fd, pieces, count, at);
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

static int sync_file(int fd, int (*really)(int))
{
    char path[PATH_ROOM];
    struct stat st;
    int result;

    if (!is_watched_fd(fd, path))
        return really(fd);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(fd, NULL, 0, -1);
    if (is_ordered("broken")) {
        result = (int)refuse(EIO);
    } else {
        result = really(fd);
        if (result == 0 && fstat(fd, &st) == 0)
            forget_undo(st.st_ino);
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int fdatasync(int fd)
{
    return sync_file(fd, NEXT(fdatasync));
}

int fsync(int fd)
{
    return sync_file(fd, NEXT(fsync));
}

int ftruncate64(int fd, off64_t size)
{
    char path[PATH_ROOM];
    struct stat st;

    if (!is_watched_fd(fd, path))
        return NEXT(ftruncate64)(fd, size);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(fd, NULL, 0, -1);
    if (fstat(fd, &st) == 0 && size < st.st_size)
        keep_bytes(fd, path, size, (size_t)(st.st_size - size));
    push(UNDO_SIZE, st.st_ino, path, 0)->at = st.st_size;
    int result = NEXT(ftruncate64)(fd, size);
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    char path[PATH_ROOM];
    struct stat st;
    int result;

    if (!is_watched_fd(fd, path))
        return NEXT(fallocate64)(fd, mode, at, n);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(fd, NULL, 0, -1);
    if (is_ordered("full")) {
        result = (int)refuse(ENOSPC);
    } else {
        if (fstat(fd, &st) == 0)
            push(UNDO_SIZE, st.st_ino, path, 0)->at = st.st_size;
        result = NEXT(fallocate64)(fd, mode, at, n);
    }
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list args;
    struct stat st;

    if ((flags & O_CREAT) != 0) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (!is_watched(path) || (flags & O_CREAT) == 0 || stat(path, &st) == 0)
        return NEXT(open64)(path, flags, mode);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(-1, NULL, 0, -1);
    int fd = is_ordered("full") ? (int)refuse(ENOSPC) : NEXT(open64)(path, flags, mode);
    if (fd >= 0)
        push(UNDO_CREATE, inode_of_directory(path), path, 0);
    pthread_mutex_unlock(&shim.lock);
    return fd;
}

/* A second name for what is about to lose its own. */
static void save_file(const char *path, char other_out[PATH_ROOM])
{
    (void)snprintf(other_out, PATH_ROOM, "%s.%lu.saved", shim.order_file, shim.saved++);
    if (link(path, other_out) != 0)
        other_out[0] = '\0'; /* there was none */
}

int rename(const char *from, const char *to)
{
    struct undo *u;

    if (!is_watched(to))
        return NEXT(rename)(from, to);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(-1, NULL, 0, -1);
    u = push(UNDO_RENAME, inode_of_directory(to), to, strlen(from) + 1);
    memcpy(u->bytes, from, strlen(from) + 1);
    save_file(to, u->other);
    int result = NEXT(rename)(from, to);
    pthread_mutex_unlock(&shim.lock);
    return result;
}

int unlink(const char *path)
{
    if (!is_watched(path))
        return NEXT(unlink)(path);
    pthread_mutex_lock(&shim.lock);
    if (count_call())
        (void)end_half(-1, NULL, 0, -1);
    save_file(path, push(UNDO_UNLINK, inode_of_directory(path), path, 0)->other);
    int result = NEXT(unlink)(path);
    pthread_mutex_unlock(&shim.lock);
    return result;
}
