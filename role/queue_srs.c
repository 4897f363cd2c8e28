/* The queue role and SRS (lib/addr/srs.h): what forwarded mail leaves with, and where a bounce to
 * such an address goes on to.
 *
 * The secrets are lines of srs.secret in data_dir, as postsrsd has them: the first one signs, all
 * are good. It is made at the first start; whoever has forwarded with another program puts his
 * there. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/addr/srs.h"
#include "lib/crypt/hash.h"
#include "lib/text/base64.h"
#include "role/queue_in.h"

#define DAY_MS INT64_C(86400000)
#define FILE_MAX_BYTES 8192
#define SECRET_BYTES 24

struct queue_srs {
    struct srs scheme; /* its secrets are in `text` */
    char text[FILE_MAX_BYTES];
};

static int make_file(const char *path, struct queue_srs *s, struct err *e)
{
    unsigned char secret[SECRET_BYTES];
    struct buf line = {.p = s->text, .cap = sizeof s->text, .max = sizeof s->text};
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), result = 0;

    if (fd < 0)
        return err_system(e, errno, "%s cannot be made", path);
    crypt_random(secret, sizeof secret);
    base64_encode((struct slice){(const char *)secret, sizeof secret}, &line);
    crypt_wipe(secret, sizeof secret);
    s->scheme.secrets[0] = buf_slice(&line);
    s->scheme.secret_count = 1;
    buf_append_char(&line, '\n');
    if (write(fd, line.p, line.n) != (ssize_t)line.n || fsync(fd) < 0) /* a few octets */
        result = err_system(e, errno, "%s cannot be written", path);
    close(fd);
    return result;
}

static int read_file(const char *path, int fd, struct queue_srs *s, struct err *e)
{
    ssize_t n = read(fd, s->text, sizeof s->text);
    struct slice rest = {s->text, n > 0 ? (size_t)n : 0}; /* positive */

    if (n < 0)
        return err_system(e, errno, "%s cannot be read", path);
    if (rest.n == sizeof s->text)
        return err_set(e, ERR_LIMIT, "%s has more than %d bytes", path, FILE_MAX_BYTES - 1);
    while (rest.n > 0) {
        struct slice line = slice_trim(slice_line(&rest));

        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (s->scheme.secret_count == SRS_SECRETS_MAX)
            return err_set(e, ERR_LIMIT, "%s has more than %d secrets", path, SRS_SECRETS_MAX);
        s->scheme.secrets[s->scheme.secret_count++] = line;
    }
    return s->scheme.secret_count > 0 ? 0 : err_set(e, ERR_SYNTAX, "%s has no secret in it", path);
}

int queue_srs_create(struct queue *q, struct err *e)
{
    char path[560];
    int fd, result;

    q->srs = mem_alloc(sizeof *q->srs);
    (void)snprintf(path, sizeof path, "%.540s/srs.secret", q->conf->data_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? make_file(path, q->srs, e)
                               : err_system(e, errno, "%s cannot be read", path);
    result = read_file(path, fd, q->srs, e);
    close(fd);
    return result;
}

void queue_srs_destroy(struct queue *q)
{
    if (q->srs == NULL)
        return;
    crypt_wipe(q->srs->text, sizeof q->srs->text);
    free(q->srs);
    q->srs = NULL;
}

/* With the settings as they are now. */
static const struct srs *scheme_of(struct queue *q)
{
    struct srs *s = &q->srs->scheme;
    int64_t days = (q->conf->return_path_valid_ms + DAY_MS - 1) / DAY_MS;

    s->hash_length = s->hash_least = (unsigned)q->conf->srs_hash_length;
    s->days = (unsigned)(days < SRS_DAYS_MOST ? days : SRS_DAYS_MOST);
    return s;
}

bool queue_srs_path(struct queue *q, const struct ledger_message *message, struct buf *out)
{
    struct err e;

    buf_clear(out);
    if (srs_encode(scheme_of(q), message->sender, slice_of(q->conf->return_path_domain),
                   message->received_ms / 1000, out, &e) == 0)
        return true;
    log_debug(q->env.log, "queue.no_srs", LOG_ERR(&e));
    return false;
}

void queue_srs_check(struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    struct buf sender;

    buf_init(&sender, 512);
    switch (srs_decode(scheme_of(q), m->address, slice_of(q->conf->return_path_domain),
                       loop_unix_ms(q->env.loop) / 1000, &sender)) {
    case SRS_GOOD:
        out->address = arena_copy(q->arena, buf_slice(&sender));
        break;
    case SRS_EXPIRED:
        out->text = SLICE("This bounce address has expired");
        break;
    case SRS_FORGED:
    case SRS_NOT_ONE:
        out->text = SLICE("There is no such bounce address here");
        break;
    }
    if (out->address.n == 0) {
        out->code = 550;
        out->enhanced = SLICE("5.1.1");
        out->forged = 1;
    }
    buf_finish(&sender);
}
