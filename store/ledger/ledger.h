/* store/ledger/ledger.h -- who must get what and when, and everything that happened.
 *
 * One writer (the queue role), in groups. All of a group is stored, or none of it:
 *
 *     ledger_begin
 *       ledger_find_duplicate, ledger_add_message      an accepted mail: message, recipients, units
 *       ledger_dot_sent                                a final dot is about to leave
 *       ledger_outcome                                 what an attempt came to
 *       ledger_hold, _release, _retry, _drop           an operator's wish
 *     ledger_commit                                    one transaction, one sync; then the replies
 *
 * A *unit* is the work that one attempt takes up: recipients of one message that go to one site.
 * Units lie on disk ordered by (site, due time), so memory does not grow with the queue. A unit
 * that is in somebody's hands is *taken*: ledger_take_due() does not show it again, and it is in
 * memory until ledger_outcome() or ledger_give_back(). After a restart nothing is taken.
 *
 * SQLite is behind this face; no other room sees SQL. Times are unix milliseconds. Slices that go
 * in are copied; the contracts say who owns what comes out. */
#ifndef STORE_LEDGER_LEDGER_H
#define STORE_LEDGER_LEDGER_H

#include "base/arena.h"
#include "base/id.h"
#include "store/ledger/ranges.h"
#include "store/spool/place.h"

#define LEDGER_NEVER INT64_MAX /* due time of what is held */
#define LEDGER_DIGEST_BYTES 16
#define LEDGER_RECIPIENTS_MAX 1000000u /* of one message; intake has the tighter limit */

struct ledger; /* opaque */

struct ledger_settings {
    const char *path;           /* of the database file; its directory exists */
    int64_t now_ms;             /* wall time at open */
    uint32_t unit_recipients;   /* most recipients in one unit; 0: 100 */
    uint32_t duplicate_entries; /* ceiling of the idempotency table; 0: 4,194,304 (10 bytes each) */
    int64_t duplicate_window_ms; /* 0: 24 h */
    uint32_t cache_kib;          /* page cache; 0: 32 MiB */
    uint32_t checkpoint_kib; /* size of the write-ahead log that starts a checkpoint; 0: 16 MiB */
    uint32_t tags_per_hour;  /* distinct (stream, tag) counted per hour; 0: 1,000. The rest is
                              * counted under the tag "(other)" */
    const char *vfs;         /* SQLite VFS; NULL: the default. Tests inject faults with it */
};

/* Opens or makes the database, migrates its schema, reads the idempotency window. A second writer
 * gets ERR_TEMP; a schema from the future is ERR_SYNTAX. */
MUST_USE int ledger_open(const struct ledger_settings *settings, struct ledger **ledger_out,
                         struct err *e);
void ledger_close(struct ledger **ledger); /* an open group is rolled back; writes NULL back */

/* The highest id ever stored: start the id_maker with its `hi`. */
struct id ledger_last_id(const struct ledger *l);

/* --- groups --- */

/* Every call below that changes something belongs between begin and commit. A change that fails
 * (-1) spoils the group: ledger_commit() will then roll back and fail. After a failed commit all
 * is as it was at ledger_begin(), units included; the next group may succeed. Outcomes are facts:
 * the caller keeps them and repeats them in a later group. */
MUST_USE int ledger_begin(struct ledger *l, struct err *e);
MUST_USE int ledger_commit(struct ledger *l, struct err *e);
void ledger_rollback(struct ledger *l);
bool ledger_in_group(const struct ledger *l);
bool ledger_is_full(const struct ledger *l); /* the last failure was a full disk: 452, not 451 */

/* After a commit, when there is time: moves the write-ahead log into the database once it is
 * larger than checkpoint_kib. Costs up to three syncs then, nothing otherwise. */
MUST_USE int ledger_checkpoint_if_due(struct ledger *l, struct err *e);

