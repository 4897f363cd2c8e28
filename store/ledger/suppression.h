/* store/ledger/suppression.h -- who gets no mail any more, and the failures that lead to it.
 *
 *     failure --ledger_add_failure()--> counted per address, scope and category
 *     threshold reached --ledger_suppress()--> asked at intake by ledger_find_suppression()
 *     delivery --ledger_clear_failures()--> counted from zero again
 *
 * All changes happen inside a group, so they are stored together with the event that caused them.
 * Addresses compare without case. A scope is a stream's name, or empty: every stream. */
#ifndef STORE_LEDGER_SUPPRESSION_H
#define STORE_LEDGER_SUPPRESSION_H

#include "store/ledger/ledger.h"

#define LEDGER_ADDRESS_MAX 512 /* bytes that are looked at */

struct ledger_suppression {
    struct slice address, scope;
    struct slice reason;        /* a category ("invalid_recipient", "complaint"), or "manual" */
    struct slice source;        /* "bounce", "report", "complaint", "manual", "import" */
    struct slice evidence;      /* the reply or report, in words */
    uint64_t message;           /* id.hi of the message that it is about; 0: none */
    int64_t since_ms, until_ms; /* until 0: for ever */
};
/* Takes the place of an earlier one with the same address and scope. */
MUST_USE int ledger_suppress(struct ledger *l, const struct ledger_suppression *s, struct err *e);
/* scope NULL: all scopes. `changed_out` counts the entries removed. */
MUST_USE int ledger_unsuppress(struct ledger *l, struct slice address, const struct slice *scope,
                               uint64_t *changed_out, struct err *e);
/* Whether mail of `stream` to `address` is suppressed now: globally, or in this stream. Texts are
 * good until the next call into the ledger. Works in and out of a group. */
MUST_USE int ledger_find_suppression(struct ledger *l, struct slice address, struct slice stream,
                                     int64_t now_ms, bool *found_out,
                                     struct ledger_suppression *out, struct err *e);
/* Calls `each` for every suppressed address, for a filter elsewhere. */
MUST_USE int ledger_each_suppressed(struct ledger *l, void (*each)(void *ctx, struct slice address),
                                    void *ctx, struct err *e);

struct ledger_failure {
    struct slice address, scope, category;
    int64_t time_ms;
    uint64_t message; /* id.hi; several failures of one message count once */
};
/* `count_out`: failures of this category since `since_ms`, this one included; `first_ms_out`: when
 * the first of them was. */
MUST_USE int ledger_add_failure(struct ledger *l, const struct ledger_failure *f, int64_t since_ms,
                                uint64_t *count_out, int64_t *first_ms_out, struct err *e);
/* Something was delivered. Costs nothing for an address that never failed. */
MUST_USE int ledger_clear_failures(struct ledger *l, struct slice address, struct slice stream,
                                   struct err *e);
/* Whether ledger_clear_failures() could ever do anything: some failure is on record. */
bool ledger_has_failures(const struct ledger *l);
/* Forgets expired suppressions and failures before `before_ms`. */
MUST_USE int ledger_forget_failures(struct ledger *l, int64_t before_ms, int64_t now_ms,
                                    struct err *e);

/* --- reports that come later --- */

struct ledger_addressee {
    struct slice address, options, stream, tag; /* in the arena */
    enum ledger_state state;
    int64_t received_ms;
};
/* Recipient `n` of a message. ERR_FOUND when there is none (any more). */
MUST_USE int ledger_find_addressee(struct ledger *l, struct id id, uint32_t n, struct arena *arena,
                                   struct ledger_addressee *out, struct err *e);
/* What a report says about a recipient whose attempts are over: an event and, if `bounced`, the
 * state BOUNCED for one that was delivered or assumed so; the statistics count it then, once.
 * `*kept_out` is false for one beyond LEDGER_REPORTS_MAX: who has a bounce address can use it as
 * often as he likes, and nothing more is learned. */
#define LEDGER_REPORTS_MAX 20 /* of one kind, about one recipient of one message */
struct ledger_report {
    enum ledger_kind kind;
    bool bounced;
    struct slice host, ip, enhanced, text, category;
    uint32_t reply_code;
};
MUST_USE int ledger_add_report(struct ledger *l, struct id id, uint32_t n,
                               const struct ledger_report *report, int64_t now_ms, bool *kept_out,
                               struct err *e);

/* The address as it is stored: in lower case. `room` holds LEDGER_ADDRESS_MAX bytes. */
struct slice ledger_fold(struct slice address, char *room);

#endif
