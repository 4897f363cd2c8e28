#include "rt/proc/jail_in.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The runtimes of the sanitizers make calls that no role makes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
    __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* In groups, so that a reader sees what a role can do. clang-format would make a column of it. */
// clang-format off
#define CALL(name) SCMP_SYS(name)
static const int for_all[] = {
    /* memory */
    CALL(brk), CALL(mmap), CALL(munmap), CALL(mremap), CALL(mprotect), CALL(madvise), CALL(mlock),
    CALL(mlock2), CALL(munlock), CALL(membarrier), CALL(rseq),
    /* open descriptors */
    CALL(read), CALL(readv), CALL(write), CALL(writev), CALL(pread64), CALL(pwrite64),
    CALL(preadv), CALL(pwritev), CALL(preadv2), CALL(pwritev2), CALL(lseek), CALL(close),
    CALL(close_range), CALL(dup), CALL(dup2), CALL(dup3), CALL(fcntl), CALL(fstat),
    CALL(newfstatat), CALL(statx), CALL(pipe), CALL(pipe2), CALL(eventfd2), CALL(sendfile),
    /* the event loop */
    CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait),
    CALL(epoll_pwait2), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime),
    /* sockets that are there: the bus, and descriptors that came over it */
    CALL(sendto), CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),
    CALL(shutdown), CALL(getsockopt), CALL(setsockopt), CALL(getsockname), CALL(getpeername),
    /* time, chance, who am I */
    CALL(clock_gettime), CALL(clock_getres), CALL(clock_nanosleep), CALL(nanosleep),
    CALL(gettimeofday), CALL(time), CALL(times), CALL(getrandom), CALL(getpid), CALL(getppid),
    CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getresuid),
    CALL(getresgid), CALL(getgroups), CALL(getrlimit), CALL(getrusage), CALL(getcpu), CALL(sysinfo),
    CALL(uname), CALL(sched_getaffinity), CALL(sched_yield),
    /* signals, threads, the end */
    CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigpending),
    CALL(sigaltstack), CALL(restart_syscall), CALL(futex), CALL(set_robust_list),
    CALL(get_robust_list), CALL(set_tid_address), CALL(exit), CALL(exit_group),
};

static const int for_accepting[] = {CALL(accept), CALL(accept4)};

static const int for_connecting[] = {CALL(bind), CALL(connect)};

static const int for_looking[] = { /* with open() for reading alone */
    CALL(stat), CALL(lstat), CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink),
    CALL(readlinkat), CALL(getdents), CALL(getdents64), CALL(statfs), CALL(fstatfs),
    CALL(fadvise64),
};

static const int for_files[] = {
    CALL(open), CALL(openat), CALL(creat), CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(unlink),
    CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2), CALL(link), CALL(linkat),
    CALL(ftruncate), CALL(truncate), CALL(fallocate), CALL(fsync), CALL(fdatasync), CALL(syncfs),
    CALL(sync_file_range), CALL(msync), CALL(flock), CALL(chmod), CALL(fchmod), CALL(fchmodat),
    CALL(fchown), CALL(fchownat), CALL(utimensat), CALL(umask), CALL(getcwd), CALL(copy_file_range),
    CALL(readahead),
};
#undef CALL
// clang-format on

struct call_set {
    const int *calls;
    size_t count;
};
#define ALL_OF(calls)                                                                              \
    {                                                                                              \
        (calls), COUNT(calls)                                                                      \
    }

static const struct jail {
    struct call_set sets[3];
    bool connects; /* may make sockets */
    bool looks;    /* may open files for reading */
} jails[] = {
    [PROC_JAIL_INBOUND] = {.sets = {ALL_OF(for_accepting)}},
    [PROC_JAIL_INBOUND_DNS] = {.sets = {ALL_OF(for_accepting), ALL_OF(for_connecting),
                                        ALL_OF(for_looking)},
                               .connects = true,
                               .looks = true},
    [PROC_JAIL_OUTBOUND] = {.sets = {ALL_OF(for_connecting), ALL_OF(for_looking)},
                            .connects = true,
                            .looks = true},
    /* It accepts on the control socket, and makes no socket. */
    [PROC_JAIL_QUEUE] = {.sets = {ALL_OF(for_looking), ALL_OF(for_files), ALL_OF(for_accepting)}},
    [PROC_JAIL_KEYS] = {.connects = false},
};

