#include "lib/dmarc/mail.h"

#include "lib/message/date.h"
#include "lib/pack/pack.h"
#include "lib/text/base64.h"

#define BASE64_WIDTH 76

/* Names and addresses come from records of others: nothing may break a line or a quoted string. */
static void append_word(struct buf *out, struct slice word)
{
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];

        buf_append_char(out, c <= ' ' || c >= 0x7f || c == '"' || c == '\\' ? '?' : c);
    }
}

void dmarc_mail_filename(const struct dmarc_mail *m, struct buf *out)
{
    const struct dmarc_report *r = m->report;

    append_word(out, m->submitter);
    buf_append_char(out, '!');
    append_word(out, r->domain);
    buf_printf(out, "!%lld!%lld!", (long long)r->begin_unix_s, (long long)r->end_unix_s);
    append_word(out, r->report_id);
    buf_append_text(out, ".xml.gz");
}

static void append_date(struct buf *out, int64_t unix_s)
{
    date_format(unix_s, 0, out);
}

static void write_head(const struct dmarc_mail *m, struct buf *out)
{
    const struct dmarc_report *r = m->report;

    buf_append_text(out, "Date: ");
    append_date(out, m->now_s);
    buf_append_text(out, "\r\nFrom: <");
    append_word(out, m->from);
    buf_append_text(out, ">\r\nTo: <");
    append_word(out, m->to);
    buf_append_text(out, ">\r\nSubject: Report Domain: ");
    append_word(out, r->domain);
    buf_append_text(out, "\r\n Submitter: ");
    append_word(out, m->submitter);
    buf_append_text(out, "\r\n Report-ID: <");
    append_word(out, r->report_id);
    buf_append_text(out, ">\r\nMessage-ID: <");
    append_word(out, m->id);
    buf_append_char(out, '@');
    append_word(out, m->submitter);
    buf_append_text(out, ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                         "Content-Type: multipart/mixed; boundary=\"=_waybill_");
    append_word(out, m->id);
    buf_append_text(out, "\"\r\n");
}

static void append_boundary(const struct dmarc_mail *m, const char *end, struct buf *out)
{
    buf_append_text(out, "--=_waybill_");
    append_word(out, m->id);
    buf_append_text(out, end);
}

static void append_words(const struct dmarc_mail *m, struct buf *out)
{
    const struct dmarc_report *r = m->report;

    buf_append_text(out, "This is an aggregate report (RFC 9990) about mail in the name of\r\n");
    append_word(out, r->domain);
    buf_append_text(out, " that came to ");
    append_word(out, m->submitter);
    buf_append_text(out, "\r\nfrom ");
    append_date(out, r->begin_unix_s);
    buf_append_text(out, "\r\nto   ");
    append_date(out, r->end_unix_s);
    buf_printf(out, ": %llu messages in %zu rows.\r\n\r\n", (unsigned long long)r->messages,
               r->row_count);
    buf_append_text(out, "It was asked for by rua= in the DMARC record of that domain.\r\n");
}

int dmarc_mail_write(const struct dmarc_mail *m, struct slice xml, struct buf *head_out,
                     struct buf *body_out, struct err *e)
{
    struct buf packed, *out = body_out;
    int result;

    buf_init(&packed, DMARC_MAIL_PACKED_MAX);
    result = pack_gzip(xml, &packed, e);
    if (result == 0) {
        write_head(m, head_out);
        append_boundary(m, "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", out);
        append_words(m, out);
        buf_append_text(out, "\r\n");
        append_boundary(m, "\r\nContent-Type: application/gzip; name=\"", out);
        dmarc_mail_filename(m, out);
        buf_append_text(out, "\"\r\nContent-Transfer-Encoding: base64\r\n"
                             "Content-Disposition: attachment; filename=\"");
        dmarc_mail_filename(m, out);
        buf_append_text(out, "\"\r\n\r\n");
        base64_encode_lines(buf_slice(&packed), BASE64_WIDTH, out);
        buf_append_text(out, "\r\n");
        append_boundary(m, "--\r\n", out);
        if (head_out->full || out->full)
            result = err_set(e, ERR_LIMIT, "the mail of the report is too large");
    }
    buf_finish(&packed);
    return result;
}
