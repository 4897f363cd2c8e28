/* mta/schedule/schedule.h -- what is due now, to which site, and how much at once.
 *
 *     accepted --> schedule_fresh() --+--> ready list of its site --dispatch--> an attempt
 *     ledger ----> port load ---------+                                          |
 *                                          <-- schedule_done(what became of it) --
 *
 * The ledger holds all unfinished work; this holds a window of it. A unit is one message's work for
 * one site. At most `ready_max` units wait in memory; the rest is left in the ledger and loaded
 * when its site has room, so memory does not grow with the queue. A site that cannot be reached at
 * all rests for a while that doubles with each failure, and its other mail is not tried meanwhile.
 * Sites take turns, so a large one does not starve a small one. No clock, no store, no sockets. */
#ifndef MTA_SCHEDULE_SCHEDULE_H
#define MTA_SCHEDULE_SCHEDULE_H

#include "base/base.h"
#include "base/list.h"

struct schedule; /* opaque */
struct site;     /* opaque: a destination with its own limits */

/* One message's work for one site. Lives inside the caller's struct. */
struct schedule_unit {
    struct list link;
    struct site *site;
};

struct schedule_ports {
    void *ctx;
    /* Start an attempt now. Ends with schedule_done(). */
    void (*dispatch)(void *ctx, struct schedule_unit *unit);
    /* Forget the unit's memory; the ledger still has it. */
    void (*drop)(void *ctx, struct schedule_unit *unit);
    /* Read up to `room` units of `site` that are due from the ledger and give each to
     * schedule_loaded(). Units that are in memory already must be left out. Returns when the site's
     * next unit beyond these is due: INT64_MAX when there is none. */
    int64_t (*load)(void *ctx, struct slice site, int64_t now_ms, size_t room);
    /* How many attempts this site may have in flight. 0: none now, ask again soon. */
    unsigned (*limit)(void *ctx, struct slice site);
};

struct schedule_settings {
    size_t ready_max;      /* units waiting in memory, all sites together */
    size_t in_flight_max;  /* attempts at once, all sites together */
    size_t load_batch;     /* units asked from the ledger at once */
    int64_t rest_first_ms; /* of a site that is down */
    int64_t rest_max_ms;
    uint64_t seed; /* of the site table's hash */
};

/* Both are copied; the context of the ports must outlive the schedule. Times are unix
 * milliseconds, since due times survive a restart. */
struct schedule *schedule_create(const struct schedule_settings *settings,
                                 const struct schedule_ports *ports);
/* Calls drop() for units that wait; those in flight stay the caller's. */
void schedule_destroy(struct schedule **s);

/* Work that was just committed and is due now. It may be dropped at once. */
void schedule_fresh(struct schedule *s, struct slice site, struct schedule_unit *unit);
/* From load() only. */
void schedule_loaded(struct schedule *s, struct slice site, struct schedule_unit *unit);
/* The ledger has work for this site, due at `due_ms`: at the start, after a deferral, after a
 * command of a person. */
void schedule_expect(struct schedule *s, struct slice site, int64_t due_ms);

/* An attempt ended. The unit is the caller's again. `site_down`: nothing could be reached;
 * `random` spreads the rest. */
void schedule_done(struct schedule *s, struct schedule_unit *unit, bool site_down, int64_t now_ms,
                   uint64_t random);

/* Ends the rest of a site (empty: of all sites). */
void schedule_wake(struct schedule *s, struct slice site);

/* Dispatches what may go. Returns when to call again at the latest (INT64_MAX: when something
 * happens). Call it at the end of each turn that changed anything. */
int64_t schedule_run(struct schedule *s, int64_t now_ms);

/* Whether `more` fresh units would still be kept in memory; a cheap question, for each message. */
bool schedule_has_room(const struct schedule *s, size_t more);

/* Walks all sites. */
struct schedule_counters {
    size_t sites, ready, in_flight, resting;
};
struct schedule_counters schedule_counters(const struct schedule *s);

/* For `queue list`: until when the site rests, 0 if it does not. */
int64_t schedule_rests_until(const struct schedule *s, struct slice site);

/* --- when to try again --- */

/* Milliseconds until the next attempt after `attempts` that failed: the schedule's step (the last
 * one repeats), spread by up to `jitter_percent` either way so that a thousand deferrals do not
 * return as one. `steps_s` has `step_count` > 0 entries. */
int64_t schedule_backoff_ms(const uint32_t *steps_s, size_t step_count, unsigned attempts,
                            unsigned jitter_percent, uint64_t random);

#endif
