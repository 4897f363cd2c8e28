/* Each case is one promise of loop.h, played with pipes and short times. */
#include "rt/loop/loop.h"

#include <signal.h>
#include <unistd.h>

#include "base/test.h"

#define TIMERS 2000

struct world {
    struct loop *loop;
    struct buf told; /* what happened, one letter an event */
    struct loop_watch *watch, *other;
    struct loop_timer timer, second;
    struct loop_deferred deferred, again;
    struct loop_hook commit, flush, extra;
    int pipe[2];
    int64_t fired_ms;
    unsigned count;
};

static void tell(struct world *w, char c)
{
    buf_append_char(&w->told, c);
}

static void told(struct world *w, const char *story)
{
    buf_append_char(&w->told, '\0');
    assert_string_equal(w->told.p, story);
    w->told.n--;
}

static void on_read(void *ctx, unsigned events)
{
    struct world *w = ctx;
    char c;

    assert_int_equal(events, LOOP_READ);
    assert_int_equal(read(w->pipe[0], &c, 1), 1);
    tell(w, c);
    loop_defer(w->loop, &w->deferred);
}

static void on_timer(void *ctx)
{
    struct world *w = ctx;

    w->fired_ms = loop_now_ms(w->loop);
    tell(w, 't');
}

static void on_deferred(void *ctx)
{
    tell(ctx, 'd');
}

static void on_again(void *ctx)
{
    struct world *w = ctx;

    tell(w, 'a');
    if (++w->count < 3)
        loop_defer(w->loop, &w->again);
}

static void on_commit(void *ctx)
{
    tell(ctx, 'C');
}

static void on_flush(void *ctx)
{
    tell(ctx, 'F');
}

static void remove_neighbours(void *ctx)
{
    struct world *w = ctx;

    tell(w, 'X');
    loop_hook_remove(&w->extra);
    loop_hook_remove(&w->flush);
}

static void turn_order(struct world *w)
{
    loop_on_turn_end(w->loop, &w->flush, LOOP_FLUSH, on_flush, w);
    loop_on_turn_end(w->loop, &w->commit, LOOP_COMMIT, on_commit, w);
    loop_watch_want(w->watch, LOOP_READ);
    assert_int_equal(write(w->pipe[1], "r", 1), 1);
    loop_timer_set(&w->timer, 0);
    loop_turn(w->loop, -1);
    told(w, "rtdCF");
}

static void deferred_in_deferred(struct world *w)
{
    loop_defer(w->loop, &w->again);
    loop_defer(w->loop, &w->again);
    loop_turn(w->loop, -1);
    told(w, "a");
    loop_turn(w->loop, -1);
    loop_turn(w->loop, -1);
    told(w, "aaa");
    loop_defer(w->loop, &w->deferred);
    loop_deferred_cancel(&w->deferred);
    loop_turn(w->loop, 0);
    told(w, "aaa");
}

static void hook_removes_hooks(struct world *w)
{
    loop_on_turn_end(w->loop, &w->extra, LOOP_FLUSH, remove_neighbours, w);
    loop_on_turn_end(w->loop, &w->flush, LOOP_FLUSH, on_flush, w);
    loop_turn(w->loop, 0);
    loop_turn(w->loop, 0);
    told(w, "X");
}

static void timer_moves(struct world *w)
{
    int64_t start = loop_now_ms(w->loop);

    loop_timer_set(&w->timer, 5);
    loop_timer_set(&w->timer, 30); /* later: stays filed where it is */
    while (w->fired_ms == 0)
        loop_turn(w->loop, -1);
    assert_in_range(w->fired_ms - start, 29, 500);

    start = loop_now_ms(w->loop);
    w->fired_ms = 0;
    loop_timer_set(&w->timer, 100000);
    loop_timer_set(&w->timer, 5); /* sooner: filed anew */
    while (w->fired_ms == 0)
        loop_turn(w->loop, -1);
    assert_in_range(w->fired_ms - start, 4, 500);
    assert_false(loop_timer_is_set(&w->timer));
    told(w, "tt");
}

static void timer_stops(struct world *w)
{
    loop_timer_set(&w->timer, 2);
    loop_timer_set(&w->second, 4);
    loop_timer_stop(&w->timer);
    assert_false(loop_timer_is_set(&w->timer));
    for (int64_t until = loop_now_ms(w->loop) + 10; loop_now_ms(w->loop) < until;)
        loop_turn(w->loop, 5);
    told(w, "t"); /* the second one only */
    loop_timer_set(&w->timer, 1);
    loop_timer_finish(&w->timer);
    loop_turn(w->loop, 5);
    told(w, "t");
}

static int64_t last_due_ms;
static unsigned ordered;
static void on_ordered(void *ctx)
{
    struct loop_timer *t = ctx;

    assert_true(t->filed_ms >= last_due_ms);
    last_due_ms = t->filed_ms;
    ordered++;
}

static void many_timers(struct world *w)
{
    struct loop_timer *timers = mem_alloc(TIMERS * sizeof *timers);
    unsigned left = 0;

    ordered = 0, last_due_ms = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        loop_timer_init(&timers[i], w->loop, on_ordered, &timers[i]);
        loop_timer_set(&timers[i], (i * 7919) % 20);
    }
    for (unsigned i = 0; i < TIMERS; i += 3)
        loop_timer_finish(&timers[i]), left++;
    while (ordered < TIMERS - left)
        loop_turn(w->loop, -1);
    loop_turn(w->loop, 3);
    assert_int_equal(ordered, TIMERS - left);
    free(timers);
}

