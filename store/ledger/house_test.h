/* store/ledger/house_test.h -- a ledger of one's own for a test: writer and reader in a temporary
 * folder, opened before each case and gone after it. */
#ifndef STORE_LEDGER_HOUSE_TEST_H
#define STORE_LEDGER_HOUSE_TEST_H

#include "base/test.h"
#include "store/ledger/reader.h"
#include "store/spool/temp_test.h"

static const char *dir;
static char path[300];
static struct ledger *l;
static struct ledger_reader *reader;
static struct err e;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s", e.text);                                                                \
    } while (0)

/* In the folder that is there: what an earlier one wrote is found again. `path` of the settings is
 * filled in. */
static inline void house_open(struct ledger_settings settings)
{
    settings.path = path;
    OK(ledger_open(&settings, &l, &e));
}

static inline int house_set_up(struct ledger_settings settings)
{
    dir = temp_dir();
    (void)snprintf(path, sizeof path, "%s/ledger.db", dir);
    house_open(settings);
    OK(ledger_reader_open(path, &reader, &e));
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    ledger_reader_close(&reader);
    ledger_close(&l);
    temp_dir_remove(dir);
    return 0;
}

#endif
