#include "role/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

/* The name is as durable as the bytes. */
static int sync_directory(const char *directory, struct err *e)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd >= 0 ? fsync(fd) : -1;

    if (result < 0)
        (void)err_system(e, errno, "%s cannot be synced", directory);
    if (fd >= 0)
        close(fd);
    return result;
}

/* Written beside its place, so that a crash leaves no half of it. */
static int make_file(const char *directory, const char *path, struct slice fresh, struct err *e)
{
    char beside[PATH_MAX_BYTES + 8];
    int fd, result = 0;

    (void)snprintf(beside, sizeof beside, "%s.new", path);
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_system(e, errno, "%s cannot be made", beside);
    if (write(fd, fresh.p, fresh.n) != (ssize_t)fresh.n || fsync(fd) < 0) /* a few octets */
        result = err_system(e, errno, "%s cannot be written", beside);
    close(fd);
    if (result == 0 && rename(beside, path) < 0)
        result = err_system(e, errno, "%s cannot be made", path);
    return result < 0 ? -1 : sync_directory(directory, e);
}

int secret_file(const char *directory, const char *name, struct slice fresh, char *room, size_t cap,
                size_t *n_out, struct err *e)
{
    char path[PATH_MAX_BYTES];
    int fd;
    ssize_t n;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
        return err_set(e, ERR_LIMIT, "the name of %s is too long", directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (make_file(directory, path, fresh, e) < 0)
            return -1;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return err_system(e, errno, "%s cannot be read", path);
    n = read(fd, room, cap);
    close(fd);
    if (n < 0)
        return err_system(e, errno, "%s cannot be read", path);
    *n_out = (size_t)n; /* not negative */
    return (size_t)n < cap ? 0 : err_set(e, ERR_LIMIT, "%s has more than %zu bytes", path, cap - 1);
}
