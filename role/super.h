/* role/super.h -- starts the roles, connects them, keeps them running, stops them in order.
 *
 *     super --fork--> keys, queue, outbound xN, inbound xN, api        (one process each)
 *        \--link---> each: "peer" messages carry the socketpairs between them
 *
 * Or all of them in this process, on one loop, for tests and for debugging. */
#ifndef ROLE_SUPER_H
#define ROLE_SUPER_H

#include "base/base.h"
#include "rt/conf/conf.h"

struct super_options {
    const char *config_path; /* NULL: no file, all defaults; read again at SIGHUP */
    bool one_process;
    /* Called once everything listens; `ports` has one number for each listener. May be NULL. */
    void (*ready)(void *ctx, const uint16_t *ports, size_t count);
    void *ready_ctx;
};

/* Runs until SIGTERM or SIGINT. 0, or -1 when it could not start. Takes `conf` over. */
MUST_USE int super_run(struct conf *conf, const struct super_options *options, struct err *e);

#endif
