/* Whole reports in the manner of several programs; each is read with LF, CR LF and CR line ends. */
#include "base/test.h"
#include "lib/bounce/report.h"

struct report {
    const char *name, *text;
    const char *answer; /* event; then for each recipient: event address category */
};

#define DAEMON "From: MAILER-DAEMON@mx.example\nTo: me@s.example\n"
#define ORIGINAL                                                                                   \
    "\nReturn-Path: <me@s.example>\nReceived: from a by b\nMessage-ID: <1@s.example>\n"            \
    "From: me@s.example\nTo: quoted@q.example\nSubject: hi\n\nwrite to other@o.example\n"

static const struct report reports[] = {
    {"RFC 3464 with two recipients",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n\nYour mail failed.\n--b\n"
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            "Final-Recipient: rfc822; <a@b.example>\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 5.1.1\n User unknown\n\n"
            "Final-Recipient: rfc822; c@d.example\nAction: delayed\nStatus: 4.4.1\n--b--\n",
     "failed|failed a@b.example invalid_recipient|delayed c@d.example expired"},
    {"RFC 6533: an address with UTF-8 in it, escaped",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n"
            "Content-Type: message/global-delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            "Final-Recipient: utf-8; \\x{E9}t\\x{E9}@b.example\nAction: failed\n"
            "Status: 5.1.1\n--b--\n",
     "failed|failed \xc3\xa9t\xc3\xa9@b.example invalid_recipient"},
    {"a receipt",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n"
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            "Final-Recipient: rfc822; a@b.example\nAction: delivered\nStatus: 2.0.0\n--b--\n",
     "delivered|delivered a@b.example none"},
    {"Exim's words",
     DAEMON "Subject: Mail delivery failed: returning message to sender\n\n"
            "A message that you sent could not be delivered to one or more of its\nrecipients. "
            "The following address(es) failed:\n\n  a@b.example\n    mailbox is full\n\n"
            "------ This is a copy of the message, including all the headers. ------\n" ORIGINAL,
     "failed|failed a@b.example mailbox_full"},
    {"qmail's words",
     DAEMON "Subject: failure notice\n\nHi. This is the qmail-send program at mx.example.\n"
            "I'm afraid I wasn't able to deliver your message to the following addresses.\n\n"
            "<a@b.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
            "<c@d.example>:\nSorry, I couldn't find any host named d.example. (#5.1.2)\n\n"
            "--- Below this line is a copy of the message.\n" ORIGINAL,
     "failed|failed a@b.example invalid_recipient|failed c@d.example invalid_domain"},
    {"Sendmail's transcript",
     DAEMON "Subject: Returned mail: User unknown\n\n"
            "   ----- The following addresses had permanent fatal errors -----\n<a@b.example>\n\n"
            "   ----- Transcript of session follows -----\n... while talking to mx.b.example:\n"
            ">>> RCPT To:<a@b.example>\n<<< 550 5.1.1 <a@b.example>... User unknown\n\n"
            "   ----- Original message follows -----\n" ORIGINAL,
     "failed|failed a@b.example invalid_recipient"},
    {"Exchange's words",
     "From: postmaster@mx.example\nSubject: Undeliverable: hi\n\nYour message\n\n"
     "  To:      me2@s.example\n  Subject: hi\n\ndid not reach the following recipient(s):\n\n"
     "a@b.example on Thu, 29 Apr 2010 00:00:00 -0000\n    The recipient name is not recognized\n",
     "failed|failed a@b.example invalid_recipient"},
    {"a warning suppresses nobody",
     DAEMON
     "Subject: Warning: message delayed 24 hours\n\nA message that you sent has not yet been "
     "delivered.\n\n  a@b.example\n    mailbox is full\n\nNo action is required.\n",
     "delayed|delayed a@b.example mailbox_full"},
    {"that it is late is no reason, what stands below is",
     DAEMON "Subject: Delivery Status Notification (Delay)\n\nDelivery to the following recipient "
            "has been delayed:\n\n     a@b.example\n\nMessage will be retried for 2 more day(s)\n\n"
            "Technical details of temporary failure:\nThe error was: 450 4.2.2 Mailbox Full\n",
     "delayed|delayed a@b.example mailbox_full"},
    {"a complaint",
     "From: fbl@mx.example\nContent-Type: multipart/report; boundary=b\n\n--b\n"
     "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n"
     "Original-Rcpt-To: <a@b.example>\n--b--\n",
     "complaint|complaint a@b.example complaint"},
    {"an opt-out",
     "From: fbl@mx.example\nContent-Type: multipart/report; boundary=b\n\n--b\n"
     "Content-Type: message/feedback-report\n\nFeedback-Type: opt-out\n"
     "Original-Rcpt-To: a@b.example\n--b--\n",
     "unsubscribe|unsubscribe a@b.example unsubscribe"},
    {"a person who is away",
     "From: a@b.example\nAuto-Submitted: auto-replied\nSubject: Out of office\n\n"
     "I cannot be reached; mail to c@d.example could not be delivered.\n",
     "auto_reply|auto_reply a@b.example none"},
    {"a challenge",
     "From: a@b.example\nSubject: Re: hi\n\nPlease confirm that you are a human sender.\n",
     "challenge|challenge a@b.example none"},
    {"an ordinary message", "From: a@b.example\nSubject: lunch\n\nAt noon? Ask c@d.example.\n",
     "not_a_bounce"},
    {"a failure of nobody who has an address is a failure all the same",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n"
            "Content-Type: message/delivery-status\n\nReporting-MTA: mailbus; S\n\n"
            "Final-Recipient: unknown; smith_j\nAction: failed\nStatus: 5.0.0\n--b--\n",
     "failed"},
    {"a scanner's footer is no reason",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n\nDelivery to the following "
            "recipients failed.\n\n  a@b.example\n\n\nThis mail was scanned; no virus was found "
            "in it, and spam is rejected here.\n--b\nContent-Type: message/delivery-status\n\n"
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@b.example\n"
            "Action: failed\nStatus: 5.1.1\n--b--\n",
     "failed|failed a@b.example invalid_recipient"},
    {"dots in a quoted local part",
     DAEMON "Content-Type: multipart/report; boundary=b\n\n--b\n"
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            "Final-Recipient: rfc822; \"a...b\"@b.example\nAction: failed\nStatus: 5.1.1\n--b--\n",
     "failed|failed \"a...b\"@b.example invalid_recipient"},
    {"a report whose Content-Type is lost",
     DAEMON "Subject: Undelivered Mail Returned to Sender\n\n--b\nContent-Type: text/plain\n\n"
            "It failed.\n\n--b\nContent-Type: message/delivery-status\n\n"
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@b.example\n"
            "Action: failed\nStatus: 5.2.2\n\n--b\nContent-Type: message/rfc822\n\n" ORIGINAL
            "\n--b--\n",
     "failed|failed a@b.example mailbox_full"},
    {"a daemon's words that a person attaches",
     "From: hans@s.example\nSubject: Fwd: look\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
     "\nPlease ask c@d.example.\n--b\nContent-Type: message/rfc822\n\n" DAEMON
     "Subject: failure notice\n\nI wasn't able to deliver your message.\n\n<a@b.example>:\n"
     "Sorry, no mailbox here by that name. (#5.1.1)\n--b--\n",
     "failed|failed a@b.example invalid_recipient"},
    {"an empty file", "", "not_a_bounce"},
    {"HTML that ends in an open tag with an address",
     DAEMON "Subject: Undeliverable\nContent-Type: text/html\n\n<p>a@b.example<br>mailbox full</p>"
            "<c@d.example",
     "failed|failed a@b.example mailbox_full"},
    {"a style that does not end",
     DAEMON "Subject: Undeliverable\nContent-Type: text/html\n\n<style>x<style>y<p>a@b.example<br>"
            "mailbox full</p>",
     "failed|failed a@b.example mailbox_full"},
    {"nobody is named: the one who was written to",
     DAEMON "Subject: Returned mail\n\nYour message could not be delivered.\n\n"
            "----- Original message -----\n" ORIGINAL,
     "failed|failed quoted@q.example undetermined"},
};

