#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/proc/jail_in.h"

/* An empty name means the program's own user, and where there is none, nobody. */
static const struct passwd *find_user(const char *user, struct err *e)
{
    const struct passwd *found;

    if (user != NULL && user[0] != '\0') {
        if ((found = getpwnam(user)) == NULL)
            (void)err_set(e, ERR_FOUND, "there is no user %s", user);
        return found;
    }
    if ((found = getpwnam("waybill")) == NULL && (found = getpwnam("nobody")) == NULL)
        (void)err_set(e, ERR_FOUND, "there is neither a user waybill nor a user nobody");
    return found;
}

int proc_identity(const char *user, const char *group, uid_t *uid_out, gid_t *gid_out,
                  struct err *e)
{
    *uid_out = geteuid();
    *gid_out = getegid();
    if (geteuid() != 0)
        return 0;
    const struct passwd *p = find_user(user, e);
    if (p == NULL)
        return -1;
    *uid_out = p->pw_uid;
    *gid_out = p->pw_gid;
    if (group == NULL || group[0] == '\0')
        return 0;
    const struct group *g = getgrnam(group);
    if (g == NULL)
        return err_set(e, ERR_FOUND, "there is no group %s", group);
    *gid_out = g->gr_gid;
    return 0;
}

int proc_may_enter(const char *path, uid_t uid, gid_t gid, struct err *e)
{
    char folder[PATH_MAX];
    size_t n = strlen(path);
    struct stat st;

    if (n == 0 || n >= sizeof folder)
        return err_set(e, ERR_LIMIT, "the path %s is too long", path);
    for (size_t i = 1; i <= n; i++) {
        mode_t bit;

        if (i < n && path[i] != '/')
            continue;
        memcpy(folder, path, i);
        folder[i] = '\0';
        if (stat(folder, &st) < 0)
            return err_system(e, errno, "directory %s", folder);
        bit = st.st_uid == uid ? S_IXUSR : st.st_gid == gid ? S_IXGRP : S_IXOTH;
        if (uid != 0 && (st.st_mode & bit) == 0)
            return err_set(e, ERR_SYSTEM,
                           "user %u, which the roles become, may not enter %s: "
                           "chmod a+x %s, or use another place",
                           (unsigned)uid, folder, folder);
    }
    return 0;
}

static int enter_root(const char *root, struct err *e)
{
    if (chroot(root) < 0 || chdir("/") < 0)
        return err_system(e, errno, "root directory %s", root);
    return 0;
}

static int become(uid_t uid, gid_t gid, struct err *e)
{
    if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0)
        return err_system(e, errno, "group %u", (unsigned)gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_system(e, errno, "user %u", (unsigned)uid);
    if (uid != 0 && setresuid(0, 0, 0) == 0)
        return err_set(e, ERR_SYSTEM, "user %u may become root again", (unsigned)uid);
    return 0;
}

/* Keys must not reach a disk, nor another process of the same user. */
static int keep_memory_secret(struct err *e)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_system(e, errno, "no core dumps");
    return 0;
}

int proc_confine(const struct proc_confinement *c, struct err *e)
{
    uid_t uid;
    gid_t gid;
    int parting_signal = 0;

    /* Before the chroot, which hides the list of users. */
    if (proc_identity(c->user, c->group, &uid, &gid, e) < 0)
        return -1;
    if (c->root != NULL && enter_root(c->root, e) < 0)
        return -1;
    (void)prctl(PR_GET_PDEATHSIG, &parting_signal);
    if (geteuid() == 0 && become(uid, gid, e) < 0)
        return -1;
    /* The kernel forgets it when the user changes. */
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)parting_signal);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_system(e, errno, "no new privileges");
    if ((c->jail == PROC_JAIL_KEYS || c->jail == PROC_JAIL_INBOUND ||
         c->jail == PROC_JAIL_INBOUND_DNS) &&
        keep_memory_secret(e) < 0)
        return -1;
    return c->filter ? jail_enter(c->jail, e) : 0;
}
