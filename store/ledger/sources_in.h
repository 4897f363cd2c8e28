/* store/ledger/sources_in.h -- local addresses that mail left from, gathered in memory during a
 * group and added to the table once for each, in its transaction. */
#ifndef STORE_LEDGER_SOURCES_IN_H
#define STORE_LEDGER_SOURCES_IN_H

#include "base/map.h"
#include "store/ledger/db_in.h"
#include "store/ledger/ledger.h"

#define SOURCES_ENTRIES 16        /* in memory at once; more are stored early */
#define SOURCE_NAME_MAX 256       /* bytes of a name that are kept */
#define SOURCES_PER_DAY_MAX 1000u /* rows; further domains are counted under "(other)" */

struct source_entry;
struct sources {
    struct source_entry *entries; /* [SOURCES_ENTRIES] */
    size_t n, last;
    int64_t day;       /* that `known` is about; -1: none */
    struct map *known; /* rows of this day: domain NUL address NUL via */
};

void sources_init(struct sources *s);
void sources_finish(struct sources *s);
MUST_USE int sources_add(struct sources *s, struct db *db, const struct ledger_source *source,
                         int64_t now_ms, struct err *e);
MUST_USE int sources_store(struct sources *s, struct db *db, struct err *e);
void sources_forget(struct sources *s); /* after a rollback */

#endif
