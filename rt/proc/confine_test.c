/* Each case is a jail and what a process in it can do: one letter for each deed that works. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"
#include "rt/proc/jail_in.h"

#define STILL_ROOT 64
#define COULD_NOT 65

/* What a jailed process has at hand. */
struct cell {
    char dir[64];
    int listener;
    struct sockaddr_in at;
    int client; /* connected to the listener, not accepted */
};

static void on_timer(void *ctx)
{
    loop_stop(ctx);
}

static void on_signal(void *ctx, int signal_number)
{
    (void)signal_number;
    loop_stop(ctx);
}

static void *be_thread(void *ctx)
{
    *(bool *)ctx = true;
    return NULL;
}

/* The loop with timers and signals, memory, threads, time. */
static bool can_live(const struct cell *c)
{
    struct loop *l = loop_create();
    struct loop_timer t;
    pthread_t thread;
    bool ran = false;
    struct timespec now;
    char *much = mem_alloc(4u << 20);

    (void)c;
    free(much);
    loop_timer_init(&t, l, on_timer, l);
    loop_timer_set(&t, 1);
    loop_run(l);
    loop_timer_finish(&t);
    loop_on_signal(l, SIGTERM, on_signal, l);
    raise(SIGTERM);
    loop_run(l);
    loop_destroy(&l);
    if (pthread_create(&thread, NULL, be_thread, &ran) != 0)
        return false;
    (void)pthread_join(thread, NULL);
    return ran && clock_gettime(CLOCK_REALTIME, &now) == 0;
}

/* A descriptor through a socket, as the bus does it. */
static bool can_pass(const struct cell *c)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    int pair[2];
    char byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.space};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &c->client, sizeof(int));
    bool good = sendmsg(pair[0], &m, MSG_NOSIGNAL) == 1 && recvmsg(pair[1], &m, 0) == 1;
    close(pair[0]);
    close(pair[1]);
    return good;
}

static bool can_accept(const struct cell *c)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool can_connect(const struct cell *c)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, (const struct sockaddr *)&c->at, sizeof c->at) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

static bool can_read(const struct cell *c)
{
    char byte;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, &byte, 1) == 1;

    (void)c;
    if (fd >= 0)
        close(fd);
    return good;
}

/* What SQLite and the spool do to files. */
static bool can_write(const struct cell *c)
{
    char a[96], b[96], dir[96];
    struct statvfs space;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    (void)snprintf(a, sizeof a, "%s/a", c->dir);
    (void)snprintf(b, sizeof b, "%s/b", c->dir);
    (void)snprintf(dir, sizeof dir, "%s/d", c->dir);
    int fd = open(a, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = posix_fallocate(fd, 0, 8192) == 0 && pwrite(fd, "x", 1, 100) == 1 &&
                fcntl(fd, F_SETLK, &lock) == 0 && ftruncate(fd, 4096) == 0 && fdatasync(fd) == 0 &&
                fsync(fd) == 0 && statvfs(c->dir, &space) == 0;
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    good = good && shared != MAP_FAILED && munmap(shared, 4096) == 0;
    close(fd);
    return good && access(a, R_OK) == 0 && rename(a, b) == 0 && mkdir(dir, 0700) == 0 &&
           rmdir(dir) == 0 && unlink(b) == 0;
}

static bool can_fork(const struct cell *c)
{
    pid_t pid = fork();

    (void)c;
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool can_run(const struct cell *c)
{
    char *const argv[] = {"true", NULL};

    (void)c;
    return execve("/bin/true", argv, argv + 1) == 0 || errno != EPERM;
}

static bool can_kill(const struct cell *c)
{
    (void)c;
    return kill(getppid(), 0) == 0;
}

static const struct deed {
    char letter;
    bool (*can)(const struct cell *c);
} deeds[] = {
    {'L', can_live},  {'P', can_pass}, {'A', can_accept}, {'C', can_connect}, {'R', can_read},
    {'W', can_write}, {'F', can_fork}, {'K', can_kill},   {'X', can_run},
};

static const struct jail_case {
    const char *name;
    enum proc_jail jail;
    const char *deeds;
} cases[] = {
    {"the keys live and pass messages, and that is all", PROC_JAIL_KEYS, "LP"},
    {"inbound accepts, opens nothing and connects to nobody", PROC_JAIL_INBOUND, "LPA"},
    {"inbound that proves mail asks DNS too", PROC_JAIL_INBOUND_DNS, "LPACR"},
    {"outbound connects and reads, and writes no file", PROC_JAIL_OUTBOUND, "LPCR"},
    {"the queue has its files, and no way into the world", PROC_JAIL_QUEUE, "LPARW"},
};

/* --- in the child --- */

static int confine(const struct cell *c, enum proc_jail jail)
{
    const struct proc_confinement how = {.user = "nobody", .jail = jail, .filter = true};
    struct err e;
    uid_t uid;
    gid_t gid;

    if (proc_identity(how.user, NULL, &uid, &gid, &e) < 0 || chown(c->dir, uid, gid) < 0 ||
        proc_confine(&how, &e) < 0)
        return COULD_NOT;
    return getuid() == 0 || geteuid() == 0 || getgid() == 0 ? STILL_ROOT : 0;
}

_Noreturn static void be_jailed(const struct cell *c, enum proc_jail jail, int to_parent)
{
    bool was_root = geteuid() == 0;
    int bad = confine(c, jail);

    if (bad == COULD_NOT || (bad == STILL_ROOT && was_root))
        _exit(bad);
    for (size_t i = 0; i < COUNT(deeds); i++) {
        errno = 0;
        if (deeds[i].can(c)) {
            if (write(to_parent, &deeds[i].letter, 1) != 1)
                _exit(1);
        } else if (errno != EPERM) {
            _exit(2); /* refused, but not by the filter */
        }
    }
    _exit(0);
}

/* --- in the parent --- */

static void open_cell(struct cell *c)
{
    socklen_t n = sizeof c->at;

    *c = (struct cell){.dir = "/tmp/waybill-jail-XXXXXX"};
    assert_non_null(mkdtemp(c->dir));
    c->at.sin_family = AF_INET;
    c->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c->listener, (struct sockaddr *)&c->at, sizeof c->at), 0);
    assert_int_equal(listen(c->listener, 4), 0);
    assert_int_equal(getsockname(c->listener, (struct sockaddr *)&c->at, &n), 0);
    c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->client, (struct sockaddr *)&c->at, sizeof c->at), 0);
}

