#include "rt/proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TITLE_MAX 256
#define PID_TEXT_MAX 32

/* --- the title --- */

/* The memory of the arguments and the environment, which the kernel shows as the command line. The
 * process has just one, so this is not state that could be passed along (rule 9). */
static struct {
    char *p;
    size_t n;
} title;

/* The strings lie one after the other; how far without a gap? They are replaced by copies, which
 * live as long as the process. */
static char *take_strings(char **strings, char *end)
{
    for (char **s = strings; *s != NULL; s++) {
        if (*s == end)
            end = *s + strlen(*s) + 1;
        *s = mem_string(*s);
    }
    return end;
}

void proc_title_init(int argc, char **argv)
{
    if (argc < 1 || title.p != NULL)
        return;
    title.p = argv[0];
    title.n = (size_t)(take_strings(environ, take_strings(argv, argv[0])) - title.p);
}

void proc_title_set(const char *name)
{
    char text[TITLE_MAX];

    (void)snprintf(text, sizeof text, "waybill: %s", name);
    (void)prctl(PR_SET_NAME, text); /* the kernel cuts it at 15 */
    if (title.n < 2)
        return;
    memset(title.p, 0, title.n);
    (void)snprintf(title.p, title.n, "%s", text);
}

/* --- descriptors, the pid file --- */

size_t proc_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t old = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return old;
    return limit.rlim_cur;
}

int proc_pid_file(const char *path, struct err *e)
{
    char text[PID_TEXT_MAX] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return err_system(e, errno, "pid file %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int why = errno;
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        struct slice other = slice_trim((struct slice){text, n > 0 ? (size_t)n : 0});

        close(fd);
        if (why != EWOULDBLOCK)
            return err_system(e, why, "lock on pid file %s", path);
        return err_set(e, ERR_FOUND, "%s: it runs already, as process %.*s", path,
                       SLICE_ARG(other));
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        int why = errno;

        close(fd);
        return err_system(e, why, "pid file %s", path);
    }
    return fd;
}

/* --- systemd --- */

void proc_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path != NULL ? strlen(path) : 0;

    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') /* Linux's abstract names begin with NUL */
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Nobody is told when it fails: systemd then shows a start that takes for ever. */
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}

void proc_notify_reloading(void)
{
    char state[64];

    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)loop_clock_us());
    proc_notify(state);
}