static void unwanted_read(struct world *w)
{
    loop_watch_want(w->watch, LOOP_READ);
    loop_watch_want(w->watch, 0);
    assert_int_equal(write(w->pipe[1], "r", 1), 1);
    loop_turn(w->loop, 2); /* comes, is not wanted, is taken out of the kernel's set */
    loop_turn(w->loop, 2);
    assert_int_equal(w->told.n, 0);
    loop_watch_want(w->watch, LOOP_READ);
    loop_turn(w->loop, 50);
    told(w, "rd");
}

static void on_read_destroy(void *ctx, unsigned events)
{
    struct world *w = ctx;

    (void)events;
    tell(w, 'x');
    loop_watch_destroy(&w->watch);
    loop_watch_destroy(&w->other);
}

static void destroy_inside(struct world *w)
{
    loop_watch_destroy(&w->watch);
    w->watch = loop_watch_create(w->loop, w->pipe[0], on_read_destroy, w);
    w->other = loop_watch_create(w->loop, w->pipe[1], on_read_destroy, w);
    loop_watch_want(w->watch, LOOP_READ);
    loop_watch_want(w->other, LOOP_WRITE);
    assert_int_equal(write(w->pipe[1], "r", 1), 1);
    loop_turn(w->loop, -1);
    loop_turn(w->loop, 0);
    told(w, "x");
}

static void on_signal(void *ctx, int signal_number)
{
    struct world *w = ctx;

    tell(w, signal_number == SIGUSR1 ? 's' : '?');
    loop_stop(w->loop);
}

static void signals(struct world *w)
{
    loop_on_signal(w->loop, SIGUSR1, on_signal, w);
    raise(SIGUSR1);
    loop_run(w->loop);
    told(w, "s");
    loop_on_signal(w->loop, SIGUSR1, NULL, NULL);
    raise(SIGUSR1);
    loop_turn(w->loop, 20);
    told(w, "s");
}

static void waits_no_longer(struct world *w)
{
    int64_t start = loop_clock_us();

    loop_turn(w->loop, 0);
    loop_turn(w->loop, 20);
    assert_in_range(loop_clock_us() - start, 15000, 500000);
}

static void read_and_look(void *ctx, unsigned event)
{
    struct world *w = ctx;
    char byte;

    (void)event;
    assert_int_equal(read(w->pipe[0], &byte, 1), 1);
    buf_printf(&w->told, "%lld", (long long)loop_now_ms(w->loop));
}

static void clock_in_callback(struct world *w)
{
    int64_t before_ms = loop_now_ms(w->loop);

    loop_watch_destroy(&w->watch);
    w->watch = loop_watch_create(w->loop, w->pipe[0], read_and_look, w);
    loop_watch_want(w->watch, LOOP_READ);
    assert_int_equal(usleep(30000), 0);
    assert_int_equal(write(w->pipe[1], "x", 1), 1);
    loop_turn(w->loop, 1000);
    assert_true(w->told.n > 0);
    buf_append_char(&w->told, '\0');
    assert_true(atoll(w->told.p) >= before_ms + 30);
}

static const struct promise {
    const char *name;
    void (*run)(struct world *w);
} promises[] = {
    {"events, timers, deferred calls, commit, flush: in this order", turn_order},
    {"what a deferred call defers runs in the next turn", deferred_in_deferred},
    {"a hook may remove itself and its neighbour", hook_removes_hooks},
    {"a timer moves later and sooner", timer_moves},
    {"a stopped timer does not run", timer_stops},
    {"2000 timers run in order, removed ones never", many_timers},
    {"an event that is not wanted is kept for later", unwanted_read},
    {"a callback may destroy its own watch and another that is ready", destroy_inside},
    {"signals arrive in the loop, until somebody stops listening", signals},
    {"a turn waits as long as it was told", waits_no_longer},
    {"a callback sees the time after the wait", clock_in_callback},
};

static void run(void **state)
{
    const struct promise *p = *state;
    struct world w = {.loop = loop_create()};

    buf_init(&w.told, 4096);
    assert_int_equal(pipe(w.pipe), 0);
    w.watch = loop_watch_create(w.loop, w.pipe[0], on_read, &w);
    loop_timer_init(&w.timer, w.loop, on_timer, &w);
    loop_timer_init(&w.second, w.loop, on_timer, &w);
    loop_deferred_init(&w.deferred, on_deferred, &w);
    loop_deferred_init(&w.again, on_again, &w);
    p->run(&w);
    loop_timer_finish(&w.timer);
    loop_timer_finish(&w.second);
    loop_hook_remove(&w.commit);
    loop_hook_remove(&w.flush);
    loop_hook_remove(&w.extra);
    loop_watch_destroy(&w.watch);
    loop_watch_destroy(&w.other);
    close(w.pipe[0]);
    close(w.pipe[1]);
    loop_destroy(&w.loop);
    buf_finish(&w.told);
}

int main(void)
{
    RUN_TABLE(promises, run);
}