static void close_cell(struct cell *c)
{
    close(c->client);
    close(c->listener);
    assert_int_equal(rmdir(c->dir), 0);
}

static void run_jail(void **state)
{
    const struct jail_case *j = *state;
    struct cell c;
    char done[32] = "";
    int fds[2], status;

    if (!jail_is_possible())
        skip();
    open_cell(&c);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0)
        be_jailed(&c, j->jail, fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fds[1]);
    assert_true(read(fds[0], done, sizeof done - 1) >= 0);
    close(fds[0]);
    assert_string_equal(done, j->deeds);
    close_cell(&c);
}

static void says_which_folder_stops_a_user(void **state)
{
    char dir[] = "/tmp/waybill-enter.XXXXXX", inner[64];
    struct err e;
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(inner, sizeof inner, "%s/data", dir);
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_int_equal(proc_may_enter(inner, 4242, 4242, &e), -1);
    assert_non_null(strstr(e.text, dir));
    assert_null(strstr(e.text, "/data"));
    assert_int_equal(chmod(dir, 0711), 0);
    assert_int_equal(proc_may_enter(inner, 4242, 4242, &e), 0);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void names_who_is_missing(void **state)
{
    struct err e;
    uid_t uid;
    gid_t gid;

    (void)state;
    if (geteuid() != 0) {
        assert_int_equal(proc_identity("no-such-user", NULL, &uid, &gid, &e), 0);
        assert_int_equal(uid, geteuid());
        return;
    }
    assert_int_equal(proc_identity("no-such-user", "", &uid, &gid, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    assert_string_equal(e.text, "there is no user no-such-user");
    assert_int_equal(proc_identity("nobody", "no-such-group", &uid, &gid, &e), -1);
    assert_string_equal(e.text, "there is no group no-such-group");
    assert_int_equal(proc_identity("nobody", "daemon", &uid, &gid, &e), 0);
    assert_int_not_equal(uid, 0);
    assert_int_equal(proc_identity("", NULL, &uid, &gid, &e), 0);
    assert_int_not_equal(uid, 0);
}

/* Exit status 0 if it is all right in there. */
_Noreturn static void be_chrooted(const struct cell *c)
{
    const struct proc_confinement how = {.root = c->dir, .jail = PROC_JAIL_KEYS};
    struct rlimit core;
    struct err e;
    int signal_number = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (proc_confine(&how, &e) < 0)
        _exit(1);
    (void)prctl(PR_GET_PDEATHSIG, &signal_number);
    (void)getrlimit(RLIMIT_CORE, &core);
    if (open("/etc/passwd", O_RDONLY) >= 0 || getuid() == 0)
        _exit(2);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
        _exit(3);
    _exit(core.rlim_max == 0 && signal_number == SIGTERM ? 0 : 4);
}

static void locks_in_a_directory(void **state)
{
    struct cell c;
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_cell(&c);
    pid_t pid = fork();
    if (pid == 0)
        be_chrooted(&c);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close_cell(&c);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 3] = {
        {"a user or group that does not exist is named", names_who_is_missing, NULL, NULL, NULL},
        {"the folder that stops a user is named", says_which_folder_stops_a_user, NULL, NULL, NULL},
        {"a directory is all that remains, without root's rights", locks_in_a_directory, NULL, NULL,
         NULL},
    };

    size_t count = 3;

    /* Sanitizers need more of the kernel than a jail leaves; cmocka counts a skip as a failure. */
    for (size_t i = 0; i < COUNT(cases) && jail_is_possible(); i++)
        tests[count++] =
            (struct CMUnitTest){cases[i].name, run_jail, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return _cmocka_run_group_tests("confine", tests, count, NULL, NULL);
}
