#include "lib/bounce/dsn.h"

#include "base/ascii.h"
#include "base/ip.h"
#include "lib/message/date.h"

#define WORDS_MAX 900 /* of a diagnostic; a line has at most 998 octets (RFC 5322 2.1.1) */

static const struct {
    const char *action, *subject, *status, *words;
} kinds[] = {
    [DSN_FAILED] = {"failed", "Undelivered mail", "5.0.0", "could not be delivered to:"},
    [DSN_DELAYED] = {"delayed", "Delayed mail", "4.0.0",
                     "has not been delivered yet; we go on trying:"},
    [DSN_DELIVERED] = {"delivered", "Delivered mail", "2.0.0", "was delivered to:"},
    [DSN_RELAYED] = {"relayed", "Relayed mail", "2.0.0",
                     "was handed to a system that will not report again:"},
};

bool dsn_is_wanted(struct slice sender, bool says_never, bool says_failure, bool unasked)
{
    static const char *const daemons[] = {"mailer-daemon@", "<>"};

    if (sender.n == 0 || says_never)
        return false;
    for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
        if (slice_starts_nocase(sender, slice_of(daemons[i])))
            return false;
    return says_failure || unasked;
}

const char *dsn_subject(enum dsn_action action)
{
    return kinds[action].subject;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

bool dsn_is_utf8(const struct dsn *d)
{
    bool ascii = is_ascii(d->to);

    for (size_t i = 0; i < d->count; i++)
        ascii = ascii && is_ascii(d->recipients[i].address);
    return !ascii;
}

/* One line without control characters; without `utf8`, other octets become '?'. */
static void append_line(struct buf *out, struct slice s, bool utf8)
{
    s = slice_sub(s, 0, WORDS_MAX);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            buf_append_char(out, ' ');
        else
            buf_append_char(out, c >= 0x80 && !utf8 ? '?' : s.p[i]);
    }
}

/* xtext (RFC 3461 4) back to what it stands for. */
static void append_xtext(struct buf *out, struct slice s, bool utf8)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && i + 2 < s.n && ascii_hex_value(s.p[i + 1]) >= 0 &&
            ascii_hex_value(s.p[i + 2]) >= 0) {
            c = (char)(ascii_hex_value(s.p[i + 1]) * 16 + ascii_hex_value(s.p[i + 2]));
            i += 2;
        }
        append_line(out, (struct slice){&c, 1}, utf8);
    }
}

static void append_reply(struct buf *out, const struct dsn_recipient *r, bool utf8)
{
    if (r->reply_code > 0)
        buf_printf(out, "%u ", r->reply_code);
    if (r->reply_code > 0 && r->status.n > 0) {
        append_line(out, r->status, false);
        buf_append_char(out, ' ');
    }
    append_line(out, r->diagnostic, utf8);
}

static void append_words(const struct dsn *d, struct buf *out, bool utf8)
{
    enum dsn_action action = d->recipients[0].action;

    buf_append_text(out, "This is the mail system ");
    append_line(out, d->hostname, utf8);
    buf_append_text(out, ".\r\n\r\nYour message");
    if (d->subject.n > 0) {
        buf_append_text(out, " \"");
        append_line(out, slice_sub(d->subject, 0, 200), true);
        buf_append_char(out, '"');
    }
    buf_printf(out, "\r\n%s\r\n", kinds[action].words);
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        buf_append_text(out, "\r\n<");
        append_line(out, r->address, utf8);
        buf_append_text(out, ">:\r\n    ");
        if (r->remote_mta.n > 0) {
            append_line(out, r->remote_mta, utf8);
            buf_append_text(out, r->reply_code > 0 ? " said: " : ": ");
        }
        append_reply(out, r, true);
        buf_append_text(out, "\r\n");
    }
    buf_append_text(out, "\r\nOur name for the message is ");
    append_line(out, d->original_id, false);
    buf_append_text(out, ".\r\n");
}

static void append_field(struct buf *out, const char *name, struct slice value, bool utf8)
{
    if (value.n == 0)
        return;
    buf_append_text(out, name);
    append_line(out, value, utf8);
    buf_append_text(out, "\r\n");
}

static void append_date(struct buf *out, const char *name, int64_t unix_s)
{
    buf_append_text(out, name);
    date_format(unix_s, 0, out);
    buf_append_text(out, "\r\n");
}

