/* The queue role and SRS (lib/addr/srs.h): what forwarded mail leaves with, and where a bounce to
 * such an address goes on to.
 *
 * The secrets are lines of srs.secret in data_dir, as postsrsd has them: the first one signs, all
 * are good. It is made at the first start; whoever has forwarded with another program puts his
 * there. */
#include "lib/addr/srs.h"
#include "lib/crypt/hash.h"
#include "lib/text/base64.h"
#include "role/queue_in.h"
#include "role/secret.h"

#define DAY_MS INT64_C(86400000)
#define FILE_MAX_BYTES 8192
#define SECRET_BYTES 24

struct queue_srs {
    struct srs scheme; /* its secrets are in `text` */
    char text[FILE_MAX_BYTES];
};

static int read_lines(struct queue_srs *s, struct slice rest, struct err *e)
{
    while (rest.n > 0) {
        struct slice line = slice_trim(slice_line(&rest));

        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (s->scheme.secret_count == SRS_SECRETS_MAX)
            return err_set(e, ERR_LIMIT, "srs.secret has more than %d secrets", SRS_SECRETS_MAX);
        s->scheme.secrets[s->scheme.secret_count++] = line;
    }
    return s->scheme.secret_count > 0 ? 0
                                      : err_set(e, ERR_SYNTAX, "srs.secret has no secret in it");
}

int queue_srs_create(struct queue *q, struct err *e)
{
    unsigned char secret[SECRET_BYTES];
    struct buf line;
    size_t n = 0;
    int result;

    q->srs = mem_alloc(sizeof *q->srs);
    buf_init(&line, 4 * SECRET_BYTES);
    crypt_random(secret, sizeof secret);
    base64_encode((struct slice){(const char *)secret, sizeof secret}, &line);
    buf_append_char(&line, '\n');
    result = secret_file(q->conf->data_dir, "srs.secret", buf_slice(&line), q->srs->text,
                         sizeof q->srs->text, &n, e);
    if (result == 0)
        result = read_lines(q->srs, (struct slice){q->srs->text, n}, e);
    crypt_wipe(secret, sizeof secret);
    crypt_wipe(line.p, line.n);
    buf_finish(&line);
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
