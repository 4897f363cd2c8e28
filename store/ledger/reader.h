/* store/ledger/reader.h -- the ledger for eyes: read-only, from any process, while the daemon runs.
 *
 * Each call reads one consistent snapshot. Slices in rows are good during the callback only; a
 * callback that returns false ends the listing. */
#ifndef STORE_LEDGER_READER_H
#define STORE_LEDGER_READER_H

#include "store/ledger/dmarc.h"
#include "store/ledger/ledger.h"
#include "store/ledger/notice.h"
#include "store/ledger/suppression.h"

struct ledger_reader; /* opaque */

/* -1: ERR_FOUND when there is no ledger, ERR_SYNTAX when its schema is another version's. */
MUST_USE int ledger_reader_open(const char *path, struct ledger_reader **reader_out, struct err *e);
void ledger_reader_close(struct ledger_reader **reader); /* NULL is fine; writes NULL back */

/* --- the queue --- */

/* Empty or zero fields match everything. */
struct ledger_filter {
    uint32_t states;     /* bits 1u << enum ledger_state; 0: all that is unfinished */
    struct slice domain; /* of the recipient's address, without case */
    struct slice site;
    struct slice stream, tag;
    struct slice sender, recipient; /* whole addresses, without case */
    struct id id;
    uint64_t limit; /* rows; 0: 100 */
};
/* One recipient that is not finished (or, with `states`, any recipient). */
struct ledger_row {
    struct id id;
    uint32_t n; /* recipient's number */
    int64_t received_ms, due_ms;
    struct slice sender, address, site, stream, tag, subject;
    uint64_t size_bytes;
    enum ledger_state state;
    uint32_t attempts;
    bool in_flight;      /* a dot was sent and its outcome is not known yet */
    uint32_t reply_code; /* of the last attempt, 0: none */
    struct slice reply_text;
};
/* By time of receipt, oldest first. */
MUST_USE int ledger_list(struct ledger_reader *r, const struct ledger_filter *filter,
                         bool (*row)(void *ctx, const struct ledger_row *row), void *ctx,
                         struct err *e);

/* --- one message --- */

struct ledger_event {
    uint64_t seq; /* grows with time, without meaning otherwise; may have gaps */
    int64_t time_ms;
    struct id id;
    enum ledger_kind kind;
    struct slice recipients; /* "1-100,105" */
    struct slice host, ip, enhanced, text;
    struct slice category; /* of a failure, as lib/bounce names it; empty: none */
    uint32_t reply_code;
    int64_t start_ms, dot_ms; /* 0: none */
    struct slice stream, tag;
    /* In the log only: the first of the recipients, and whether there are more. */
    struct slice address;
    bool has_others;
};
struct ledger_recipient_view {
    struct slice address, options, site;
    enum ledger_state state;
    uint32_t attempts;
    int64_t due_ms;      /* when not final */
    int64_t dot_ms;      /* a dot that waits for its outcome, 0: none */
    uint64_t last_event; /* seq */
};
/* All there is to say about one message. */
struct ledger_story {
    struct ledger_message message;
    const struct ledger_recipient_view *recipients; /* [message.recipient_count] */
    const struct ledger_event *events;              /* by seq */
    size_t event_count;
};
/* Text and arrays live in `arena`. ERR_FOUND: no such message; ERR_LIMIT: the arena is full. */
MUST_USE int ledger_show(struct ledger_reader *r, struct id id, struct arena *arena,
                         struct ledger_story *story_out, struct err *e);
/* The ids of messages with this Message-ID header, newest first, looked for among the newest
 * `depth` messages; returns how many were found. */
MUST_USE int ledger_find_message_id(struct ledger_reader *r, struct slice message_id, size_t depth,
                                    struct id *out, size_t limit, size_t *n_out, struct err *e);

/* --- the log --- */

/* Events with seq > `since`, in order, at most `limit`. For `events -f`: call again with the last
 * seq. `ledger_last_seq` gives where the log ends now. */
MUST_USE int ledger_events(struct ledger_reader *r, uint64_t since, uint64_t limit,
                           bool (*event)(void *ctx, const struct ledger_event *event), void *ctx,
                           struct err *e);
MUST_USE int ledger_last_seq(struct ledger_reader *r, uint64_t *seq_out, struct err *e);

/* Events and notices in one order: `limit` of each at most, so call again with the last number. */
struct ledger_log_handlers {
    bool (*event)(void *ctx, const struct ledger_event *event);
    bool (*notice)(void *ctx, const struct ledger_notice *notice);
};
MUST_USE int ledger_log(struct ledger_reader *r, uint64_t since, uint64_t limit,
                        const struct ledger_log_handlers *handlers, void *ctx, struct err *e);

/* --- the set-up --- */

/* Local addresses that mail left from, by domain, smart host and address. */
MUST_USE int ledger_each_source(struct ledger_reader *r,
                                bool (*row)(void *ctx, const struct ledger_source *row), void *ctx,
                                struct err *e);
