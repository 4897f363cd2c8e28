/* Each case is one promise about the roles' lives, kept with real processes. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "rt/proc/proc.h"

#define PATIENCE_MS 5000

struct world {
    struct loop *loop;
    struct supervisor *supervisor;
    struct proc proc, second;
    int (*child)(struct world *w);
    int pipe[2];  /* what the child tells */
    int extra[2]; /* what it must not have */
    unsigned starts, afters, exits, crashes;
    char how[96];
    bool done;
};

static void before_start(void *ctx, int *fds_out, size_t *count_out)
{
    struct world *w = ctx;

    w->starts++;
    fds_out[(*count_out)++] = w->pipe[1];
    fds_out[(*count_out)++] = -1;
}

static void after_start(void *ctx, pid_t pid)
{
    struct world *w = ctx;

    assert_true(pid > 0);
    w->afters++;
}

static int run_child(void *ctx)
{
    struct world *w = ctx;

    return w->child(w);
}

static void on_exit_of(void *ctx, bool crashed, const char *how)
{
    struct world *w = ctx;

    w->exits++;
    w->crashes += crashed;
    (void)snprintf(w->how, sizeof w->how, "%s", how);
}

static void on_done(void *ctx)
{
    ((struct world *)ctx)->done = true;
}

static void tell(struct world *w, char c)
{
    if (write(w->pipe[1], &c, 1) != 1)
        _exit(99);
}

static void hears(struct world *w, char expected)
{
    char c = '?';

    assert_int_equal(read(w->pipe[0], &c, 1), 1);
    assert_int_equal(c, expected);
}

static void wait_for_exits(struct world *w, unsigned count)
{
    int64_t end_ms = loop_now_ms(w->loop) + PATIENCE_MS;

    while (w->exits < count && loop_now_ms(w->loop) < end_ms)
        loop_turn(w->loop, 100);
    assert_int_equal(w->exits, count);
}

static int sleeps(struct world *w)
{
    tell(w, 's');
    for (;;)
        pause();
    return 0;
}

static int fails(struct world *w)
{
    tell(w, 'f');
    return 3;
}

