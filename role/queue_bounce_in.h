/* role/queue_bounce_in.h -- what the files of the queue role that deal with failure share.
 *
 *     queue_return.c    bounce addresses, and what the inbound role asks about a recipient
 *     queue_bounce.c    what a failure means: verdicts, and mail that came to a bounce address
 *     queue_suppress.c  failures are counted, addresses suppressed
 *     queue_dsn.c       reports that we write */
#ifndef ROLE_QUEUE_BOUNCE_IN_H
#define ROLE_QUEUE_BOUNCE_IN_H

#include "lib/addr/verp.h"
#include "lib/bounce/classify.h"
#include "mta/bounce/policy.h"
#include "role/queue_in.h"

struct queue_bounce {
    unsigned char key[VERP_KEY_BYTES]; /* the secret of our bounce addresses */
    struct bounce_rules *rules;
    struct bounce_policy policy;
    struct buf scratch;
    struct map *hints; /* of suppressed addresses (role/hint.h) */
};

/* --- queue_return.c --- */
MUST_USE int queue_return_key(const struct queue *q, unsigned char key_out[VERP_KEY_BYTES],
                              struct err *e);
/* Whose bounce address it is; text lives in the queue's arena. */
enum verp_verdict queue_read_return_path(struct queue *q, struct slice address,
                                         struct verp *verp_out,
                                         struct ledger_addressee *addressee_out);
bool queue_is_local(const struct queue *q, struct slice address);

/* --- queue_suppress.c --- */
/* Somebody failed. */
struct failure {
    struct slice address, stream, source, evidence;
    struct id id;
    const struct bounce_verdict *verdict;
};
/* Counts it, and suppresses when it is enough; in the group that holds its event. */
MUST_USE int queue_count_failure(struct queue *q, const struct failure *f, struct err *e);

/* --- queue_dsn.c --- */
/* A taken unit with its recipients, for as long as the arena is not reset. */
struct loaded {
    const struct ledger_unit *work;
    struct ledger_message message;
    const struct ledger_recipient *recipients; /* in the order of the unit's ranges */
    size_t n;
};
const struct ledger_recipient *queue_recipient_of(const struct loaded *l, uint32_t number);
/* Mails to the sender about all recipients who are to be told of. */
MUST_USE int queue_dsn_results(struct queue *q, const struct loaded *l,
                               const struct ledger_result *results, size_t n,
                               enum queue_success success, struct err *e);
/* A bounce of what was forwarded came to our address instead of its sender's, who is told. */
MUST_USE int queue_dsn_forwarded(struct queue *q, const struct msg_report *m, struct id id,
                                 const struct ledger_addressee *to, struct err *e);

#endif