struct ledger_counters {
    uint64_t commits, failures, checkpoints;
    uint64_t messages; /* added since open */
    uint64_t units;    /* unfinished now, held and taken included */
    uint64_t taken;    /* of these */
    uint64_t duplicates;
    uint64_t duplicate_entries;
};
struct ledger_counters ledger_counters(const struct ledger *l);

/* --- names --- */

/* The number of a site (the destination that limits and connections belong to), made if new. Only
 * inside a group. */
MUST_USE int ledger_site(struct ledger *l, struct slice name, uint32_t *site_out, struct err *e);
/* Its name, appended to `out`; -1 with ERR_FOUND. */
MUST_USE int ledger_site_name(struct ledger *l, uint32_t site, struct buf *out, struct err *e);

/* --- states and kinds --- */

/* Where a recipient stands. Stored as numbers: add at the end only. */
enum ledger_state {
    LEDGER_QUEUED,       /* due, or waiting for its time */
    LEDGER_DELIVERED,    /* final */
    LEDGER_BOUNCED,      /* final */
    LEDGER_EXPIRED,      /* final: retries ended */
    LEDGER_DROPPED,      /* final: by an operator */
    LEDGER_SUPPRESSED,   /* final: never tried */
    LEDGER_HELD,         /* until released */
    LEDGER_UNKNOWN_HELD, /* the dot went out, no reply came, the stream says hold */
    LEDGER_ASSUMED,      /* final: as above, the stream says assume-delivered */
};
#define LEDGER_STATE_COUNT 9
const char *ledger_state_name(enum ledger_state state); /* "queued", "unknown-held", ... */
bool ledger_state_find(struct slice name, enum ledger_state *state_out);
bool ledger_state_is_final(enum ledger_state state);

/* What happened. Stored as numbers: add at the end only. */
enum ledger_kind {
    LEDGER_EV_ACCEPTED,
    LEDGER_EV_SIGNED,
    LEDGER_EV_DELIVERED, /* `dot_ms` tells when the dot left */
    LEDGER_EV_DEFERRED,
    LEDGER_EV_BOUNCED,
    LEDGER_EV_UNKNOWN,
    LEDGER_EV_DUPLICATE, /* the same transaction again, answered with this message's id */
    LEDGER_EV_HELD,
    LEDGER_EV_RELEASED,
    LEDGER_EV_DROPPED,
    LEDGER_EV_EXPIRED,
    LEDGER_EV_RETRY, /* an operator asked for it now */
    LEDGER_EV_SUPPRESSED,
    LEDGER_EV_SETTLED,   /* something that came later decided an unknown outcome */
    LEDGER_EV_NOTE,      /* anything else worth a line; text says what */
    LEDGER_EV_REPORTED,  /* a report came to the return path: it failed after all */
    LEDGER_EV_COMPLAINT, /* the recipient complained, or unsubscribed */
};
#define LEDGER_KIND_COUNT 17
const char *ledger_kind_name(enum ledger_kind kind); /* "accepted", ... */
bool ledger_kind_find(struct slice name, enum ledger_kind *kind_out);

/* --- mail comes in --- */

struct ledger_message {
    struct id id;
    int64_t received_ms;
    struct slice client;    /* identity: login, or the network that allowed it */
    struct slice client_ip; /* text */
    struct slice helo;
    struct slice login;  /* authenticated as; empty: not */
    struct slice tls;    /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: none */
    struct slice sender; /* reverse path, without <>; empty: null sender */
    struct slice stream, tag;
    struct slice options; /* of MAIL FROM that travel on: "BODY=8BITMIME RET=HDRS ENVID=x" */
    uint64_t size_bytes;
    struct spool_place place;
    struct slice message_id, from, subject; /* header fields, cut to what is worth showing */
    bool has_digest; /* client identity + envelope + bytes, for ledger_find_duplicate() */
    unsigned char digest[LEDGER_DIGEST_BYTES];
    uint32_t recipient_count;
    bool alone; /* going in: each recipient is a unit of its own (it has its own reverse path) */
};

