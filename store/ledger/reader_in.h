/* store/ledger/reader_in.h -- the reader's insides, shared by its files. */
#ifndef STORE_LEDGER_READER_IN_H
#define STORE_LEDGER_READER_IN_H

#include "store/ledger/ledger_in.h"
#include "store/ledger/reader.h"

struct ledger_reader {
    struct db db;
};

/* One snapshot for all that a call reads. */
MUST_USE int reader_begin(struct ledger_reader *r, struct err *e);
/* `result`, or -1 when the snapshot could not be ended. */
int reader_end(struct ledger_reader *r, int result);
/* Columns of EVENT_COLUMNS, borrowed from the current row. `prev_out` may be NULL. */
struct ledger_event reader_event(const struct db *db, int statement, int64_t *prev_out);

#endif
