/* app/compare_ledger.h -- joins a comparison with our own ledger, when there is one at hand. */
#ifndef APP_COMPARE_LEDGER_H
#define APP_COMPARE_LEDGER_H

#include "lib/trace/compare.h"
#include "store/ledger/reader.h"

/* The ledger at `path` (the file, or the data directory), or of the settings in `config`, or of the
 * default settings if they are there and readable; NULL when neither was given and there is none.
 * Dies when what was asked for cannot be opened. */
struct ledger_reader *compare_ledger_open(const char *path, const char *config);

/* Gives every group of copies the events of our messages: those whose id stands in a Received
 * field, and those with the same Message-ID. */
MUST_USE int compare_ledger_join(struct compare *c, const struct compare_group *groups,
                                 size_t count, struct ledger_reader *reader, struct err *e);

#endif