static int allow_all(scmp_filter_ctx filter, struct call_set set)
{
    int bad = 0;

    /* A call that this architecture does not have is passed over by the library. */
    for (size_t i = 0; i < set.count && bad == 0; i++)
        bad = seccomp_rule_add(filter, SCMP_ACT_ALLOW, set.calls[i], 0);
    return bad;
}

/* Allows `call` if the comparison of one argument holds. */
static int allow_compared(scmp_filter_ctx filter, int call, struct scmp_arg_cmp comparison)
{
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &comparison);
}

/* Allows `call` if argument number `at` is `value`. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned at, uint64_t value)
{
    const struct scmp_arg_cmp equal = {.arg = at, .op = SCMP_CMP_EQ, .datum_a = value};

    return allow_compared(filter, call, equal);
}

/* Allows `call` if argument number `at`, under `mask`, is `value`. */
static int allow_masked(scmp_filter_ctx filter, int call, unsigned at, uint64_t mask,
                        uint64_t value)
{
    const struct scmp_arg_cmp equal = {
        .arg = at, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};

    return allow_compared(filter, call, equal);
}

/* What every role may do, but only with these arguments: threads, not processes; signals to itself;
 * a socketpair for the loop's signals. */
static int allow_narrow(scmp_filter_ctx f)
{
    static const uint64_t requests[] = {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ};
    uint64_t self = (uint64_t)getpid();
    int bad = 0;

    for (size_t i = 0; i < COUNT(requests) && bad == 0; i++)
        bad = allow_if(f, SCMP_SYS(ioctl), 1, requests[i]);
    if (bad != 0 || (bad = allow_if(f, SCMP_SYS(kill), 0, self)) != 0 ||
        (bad = allow_if(f, SCMP_SYS(tgkill), 0, self)) != 0 ||
        (bad = allow_if(f, SCMP_SYS(prlimit64), 0, 0)) != 0 ||
        (bad = allow_if(f, SCMP_SYS(prctl), 0, PR_SET_NAME)) != 0 ||
        (bad = allow_if(f, SCMP_SYS(socketpair), 0, AF_UNIX)) != 0 ||
        (bad = allow_masked(f, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD)) != 0)
        return bad;
    /* Its flags are in memory, where a filter cannot look; libc then takes clone. */
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int allow_sockets(scmp_filter_ctx f)
{
    static const uint64_t families[] = {AF_INET, AF_INET6, AF_UNIX};
    int bad = 0;

    for (size_t i = 0; i < COUNT(families) && bad == 0; i++)
        bad = allow_if(f, SCMP_SYS(socket), 0, families[i]);
    return bad;
}

static int allow_reading(scmp_filter_ctx f)
{
    const uint64_t mask = O_ACCMODE | O_CREAT | O_TRUNC;
    int bad = allow_masked(f, SCMP_SYS(openat), 2, mask, O_RDONLY);

    return bad != 0 ? bad : allow_masked(f, SCMP_SYS(open), 1, mask, O_RDONLY);
}

static int fill(scmp_filter_ctx f, const struct jail *j)
{
    int bad = allow_all(f, (struct call_set)ALL_OF(for_all));

    for (size_t i = 0; i < COUNT(j->sets) && bad == 0; i++)
        bad = allow_all(f, j->sets[i]);
    if (bad == 0)
        bad = allow_narrow(f);
    if (bad == 0 && j->connects)
        bad = allow_sockets(f);
    if (bad == 0 && j->looks)
        bad = allow_reading(f);
    return bad;
}

bool jail_is_possible(void)
{
    return !SANITIZED;
}

int jail_enter(enum proc_jail jail, struct err *e)
{
    if (SANITIZED || jail == PROC_JAIL_SUPER)
        return 0;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (filter == NULL)
        return err_set(e, ERR_SYSTEM, "no filter of system calls on this architecture");
    int bad = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (bad == 0)
        bad = fill(filter, &jails[jail]);
    if (bad == 0)
        bad = seccomp_load(filter);
    seccomp_release(filter);
    if (bad != 0)
        return err_system(e, -bad, "filter of system calls");
    return 0;
}
