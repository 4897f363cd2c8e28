#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/proc/proc.h"

#define LONG_LIFE_MS 60000 /* who lived that long is not failing in a row */
#define BACK_OFF_MAX_S 30
#define HOW_MAX 96

struct supervisor {
    struct loop *loop;
    struct log *log;
    struct list procs; /* all that run, or will run again */
    bool stopping;
    struct loop_deferred finished;
    void (*done)(void *ctx);
    void *done_ctx;
};

static const char *describe(int status, char how[HOW_MAX])
{
    if (WIFEXITED(status)) {
        (void)snprintf(how, HOW_MAX, "exit status %d", WEXITSTATUS(status));
    } else {
        const char *name = sigdescr_np(WTERMSIG(status));

        (void)snprintf(how, HOW_MAX, "signal %d (%s)", WTERMSIG(status), name ? name : "unknown");
    }
    return how;
}

/* --- start --- */

static int compare_fds(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Closes everything but 0-2 and `fds`. */
static void close_others(int *fds, size_t count)
{
    unsigned from = STDERR_FILENO + 1;

    qsort(fds, count, sizeof *fds, compare_fds);
    for (size_t i = 0; i < count; i++) {
        unsigned fd = (unsigned)fds[i]; /* an unopened one (-1) sorts first */

        if (fds[i] < 0 || fd < from)
            continue;
        if (fd > from)
            (void)close_range(from, fd - 1, 0);
        from = fd + 1;
    }
    (void)close_range(from, ~0u, 0);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* refused for SIGKILL, SIGSTOP and libc's own */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void be_child(struct proc *p, pid_t parent, int *fds, size_t count)
{
    reset_signals();
    close_others(fds, count);
    /* A super that was killed takes its roles along; one that died before this line, too. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    proc_title_set(p->name);
    _exit(p->run(p->ctx));
}

static void start(struct proc *p)
{
    struct supervisor *s = p->supervisor;
    int fds[PROC_FDS_MAX];
    size_t count = 0;
    sigset_t all, old;
    pid_t parent = getpid();

    loop_timer_stop(&p->timer);
    p->stopping = false;
    p->started_ms = loop_now_ms(s->loop);
    p->before_start(p->ctx, fds, &count);
    (void)fflush(NULL); /* or the child would have the same bytes to write */
    sigfillset(&all);   /* no handler of ours may run in the child */
    (void)sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        be_child(p, parent, fds, count);
    int why = errno;
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid < 0) {
        log_error(s->log, "proc.fork", LOG_STRING("name", p->name),
                  LOG_STRING("error", strerrordesc_np(why)));
        p->unforked = true;
        loop_timer_set(&p->timer, 0);
        return;
    }
    p->pid = pid;
    if (p->after_start != NULL)
        p->after_start(p->ctx, pid);
}

/* --- the end of one --- */

static void forget(struct proc *p)
{
    struct supervisor *s = p->supervisor;

    loop_timer_finish(&p->timer);
    list_remove(&p->link);
    if (s->stopping && list_is_empty(&s->procs))
        loop_defer(s->loop, &s->finished);
}

/* It ended, or could not be started. `p` may be gone when this returns. */
static void ended(struct proc *p, const char *how)
{
    struct supervisor *s = p->supervisor;
    int64_t lived_ms = loop_now_ms(s->loop) - p->started_ms;
    bool crashed = !p->stopping;

    p->pid = 0;
    if (!crashed) {
        log_info(s->log, "proc.stopped", LOG_STRING("name", p->name), LOG_STRING("how", how));
        forget(p);
    } else {
        unsigned wait_s = 0;

        if (lived_ms >= LONG_LIFE_MS)
            p->failures = 0;
        if (p->failures > 0)
            wait_s = p->failures > 5 ? BACK_OFF_MAX_S : 1u << (p->failures - 1);
        if (wait_s > BACK_OFF_MAX_S)
            wait_s = BACK_OFF_MAX_S;
        p->failures++;
        log_warn(s->log, "proc.ended", LOG_STRING("name", p->name), LOG_STRING("how", how),
                 LOG_INT("lived_ms", lived_ms), LOG_INT("restart_s", wait_s));
        loop_timer_set(&p->timer, (int64_t)wait_s * 1000);
    }
    if (p->on_exit != NULL)
        p->on_exit(p->ctx, crashed, how);
}

/* Back-off is over, or patience is, or the fork had failed. */
static void on_timer(void *ctx)
{
    struct proc *p = ctx;

    if (p->unforked) {
        p->unforked = false;
        ended(p, "could not fork");
    } else if (p->pid == 0) {
        start(p);
    } else {
        log_warn(p->supervisor->log, "proc.killed", LOG_STRING("name", p->name));
        (void)kill(p->pid, SIGKILL);
    }
}

/* One after the other from the start of the list: on_exit may change it. Only ours are waited for;
 * other children are somebody else's. */
static bool reap_one(struct supervisor *s)
{
    LIST_EACH(&s->procs, link)
    {
        struct proc *p = CONTAINER_OF(link, struct proc, link);
        char how[HOW_MAX];
        int status;

        if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid) {
            ended(p, describe(status, how));
            return true;
        }
    }
    return false;
}

