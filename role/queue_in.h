/* role/queue_in.h -- the queue role's insides: the one writer of spool and ledger.
 *
 *     inbound --submit--> queue_intake.c --+                        +--> accepted --> inbound
 *     outbound --dot, outcome--> queue_send.c --> group --commit--> +--> dot_granted, deliver
 *     people --control--> queue_control.c -+     (queue.c)          +--> control_answer
 *     keys --public halves--> queue_doctor.c <--> outbound          +--> findings, notices
 *
 * Everything that one turn of the loop brings goes into one group: spool first, ledger second,
 * answers third. What a failed group held is refused (mail) or kept and written again (outcomes).
 */
#ifndef ROLE_QUEUE_IN_H
#define ROLE_QUEUE_IN_H

#include "base/arena.h"
#include "base/map.h"
#include "mta/schedule/schedule.h"
#include "role/messages.h"
#include "role/role.h"
#include "store/ledger/ledger.h"
#include "store/ledger/suppression.h"
#include "store/spool/spool.h"

#define QUEUE_REPORTS_STREAM "reports" /* of DMARC reports that we send */

struct queue;
struct queue_bounce;
struct queue_own;
struct queue_srs;
struct queue_reports;
struct queue_doctor;

/* A bus to another role. */
struct queue_link {
    struct queue *queue;
    enum role_kind kind;
    unsigned index;
    struct bus *bus;                       /* NULL: that process is not there now */
    bool stopping;                         /* outbound: it gives back what it did not begin */
    uint64_t segments[ROLE_SEGMENTS_HELD]; /* outbound: those it holds, newest overwrites */
    unsigned segment_next;
    struct map *writers; /* inbound: txn -> spool_writer of a body that streams in */
};

/* A reply that waits for the commit. */
struct pending_accept {
    unsigned link;
    uint64_t txn, received_us;
    struct id id;
    bool duplicate, is_report;
    size_t recipients;
    uint64_t bytes;
};
struct pending_dot {
    unsigned link;
    uint64_t attempt;
};

/* A taken unit: in the schedule's ready list, or in an outbound process's hands. */
struct job {
    struct schedule_unit unit;
    const struct ledger_unit *work;
    uint64_t attempt; /* 0: not dispatched */
    unsigned link;
    struct list maildir; /* among those that wait for queue_maildir.c */
    bool is_maildir;
    bool dot_granted;   /* since then, no outcome means `unknown` */
    bool wants_success; /* some recipient may have NOTIFY=SUCCESS (RFC 3461) */
    bool is_lmtp;       /* so delivery is final, and ours to report */
    bool settled;       /* its outcome is in the open group: a second one is too late */
    uint64_t segment;
    struct slice frame; /* the deliver message, encoded; its first 8 bytes are the attempt */
    size_t site_n, sender_n;
    char site[]; /* behind it: the domain of the envelope sender, for which SPF is asked */
};

/* What the commit makes true. */
struct pending_done {
    struct job *job;
    bool site_down;
    int64_t due_ms; /* of what is left of it; LEDGER_NEVER: nothing */
};

/* A unit that was too old for another attempt. */
struct pending_expiry {
    const struct ledger_unit *work;
    char *site; /* owned */
};

struct queue {
    struct role_env env;
    const struct conf *conf;
    struct spool *spool;
    struct ledger *ledger;
    struct schedule *schedule;
    struct queue_link inbound[ROLE_COPIES_MAX], outbound[ROLE_COPIES_MAX];
    unsigned outbound_n;
    struct arena *arena;  /* of one message that is being decoded */
    struct map *sites;    /* name -> struct site_entry */
    struct map *attempts; /* attempt -> job */
    uint64_t next_attempt;
    char spool_dir[512];

