#include "role/settings_check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mta/bounce/policy.h"
#include "role/bounce_rules.h"
#include "role/forwards.h"
#include "role/logins.h"
#include "role/recipients.h"
#include "rt/stream/tls.h"

static int check_lists(const struct conf *conf, struct err *e)
{
    struct logins *logins = logins_load(conf->logins_file, e);
    struct forwards *forwards = logins == NULL ? NULL : forwards_load(conf->forwards_file, e);
    int result = forwards == NULL ? -1 : 0;

    logins_destroy(&logins);
    forwards_destroy(&forwards);
    for (size_t i = 0; i < conf->route_count && result == 0; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct recipients *list = NULL;

        if (!route->local || route->recipients_file[0] == '\0')
            continue;
        list = recipients_load(route->recipients_file, e);
        result = list == NULL ? -1 : 0;
        recipients_destroy(&list);
    }
    return result;
}

static int check_certificate(const struct conf *conf, struct err *e)
{
    struct tls_context *tls = NULL;

    if (conf->tls_certificate[0] == '\0')
        return 0;
    tls = tls_server_create(conf->tls_certificate, conf->tls_key, e);
    if (tls == NULL)
        return -1;
    tls_context_destroy(&tls);
    return 0;
}

static int check_bounces(const struct conf *conf, struct err *e)
{
    struct bounce_policy policy;
    struct bounce_rules *rules;

    bounce_policy_init(&policy);
    for (size_t i = 0; i < conf->suppress.count; i++)
        if (bounce_policy_set(&policy, slice_of(conf->suppress.items[i]), e) < 0)
            return -1;
    rules = bounce_rules_load(conf->bounce_rules, e);
    if (rules == NULL)
        return -1;
    bounce_rules_destroy(&rules);
    return 0;
}

int settings_read_key(const struct conf_key *conf, struct crypt_key **key_out, struct err *e)
{
    char text[CRYPT_KEY_FILE_MAX_BYTES];
    int fd = open(conf->file, O_RDONLY | O_CLOEXEC), result = -1;
    struct err why;
    ssize_t n;

    if (fd < 0)
        return err_system(e, errno, "key %s: %s", conf->title, conf->file);
    n = read(fd, text, sizeof text);
    if (n < 0)
        (void)err_system(e, errno, "key %s: %s", conf->title, conf->file);
    else if (crypt_key_read_private((struct slice){text, (size_t)n}, key_out, &why) < 0)
        (void)err_set(e, why.code, "key %s: %s: %s", conf->title, conf->file, why.text);
    else
        result = 0;
    close(fd);
    crypt_wipe(text, sizeof text);
    return result;
}

static int check_keys(const struct conf *conf, struct err *e)
{
    for (size_t i = 0; i < conf->key_count; i++) {
        struct crypt_key *key = NULL;

        if (settings_read_key(&conf->keys[i], &key, e) < 0)
            return -1;
        crypt_key_destroy(&key);
    }
    return 0;
}

int settings_check(const struct conf *conf, struct err *e)
{
    if (check_keys(conf, e) < 0)
        return -1;
    if (check_lists(conf, e) < 0 || check_certificate(conf, e) < 0)
        return -1;
    return check_bounces(conf, e);
}
