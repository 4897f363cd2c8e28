/* rt/loop/loop.h -- the event loop: descriptors, timers, deferred calls, the end of a turn,
 * signals.
 *
 * One turn of the loop:
 *
 *     poll --> ready descriptors, signals --> due timers --> deferred calls --> turn-end hooks
 *              (LOOP_COMMIT: the queue commits its group; then LOOP_FLUSH: the bus sends what all
 *              of them wrote)                                            --> poll, or stop
 *
 * So everything that one poll brought is handled before anything is committed or flushed, and a
 * group forms by itself under load while a lone event is answered at once. A callback never runs
 * inside the call that registered it. What is deferred during a turn's hooks runs in the next turn,
 * which then does not wait. This room alone sees libevent_core. A loop belongs to the process and
 * thread that created it: after fork() the child makes its own. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/base.h"
#include "base/list.h"

struct loop; /* opaque */

struct loop *loop_create(void); /* aborts when the kernel gives no epoll */
void loop_destroy(struct loop **l);

void loop_run(struct loop *l);  /* turns until loop_stop(); may be run again afterwards */
void loop_stop(struct loop *l); /* this turn is the last; may be called from any callback */
/* One turn; waits for at most `wait_ms` for something to happen (0: not at all, -1: for ever). */
void loop_turn(struct loop *l, int64_t wait_ms);

/* Time, read once a turn. Monotonic for durations, unix for what people see. */
int64_t loop_now_ms(const struct loop *l);
int64_t loop_unix_ms(const struct loop *l);
int64_t loop_unix_s(const struct loop *l);
int64_t loop_clock_us(void); /* monotonic, read now: for latency measurements */

/* --- descriptors --- */

#define LOOP_READ 1u
#define LOOP_WRITE 2u

/* A descriptor that is watched, level triggered. `events` is a set of LOOP_READ and LOOP_WRITE; a
 * hang-up or an error comes as whatever is wanted, and the next read or write tells. */
struct loop_watch; /* opaque */
typedef void loop_watch_fn(void *ctx, unsigned events);

/* `fd` stays the caller's and must outlive the watch. Nothing is wanted yet. */
struct loop_watch *loop_watch_create(struct loop *l, int fd, loop_watch_fn *fn, void *ctx);
void loop_watch_destroy(struct loop_watch **w); /* fine inside the callback; before close(fd) */

/* What to wait for from now on. Cheap: wanting less costs no system call (the kernel's interest is
 * taken back only if the unwanted event really comes), and wanting it again then costs none. */
void loop_watch_want(struct loop_watch *w, unsigned events);

/* --- timers --- */

/* Lives in the caller's struct; zeroed by loop_timer_init(). Setting a running timer to a later
 * time is one store; so a timeout may be pushed back at each byte. */
struct loop_timer {
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
    int64_t due_ms;   /* when it is to run; INT64_MAX when it is not set */
    int64_t filed_ms; /* its place in the heap; never later than due_ms */
    size_t place;     /* index in the heap + 1; 0: not in it */
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx);
void loop_timer_set(struct loop_timer *t, int64_t after_ms); /* once; replaces an earlier setting */
void loop_timer_stop(
    struct loop_timer *t); /* stays filed, cheap; loop_timer_finish() before free */
void loop_timer_finish(struct loop_timer *t); /* a zeroed timer is fine */
bool loop_timer_is_set(const struct loop_timer *t);

/* --- deferred calls --- */

/* Runs once after the events and timers of this turn. Lives in the caller's struct. Deferring what
 * is already deferred changes nothing. */
struct loop_deferred {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};
void loop_deferred_init(struct loop_deferred *d, void (*fn)(void *ctx), void *ctx);
void loop_defer(struct loop *l, struct loop_deferred *d);
void loop_deferred_cancel(struct loop_deferred *d); /* a zeroed one is fine */

/* --- the end of a turn --- */

enum loop_phase {
    LOOP_COMMIT, /* first: make what this turn brought durable, decide, write answers */
    LOOP_FLUSH,  /* last: hand written bytes to the kernel (bus, log) */
};

/* Runs at the end of every turn until removed. Lives in the caller's struct. Hooks of one phase run
 * in the order of registration. */
struct loop_hook {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};
void loop_on_turn_end(struct loop *l, struct loop_hook *h, enum loop_phase phase,
                      void (*fn)(void *ctx), void *ctx);
void loop_hook_remove(struct loop_hook *h); /* a zeroed one is fine */

/* --- signals --- */

/* Calls `fn` from the loop, not from a signal handler. At most 8 signals, for the life of the loop;
 * another call for the same signal replaces `fn` (NULL: the signal is taken and ignored). */
void loop_on_signal(struct loop *l, int signal_number, void (*fn)(void *ctx, int signal_number),
                    void *ctx);

/* The libevent base, for rt/http and nobody else. */
struct event_base;
struct event_base *loop_event_base(struct loop *l);

#endif