struct ledger_recipient {
    struct slice address;
    struct slice options; /* of RCPT TO that travel on: "NOTIFY=FAILURE ORCPT=rfc822;x" */
    uint32_t site;        /* of ledger_site() */
    bool is_suppressed;   /* final from the start: never tried */
};

/* Work in someone's hands. Owned by the ledger, good until its outcome is committed or it is given
 * back. */
struct ledger_unit {
    struct id id;
    uint32_t part; /* with the id, names the unit: its first recipient's number */
    uint32_t site;
    int64_t due_ms, received_ms;
    uint32_t attempts; /* that were made before */
    struct ranges recipients;
    struct slice stream, tag;
};
struct ledger_units {
    const struct ledger_unit *const *p; /* the array is good until the next call into the ledger */
    size_t n;
};

/* Stores a message and recipients 1..n (the order given), makes units of those that share a site,
 * due at `due_ms` (LEDGER_NEVER: held from the start), and an `accepted` event. With `take`, the
 * new units are taken at once and returned in `*units_out` (may be NULL without `take`): dispatch
 * them from memory. Bound what you take: a taken unit costs about 300 bytes of memory. */
MUST_USE int ledger_add_message(struct ledger *l, const struct ledger_message *message,
                                const struct ledger_recipient *recipients, size_t n, int64_t due_ms,
                                bool take, struct ledger_units *units_out, struct err *e);

/* Whether the same digest was stored within the window (this group included). Then the client is
 * answered with `*id_out`, and ledger_add_duplicate() makes the event. */
bool ledger_find_duplicate(struct ledger *l, const unsigned char digest[LEDGER_DIGEST_BYTES],
                           int64_t now_ms, struct id *id_out);
MUST_USE int ledger_add_duplicate(struct ledger *l, struct id id, struct slice client_ip,
                                  int64_t now_ms, struct err *e);

/* An event that changes no recipient (SIGNED, NOTE, SUPPRESSED, ...). Empty ranges: all. */
struct ledger_event_note {
    enum ledger_kind kind;
    struct ranges recipients;
    struct slice host, ip, text;
};
MUST_USE int ledger_add_event(struct ledger *l, struct id id, const struct ledger_event_note *note,
                              int64_t now_ms, struct err *e);

/* --- mail goes out --- */

/* Takes up to `limit` units of the site that are due, oldest first. Works in and out of a group. */
MUST_USE int ledger_take_due(struct ledger *l, uint32_t site, int64_t now_ms, size_t limit,
                             struct ledger_units *units_out, struct err *e);
/* Steps through the sites that have unfinished work, in order of number: the first one above
 * `after`, and when its earliest unit that is not taken is due (LEDGER_NEVER: only held ones).
 * *site_out == 0: there are no more. Cost: two lookups plus the taken ones of that site. */
MUST_USE int ledger_next_site(struct ledger *l, uint32_t after, uint32_t *site_out,
                              int64_t *due_ms_out, struct err *e);
/* The same question for one site. */
MUST_USE int ledger_next_due(struct ledger *l, uint32_t site, int64_t *due_ms_out, struct err *e);

/* The taken unit of that name, or NULL: what the outbound role says is looked up, not believed. */
const struct ledger_unit *ledger_find_unit(const struct ledger *l, struct id id, uint32_t part);
/* A message by itself, whatever became of it. ERR_FOUND when there is none (any more). */
MUST_USE int ledger_load_message(struct ledger *l, struct id id, struct arena *arena,
                                 struct ledger_message *message_out, struct err *e);
/* Everything an attempt needs to know about a taken unit; text lives in `arena`. The recipients
 * come in the order of the unit's ranges. -1 with ERR_LIMIT when the arena is full. */
