#include "store/ledger/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/ledger/ledger_in.h"

#define DAY_MS INT64_C(86400000)
#define FRAME_BYTES 1048 /* a page and its header in the log */

/* --- opening --- */

static int lock_writer(struct ledger *l, const char *path, struct err *e)
{
    size_t size = strlen(path) + sizeof "-writer";
    char *name = mem_alloc(size);
    int result = 0;

    snprintf(name, size, "%s-writer", path);
    l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (l->lock_fd < 0)
        result = err_system(e, errno, "cannot open %s", name);
    else if (flock(l->lock_fd, LOCK_EX | LOCK_NB) != 0)
        result = errno == EWOULDBLOCK
                     ? err_set(e, ERR_TEMP, "%s is in use by another process", path)
                     : err_system(e, errno, "cannot lock %s", name);
    free(name);
    return result;
}

static int migrate(struct db *db, const char *path, struct err *e)
{
    int64_t version;
    char pragma[48];

    if (db_pragma_int(db, "PRAGMA user_version", &version, e) != 0)
        return -1;
    if (version > SCHEMA_VERSION)
        return err_set(e, ERR_SYNTAX, "%s has schema %lld; this program knows up to %d", path,
                       (long long)version, SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d;", (int)version + 1);
        if (db_exec(db, "BEGIN IMMEDIATE", e) != 0)
            return -1;
        if (db_exec(db, migrations[version], e) != 0 || db_exec(db, pragma, e) != 0 ||
            db_exec(db, "COMMIT", e) != 0) {
            struct err ignored;
            int undone = db_exec(db, "ROLLBACK", &ignored);
            (void)undone; /* closing does it too */
            return -1;
        }
    }
    return 0;
}

/* The one number of a statement with one row; `none` for NULL or no row. */
static int read_number(struct db *db, int statement, int64_t none, int64_t *out, struct err *e)
{
    enum db_answer answer = db_step(db, statement, e);

    *out = none;
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_ROW) {
        *out = db_int(db, statement, 0);
        db_reset(db, statement);
    }
    return 0;
}

static int load_state(struct ledger *l, struct err *e)
{
    struct db *db = &l->db;
    int64_t units;

    enum db_answer answer = db_step(db, SQL_LAST_MESSAGE, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_ROW) {
        l->now.last_id.hi = (uint64_t)db_int(db, SQL_LAST_MESSAGE, 0);
        l->now.last_id.lo = (uint64_t)db_int(db, SQL_LAST_MESSAGE, 1);
        db_reset(db, SQL_LAST_MESSAGE);
    }
    if (read_number(db, SQL_LAST_RECIPIENT, 0, &l->now.next_recipient, e) != 0 ||
        read_number(db, SQL_LAST_EVENT, 0, &l->now.next_seq, e) != 0 ||
        read_number(db, SQL_COUNT_WORK, 0, &units, e) != 0)
        return -1;
    l->now.next_recipient++;
    l->now.next_seq++;
    l->now.units = (uint64_t)units; /* a count */
    return segments_load(l, e);
}

