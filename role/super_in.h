/* role/super_in.h -- the super's insides.
 *
 *     super.c         members: started, connected, replaced, stopped in order
 *     super_child.c   what a forked process does with its role
 *     super_world.c   sockets, directories, the log: opened before anything starts */
#ifndef ROLE_SUPER_IN_H
#define ROLE_SUPER_IN_H

#include "base/arena.h"
#include "role/messages.h"
#include "role/role.h"
#include "role/super.h"

#define LISTENERS_MAX 64
#define MEMBERS_MAX (2 * ROLE_COPIES_MAX + 3)

/* One role process, or one role object in this process. */
struct member {
    struct super *super;
    enum role_kind kind;
    unsigned index, slot;
    char name[32];
    struct role_env env;
    /* as a process */
    struct proc proc;
    int link_fds[2];
    struct bus *link;
    bool restart; /* it is being replaced for a reload */
    /* as an object */
    void *role;
    bool stopped;
};

struct super {
    struct loop *loop;
    struct conf *conf;
    struct conf *old_conf; /* until the roles that borrow it are gone */
    const struct super_options *options;
    struct log *log;
    int log_fd;
    struct metrics *metrics;
    struct supervisor *supervisor;
    struct member members[MEMBERS_MAX];
    size_t member_n;
    int listeners[LISTENERS_MAX];
    int control, http, pid_file;
    bool stopping;
    enum role_kind stage; /* which kind is being stopped */
    struct arena *arena;
};

/* --- super_child.c --- */

/* What a role is given, on this loop. */
void member_fill_env(struct member *m, struct loop *loop, struct log *log);
/* `member`: whose role it is. Runs in the forked process until it ends; its exit status. */
int child_run(void *member);

/* --- super_world.c --- */

MUST_USE int world_open(struct super *s, struct err *e);
void world_close(struct super *s); /* also of what world_open() could not finish */
uint16_t world_port(const struct super *s, size_t listener);

#endif
