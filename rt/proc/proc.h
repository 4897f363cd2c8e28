/* rt/proc/proc.h -- processes: start a role, keep it running, take its privileges away.
 *
 *     super --proc_start()--> fork --> child closes all but its descriptors --> its run()
 *       ^ SIGCHLD                               run(): open what is needed --> proc_confine()
 *       +-- on_exit, back-off, proc_start() again
 *
 * No exec: a role is a function of this program, and gets its configuration, keys and shared memory
 * from the fork. Fork happens before threads exist. */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <sys/types.h>

#include "base/base.h"
#include "rt/loop/loop.h"
#include "rt/watch/log.h"

/* --- the super's side --- */

#define PROC_FDS_MAX 256

/* One role process that is kept running. Lives in the caller's struct, which fills in the first
 * part and outlives the supervisor. */
struct proc {
    const char *name; /* "queue", "inbound-1": log, process title */
    void *ctx;
    /* In the super, before each fork: makes sockets, fills in what the child shall keep open (at
     * most PROC_FDS_MAX; 0-2 are always kept). The child sees the same numbers. */
    void (*before_start)(void *ctx, int *fds_out, size_t *count_out);
    /* In the super, after the fork: closes the child's ends, tells the peers. May be NULL. */
    void (*after_start)(void *ctx, pid_t pid);
    /* In the child: never returns into the super; its result is the exit status. All signals have
     * their default action, and it makes its own loop. */
    int (*run)(void *ctx);
    /* In the super: it ended, unasked if `crashed`; it will be started again by itself then. May be
     * NULL. `how` says "exit status 1" or "signal 11 (Segmentation fault)". */
    void (*on_exit)(void *ctx, bool crashed, const char *how);

    /* the supervisor's own */
    struct supervisor *supervisor;
    struct list link;
    struct loop_timer timer;
    pid_t pid; /* 0: not running */
    int64_t started_ms;
    unsigned failures; /* in a row */
    bool stopping;     /* asked to end */
    bool unforked;     /* fork() failed; on_exit tells in a later turn */
};

struct supervisor; /* opaque */
/* Handles SIGCHLD of the loop. A process that dies is started again at once, then after 1, 2, 4 ...
 * 30 s while it does not live for a minute. */
struct supervisor *supervisor_create(struct loop *l, struct log *log);
void supervisor_destroy(struct supervisor **s); /* kills what still runs, and waits for it */
/* Starts it now: for the first time, again after its end, or before its back-off is over. One that
 * runs is left alone, and nothing starts after supervisor_stop(). */
void supervisor_start(struct supervisor *s, struct proc *p);
void supervisor_signal(struct supervisor *s, int signal_number); /* to all that run */
/* SIGTERM to all, no restarts; SIGKILL after `grace_ms`; then `done`, in a later turn. Processes
 * are told in the order of their start, `stage` by stage is the caller's business (proc_stop). */
void supervisor_stop(struct supervisor *s, int64_t grace_ms, void (*done)(void *ctx), void *ctx);
/* One of them: SIGTERM, SIGKILL after `grace_ms`, no restart; on_exit tells when it is gone, and
 * from then on the supervisor forgot it. One that does not run is forgotten at once, without
 * on_exit. */
void proc_stop(struct proc *p, int64_t grace_ms);
bool proc_is_running(const struct proc *p);

/* --- the role's side --- */

/* Sets the name that ps and top show ("waybill: queue"); call once in main() before. */
void proc_title_init(int argc, char **argv);
void proc_title_set(const char *name);

/* Which system calls a role keeps. Each jail holds the event loop, memory, the bus and the log. */
enum proc_jail {
    PROC_JAIL_INBOUND,     /* accept, TCP */
    PROC_JAIL_INBOUND_DNS, /* the same and outbound's: mail for local domains is proven by DNS */
    PROC_JAIL_OUTBOUND,    /* connect, TCP, UDP (DNS), read /etc/resolv.conf and hosts */
    PROC_JAIL_QUEUE,       /* files: SQLite and the spool */
    PROC_JAIL_KEYS,        /* nothing else */
    PROC_JAIL_SUPER,       /* no filter */
};
struct proc_confinement {
    const char *user, *group; /* as the settings have them; ignored unless root */
    const char *root;         /* chroot there first; NULL: no */
    enum proc_jail jail;
    bool filter; /* seccomp on; a refused call then fails with EPERM */
};
/* In this order: chroot, groups, gid, uid, no_new_privs, no core dumps of key holders, filter. */
MUST_USE int proc_confine(const struct proc_confinement *c, struct err *e);
/* Whom `user` and `group` mean; false (with `e`) when they do not exist. Not root: ourselves. */
MUST_USE int proc_identity(const char *user, const char *group, uid_t *uid_out, gid_t *gid_out,
                           struct err *e);
/* Whether that user gets through every folder of `path`, which exists; -1 names the one that stops
 * it. It goes by the mode bits and the one group. */
MUST_USE int proc_may_enter(const char *path, uid_t uid, gid_t gid, struct err *e);
/* Raises the soft limit of open descriptors to the hard one; returns what it is now. */
size_t proc_raise_descriptors(void);

/* --- the program's side --- */

/* Creates and locks it; a second instance fails with ERR_FOUND and the other's id. Returns the
 * descriptor, to be kept open for the life of the program, or -1. */
MUST_USE int proc_pid_file(const char *path, struct err *e);
/* sd_notify(3) without libsystemd: "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=...",
 * "STATUS=...". Nothing happens without NOTIFY_SOCKET. */
void proc_notify(const char *state);
void proc_notify_reloading(void);

#endif