/* A host's name, or its address as a literal (RFC 5321 4.1.3). */
static void append_mta(struct buf *out, struct slice host, bool utf8)
{
    struct ip_address ip;
    char literal[IP_TEXT_MAX + sizeof "[IPv6:]"], text[IP_TEXT_MAX];

    if (ip_address_parse(host, &ip)) {
        (void)ip_address_format(&ip, text);
        (void)snprintf(literal, sizeof literal, "[%s%s]", ip.family == IP_V6 ? "IPv6:" : "", text);
        host = slice_of(literal);
    }
    append_field(out, "Remote-MTA: dns; ", host, utf8);
}

static void append_recipient(const struct dsn *d, const struct dsn_recipient *r, struct buf *out,
                             bool utf8)
{
    buf_append_text(out, "\r\n");
    if (slice_find(r->origin, ';') != SLICE_NONE) {
        buf_append_text(out, "Original-Recipient: ");
        append_xtext(out, r->origin, utf8);
        buf_append_text(out, "\r\n");
    }
    append_field(out,
                 is_ascii(r->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; ",
                 r->address, utf8);
    buf_printf(out, "Action: %s\r\n", kinds[r->action].action);
    append_field(out, "Status: ", r->status.n > 0 ? r->status : slice_of(kinds[r->action].status),
                 false);
    append_mta(out, r->remote_mta, utf8);
    if (r->diagnostic.n > 0 || r->reply_code > 0) {
        buf_append_text(out, r->reply_code > 0 ? "Diagnostic-Code: smtp; "
                                               : "Diagnostic-Code: x-waybill; ");
        append_reply(out, r, utf8);
        buf_append_text(out, "\r\n");
    }
    append_date(out, "Last-Attempt-Date: ", d->now_s);
    if (r->action == DSN_DELAYED && d->retry_until_s > 0)
        append_date(out, "Will-Retry-Until: ", d->retry_until_s);
}

static void append_part(struct buf *out, const struct dsn *d, const char *type, const char *about,
                        bool eight)
{
    buf_append_text(out, "--=_waybill_");
    append_line(out, d->id, false);
    buf_printf(out, "\r\nContent-Description: %s\r\nContent-Type: %s\r\n%s\r\n", about, type,
               eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

static void write_head(const struct dsn *d, struct buf *out, bool utf8)
{
    append_date(out, "Date: ", d->now_s);
    buf_append_text(out, "From: Mail Delivery System <MAILER-DAEMON@");
    append_line(out, d->hostname, utf8);
    buf_append_text(out, ">\r\nTo: <");
    append_line(out, d->to, utf8);
    buf_printf(out, ">\r\nSubject: %s\r\nMessage-ID: <", kinds[d->recipients[0].action].subject);
    append_line(out, d->id, false);
    buf_append_char(out, '@');
    append_line(out, d->hostname, utf8);
    buf_append_text(out, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                         "Content-Type: multipart/report; report-type=");
    buf_append_text(out, utf8 ? "global-delivery-status" : "delivery-status");
    buf_append_text(out, ";\r\n boundary=\"=_waybill_");
    append_line(out, d->id, false);
    buf_append_text(out, "\"\r\n");
}

void dsn_write(const struct dsn *d, struct buf *head_out, struct buf *body_out)
{
    bool utf8 = dsn_is_utf8(d), full = d->message.n > 0;
    struct slice returned = full ? d->message : d->header;
    bool eight = utf8 || !is_ascii(returned);
    struct buf *out = body_out;

    write_head(d, head_out, utf8);
    append_part(out, d, "text/plain; charset=utf-8", "Notification", true);
    append_words(d, out, true);
    append_part(out, d, utf8 ? "message/global-delivery-status" : "message/delivery-status",
                "Delivery report", utf8);
    append_field(out, "Reporting-MTA: dns; ", d->hostname, utf8);
    if (d->envelope_id.n > 0) {
        buf_append_text(out, "Original-Envelope-Id: ");
        append_xtext(out, d->envelope_id, utf8);
        buf_append_text(out, "\r\n");
    }
    append_field(out, "X-Waybill-ID: ", d->original_id, false);
    append_date(out, "Arrival-Date: ", d->arrival_s);
    for (size_t i = 0; i < d->count; i++)
        append_recipient(d, &d->recipients[i], out, utf8);
    buf_append_text(out, "\r\n");
    if (full)
        append_part(out, d, utf8 ? "message/global" : "message/rfc822", "The message", eight);
    else
        append_part(out, d, utf8 ? "message/global-headers" : "text/rfc822-headers",
                    "Header of the message", eight);
    buf_append(out, returned);
    buf_append_text(out, "\r\n--=_waybill_");
    append_line(out, d->id, false);
    buf_append_text(out, "--\r\n");
}
