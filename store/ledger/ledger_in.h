/* store/ledger/ledger_in.h -- the writer's insides, shared by its files. */
#ifndef STORE_LEDGER_LEDGER_IN_H
#define STORE_LEDGER_LEDGER_IN_H

#include "base/list.h"
#include "base/map.h"
#include "store/ledger/db_in.h"
#include "store/ledger/dmarc.h"
#include "store/ledger/duplicates_in.h"
#include "store/ledger/ledger.h"
#include "store/ledger/notice.h"
#include "store/ledger/sources_in.h"
#include "store/ledger/sql_in.h"
#include "store/ledger/stats_in.h"

#define LEDGER_FILTER_BYTES 65536u

/* A taken unit. In exactly one list: taken, added (in this group) or consumed (in this group). */
struct unit {
    struct ledger_unit face; /* first: a face is its unit */
    struct list link;
    struct unit *next_in_bucket;
    int64_t first; /* row of the message's recipient 1 */
    uint32_t recipient_count;
    uint64_t segment, record_bytes;
    int64_t event; /* the last one in the unit's life */
    unsigned dots;
    bool is_new;   /* added in this group */
    bool consumed; /* its outcome came in this group */
    struct range_list ranges;
    char text[]; /* stream, tag */
};

struct segment_entry {
    struct ledger_segment face;
    int64_t low_id, high_id; /* of the messages that came into it */
    bool is_dirty, is_new;
    struct ledger_segment saved; /* as it was when the group began; of a dirty one */
    int64_t saved_low_id, saved_high_id;
};

/* What a rollback sets back. */
struct group_state {
    int64_t next_seq, next_recipient;
    uint64_t units, messages, duplicates;
    struct id last_id;
};

struct ledger {
    struct db db;
    int lock_fd;
    uint32_t unit_recipients, checkpoint_frames;
    int64_t duplicate_window_ms, now_ms;

    bool in_group;
    struct group_state now, saved;

    struct unit **buckets;
    size_t bucket_count, taken_count;
    struct list taken, added, consumed;
    const struct ledger_unit **view; /* what ledger_units points at */
    size_t view_n, view_cap;

    struct segment_entry *segments; /* by number */
    size_t segment_n, segment_cap;
    uint64_t *dirty; /* numbers of the dirty ones */
    size_t dirty_n, dirty_cap;

    struct map *sites; /* name to number; emptied when it grows too large */
    struct duplicates duplicates;
    struct stats stats;
    struct sources sources;
    struct buf text;      /* ranges on their way into a statement */
    int64_t forget_after; /* where ledger_forget() goes on */
    struct ledger_counters counters;
    struct {
        bool is_loaded;
        int64_t day;
        uint64_t periods, rows; /* of that day */
    } dmarc;
    bool has_failures;
    unsigned char failing[LEDGER_FILTER_BYTES]; /* a filter of addresses that failed */
};

/* --- units.c --- */
struct unit *unit_create(struct ledger *l, struct slice stream, struct slice tag);
void unit_destroy(struct unit *u);
void unit_take(struct ledger *l, struct unit *u, struct list *where); /* into the table */
void unit_drop(struct ledger *l, struct unit *u);                     /* out of it, destroyed */
struct unit *unit_find(const struct ledger *l, uint64_t hi, uint32_t part);
void view_clear(struct ledger *l);
void view_add(struct ledger *l, const struct unit *u);
/* Makes the taken unit of a work row; NULL: its message is not there, or the text is bad. */
struct unit *unit_load(struct ledger *l, uint64_t hi, uint32_t part, uint32_t site, int64_t due_ms,
                       struct slice recipients, uint32_t attempts, int64_t event, struct err *e);
/* '' for the one recipient `part`; good until the next call. */
struct slice work_text(struct ledger *l, struct ranges ranges, uint32_t part);
/* The same for events: good until the next call. */
struct slice ranges_text(struct ledger *l, struct ranges ranges);

/* --- accept.c --- */
struct event_row {
    int64_t time_ms;
    uint64_t hi;
    enum ledger_kind kind;
    struct slice recipients, host, ip, enhanced, text, category;
    uint32_t reply_code;
    int64_t start_ms, dot_ms, prev;
};
/* Appends an event; its number in *seq_out (may be NULL). */
MUST_USE int add_event(struct ledger *l, const struct event_row *row, int64_t *seq_out,
                       struct err *e);
MUST_USE int add_work(struct ledger *l, uint32_t site, int64_t due_ms, uint64_t hi, uint32_t part,
                      struct ranges ranges, uint32_t attempts, int64_t event, struct err *e);
/* Reads MESSAGE_COLUMNS of the current row; text goes to the arena. */
MUST_USE int read_message(const struct db *db, int statement, struct arena *arena,
                          struct ledger_message *message_out, int64_t *first_out, struct err *e);

/* --- outcome.c --- */
/* `count` recipients of the message are final now. */
MUST_USE int finish_recipients(struct ledger *l, const struct unit *u, uint64_t count,
                               int64_t now_ms, struct err *e);
/* Recipients of the unit without a result stay queued as they are. */
MUST_USE int apply_results(struct ledger *l, struct unit *u, const struct ledger_result *results,
                           size_t n, int64_t due_ms, int64_t now_ms, bool may_rest, struct err *e);

/* --- segments.c --- */
/* Where the segment is in l->segments, or belongs. */
size_t segment_find(const struct ledger *l, uint64_t segment);
bool segment_is_at(const struct ledger *l, size_t at, uint64_t segment);
/* Before an entry is changed: keeps what a rollback sets back. */
void segment_touch(struct ledger *l, struct segment_entry *entry);
MUST_USE int segments_load(struct ledger *l, struct err *e);
MUST_USE int segments_store(struct ledger *l, struct err *e); /* the dirty ones */
void segments_settle(struct ledger *l, bool keep);            /* after commit or rollback */
void segment_enter(struct ledger *l, uint64_t segment, uint64_t bytes, uint64_t hi, int64_t now_ms);
void segment_leave(struct ledger *l, uint64_t segment, uint64_t bytes, int64_t now_ms);

/* --- suppression.c --- */
MUST_USE int suppression_load(struct ledger *l, struct err *e);

/* --- dmarc.c --- */
/* Reads DMARC_PERIOD_COLUMNS of the current row. */
struct ledger_dmarc_period dmarc_period(const struct db *db, int statement, struct arena *arena);

/* --- rows that writer and reader both have --- */
struct ledger_source source_of_row(const struct db *db, int statement);
struct ledger_finding finding_of_row(const struct db *db, int statement);

/* --- ledger.c --- */
MUST_USE int ledger_expect_group(struct ledger *l, struct err *e);

#endif
