#include "role/logins.h"

#include <crypt.h>

#include "base/map.h"
#include "lib/crypt/hash.h"
#include "role/lines.h"

#define LOGINS_MAX 100000

struct login {
    char *hash, *stream;
    bool remembered;
    uint8_t proof[CRYPT_SHA256_BYTES]; /* HMAC of the password that was right */
};

struct logins {
    struct map *by_name;
    uint8_t secret[32];
};

void logins_destroy(struct logins **l)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    if (*l == NULL)
        return;
    while (map_next((*l)->by_name, &cursor, &key, &value)) {
        struct login *login = value;

        free(login->hash);
        free(login->stream);
        free(login);
    }
    map_destroy(&(*l)->by_name);
    crypt_wipe((*l)->secret, sizeof(*l)->secret);
    free(*l);
    *l = NULL;
}

static int add_line(void *ctx, struct slice line, struct err *e)
{
    struct logins *l = ctx;
    struct slice name = slice_cut(&line, ':'), hash = slice_cut(&line, ':');
    struct login *login;

    if (map_count(l->by_name) >= LOGINS_MAX)
        return err_set(e, ERR_LIMIT, "too many logins");
    if (name.n == 0 || hash.n == 0)
        return err_set(e, ERR_SYNTAX, "a login is NAME:HASH or NAME:HASH:STREAM");
    if (hash.p[0] != '$')
        return err_set(e, ERR_SYNTAX,
                       "the password of %.*s is not hashed; use mkpasswd -m yescrypt",
                       SLICE_ARG(name));
    if (map_get(l->by_name, name) != NULL)
        return err_set(e, ERR_SYNTAX, "the login %.*s stands here twice", SLICE_ARG(name));
    login = mem_alloc(sizeof *login);
    login->hash = mem_alloc(hash.n + 1);
    memcpy(login->hash, hash.p, hash.n);
    login->stream = mem_alloc(line.n + 1);
    if (line.n > 0)
        memcpy(login->stream, line.p, line.n);
    (void)map_put(l->by_name, name, login);
    return 0;
}

struct logins *logins_load(const char *path, struct err *e)
{
    struct logins *l = mem_alloc(sizeof *l);

    l->by_name = map_create(11);
    crypt_random(l->secret, sizeof l->secret);
    if (path[0] != '\0' && lines_each("logins_file", path, add_line, l, e) < 0)
        logins_destroy(&l);
    return l;
}

size_t logins_count(const struct logins *l)
{
    return map_count(l->by_name);
}

bool logins_check(struct logins *l, struct slice user, struct slice password,
                  struct slice *stream_out)
{
    struct login *login = map_get(l->by_name, user);
    struct crypt_data *work;
    uint8_t proof[CRYPT_SHA256_BYTES];
    char *text;
    bool good;

    *stream_out = SLICE("");
    if (memchr(password.p, '\0', password.n) != NULL || password.n > 1024)
        return false;
    crypt_hmac_sha256((struct slice){(const char *)l->secret, sizeof l->secret}, password, proof);
    if (login != NULL && login->remembered &&
        crypt_equal((struct slice){(const char *)proof, sizeof proof},
                    (struct slice){(const char *)login->proof, sizeof login->proof})) {
        *stream_out = slice_of(login->stream);
        return true;
    }
    work = mem_alloc(sizeof *work);
    text = mem_alloc(password.n + 1);
    if (password.n > 0)
        memcpy(text, password.p, password.n);
    /* An unknown name costs the same time, so that names cannot be told apart by it. */
    const char *setting = login != NULL ? login->hash : "$6$waybillwaybill$";
    const char *made = crypt_r(text, setting, work);
    good = login != NULL && made != NULL && crypt_equal(slice_of(made), slice_of(login->hash));
    crypt_wipe(text, password.n);
    crypt_wipe(work, sizeof *work);
    free(text);
    free(work);
    if (good) {
        login->remembered = true;
        memcpy(login->proof, proof, sizeof proof);
        *stream_out = slice_of(login->stream);
    }
    return good;
}

struct slice logins_stream(const struct logins *l, struct slice user)
{
    const struct login *login = map_get(l->by_name, user);

    return login == NULL ? SLICE("") : slice_of(login->stream);
}
