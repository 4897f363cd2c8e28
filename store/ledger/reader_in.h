/* store/ledger/reader_in.h -- the reader's insides, shared by its files. */
#ifndef STORE_LEDGER_READER_IN_H
#define STORE_LEDGER_READER_IN_H

#include "store/ledger/ledger_in.h"
#include "store/ledger/reader.h"

struct ledger_reader {
    struct db db;
};

#endif
