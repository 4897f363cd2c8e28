/* store/ledger/db_in.h -- the one place that calls SQLite: a handle with its prepared statements.
 *
 *     db_bind(db, SQL_FIND_SITE, "t", name);
 *     switch (db_step(db, SQL_FIND_SITE, e)) { case DB_ROW: ... db_int(db, SQL_FIND_SITE, 0) ... }
 *     db_reset(db, SQL_FIND_SITE); */
#ifndef STORE_LEDGER_DB_IN_H
#define STORE_LEDGER_DB_IN_H

#include "base/base.h"

struct sqlite3;
struct sqlite3_stmt;

struct db {
    struct sqlite3 *handle;
    struct sqlite3_stmt **statements;
    int count;
    const char *const *sql;
    bool full;   /* the last failure was a full disk */
    bool failed; /* something failed since this was last set to false */
    uint64_t log_frames;
};

struct db_options {
    const char *path, *vfs;
    bool read_only;
    uint32_t cache_kib;
};
/* Opens and sets up; the statements are prepared by db_prepare(), after migrating. */
MUST_USE int db_open(struct db *db, const struct db_options *options, struct err *e);
MUST_USE int db_prepare(struct db *db, const char *const *sql, int count, struct err *e);
void db_close(struct db *db); /* zeroed is fine */
MUST_USE int db_exec(struct db *db, const char *sql, struct err *e);
MUST_USE int db_pragma_int(struct db *db, const char *sql, int64_t *value_out, struct err *e);

/* Binds from parameter 1 on, as `types` tells: i int64_t, t struct slice as text, b struct slice as
 * blob, n NULL (takes no argument). Bytes must stay until the step. */
void db_bind(struct db *db, int statement, const char *types, ...);

enum db_answer { DB_ROW, DB_DONE, DB_FAILED };
/* DB_DONE and DB_FAILED reset the statement. */
enum db_answer db_step(struct db *db, int statement, struct err *e);
void db_reset(struct db *db, int statement);
/* For what gives no rows. */
MUST_USE int db_run(struct db *db, int statement, struct err *e);
int64_t db_changes(const struct db *db);

int64_t db_int(const struct db *db, int statement, int column);
struct slice db_text(const struct db *db, int statement, int column); /* until the next step */

/* Copies the write-ahead log into the database; never waits for readers. */
MUST_USE int db_checkpoint(struct db *db, struct err *e);
uint64_t db_log_frames(const struct db *db); /* frames in the log after the last commit */

#endif