    /* the group that is open */
    bool in_group, spoiled;
    int64_t outcomes_since_ms; /* 0: no outcome waits in it */
    struct pending_accept *accepts;
    size_t accept_n, accept_cap;
    struct pending_dot *dots;
    size_t dot_n, dot_cap;
    struct pending_done *dones;
    size_t done_n, done_cap;
    struct pending_expiry *expiries;
    size_t expiry_n, expiry_cap;
    struct job **fresh; /* new units, to be scheduled after the commit */
    size_t fresh_n, fresh_cap;
    struct buf facts;      /* outcome messages of this group, to be written again if it fails */
    struct buf facts_owed; /* those of groups that failed */

    struct loop_hook commit_hook;
    struct loop_timer wake;  /* for the schedule */
    struct loop_timer house; /* retention, checkpoints, disk space */
    struct control *control;
    struct queue_bounce *bounce;
    struct queue_own *own;
    struct queue_srs *srs;
    struct queue_reports *reports;
    struct queue_doctor *doctor;
    struct {
        struct list jobs;
        struct loop_deferred later;
        struct arena *arena;
    } maildir;
    uint64_t random_state;
    bool stopping, disk_low;
};

/* queue.c */
void queue_open_group(struct queue *q); /* begins one if none is open; may set `spoiled` */
uint64_t queue_random(struct queue *q);
void queue_grow(void *array, size_t *cap, size_t need, size_t size); /* array: pointer to pointer */
void queue_run_schedule(struct queue *q);

/* queue_intake.c */
void queue_take_piece(struct queue *q, struct queue_link *from, struct slice payload);
void queue_take_submit(struct queue *q, struct queue_link *from, struct slice payload);
void queue_take_abandon(struct queue *q, struct queue_link *from, struct slice payload);
void queue_forget_pieces(struct queue_link *link);
/* `250` for a report, after the commit. */
void queue_add_report_answer(struct queue *q, const struct queue_link *from, uint64_t txn,
                             struct id id);

/* queue_send.c */
extern const struct schedule_ports queue_schedule_ports; /* ctx is filled in by queue.c */
struct job *queue_make_job(struct queue *q, const struct ledger_unit *work,
                           const struct ledger_message *message,
                           const struct ledger_recipient *recipients, size_t n, struct slice site);
void queue_free_job(struct job **job);
void queue_take_dot(struct queue *q, struct queue_link *from, struct slice payload);
/* `payload` is an encoded outcome; it is kept until it is written down. */
void queue_take_outcome(struct queue *q, struct slice payload);
void queue_lost_outbound(struct queue *q, unsigned link);
int64_t queue_expiry_of(const struct queue *q, struct slice stream);
struct slice queue_site_of(struct queue *q, struct slice domain, struct buf *scratch);
uint32_t queue_site_number(struct queue *q, struct slice site, struct err *e);
struct ledger_verdict queue_judge_dangling(void *ctx, const struct ledger_dangling *d);

/* queue_maildir.c: delivery into files */
void queue_maildir_create(struct queue *q);
void queue_maildir_destroy(struct queue *q);
/* Takes a dispatched job whose route is a Maildir, and reports its outcome in a later call; false:
 * it is for an outbound process. */
bool queue_maildir_take(struct queue *q, struct job *job);
/* Its domain is delivered into Maildirs, and there is none for it. */
bool queue_maildir_lacks(const struct queue *q, struct slice address);

/* queue_bounce.c: verdicts, suppression, bounce addresses, reports */
MUST_USE int queue_bounce_create(struct queue *q, struct err *e); /* the ledger is open */
void queue_bounce_destroy(struct queue *q);
void queue_bounce_settings(struct queue *q);
void queue_bounce_attached(struct queue *q, struct bus *bus); /* of an inbound process */
/* Whether the recipients of this mail may need reverse paths that differ. */
bool queue_parts_recipients(const struct queue *q, const struct msg_submit *m);
/* The reverse path for a recipient: its bounce address (in `out`), SRS, or the message's own. */
struct slice queue_return_path(struct queue *q, const struct ledger_message *message,
                               const struct msg_envelope_recipient *to, struct buf *out);
