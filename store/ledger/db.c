#include "store/ledger/db_in.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#define PAGE_BYTES "1024"
#define BUSY_WAIT_MS                                                                               \
    5000 /* a reader's recovery or a checkpoint; commits never wait for readers                    \
          */

static int fail(struct db *db, const char *doing, struct err *e)
{
    int code = sqlite3_extended_errcode(db->handle);
    int errnum = sqlite3_system_errno(db->handle);
    bool full = (code & 0xff) == SQLITE_FULL ||
                ((code & 0xff) == SQLITE_IOERR && (errnum == ENOSPC || errnum == EDQUOT));
    enum err_code kind = (code & 0xff) == SQLITE_BUSY     ? ERR_TEMP
                         : (code & 0xff) == SQLITE_NOTADB ? ERR_SYNTAX
                                                          : ERR_SYSTEM;

    db->failed = true;
    db->full = full;
    return err_set(e, kind, "ledger: cannot %.60s: %s (%d)", doing, sqlite3_errmsg(db->handle),
                   code);
}

static int count_frames(void *ctx, sqlite3 *handle, const char *name, int frames)
{
    uint64_t *log_frames = ctx;

    (void)handle, (void)name;
    *log_frames = (uint64_t)frames; /* never negative */
    return SQLITE_OK;
}

static int set_up_writer(struct db *db, struct err *e)
{
    int persist = 1;

    /* The log is written over and over in place: that costs a fraction of the sync of a file that
     * grows, so it is kept at its size, also while nobody has the database open. */
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    if (db_exec(db,
                "PRAGMA page_size=" PAGE_BYTES ";"
                "PRAGMA journal_mode=WAL;"
                "PRAGMA synchronous=FULL;"
                "PRAGMA wal_autocheckpoint=0;"
                "PRAGMA secure_delete=OFF;"
                "PRAGMA temp_store=MEMORY;",
                e) != 0)
        return -1;
    sqlite3_wal_hook(db->handle, count_frames, &db->log_frames);
    return 0;
}

int db_open(struct db *db, const struct db_options *options, struct err *e)
{
    int flags =
        options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    char pragma[64];

    *db = (struct db){0};
    if (sqlite3_open_v2(options->path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, options->vfs) !=
        SQLITE_OK) {
        fail(db, "open the database", e);
        if (options->read_only && sqlite3_errcode(db->handle) == SQLITE_CANTOPEN)
            err_set(e, ERR_FOUND, "there is no readable ledger at %s", options->path);
        return -1;
    }
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_WAIT_MS);
    snprintf(pragma, sizeof pragma, "PRAGMA cache_size=-%u",
             options->cache_kib > 0 ? options->cache_kib : 32768);
    if (!options->read_only && set_up_writer(db, e) != 0)
        return -1;
    return db_exec(db, pragma, e);
}

int db_prepare(struct db *db, const char *const *sql, int count, struct err *e)
{
    db->sql = sql;
    db->count = count;
    db->statements = mem_alloc((size_t)count * sizeof *db->statements);
    for (int i = 0; i < count; i++)
        if (sqlite3_prepare_v3(db->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &db->statements[i], NULL) != SQLITE_OK)
            return fail(db, sql[i], e);
    return 0;
}

void db_close(struct db *db)
{
    for (int i = 0; i < db->count; i++)
        sqlite3_finalize(db->statements[i]);
    free(db->statements);
    sqlite3_close(db->handle);
    *db = (struct db){0};
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(db, sql, e);
    return 0;
}

int db_pragma_int(struct db *db, const char *sql, int64_t *value_out, struct err *e)
{
    sqlite3_stmt *statement = NULL;
    int result = 0;

    if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        result = fail(db, sql, e);
    else
        *value_out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

void db_bind(struct db *db, int statement, const char *types, ...)
{
    sqlite3_stmt *s = db->statements[statement];
    va_list args;
    int code = SQLITE_OK;

    va_start(args, types);
    for (int i = 1; *types != '\0'; i++, types++) {
        struct slice bytes;
        switch (*types) {
        case 'i':
            code |= sqlite3_bind_int64(s, i, va_arg(args, int64_t));
            break;
        case 't':
            bytes = va_arg(args, struct slice);
            code |= sqlite3_bind_text64(s, i, bytes.n > 0 ? bytes.p : "", bytes.n, SQLITE_STATIC,
                                        SQLITE_UTF8);
            break;
        case 'b':
            bytes = va_arg(args, struct slice);
            code |= sqlite3_bind_blob64(s, i, bytes.p, bytes.n, SQLITE_STATIC);
            break;
        default:
            assert(*types == 'n');
            code |= sqlite3_bind_null(s, i);
        }
    }
    va_end(args);
    assert(code == SQLITE_OK); /* a wrong number of parameters, or a statement in mid-step */
}

enum db_answer db_step(struct db *db, int statement, struct err *e)
{
    sqlite3_stmt *s = db->statements[statement];
    int code = sqlite3_step(s);

    if (code == SQLITE_ROW)
        return DB_ROW;
    if (code != SQLITE_DONE)
        fail(db, db->sql[statement], e);
    sqlite3_reset(s);
    return code == SQLITE_DONE ? DB_DONE : DB_FAILED;
}

void db_reset(struct db *db, int statement)
{
    sqlite3_reset(db->statements[statement]);
}

int db_run(struct db *db, int statement, struct err *e)
{
    enum db_answer answer = db_step(db, statement, e);

    assert(answer != DB_ROW);
    return answer == DB_DONE ? 0 : -1;
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t db_int(const struct db *db, int statement, int column)
{
    return sqlite3_column_int64(db->statements[statement], column);
}

struct slice db_text(const struct db *db, int statement, int column)
{
    sqlite3_stmt *s = db->statements[statement];
    const void *p = sqlite3_column_blob(s, column);

    return (struct slice){p, (size_t)sqlite3_column_bytes(s, column)}; /* never negative */
}

int db_checkpoint(struct db *db, struct err *e)
{
    if (sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) !=
        SQLITE_OK)
        return fail(db, "checkpoint", e);
    return 0;
}

uint64_t db_log_frames(const struct db *db)
{
    return db->log_frames;
}
