/* store/ledger/stats_in.h -- counts per hour, stream and tag, gathered in memory during a group and
 * added to the tables once, in its transaction. */
#ifndef STORE_LEDGER_STATS_IN_H
#define STORE_LEDGER_STATS_IN_H

#include "base/map.h"
#include "store/ledger/db_in.h"

enum counted {
    STAT_MESSAGES,
    STAT_SENT,
    STAT_DELIVERED,
    STAT_DEFERRED,
    STAT_BOUNCED,
    STAT_UNKNOWN,
    STAT_EXPIRED,
    STAT_DUPLICATES,
    STAT_COUNT
};

/* Time to deliver in buckets that are 12.5 % wide: eight to each power of two milliseconds. */
#define LATENCY_BUCKETS 320
unsigned latency_bucket(int64_t ms);
int64_t latency_middle(unsigned bucket);

#define STATS_ENTRIES 32 /* in memory at once; more are stored early */
#define NAME_BYTES_MAX 128

struct stats {
    struct stats_entry *entries; /* [STATS_ENTRIES] */
    size_t n, last;
    uint32_t tags_max;
    int64_t hour;      /* that `known` is about */
    struct map *known; /* stream NUL tag, of this hour */
};

void stats_init(struct stats *s, uint32_t tags_max);
void stats_finish(struct stats *s);
MUST_USE int stats_add(struct stats *s, struct db *db, struct slice stream, struct slice tag,
                       enum counted what, uint64_t count, int64_t now_ms, struct err *e);
/* `count` recipients got it after `ms`. */
MUST_USE int stats_add_latency(struct stats *s, struct db *db, struct slice stream,
                               struct slice tag, int64_t ms, uint64_t count, int64_t now_ms,
                               struct err *e);
MUST_USE int stats_store(struct stats *s, struct db *db, struct err *e);
void stats_forget(struct stats *s); /* after a rollback */

#endif
