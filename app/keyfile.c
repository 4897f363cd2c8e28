#include "app/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli.h"

struct crypt_key *keyfile_read(const char *path)
{
    struct cli_file file = cli_file_need(path, CRYPT_KEY_FILE_MAX_BYTES);
    struct crypt_key *key;
    struct err err;

    if (crypt_key_read_private(file.data, &key, &err) != 0)
        cli_die("%s: %s", path, err.text);
    cli_file_close(&file);
    return key;
}

static bool all_written(int fd, struct slice text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = slice_from(text, (size_t)n); /* positive */
    }
    return fsync(fd) == 0;
}

void keyfile_write(const char *path, const struct crypt_key *key, bool force)
{
    struct buf pem;
    struct err err;
    int fd;

    buf_init(&pem, CRYPT_KEY_FILE_MAX_BYTES);
    if (crypt_key_write_private(key, &pem, &err) != 0)
        cli_die("%s", err.text);
    if (force && unlink(path) != 0 && errno != ENOENT)
        cli_die("%s: %s", path, strerror(errno));
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        cli_die("%s is there already; a new key there would break what is signed with it (use "
                "another selector, or --force)",
                path);
    if (fd < 0 || fchmod(fd, 0600) != 0 || !all_written(fd, buf_slice(&pem)) || close(fd) != 0)
        cli_die("%s: %s", path, strerror(errno));
    crypt_wipe(pem.p, pem.n);
    buf_finish(&pem);
}
