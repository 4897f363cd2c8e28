#include "rt/loop/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <time.h>

#include "rt/loop/heap_in.h"

#define SIGNALS_MAX 8
#define PHASES 2

struct on_signal {
    struct loop *loop;
    struct event *event;
    int number;
    void (*fn)(void *ctx, int signal_number);
    void *ctx;
};

struct loop {
    struct event_base *base;
    struct event *alarm; /* the soonest timer, so that the poll ends in time */
    int64_t alarm_ms;    /* when it is set for; INT64_MAX: not set */
    int64_t now_ms, unix_ms;
    struct heap timers;
    struct list deferred;
    struct list hooks[PHASES];
    struct on_signal signals[SIGNALS_MAX];
    size_t signal_count;
    bool stopped;
    bool polling; /* nothing was called back yet since the poll began: the clocks are old */
};

/* Reading and writing are two events of libevent, so that a change of one leaves the other alone.
 * `armed` is what the kernel waits for, `wanted` what the caller wants; armed may be more. */
struct loop_watch {
    struct loop *loop;
    loop_watch_fn *fn;
    void *ctx;
    unsigned wanted, armed;
    bool *destroyed; /* set while the callback runs */
    struct event read, write;
};

static int64_t read_clock_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void read_clocks(struct loop *l)
{
    l->now_ms = read_clock_us(CLOCK_MONOTONIC) / 1000;
    l->unix_ms = read_clock_us(CLOCK_REALTIME) / 1000;
}

/* The first callback of a turn runs inside the poll's call: what it asks for is the time after the
 * wait. */
static void poll_ended(struct loop *l)
{
    if (l->polling)
        read_clocks(l);
    l->polling = false;
}

/* Only ends the poll: run_timers() does the work. */
static void ring(evutil_socket_t fd, short what, void *ctx)
{
    struct loop *l = ctx;

    (void)fd, (void)what;
    l->alarm_ms = INT64_MAX;
}

/* libevent would write to stderr: after a fork the child's loop is the second to take signals, and
 * it warns about that although the first one is the parent's. */
static void say_nothing(int severity, const char *text)
{
    (void)severity, (void)text;
}

struct loop *loop_create(void)
{
    struct loop *l = mem_alloc(sizeof *l);
    struct event_config *config = event_config_new();

    event_set_log_callback(say_nothing);
    /* The cached time of libevent is not used: read_clocks() is once a turn anyway. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    l->base = event_base_new_with_config(config);
    event_config_free(config);
    if (l->base == NULL)
        abort(); /* no descriptors or no epoll: nothing can run (STYLE rule 23) */
    l->alarm = evtimer_new(l->base, ring, l);
    l->alarm_ms = INT64_MAX;
    list_init(&l->deferred);
    for (size_t i = 0; i < PHASES; i++)
        list_init(&l->hooks[i]);
    read_clocks(l);
    return l;
}