static void to_line_end(const char *text, const char *end, struct buf *out)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\n')
            buf_append_text(out, end);
        else
            buf_append_char(out, *p);
    }
}

static void write_answer(const struct bounce_report *report, struct buf *out)
{
    buf_clear(out);
    buf_append_text(out, bounce_event_name(report->event));
    for (size_t i = 0; i < report->count; i++) {
        const struct bounce_recipient *item = &report->recipients[i];
        buf_printf(out, "|%s %.*s %s", bounce_event_name(item->event), SLICE_ARG(item->recipient),
                   bounce_meaning(item->verdict.category)->name);
        if (item->event == BOUNCE_DELAYED) {
            assert_string_equal(item->verdict.suppress.text, "never");
            assert_false(item->verdict.hard);
        }
    }
    buf_append_char(out, '\0');
}

static struct bounce_rules *rules;
static struct bounce_reader *reader;

static void check_report(void **state)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    const struct report *c = *state;
    struct bounce_report report;
    struct buf text, answer;
    struct err e;

    buf_init(&text, SIZE_MAX);
    buf_init(&answer, SIZE_MAX);
    for (size_t i = 0; i < COUNT(ends); i++) {
        buf_clear(&text);
        to_line_end(c->text, ends[i], &text);
        assert_int_equal(bounce_read(reader, buf_slice(&text), &report, &e), 0);
        write_answer(&report, &answer);
        assert_string_equal(answer.p, c->answer);
    }
    buf_finish(&text);
    buf_finish(&answer);
}

int main(void)
{
    struct err e;

    rules = bounce_rules_create();
    if (bounce_rules_add_shipped(rules, &e) < 0 || bounce_rules_compile(rules, &e) < 0)
        return 1;
    reader = bounce_reader_create(rules);
    RUN_TABLE(reports, check_report);
}
