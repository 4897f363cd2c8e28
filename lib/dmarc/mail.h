/* lib/dmarc/mail.h -- the mail that carries an aggregate report (RFC 9990 3.5.2; RFC 7489 7.2.1.1).
 *
 *     struct dmarc_report --dmarc_report_write()--> XML --dmarc_mail_write()--> head, body
 *
 * Words for people, and the XML compressed, under the file name that the RFC prescribes. */
#ifndef LIB_DMARC_MAIL_H
#define LIB_DMARC_MAIL_H

#include "lib/dmarc/report.h"

#define DMARC_MAIL_BYTES_MAX ((size_t)14 << 20) /* of the body: 10 MiB, in base64 */
#define DMARC_MAIL_PACKED_MAX ((size_t)10 << 20)

struct dmarc_mail {
    struct slice from, to;  /* addresses */
    struct slice submitter; /* our domain, as the receiver of the mail reported about */
    struct slice id;        /* of the message: Message-ID and boundary are made from it */
    const struct dmarc_report *report; /* its domain, report_id, times; letters and digits as id */
    int64_t now_s;
};

/* Appends the name of the file: "mx.example!example.com!1013662812!1013749130!id.xml.gz". */
void dmarc_mail_filename(const struct dmarc_mail *m, struct buf *out);

/* Appends header block (CR LF, without the empty line) and body. ERR_LIMIT: compressed, the report
 * is larger than DMARC_MAIL_PACKED_MAX. */
MUST_USE int dmarc_mail_write(const struct dmarc_mail *m, struct slice xml, struct buf *head_out,
                              struct buf *body_out, struct err *e);

#endif