MUST_USE int ledger_load_unit(struct ledger *l, const struct ledger_unit *unit, struct arena *arena,
                              struct ledger_message *message_out,
                              const struct ledger_recipient **recipients_out, size_t *n_out,
                              struct err *e);
/* When the newest event in the life of a taken unit happened: the attempt before, or its start. */
MUST_USE int ledger_unit_touched(struct ledger *l, const struct ledger_unit *unit,
                                 int64_t *time_ms_out, struct err *e);
/* Nothing came of it, nothing was sent: due as before. */
void ledger_give_back(struct ledger *l, const struct ledger_unit *unit);

/* Before the final dot leaves for these recipients of the unit: when this is committed, the dot may
 * go. Without an outcome later (crash), it becomes `unknown` in ledger_recover(). */
MUST_USE int ledger_dot_sent(struct ledger *l, const struct ledger_unit *unit,
                             struct ranges recipients, struct slice host, struct slice ip,
                             int64_t now_ms, struct err *e);

/* One result of an attempt; recipients that fared alike share one, and one event. */
struct ledger_result {
    enum ledger_kind kind;   /* the event: DELIVERED, DEFERRED, BOUNCED, UNKNOWN, EXPIRED, ... */
    enum ledger_state state; /* of these recipients from now on */
    struct ranges recipients;
    struct slice host, ip; /* who answered; empty when it never came to that */
    uint32_t reply_code;   /* 250; 0: no reply */
    struct slice enhanced; /* "2.0.0" */
    struct slice text;     /* the reply's text, or why there is none */
    struct slice category; /* of a failure; empty: none */
    int64_t start_ms;      /* when the attempt began; 0: unknown */
    int64_t dot_ms;        /* when the dot left; 0: it did not */
};
/* What became of all recipients of a taken unit; the results are disjoint and cover it. Those with
 * state QUEUED make one new unit, due at `due_ms`; the held ones another. `attempts` grows by one.
 * The unit is no longer taken after the commit (a failed commit brings it back). -1 with
 * ERR_SYNTAX, and nothing changed, when the results do not fit the unit. */
MUST_USE int ledger_outcome(struct ledger *l, const struct ledger_unit *unit,
                            const struct ledger_result *results, size_t n, int64_t due_ms,
                            int64_t now_ms, struct err *e);

/* A local address that mail left from. */
struct ledger_source {
    struct slice domain;       /* of the envelope sender, in lower case; empty: the null sender */
    struct slice address;      /* text */
    struct slice via;          /* the smart host that took it; empty: straight to the receivers */
    int64_t first_ms, last_ms; /* coming out only, as `messages` */
    uint64_t messages;
};
/* One more message left so. Counted in memory and written once a group for each distinct source. A
 * day keeps 1,000 of them; further domains become "(other)". */
MUST_USE int ledger_add_source(struct ledger *l, const struct ledger_source *source, int64_t now_ms,
                               struct err *e);
/* Every source within the retention, by domain, smart host and address. Works in and out of a
 * group; what this group added is not there yet. False ends the listing. */
MUST_USE int ledger_sources(struct ledger *l,
                            bool (*each)(void *ctx, const struct ledger_source *source), void *ctx,
                            struct err *e);

/* --- after a crash --- */

/* A dot that was sent, without an outcome. */
struct ledger_dangling {
    struct id id;
    uint32_t part, site, attempts;
    struct slice stream, tag, host, ip;
    struct ranges recipients;
    int64_t dot_ms, received_ms;
};
/* What the stream's policy makes of it: state QUEUED (retry, at due_ms), UNKNOWN_HELD or ASSUMED.
 */
struct ledger_verdict {
    enum ledger_state state;
    int64_t due_ms;
};
/* Call once after opening, before the first group: writes an `unknown` event for each dangling dot,
 * in transactions of its own. `count_out` may be NULL. */
MUST_USE int ledger_recover(struct ledger *l,
                            struct ledger_verdict (*decide)(void *ctx,
                                                            const struct ledger_dangling *dangling),
                            void *ctx, int64_t now_ms, uint64_t *count_out, struct err *e);

