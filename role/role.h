/* role/role.h -- what every role is to the super: something to create, to connect, to stop.
 *
 *     super --create()--> role --attach(peer, bus)--> it works --stop()--> env.stopped()
 *
 * A role is wiring: it moves messages between the bus, the network, the stores and mta/. It runs in
 * a process of its own, or beside the others in one process: it does not know which. */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "base/base.h"
#include "rt/bus/bus.h"
#include "rt/conf/conf.h"
#include "rt/loop/loop.h"
#include "rt/proc/proc.h"
#include "rt/watch/log.h"
#include "rt/watch/metrics.h"

enum role_kind { ROLE_KEYS, ROLE_QUEUE, ROLE_OUTBOUND, ROLE_INBOUND, ROLE_API };
#define ROLE_KINDS 5
#define ROLE_COPIES_MAX 64
/* Descriptors of the spool that an outbound process keeps; the queue counts along. */
#define ROLE_SEGMENTS_HELD 64

/* Lives longer than the role. */
struct role_env {
    struct loop *loop;
    const struct conf *conf; /* replaced by settings() */
    struct log *log;
    struct metrics *metrics;    /* this role's own view */
    unsigned index;             /* among its copies, from 0 */
    const int *listeners;       /* inbound: one descriptor for each of conf->listeners */
    int control;                /* queue: the control socket, listening; -1: none */
    int http;                   /* api: the socket for HTTP, listening; -1: none */
    void (*stopped)(void *ctx); /* called once, in a later turn than stop() */
    void *stopped_ctx;
};

struct role_ops {
    const char *name;
    enum proc_jail jail;
    bool needs_privileges; /* to read keys: create() runs before they are dropped */
    /* NULL on error. */
    void *(*create)(const struct role_env *env, struct err *e);
    void (*attach)(void *role, enum role_kind peer, unsigned index, struct bus *bus); /* takes it */
    void (*stop)(void *role);
    void (*settings)(void *role, const struct conf *conf); /* borrowed until the next one */
    void (*destroy)(void *role);
    bool sees[ROLE_KINDS]; /* which kinds it has a bus to */
};
extern const struct role_ops inbound_role, queue_role, outbound_role, keys_role, api_role;
extern const struct role_ops *const role_table[ROLE_KINDS];

#endif
