/* role/report_making.h -- an aggregate report (RFC 9990) out of a period of the ledger.
 *
 *     report_making_begin(period) --> report_making_row() for each row --> report_making_end()
 *         --> .report, for dmarc_report_write()
 *
 * The queue sends it; `waybill dmarc send --dry-run` shows it. */
#ifndef ROLE_REPORT_MAKING_H
#define ROLE_REPORT_MAKING_H

#include "lib/dmarc/report.h"
#include "rt/conf/conf.h"
#include "store/ledger/dmarc.h"

#define REPORT_MAKING_BYTES ((size_t)6 << 20) /* of memory for rows: half a second of the queue */
#define REPORT_MAKING_XML_MAX ((size_t)64 << 20)

struct report_making {
    struct arena *arena;
    struct dmarc_report report;
    struct dmarc_row **last;
    uint64_t left_out; /* messages of rows that found no room */
    char words[120];   /* about these: the arena is full then */
};

/* Everything lives in `arena`, in `m`, and in `period` and `conf`. `end_s`: the period's end. */
void report_making_begin(struct report_making *m, const struct conf *conf,
                         const struct ledger_dmarc_period *period, int64_t end_s,
                         struct arena *arena);
bool report_making_row(void *making, struct slice line, uint64_t count);
void report_making_end(struct report_making *m);

/* The address that our reports come from. */
struct slice report_making_from(const struct conf *conf, struct arena *arena);
/* When a period ends that is closed now. */
int64_t report_making_end_of(const struct ledger_dmarc_period *period, int64_t now_s);

#endif