static int load_duplicates(struct ledger *l, struct err *e)
{
    struct db *db = &l->db;
    int64_t oldest = 0;
    enum db_answer answer;

    db_bind(db, SQL_RECENT_DIGESTS, "i", (l->now_ms - l->duplicate_window_ms) * 65536);
    while ((answer = db_step(db, SQL_RECENT_DIGESTS, e)) == DB_ROW) {
        int64_t reference = db_int(db, SQL_RECENT_DIGESTS, 0);
        struct slice digest = db_text(db, SQL_RECENT_DIGESTS, 1);
        if (oldest == 0)
            oldest = reference;
        if (digest.n != LEDGER_DIGEST_BYTES)
            continue;
        if (duplicates_is_crowded(&l->duplicates, reference))
            duplicates_trim(&l->duplicates, oldest);
        if (!duplicates_is_crowded(&l->duplicates, reference))
            duplicates_add(&l->duplicates, (const unsigned char *)digest.p, reference);
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_open(const struct ledger_settings *settings, struct ledger **ledger_out, struct err *e)
{
    struct ledger *l = mem_alloc(sizeof *l);
    uint32_t checkpoint_kib = settings->checkpoint_kib > 0 ? settings->checkpoint_kib : 16384;

    l->lock_fd = -1;
    l->now_ms = settings->now_ms;
    l->unit_recipients = settings->unit_recipients > 0 ? settings->unit_recipients : 100;
    l->checkpoint_frames = checkpoint_kib * 1024 / FRAME_BYTES;
    l->duplicate_window_ms =
        settings->duplicate_window_ms > 0 ? settings->duplicate_window_ms : DAY_MS;
    list_init(&l->taken);
    list_init(&l->added);
    list_init(&l->consumed);
    l->sites = map_create((uintptr_t)l);
    duplicates_init(&l->duplicates,
                    settings->duplicate_entries > 0 ? settings->duplicate_entries : 4194304);
    sources_init(&l->sources);
    stats_init(&l->stats, settings->tags_per_hour > 0 ? settings->tags_per_hour : 1000);
    buf_init(&l->text, (size_t)16 * LEDGER_RECIPIENTS_MAX);
    struct db_options options = {
        .path = settings->path, .vfs = settings->vfs, .cache_kib = settings->cache_kib};
    if (lock_writer(l, settings->path, e) != 0 || db_open(&l->db, &options, e) != 0 ||
        migrate(&l->db, settings->path, e) != 0 ||
        db_prepare(&l->db, writer_sql, SQL_WRITER_COUNT, e) != 0 || load_state(l, e) != 0 ||
        load_duplicates(l, e) != 0 || suppression_load(l, e) != 0) {
        ledger_close(&l);
        return -1;
    }
    *ledger_out = l;
    return 0;
}

static void drop_units(struct ledger *l, struct list *units)
{
    LIST_EACH(units, link)
    unit_drop(l, CONTAINER_OF(link, struct unit, link));
}

void ledger_close(struct ledger **ledger)
{
    struct ledger *l = *ledger;

    if (l == NULL)
        return;
    if (l->in_group)
        ledger_rollback(l);
    drop_units(l, &l->taken);
    db_close(&l->db);
    if (l->lock_fd >= 0)
        close(l->lock_fd);
    free(l->buckets);
    free((void *)l->view);
    free(l->segments);
    free(l->dirty);
    map_destroy(&l->sites);
    duplicates_finish(&l->duplicates);
    stats_finish(&l->stats);
    sources_finish(&l->sources);
    buf_finish(&l->text);
    free(l);
    *ledger = NULL;
}

struct id ledger_last_id(const struct ledger *l)
{
    return l->now.last_id;
}

/* --- groups --- */

int ledger_expect_group(struct ledger *l, struct err *e)
{
    assert(l->in_group);
    if (l->db.failed)
        return err_set(e, ERR_SYSTEM, "ledger: this group failed before");
    return 0;
}

bool ledger_in_group(const struct ledger *l)
{
    return l->in_group;
}

bool ledger_is_full(const struct ledger *l)
{
    return l->db.full;
}

int ledger_begin(struct ledger *l, struct err *e)
{
    assert(!l->in_group);
    l->db.failed = l->db.full = false;
    if (db_run(&l->db, SQL_BEGIN, e) != 0) {
        l->counters.failures++;
        return -1;
    }
    l->in_group = true;
    l->saved = l->now;
    return 0;
}

/* The group is stored: what it added is ordinary now, what it consumed is gone. */
static void keep_group(struct ledger *l)
{
    LIST_EACH(&l->added, link)
    {
        CONTAINER_OF(link, struct unit, link)->is_new = false;
        list_remove(link);
        list_append(&l->taken, link);
    }
    drop_units(l, &l->consumed);
    segments_settle(l, true);
    l->counters.commits++;
    l->in_group = false;
}

void ledger_rollback(struct ledger *l)
{
    struct err ignored;

    assert(l->in_group);
    if (db_run(&l->db, SQL_ROLLBACK, &ignored) != 0)
        l->db.failed = true; /* SQLite has rolled back by itself after the failure */
    LIST_EACH(&l->consumed, link)
    {
        struct unit *u = CONTAINER_OF(link, struct unit, link);
        u->consumed = false;
        list_remove(link);
        list_append(u->is_new ? &l->added : &l->taken, link);
    }
    drop_units(l, &l->added);
    segments_settle(l, false);
    stats_forget(&l->stats);
    sources_forget(&l->sources);
    map_destroy(&l->sites); /* it may hold numbers that were never stored */
    l->sites = map_create((uintptr_t)l);
    l->now = l->saved;
    l->dmarc.is_loaded = false; /* counts of what was never stored */
    l->in_group = false;
}

int ledger_commit(struct ledger *l, struct err *e)
{
    assert(l->in_group);
    if (l->db.failed)
        err_set(e, ERR_SYSTEM, "ledger: a change of this group failed");
    else if (segments_store(l, e) == 0 && stats_store(&l->stats, &l->db, e) == 0 &&
             sources_store(&l->sources, &l->db, e) == 0 && db_run(&l->db, SQL_COMMIT, e) == 0) {
        keep_group(l);
        return 0;
    }
    bool full = l->db.full;
    ledger_rollback(l);
    l->db.full = full;
    l->counters.failures++;
    return -1;
}

int ledger_checkpoint_if_due(struct ledger *l, struct err *e)
{
    assert(!l->in_group);
    if (db_log_frames(&l->db) < l->checkpoint_frames)
        return 0;
    l->counters.checkpoints++;
    l->db.log_frames = 0; /* the next commit tells anew */
    return db_checkpoint(&l->db, e);
}

struct ledger_counters ledger_counters(const struct ledger *l)
{
    struct ledger_counters c = l->counters;

    c.messages = l->now.messages;
    c.units = l->now.units;
    c.taken = l->taken_count;
    c.duplicates = l->now.duplicates;
    c.duplicate_entries = l->duplicates.count;
    return c;
}

/* --- keeping house --- */

struct old_message {
    int64_t id, first, count, received_ms;
    bool is_open;
};

static int forget_message(struct ledger *l, const struct old_message *m, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_REMOVE_RECIPIENTS, "ii", m->first, m->first + m->count - 1);
    if (db_run(db, SQL_REMOVE_RECIPIENTS, e) != 0)
        return -1;
    db_bind(db, SQL_REMOVE_ASIDE, "i", m->id);
    if (db_run(db, SQL_REMOVE_ASIDE, e) != 0)
        return -1;
    db_bind(db, SQL_REMOVE_MESSAGE, "i", m->id);
    return db_run(db, SQL_REMOVE_MESSAGE, e);
}

/* Events go by age, whomever they are about; the counts of an hour as well. */
static int forget_events(struct ledger *l, int64_t before_ms, size_t limit, bool *more,
                         struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_REMOVE_EVENTS, "ii", (int64_t)limit, before_ms);
    if (db_run(db, SQL_REMOVE_EVENTS, e) != 0)
        return -1;
    *more = *more || (size_t)db_changes(db) == limit;
    db_bind(db, SQL_REMOVE_STATS, "i", before_ms / 3600000);
    if (db_run(db, SQL_REMOVE_STATS, e) != 0)
        return -1;
    db_bind(db, SQL_REMOVE_LATENCIES, "i", before_ms / 3600000);
    if (db_run(db, SQL_REMOVE_LATENCIES, e) != 0)
        return -1;
    db_bind(db, SQL_REMOVE_SOURCES, "i", before_ms / DAY_MS);
    if (db_run(db, SQL_REMOVE_SOURCES, e) != 0)
        return -1;
    db_bind(db, SQL_REMOVE_NOTICES, "i", before_ms);
    return db_run(db, SQL_REMOVE_NOTICES, e);
}