/* Domains whose set-up was looked at, with the time of the last look; `domain` empty: all. The
 * findings of each follow it, in order. */
struct ledger_checkup {
    struct slice domain;
    int64_t time_ms;
};
MUST_USE int ledger_each_checkup(struct ledger_reader *r, struct slice domain,
                                 bool (*checkup)(void *ctx, const struct ledger_checkup *checkup),
                                 bool (*finding)(void *ctx, const struct ledger_finding *finding),
                                 void *ctx, struct err *e);

/* --- streams --- */

struct ledger_stream_row {
    struct slice stream, tag; /* tag empty: no tag */
    /* recipients, counted when it happened; `messages` and `duplicates` count messages */
    uint64_t messages, sent, delivered, deferred, bounced, unknown, expired, duplicates;
    /* from receipt to delivery, milliseconds, within 10 %; -1: nothing was delivered */
    int64_t p50_ms, p90_ms, p99_ms;
};
/* Counts of the hours from..to (unix ms, rounded out to whole hours). With `by_tag`, one row for
 * each stream and tag; without, one for each stream. */
MUST_USE int ledger_streams(struct ledger_reader *r, int64_t from_ms, int64_t to_ms, bool by_tag,
                            bool (*row)(void *ctx, const struct ledger_stream_row *row), void *ctx,
                            struct err *e);

/* --- suppression --- */

/* Suppressed addresses in order; empty address: all; scope NULL: all, else that stream ('' global).
 */
MUST_USE int ledger_each_suppression(struct ledger_reader *r, struct slice address,
                                     const struct slice *scope,
                                     bool (*row)(void *ctx, const struct ledger_suppression *row),
                                     void *ctx, struct err *e);
/* The failures of an address that are being counted, oldest first. */
MUST_USE int ledger_each_failure(struct ledger_reader *r, struct slice address,
                                 bool (*row)(void *ctx, const struct ledger_failure *row),
                                 void *ctx, struct err *e);

/* --- for fsck --- */

/* Until it is let go, the calls of this section see one snapshot. Do not hold it for long: the
 * daemon's log grows meanwhile. */
MUST_USE int ledger_reader_hold(struct ledger_reader *r, struct err *e);
void ledger_reader_let_go(struct ledger_reader *r);

/* Every message in order of id: where it lies, and whether it is unfinished. */
MUST_USE int ledger_each_stored(struct ledger_reader *r,
                                bool (*stored)(void *ctx, struct id id,
                                               const struct spool_place *place, bool live),
                                void *ctx, struct err *e);
/* One message; false in *found_out when the ledger does not have it. */
MUST_USE int ledger_find_stored(struct ledger_reader *r, struct id id, bool *found_out,
                                struct spool_place *place_out, bool *live_out, struct err *e);
/* Whether the database is sound in itself. */
struct ledger_check {
    char damage[128];         /* what SQLite says is wrong with the file; empty: nothing */
    uint64_t lost_recipients; /* unfinished, but in no unit: nobody would ever try again */
    uint64_t stray_units;     /* without recipients that wait in them */
};
MUST_USE int ledger_check(struct ledger_reader *r, struct ledger_check *check_out, struct err *e);
MUST_USE int ledger_each_segment(struct ledger_reader *r,
                                 bool (*segment)(void *ctx, const struct ledger_segment *segment),
                                 void *ctx, struct err *e);

/* --- DMARC reports --- */

/* Periods of ours, by day and domain; their texts live in `arena`. A callback that returns false
 * ends the walk, here and below. */
MUST_USE int ledger_each_dmarc_period(
    struct ledger_reader *r, int64_t first_day, int64_t last_day, struct arena *arena,
    bool (*period)(void *ctx, const struct ledger_dmarc_period *p), void *ctx, struct err *e);
/* The rows of one, the most frequent first. */
MUST_USE int ledger_each_dmarc_row(struct ledger_reader *r, int64_t period,
                                   bool (*row)(void *ctx, struct slice line, uint64_t count),
                                   void *ctx, struct err *e);

/* A report that was received. */
struct ledger_dmarc_report {
    int64_t id;
    struct slice org, report_id, domain, email, policy;
    int64_t begin_s, end_s, received_s;
};
/* Whole ones whose time ended at `since_s` or later, by domain; texts live in `arena`. */
MUST_USE int ledger_each_dmarc_report(struct ledger_reader *r, int64_t since_s, struct arena *arena,
                                      bool (*report)(void *ctx,
                                                     const struct ledger_dmarc_report *d),
                                      void *ctx, struct err *e);
MUST_USE int ledger_each_dmarc_report_row(struct ledger_reader *r, int64_t report,
                                          bool (*row)(void *ctx, struct slice line, uint64_t count),
                                          void *ctx, struct err *e);

#endif