/* --- an operator's wish --- */

/* Each changes the units of one message that are not taken. `changed_out` counts recipients,
 * `busy_out` recipients that are being attempted right now and were left alone (either may be
 * NULL). -1 with ERR_FOUND when there is no such message (that alone does not spoil a group). */
MUST_USE int ledger_hold(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                         uint32_t *busy_out, struct err *e);
MUST_USE int ledger_release(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                            uint32_t *busy_out, struct err *e);
MUST_USE int ledger_retry(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                          uint32_t *busy_out, struct err *e);
MUST_USE int ledger_drop(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                         uint32_t *busy_out, struct err *e);

/* The same for the messages of a site (at most 10,000 a call) whose next try lies in the future.
 * `changed_out` counts recipients. */
MUST_USE int ledger_retry_site(struct ledger *l, uint32_t site, int64_t now_ms,
                               uint64_t *changed_out, struct err *e);

/* A message of our own that waits for its time is signed: its bytes now lie at `to`, it is due now,
 * and a `signed` event says by whom (`text`). The unit must not be taken. Inside a group; -1 with
 * ERR_FOUND when there is no such message (that alone does not spoil a group). */
MUST_USE int ledger_sign(struct ledger *l, struct id id, const struct spool_place *to,
                         struct slice text, int64_t now_ms, struct err *e);

/* --- keeping house --- */

/* Forgets finished messages received before `before_ms`, with recipients and events; looks at no
 * more than `limit` messages. *more_out: call again soon. Inside a group. */
MUST_USE int ledger_forget(struct ledger *l, int64_t before_ms, size_t limit, bool *more_out,
                           struct err *e);

/* What the ledger knows about a segment of the spool. */
struct ledger_segment {
    uint64_t segment;
    uint64_t total_bytes; /* of records that were stored in it */
    uint64_t live_bytes;  /* of messages that are not finished */
    uint64_t live_count;
    int64_t last_ms; /* when the last message came into it, or was finished */
};
bool ledger_knows_segment(struct ledger *l, uint64_t segment); /* for spool_settings.is_known */
uint64_t ledger_last_segment(const struct ledger *l);          /* for .last_segment; 0: none */
/* Segments without live messages whose last_ms is before `before_ms`: remove the file, then tell
 * ledger_forget_segment(). Returns how many were written to `out` (at most `limit`). */
size_t ledger_idle_segments(struct ledger *l, int64_t before_ms, struct ledger_segment *out,
                            size_t limit);
MUST_USE int ledger_forget_segment(struct ledger *l, uint64_t segment, struct err *e);
/* Segments with few live bytes (at most 1/`fraction` of the total) and last_ms before `before_ms`.
 */
size_t ledger_sparse_segments(struct ledger *l, int64_t before_ms, uint32_t fraction,
                              struct ledger_segment *out, size_t limit);
/* Unfinished messages in a segment, by id, above `after`; at most `limit`. */
struct ledger_stored {
    struct id id;
    struct spool_place place;
};
MUST_USE int ledger_live_in_segment(struct ledger *l, uint64_t segment, struct id after,
                                    struct ledger_stored *out, size_t limit, size_t *n_out,
                                    struct err *e);
/* After spool_stage_copy() and spool_commit(): the message, which must be unfinished, now lies at
 * `to`. Inside a group. ERR_TEMP: a unit of it is taken; leave it for later. */
MUST_USE int ledger_move(struct ledger *l, struct id id, const struct spool_place *to,
                         struct err *e);

/* --- repair --- */

/* Counts the segments anew, gives every lost recipient a unit again, removes stray units. In a
 * transaction of its own. *changed_out: rows that were wrong. */
MUST_USE int ledger_repair(struct ledger *l, uint64_t *changed_out, struct err *e);

#endif