int ledger_forget(struct ledger *l, int64_t before_ms, size_t limit, bool *more_out, struct err *e)
{
    struct db *db = &l->db;
    struct old_message *old = mem_alloc(limit * sizeof *old);
    enum db_answer answer;
    size_t n = 0;
    int result = -1;

    *more_out = false;
    if (ledger_expect_group(l, e) != 0)
        goto out;
    db_bind(db, SQL_OLD_MESSAGES, "ii", l->forget_after, (int64_t)limit);
    while ((answer = db_step(db, SQL_OLD_MESSAGES, e)) == DB_ROW) {
        if (n < limit)
            old[n++] = (struct old_message){
                db_int(db, SQL_OLD_MESSAGES, 0), db_int(db, SQL_OLD_MESSAGES, 1),
                db_int(db, SQL_OLD_MESSAGES, 2), db_int(db, SQL_OLD_MESSAGES, 3),
                db_int(db, SQL_OLD_MESSAGES, 4) > 0};
    }
    if (answer == DB_FAILED)
        goto out;
    bool at_end = n < limit;
    for (size_t i = 0; i < n; i++) {
        if (old[i].received_ms >= before_ms) {
            at_end = true;
            break;
        }
        l->forget_after = old[i].id;
        if (!old[i].is_open && forget_message(l, &old[i], e) != 0)
            goto out;
    }
    *more_out = !at_end;
    if (at_end)
        l->forget_after = 0; /* from the start next time: some may be finished by then */
    result = forget_events(l, before_ms, limit, more_out, e);
out:
    free(old);
    return result;
}
