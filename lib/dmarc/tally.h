/* lib/dmarc/tally.h -- rows of aggregate reports as lines of text, for stores and messages that
 * need not know what is in them.
 *
 *     struct dmarc_row --dmarc_tally_write_row()--> "i192.0.2.1<TAB>dpass..." --read--> the same
 *
 * Equal lines are equal rows, so a line is the key under which messages are counted; the count
 * itself is not in it. A line holds well-formed UTF-8 without control characters and no more than
 * DMARC_TALLY_LINE_MAX bytes, whatever a sender wrote: texts are cut, and of many results the last
 * ones are left out. */
#ifndef LIB_DMARC_TALLY_H
#define LIB_DMARC_TALLY_H

#include "lib/dmarc/report.h"

#define DMARC_TALLY_TEXT_MAX 255
#define DMARC_TALLY_AUTHS_MAX 10 /* results of one row */
#define DMARC_TALLY_REASONS_MAX 4
#define DMARC_TALLY_LINE_MAX 12288
#define DMARC_TALLY_POLICY_MAX 4096   /* bytes of a policy */
#define DMARC_TALLY_REPORT_ROWS 10000 /* of a received report; those beyond are not kept */

/* Appends the line, without a line end. */
void dmarc_tally_write_row(const struct dmarc_row *row, struct buf *out);
/* False: it is no such line, or the arena is full. Texts point into `line`; count is 0. */
MUST_USE bool dmarc_tally_read_row(struct slice line, struct arena *arena,
                                   struct dmarc_row *row_out);

/* The same for what a report says of the policy: domain, p, sp, np, adkim, aspf, fo, testing, pct,
 * discovery_method. Reading leaves the report's other members as they are. */
void dmarc_tally_write_policy(const struct dmarc_report *r, struct buf *out);
MUST_USE bool dmarc_tally_read_policy(struct slice line, struct dmarc_report *report_out);

/* --- a received report on its way into a store, in pieces --- */

/* What a report says of itself, and rows of it from number `first` on. */
struct dmarc_piece {
    struct dmarc_report report; /* without rows: dmarc_tally_next_row() gives their lines */
    uint64_t first;
    bool is_last;
};
/* Writes the report's line and as many of the rows from `row` on as fit into `bytes_max`. Returns
 * the first row that is left for the next piece; NULL: this was the last one. `first` counts the
 * rows before `row`; *count_out those written. */
const struct dmarc_row *dmarc_tally_write_piece(const struct dmarc_report *r,
                                                const struct dmarc_row *row, uint64_t first,
                                                size_t bytes_max, struct buf *out,
                                                uint64_t *count_out);
/* Texts point into `text`. */
MUST_USE bool dmarc_tally_read_piece(struct slice text, struct dmarc_piece *piece_out,
                                     struct slice *rows_out);
/* Takes the next row off `*rows`: its line and its count. False at the end, or if it is broken. */
MUST_USE bool dmarc_tally_next_row(struct slice *rows, struct slice *line_out, uint64_t *count_out);

#endif
