/* rt/watch/metrics.h -- counters, gauges and histograms in memory that all roles share.
 *
 *     super: metrics_create() --fork--> each role: metrics_use(slot) --> metric_add() ...
 *                                       any process: metrics_render() --> Prometheus text
 *
 * One slot for each process, written by that process alone with relaxed atomics: no locks and no
 * system calls. metrics.def is the table of names. */
#ifndef WATCH_METRICS_H
#define WATCH_METRICS_H

#include <stdatomic.h>

#include "base/base.h"

enum metric {
#define METRIC(name, kind, help) METRIC_##name,
#include "rt/watch/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics; /* opaque */

/* Memory for `slots` processes, shared with children. */
MUST_USE struct metrics *metrics_create(unsigned slots, struct err *e);
void metrics_destroy(struct metrics **m);
/* This process now writes slot `slot` under the label role="...". A restarted role takes the slot
 * of its predecessor: counters go on, gauges begin at zero. Before this, writes go nowhere. */
void metrics_use(struct metrics *m, unsigned slot, const char *role);
/* As above, but leaves the numbers of this process separate: for --one-process, where several roles
 * each hold a view of their own. Destroy the view before the metrics. */
struct metrics *metrics_view(struct metrics *m, unsigned slot, const char *role);

/* All fine with NULL. */
void metric_add(struct metrics *m, enum metric which, uint64_t n);    /* COUNTER */
void metric_set(struct metrics *m, enum metric which, int64_t value); /* GAUGE */
void metric_change(struct metrics *m, enum metric which, int64_t by); /* GAUGE, +1 and -1 */
/* TIME takes microseconds, SIZE takes the number itself. */
void metric_observe(struct metrics *m, enum metric which, uint64_t value);

/* The sum over all slots, for tests and `show`. Of a histogram: how many were observed. */
int64_t metric_total(const struct metrics *m, enum metric which);

/* Prometheus text format 0.0.4, one series for each role. */
void metrics_render(const struct metrics *m, struct buf *out);

#endif