void loop_destroy(struct loop **l)
{
    struct loop *it = *l;

    if (it == NULL)
        return;
    for (size_t i = 0; i < it->signal_count; i++)
        event_free(it->signals[i].event);
    event_free(it->alarm);
    event_base_free(it->base);
    heap_finish(&it->timers);
    free(it);
    *l = NULL;
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

int64_t loop_unix_ms(const struct loop *l)
{
    return l->unix_ms;
}

int64_t loop_unix_s(const struct loop *l)
{
    return l->unix_ms / 1000;
}

int64_t loop_clock_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

struct event_base *loop_event_base(struct loop *l)
{
    return l->base;
}

/* --- one turn --- */

/* Sets the alarm so that the poll ends when the first timer is due, or after `wait_ms`. */
static void set_alarm(struct loop *l, int64_t wait_ms)
{
    int64_t due_ms = l->timers.count > 0 ? l->timers.items[0]->filed_ms : INT64_MAX;

    if (wait_ms >= 0 && due_ms > l->now_ms + wait_ms)
        due_ms = l->now_ms + wait_ms;
    if (due_ms == l->alarm_ms)
        return;
    l->alarm_ms = due_ms;
    if (due_ms == INT64_MAX) {
        evtimer_del(l->alarm);
        return;
    }
    int64_t delay_ms = due_ms > l->now_ms ? due_ms - l->now_ms : 0;
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    evtimer_add(l->alarm, &delay);
}

static void run_timers(struct loop *l)
{
    while (l->timers.count > 0) {
        struct loop_timer *t = l->timers.items[0];

        if (t->filed_ms > l->now_ms)
            break;
        if (t->due_ms == INT64_MAX) { /* stopped since it was filed */
            heap_remove(&l->timers, t);
        } else if (t->due_ms > l->now_ms) { /* pushed back since it was filed */
            t->filed_ms = t->due_ms;
            heap_moved_later(&l->timers, t);
        } else {
            heap_remove(&l->timers, t);
            t->due_ms = INT64_MAX;
            t->fn(t->ctx);
        }
    }
}

/* Runs what is deferred now; what these calls defer waits for the next turn. */
static void run_deferred(struct loop *l)
{
    struct list batch;
    struct list *link;

    if (list_is_empty(&l->deferred))
        return;
    batch = l->deferred;
    batch.next->prev = batch.prev->next = &batch;
    list_init(&l->deferred);
    while ((link = list_take_first(&batch)) != NULL) {
        struct loop_deferred *d = CONTAINER_OF(link, struct loop_deferred, link);

        d->fn(d->ctx);
    }
}

/* A mark in the list lets a hook remove any hook, itself and its neighbour too. */
static void run_hooks(struct list *hooks)
{
    struct list mark;

    list_prepend(hooks, &mark);
    while (mark.next != hooks) {
        struct list *link = mark.next;
        struct loop_hook *h = CONTAINER_OF(link, struct loop_hook, link);

        list_remove(&mark);
        list_insert_before(link->next, &mark);
        h->fn(h->ctx);
    }
    list_remove(&mark);
}

void loop_turn(struct loop *l, int64_t wait_ms)
{
    if (!list_is_empty(&l->deferred))
        wait_ms = 0;
    set_alarm(l, wait_ms);
    l->polling = true;
    event_base_loop(l->base,
                    wait_ms == 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    l->polling = false;
    read_clocks(l);
    run_timers(l);
    run_deferred(l);
    for (size_t i = 0; i < PHASES; i++)
        run_hooks(&l->hooks[i]);
}

void loop_run(struct loop *l)
{
    l->stopped = false;
    while (!l->stopped)
        loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}

/* --- descriptors --- */

static void fire(struct loop_watch *w, unsigned event)
{
    bool destroyed = false, *outer = w->destroyed;

    poll_ended(w->loop);
    if (!(w->wanted & event)) { /* it came although nobody wants it: now it pays to say so */
        event_del(event == LOOP_READ ? &w->read : &w->write);
        w->armed &= ~event;
        return;
    }
    w->destroyed = &destroyed;
    w->fn(w->ctx, event);
    if (!destroyed)
        w->destroyed = outer;
    else if (outer != NULL)
        *outer = true;
}

static void fire_read(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    fire(ctx, LOOP_READ);
}

static void fire_write(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    fire(ctx, LOOP_WRITE);
}

struct loop_watch *loop_watch_create(struct loop *l, int fd, loop_watch_fn *fn, void *ctx)
{
    struct loop_watch *w = mem_alloc(sizeof *w);

    w->loop = l;
    w->fn = fn;
    w->ctx = ctx;
    event_assign(&w->read, l->base, fd, EV_READ | EV_PERSIST, fire_read, w);
    event_assign(&w->write, l->base, fd, EV_WRITE | EV_PERSIST, fire_write, w);
    return w;
}

void loop_watch_destroy(struct loop_watch **w)
{
    struct loop_watch *it = *w;

    if (it == NULL)
        return;
    if (it->destroyed != NULL)
        *it->destroyed = true;
    if (it->armed & LOOP_READ)
        event_del(&it->read);
    if (it->armed & LOOP_WRITE)
        event_del(&it->write);
    free(it);
    *w = NULL;
}

void loop_watch_want(struct loop_watch *w, unsigned events)
{
    unsigned missing = events & ~w->armed;

    w->wanted = events;
    if (missing & LOOP_READ)
        event_add(&w->read, NULL);
    if (missing & LOOP_WRITE)
        event_add(&w->write, NULL);
    w->armed |= missing;
    /* A writable socket would wake the loop at once and always: that one is taken back. */
    if (w->armed & LOOP_WRITE && !(events & LOOP_WRITE)) {
        event_del(&w->write);
        w->armed &= ~LOOP_WRITE;
    }
}

/* --- timers --- */

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    *t = (struct loop_timer){.loop = l, .fn = fn, .ctx = ctx, .due_ms = INT64_MAX};
}

void loop_timer_set(struct loop_timer *t, int64_t after_ms)
{
    struct loop *l = t->loop;

    if (after_ms < 0)
        after_ms = 0;
    if (__builtin_add_overflow(l->now_ms, after_ms, &t->due_ms) || t->due_ms == INT64_MAX)
        t->due_ms = INT64_MAX - 1;
    if (t->place > 0) {
        if (t->due_ms >= t->filed_ms)
            return;
        heap_remove(&l->timers, t);
    }
    t->filed_ms = t->due_ms;
    heap_put(&l->timers, t);
}

void loop_timer_stop(struct loop_timer *t)
{
    t->due_ms = INT64_MAX;
}

void loop_timer_finish(struct loop_timer *t)
{
    if (t->place > 0)
        heap_remove(&t->loop->timers, t);
    t->due_ms = INT64_MAX;
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->fn != NULL && t->due_ms != INT64_MAX;
}

/* --- deferred calls, hooks, signals --- */

void loop_deferred_init(struct loop_deferred *d, void (*fn)(void *ctx), void *ctx)
{
    *d = (struct loop_deferred){.fn = fn, .ctx = ctx};
    list_init(&d->link);
}

void loop_defer(struct loop *l, struct loop_deferred *d)
{
    if (list_is_empty(&d->link))
        list_append(&l->deferred, &d->link);
}

void loop_deferred_cancel(struct loop_deferred *d)
{
    if (d->link.next != NULL)
        list_remove(&d->link);
}

void loop_on_turn_end(struct loop *l, struct loop_hook *h, enum loop_phase phase,
                      void (*fn)(void *ctx), void *ctx)
{
    *h = (struct loop_hook){.fn = fn, .ctx = ctx};
    list_append(&l->hooks[phase], &h->link);
}

void loop_hook_remove(struct loop_hook *h)
{
    if (h->link.next != NULL)
        list_remove(&h->link);
}

static void got_signal(evutil_socket_t signal_number, short what, void *ctx)
{
    struct on_signal *s = ctx;

    (void)what;
    poll_ended(s->loop);
    if (s->fn != NULL)
        s->fn(s->ctx, signal_number);
}

void loop_on_signal(struct loop *l, int signal_number, void (*fn)(void *ctx, int signal_number),
                    void *ctx)
{
    struct on_signal *s = l->signals;

    while (s < l->signals + l->signal_count && s->number != signal_number)
        s++;
    assert(s < l->signals + SIGNALS_MAX);
    s->fn = fn;
    s->ctx = ctx;
    if (s->event != NULL)
        return;
    l->signal_count++;
    s->number = signal_number;
    s->loop = l;
    s->event = evsignal_new(l->base, signal_number, got_signal, s);
    evsignal_add(s->event, NULL);
}