static int breaks(struct world *w)
{
    tell(w, 'b');
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int is_deaf(struct world *w)
{
    signal(SIGTERM, SIG_IGN);
    return sleeps(w);
}

/* Tells 'y' if it is as a role must find itself, else what is wrong. */
static int looks_around(struct world *w)
{
    sigset_t blocked;
    struct sigaction action;

    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    (void)sigaction(SIGUSR1, NULL, &action);
    if (fcntl(w->extra[0], F_GETFD) >= 0 || fcntl(w->extra[1], F_GETFD) >= 0)
        tell(w, 'e');
    else if (fcntl(w->pipe[0], F_GETFD) >= 0)
        tell(w, 'p');
    else if (fcntl(STDERR_FILENO, F_GETFD) < 0)
        tell(w, '2');
    else if (sigismember(&blocked, SIGUSR2) || action.sa_handler != SIG_DFL)
        tell(w, 'm');
    else
        tell(w, 'y');
    return sleeps(w);
}

static void on_term(void *ctx, int signal_number)
{
    (void)signal_number;
    loop_stop(ctx);
}

/* A loop of its own, which hears signals although the super's loop does, too. */
static int loops(struct world *w)
{
    struct loop *l = loop_create();

    loop_on_signal(l, SIGTERM, on_term, l);
    tell(w, 's');
    loop_run(l);
    tell(w, 'e');
    return 7;
}

static void begin(struct world *w, int (*child)(struct world *w))
{
    w->child = child;
    supervisor_start(w->supervisor, &w->proc);
    assert_true(proc_is_running(&w->proc));
}

/* --- the promises --- */

static void keeps_what_it_was_given(struct world *w)
{
    sigset_t one, old;

    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &one, &old);
    (void)signal(SIGUSR1, SIG_IGN);
    begin(w, looks_around);
    hears(w, 'y');
    (void)signal(SIGUSR1, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(w->afters, 1);
}

static void stops_when_asked(struct world *w)
{
    begin(w, sleeps);
    hears(w, 's');
    proc_stop(&w->proc, PATIENCE_MS);
    wait_for_exits(w, 1);
    assert_string_equal(w->how, "signal 15 (Terminated)");
    assert_int_equal(w->crashes, 0);
    assert_false(proc_is_running(&w->proc));
    loop_turn(w->loop, 20);
    assert_int_equal(w->starts, 1);
    supervisor_start(w->supervisor, &w->proc); /* and may come again */
    assert_true(proc_is_running(&w->proc));
    hears(w, 's');
}

static void ends_in_order(struct world *w)
{
    begin(w, loops);
    hears(w, 's');
    proc_stop(&w->proc, PATIENCE_MS);
    hears(w, 'e');
    wait_for_exits(w, 1);
    assert_string_equal(w->how, "exit status 7");
    assert_int_equal(w->crashes, 0);
}

static void comes_back(struct world *w)
{
    begin(w, fails);
    wait_for_exits(w, 2); /* the second start was at once, the third is in a second */
    assert_string_equal(w->how, "exit status 3");
    assert_int_equal(w->crashes, 2);
    loop_turn(w->loop, 20);
    assert_int_equal(w->starts, 2);
    assert_in_range(w->proc.timer.due_ms - loop_now_ms(w->loop), 500, 1000);
    w->child = breaks;
    supervisor_start(w->supervisor, &w->proc); /* not even that long */
    wait_for_exits(w, 3);
    assert_string_equal(w->how, "signal 11 (Segmentation fault)");
    assert_in_range(w->proc.timer.due_ms - loop_now_ms(w->loop), 1500, 2000);
    proc_stop(&w->proc, 0);
    assert_int_equal(w->exits, 3);
}

static void waits_longer(struct world *w)
{
    static const struct {
        unsigned failures;
        int64_t wait_ms;
    } steps[] = {{3, 4000}, {4, 8000}, {5, 16000}, {6, 30000}, {100, 30000}};

    for (unsigned i = 0; i < COUNT(steps); i++) {
        begin(w, fails);
        w->proc.failures = steps[i].failures;
        wait_for_exits(w, i + 1);
        assert_in_range(w->proc.timer.due_ms - loop_now_ms(w->loop), steps[i].wait_ms - 500,
                        steps[i].wait_ms);
    }
    begin(w, fails);
    w->proc.started_ms -= 60000; /* who lived for a minute begins anew */
    wait_for_exits(w, COUNT(steps) + 1);
    assert_int_equal(w->proc.failures, 1);
}

static void kills_the_deaf(struct world *w)
{
    begin(w, is_deaf);
    hears(w, 's');
    proc_stop(&w->proc, 30);
    wait_for_exits(w, 1);
    assert_string_equal(w->how, "signal 9 (Killed)");
    assert_int_equal(w->crashes, 0);
}

static void stops_all(struct world *w)
{
    begin(w, sleeps);
    hears(w, 's');
    w->child = is_deaf;
    supervisor_start(w->supervisor, &w->second);
    hears(w, 's');
    supervisor_stop(w->supervisor, 50, on_done, w);
    assert_false(w->done);
    wait_for_exits(w, 2);
    loop_turn(w->loop, 0);
    assert_true(w->done);
    assert_int_equal(w->crashes, 0);
    supervisor_start(w->supervisor, &w->proc);
    assert_false(proc_is_running(&w->proc));
}

static void stops_nothing(struct world *w)
{
    supervisor_stop(w->supervisor, 50, on_done, w);
    assert_false(w->done);
    loop_turn(w->loop, 0);
    assert_true(w->done);
}

static void passes_signals_on(struct world *w)
{
    begin(w, sleeps);
    hears(w, 's');
    supervisor_signal(w->supervisor, SIGUSR1);
    wait_for_exits(w, 1);
    assert_string_equal(w->how, "signal 10 (User defined signal 1)");
    assert_int_equal(w->crashes, 1);
}

static void leaves_other_children(struct world *w)
{
    int status;
    pid_t other = fork();

    if (other == 0)
        _exit(5);
    begin(w, fails);
    wait_for_exits(w, 1);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(WEXITSTATUS(status), 5);
}

static void destroys(struct world *w)
{
    begin(w, is_deaf);
    hears(w, 's');
    pid_t pid = w->proc.pid;
    supervisor_destroy(&w->supervisor);
    assert_int_equal(kill(pid, 0), -1);
    loop_turn(w->loop, 20); /* the signal of its end finds nobody */
    assert_int_equal(w->exits, 0);
}

static const struct promise {
    const char *name;
    void (*run)(struct world *w);
} promises[] = {
    {"a role has the descriptors it was given, and fresh signals", keeps_what_it_was_given},
    {"a role that is asked to stop is not started again", stops_when_asked},
    {"a role's own loop hears SIGTERM", ends_in_order},
    {"a role that dies comes back at once, then later", comes_back},
    {"the back-off doubles up to half a minute", waits_longer},
    {"a role that does not hear SIGTERM is killed", kills_the_deaf},
    {"all roles are stopped, then the caller is told", stops_all},
    {"stopping nothing is told, too, but later", stops_nothing},
    {"signals are passed on", passes_signals_on},
    {"children of others are not waited for", leaves_other_children},
    {"destroying the supervisor ends the roles", destroys},
};

static void run(void **state)
{
    const struct promise *p = *state;
    struct world w = {.loop = loop_create()};

    assert_int_equal(pipe(w.pipe), 0);
    assert_int_equal(pipe(w.extra), 0);
    w.supervisor = supervisor_create(w.loop, NULL);
    w.proc = (struct proc){.name = "test",
                           .ctx = &w,
                           .before_start = before_start,
                           .after_start = after_start,
                           .run = run_child,
                           .on_exit = on_exit_of};
    w.second = w.proc;
    p->run(&w);
    supervisor_destroy(&w.supervisor);
    supervisor_destroy(&w.supervisor);
    loop_destroy(&w.loop);
    for (size_t i = 0; i < 2; i++) {
        close(w.pipe[i]);
        close(w.extra[i]);
    }
}

int main(void)
{
    RUN_TABLE(promises, run);
}
