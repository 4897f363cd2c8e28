/* lib/dmarc/report.h -- aggregate reports (RFC 9990, RFC 7489 appendix C), read and written.
 *
 *     XML --dmarc_report_read()--> struct dmarc_report --dmarc_report_write()--> XML of RFC 9990
 *
 * The only file that sees expat. Reports are read as found: any namespace or none, unknown elements
 * skipped, old element names understood. What a report says is kept as text: a word that no RFC
 * knows is shown, not refused. */
#ifndef LIB_DMARC_REPORT_H
#define LIB_DMARC_REPORT_H

#include "base/arena.h"
#include "base/base.h"

#define DMARC_REPORT_BYTES_MAX ((size_t)64 << 20) /* of XML */
#define DMARC_REPORT_ROWS_MAX 1000000
#define DMARC_REPORT_TEXT_MAX 8192 /* of one element */

struct dmarc_reason { /* why the policy was not applied */
    struct dmarc_reason *next;
    struct slice type, comment;
};
struct dmarc_auth { /* one result of SPF or DKIM */
    struct dmarc_auth *next;
    bool is_dkim;
    struct slice domain, selector, scope, result, human_result;
};
struct dmarc_row {
    struct dmarc_row *next;
    struct slice source_ip;
    uint64_t count;
    struct slice disposition, dkim, spf; /* what DMARC made of it */
    struct slice header_from, envelope_from, envelope_to;
    struct dmarc_reason *reasons;
    struct dmarc_auth *auths;
};
struct dmarc_report {
    bool is_rfc9990; /* in its namespace */
    struct slice version, org_name, email, extra_contact, report_id, error, generator;
    int64_t begin_unix_s, end_unix_s;
    struct slice domain, adkim, aspf, p, sp, np, pct, fo, testing, discovery_method;
    struct dmarc_row *rows;
    size_t row_count;
    uint64_t messages; /* sum of the rows' counts */
};

/* Reads the XML of one report; everything is owned by `arena`. ERR_SYNTAX: no well-formed XML (with
 * the line), a document type (refused: entities can blow up), or no aggregate report. ERR_LIMIT. */
MUST_USE int dmarc_report_read(struct slice xml, struct arena *arena,
                               struct dmarc_report *report_out, struct err *e);

/* Appends the report as XML of RFC 9990. */
void dmarc_report_write(const struct dmarc_report *r, struct buf *out);

#endif