static void on_child(void *ctx, int signal_number)
{
    (void)signal_number;
    while (reap_one(ctx))
        continue;
}

/* --- the face --- */

static void finished(void *ctx)
{
    struct supervisor *s = ctx;

    if (s->done != NULL)
        s->done(s->done_ctx);
}

struct supervisor *supervisor_create(struct loop *l, struct log *log)
{
    struct supervisor *s = mem_alloc(sizeof *s);

    s->loop = l;
    s->log = log;
    list_init(&s->procs);
    loop_deferred_init(&s->finished, finished, s);
    loop_on_signal(l, SIGCHLD, on_child, s);
    return s;
}

void supervisor_destroy(struct supervisor **s)
{
    struct supervisor *it = *s;
    struct list *link;

    if (it == NULL)
        return;
    supervisor_signal(it, SIGKILL);
    while ((link = list_take_first(&it->procs)) != NULL) {
        struct proc *p = CONTAINER_OF(link, struct proc, link);

        while (p->pid > 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        p->pid = 0;
        loop_timer_finish(&p->timer);
    }
    loop_on_signal(it->loop, SIGCHLD, NULL, NULL);
    loop_deferred_cancel(&it->finished);
    free(it);
    *s = NULL;
}

void supervisor_start(struct supervisor *s, struct proc *p)
{
    bool known = p->link.next != NULL && !list_is_empty(&p->link);

    if (s->stopping || proc_is_running(p) || p->unforked)
        return;
    if (!known) {
        p->supervisor = s;
        p->failures = 0;
        list_append(&s->procs, &p->link);
        loop_timer_init(&p->timer, s->loop, on_timer, p);
    }
    start(p);
}

void supervisor_signal(struct supervisor *s, int signal_number)
{
    LIST_EACH(&s->procs, link)
    {
        struct proc *p = CONTAINER_OF(link, struct proc, link);

        if (p->pid > 0)
            (void)kill(p->pid, signal_number);
    }
}

void supervisor_stop(struct supervisor *s, int64_t grace_ms, void (*done)(void *ctx), void *ctx)
{
    s->stopping = true;
    s->done = done;
    s->done_ctx = ctx;
    if (list_is_empty(&s->procs))
        loop_defer(s->loop, &s->finished);
    LIST_EACH(&s->procs, link)
    {
        proc_stop(CONTAINER_OF(link, struct proc, link), grace_ms);
    }
}

void proc_stop(struct proc *p, int64_t grace_ms)
{
    if (p->link.next == NULL || list_is_empty(&p->link))
        return;
    p->stopping = true;
    p->unforked = false;
    if (p->pid == 0) {
        forget(p);
        return;
    }
    (void)kill(p->pid, SIGTERM);
    loop_timer_set(&p->timer, grace_ms);
}

bool proc_is_running(const struct proc *p)
{
    return p->pid > 0;
}
