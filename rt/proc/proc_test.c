/* Each case is one promise about this process: its title, its pid file, what systemd hears. */
#include "rt/proc/proc.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"

struct world {
    char dir[64], path[96];
};

static void shows_title(struct world *w)
{
    char line[256] = "", name[16] = "";
    int fd;

    (void)w;
    proc_title_set("a-role-with-a-rather-long-name");
    proc_title_set("queue");
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_string_equal(name, "waybill: queue");
    fd = open("/proc/self/cmdline", O_RDONLY);
    assert_true(read(fd, line, sizeof line - 1) > 0);
    close(fd);
    assert_string_equal(line, "waybill: queue");
    assert_non_null(getenv("PATH")); /* the environment moved */
}

static void locks_out_the_second(struct world *w)
{
    struct err e;
    char expected[192];
    int first = proc_pid_file(w->path, &e);

    assert_true(first >= 0);
    assert_int_equal(proc_pid_file(w->path, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    (void)snprintf(expected, sizeof expected, "%s: it runs already, as process %d", w->path,
                   (int)getpid());
    assert_string_equal(e.text, expected);
    close(first);
    first = proc_pid_file(w->path, &e); /* a file that was left behind is no obstacle */
    assert_true(first >= 0);
    close(first);
}

static void refuses_bad_path(struct world *w)
{
    struct err e;

    (void)w;
    assert_int_equal(proc_pid_file("/nonexistent/waybill.pid", &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
}

static int listen_at(const char *path, size_t n)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, n);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
        0);
    return fd;
}

static void hears(int fd, const char *start)
{
    char text[128] = "";

    assert_true(recv(fd, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    assert_true(slice_starts(slice_of(text), slice_of(start)));
}

static void tells_systemd(struct world *w)
{
    char name[64] = "";
    int fd = listen_at(w->path, strlen(w->path)), abstract;

    setenv("NOTIFY_SOCKET", w->path, 1);
    proc_notify("READY=1");
    hears(fd, "READY=1");
    proc_notify_reloading();
    hears(fd, "RELOADING=1\nMONOTONIC_USEC=");
    (void)snprintf(name, sizeof name, "@waybill-test-%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    abstract = listen_at(name, 1 + strlen(name + 1));
    proc_notify("STOPPING=1");
    hears(abstract, "STOPPING=1");
    close(abstract);
    close(fd);
    setenv("NOTIFY_SOCKET", "relative", 1);
    proc_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    proc_notify("READY=1");
}

static void raises_descriptors(struct world *w)
{
    struct rlimit limit;

    (void)w;
    size_t now = proc_raise_descriptors();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(now, limit.rlim_cur);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static const struct promise {
    const char *name;
    void (*run)(struct world *w);
} promises[] = {
    {"ps and top show the title, and the environment survives it", shows_title},
    {"a second instance is told who holds the pid file", locks_out_the_second},
    {"a pid file that cannot be made is an error", refuses_bad_path},
    {"systemd hears the state, by path and by abstract name", tells_systemd},
    {"the soft limit of descriptors becomes the hard one", raises_descriptors},
};

static void run(void **state)
{
    const struct promise *p = *state;
    struct world w = {.dir = "/tmp/waybill-proc-XXXXXX"};

    assert_non_null(mkdtemp(w.dir));
    (void)snprintf(w.path, sizeof w.path, "%s/file", w.dir);
    p->run(&w);
    (void)unlink(w.path);
    assert_int_equal(rmdir(w.dir), 0);
}

int main(int argc, char **argv)
{
    proc_title_init(argc, argv);
    RUN_TABLE(promises, run);
}