/* What success means to those who asked for a report of it. */
enum queue_success {
    QUEUE_SUCCESS_UNSAID,    /* nobody asked, or the next hop reports itself */
    QUEUE_SUCCESS_RELAYED,   /* to a next hop that will not report */
    QUEUE_SUCCESS_DELIVERED, /* finally */
};
/* Before results are written: fills in their categories, counts failures, suppresses, reports. */
MUST_USE int queue_bounce_results(struct queue *q, const struct ledger_unit *work,
                                  struct ledger_result *results, size_t n,
                                  enum queue_success success, struct err *e);
MUST_USE int queue_find_suppression(struct queue *q, struct slice address, struct slice stream,
                                    bool *found_out, struct ledger_suppression *out, struct err *e);
MUST_USE int queue_suppress_lines(struct queue *q, struct slice lines, uint64_t *count_out,
                                  struct err *e);
MUST_USE int queue_unsuppress(struct queue *q, struct slice text, uint64_t *count_out,
                              struct err *e);
void queue_take_check(struct queue *q, struct queue_link *from, struct slice payload);
void queue_take_report(struct queue *q, struct queue_link *from, struct slice payload);

/* queue_own.c: mail that we write ourselves */
struct own_mail {
    struct id id;            /* of queue_own_id() */
    struct slice head, body; /* the head without the empty line */
    struct slice sender;     /* reverse path; empty: the null sender */
    struct slice to, to_options;
    struct slice stream, options;
    struct slice author;  /* the address in From: a key of its domain, or of one above it, signs */
    struct slice subject; /* for the ledger */
};
void queue_own_create(struct queue *q);
void queue_own_destroy(struct queue *q);
void queue_own_attached(struct queue *q, struct bus *bus); /* of the keys role */
struct id queue_own_id(struct queue *q);
/* Adds it to the open group. It leaves when it is signed, or unsigned after some seconds. */
MUST_USE int queue_own_send(struct queue *q, const struct own_mail *m, struct err *e);

/* queue_srs.c: forwarded mail that leaves with an address made of its sender's */
MUST_USE int queue_srs_create(struct queue *q, struct err *e);
void queue_srs_destroy(struct queue *q);
/* False: its sender cannot be written so. */
bool queue_srs_path(struct queue *q, const struct ledger_message *message, struct buf *out);
/* May mail come in for it, and whom does it go on to? */
void queue_srs_check(struct queue *q, const struct msg_check *m, struct msg_checked *out);

/* queue_reports.c: DMARC reports, ours and about us */
void queue_reports_create(struct queue *q);
void queue_reports_destroy(struct queue *q);
void queue_reports_settings(struct queue *q);
void queue_take_dmarc_seen(struct queue *q, struct slice payload);
void queue_take_rua_answer(struct queue *q, struct slice payload);
void queue_take_dmarc_piece(struct queue *q, struct queue_link *from, struct slice payload);
bool queue_reports_has_counted(const struct queue *q);
void queue_reports_write(struct queue *q); /* what was counted, into the open group */
void queue_reports_committed(struct queue *q, bool good);
/* Sends reports about a day (a number, days since 1970) or, without one, about all days before
 * today. *count_out: how many there are to be made. Inside a group. */
MUST_USE int queue_reports_run(struct queue *q, struct slice day, uint64_t *count_out,
                               struct err *e);
bool queue_reports_are_running(const struct queue *q);
/* A piece (lib/dmarc/tally.h) of a report that somebody gives us. Inside a group. */
MUST_USE int queue_reports_store(struct queue *q, struct slice piece, struct err *e);

/* queue_doctor.c: does DNS say what this server does? */
void queue_doctor_create(struct queue *q);
void queue_doctor_destroy(struct queue *q);
void queue_doctor_settings(struct queue *q);
void queue_doctor_lost(struct queue *q); /* the outbound process that asks DNS is gone */
void queue_doctor_take_keys(struct queue *q, struct slice payload);
void queue_doctor_take_found(struct queue *q, struct slice payload);

/* queue_control.c */
struct control *queue_control_create(struct queue *q, int fd);
void queue_control_destroy(struct control **c);
void queue_control_committed(struct control *c, bool good);

#endif
