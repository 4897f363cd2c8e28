/* store/ledger/notice.h -- what was found out about the set-up, and when that changed.
 *
 *     findings of a domain --ledger_compare_findings()--> the ones known before, replaced
 *                                   +--> a *notice* for each that appeared or went away
 *
 * Notices are events that belong to no message. They share the numbers of the events, so that a
 * reader sees all in one order (ledger_log() in reader.h). What a name server did not answer is
 * never news: findings of such an area stay as they were. */
#ifndef STORE_LEDGER_NOTICE_H
#define STORE_LEDGER_NOTICE_H

#include "store/ledger/ledger.h"

#define LEDGER_FINDINGS_MAX 2000 /* of one domain; more are not kept */

/* Stored as numbers: add at the end only. */
enum ledger_severity { LEDGER_GOOD, LEDGER_HINT, LEDGER_WARNING, LEDGER_ERROR };
const char *ledger_severity_name(enum ledger_severity s); /* "good", "hint", "warning", "error" */

struct ledger_finding {
    enum ledger_severity severity;
    bool temporary;                        /* nothing is known about its area now */
    struct slice area, rule, name, detail; /* together: which finding it is */
    struct slice text, publish;
    int64_t since_ms;    /* coming out: when it appeared */
    struct slice domain; /* coming out */
};

enum ledger_notice_kind { LEDGER_NOTICE_DRIFT, LEDGER_NOTICE_MENDED };
const char *ledger_notice_name(enum ledger_notice_kind kind); /* "drift", "mended" */
bool ledger_notice_find(struct slice name, enum ledger_notice_kind *kind_out);

struct ledger_notice {
    uint64_t seq;
    int64_t time_ms;
    enum ledger_notice_kind kind;
    enum ledger_severity severity;
    struct slice domain, rule, name, text, publish;
};

/* The findings take the place of those known of `domain`. Each warning or error that was not known,
 * or is no longer found, becomes a notice; `notice` hears of it (its texts are good during the
 * call), before the commit. Inside a group. */
MUST_USE int ledger_compare_findings(struct ledger *l, struct slice domain,
                                     const struct ledger_finding *findings, size_t n,
                                     int64_t now_ms,
                                     void (*notice)(void *ctx, const struct ledger_notice *notice),
                                     void *ctx, struct err *e);
/* Forgets, without a notice, what is known of other domains than these: nobody looks there now. */
MUST_USE int ledger_keep_findings(struct ledger *l, const struct slice *domains, size_t n,
                                  struct err *e);
/* How many findings of each severity are known, over all domains; temporary ones do not count. */
MUST_USE int ledger_count_findings(struct ledger *l, uint64_t counts_out[LEDGER_ERROR + 1],
                                   struct err *e);

#endif
