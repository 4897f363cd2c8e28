/* waybill bench bounce, waybill bench classify: reports and replies a second, on one thread. */
#include "app/bench.h"

#include <time.h>

#include "app/cli.h"
#include "base/json.h"
#include "lib/bounce/report.h"

#define MEASURE_NS INT64_C(2000000000) /* of CPU time */

#define RETURNED                                                                                   \
    "Return-Path: <news@shop.example>\r\nReceived: from app.shop.example (app.shop.example "       \
    "[192.0.2.10])\r\n\tby out.shop.example (Postfix) with ESMTPS id 4F9C21A0C3\r\n\tfor "         \
    "<someone@customer.example>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)\r\nDKIM-Signature: v=1; "   \
    "a=rsa-sha256; c=relaxed/relaxed; d=shop.example; s=s1;\r\n\tt=1795428000; "                   \
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\th=From:To:Subject:Date:Message-ID; "    \
    "b=aFBSuSqKQpIfEutpxxWevRYjFVd07QtaJAfz3wn+wp0Ijqz+ggxgA4\r\n"                                 \
    "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: Shop <news@shop.example>\r\n"                  \
    "To: someone@customer.example\r\nSubject: Your order\r\nMessage-ID: <1234@shop.example>\r\n"   \
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
#define FROM_DAEMON                                                                                \
    "Return-Path: <>\r\nReceived: from mx.customer.example ([198.51.100.7])\r\n\tby "              \
    "in.shop.example with ESMTP; Mon, 23 Nov 2026 10:00:05 +0000\r\nDate: Mon, 23 Nov 2026 "       \
    "10:00:05 +0000\r\nFrom: MAILER-DAEMON@mx.customer.example (Mail Delivery System)\r\n"         \
    "To: news@shop.example\r\nMIME-Version: 1.0\r\nMessage-Id: "                                   \
    "<20261123.1@mx.customer.example>\r\n"

static const char *const reports[] = {
    FROM_DAEMON
    "Subject: Undelivered Mail Returned to Sender\r\nContent-Type: multipart/report; "
    "report-type=delivery-status;\r\n\tboundary=\"4F9C21A0C3.1795428005/mx\"\r\n\r\n"
    "--4F9C21A0C3.1795428005/mx\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    "This is the mail system at host mx.customer.example.\r\n\r\nI'm sorry to have to inform you "
    "that your message could not\r\nbe delivered to one or more recipients. It's attached "
    "below.\r\n\r\n<someone@customer.example>: host box.customer.example[198.51.100.8] said: 550 "
    "5.1.1\r\n    <someone@customer.example>: Recipient address rejected: User unknown in "
    "virtual\r\n    mailbox table (in reply to RCPT TO command)\r\n\r\n"
    "--4F9C21A0C3.1795428005/mx\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: "
    "dns; mx.customer.example\r\nX-Postfix-Queue-ID: 4F9C21A0C3\r\nArrival-Date: Mon, 23 Nov 2026 "
    "10:00:01 +0000 (UTC)\r\n\r\nFinal-Recipient: rfc822; someone@customer.example\r\n"
    "Original-Recipient: rfc822;someone@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    "Remote-MTA: dns; box.customer.example\r\nDiagnostic-Code: smtp; 550 5.1.1 "
    "<someone@customer.example>: Recipient\r\n    address rejected: User unknown in virtual "
    "mailbox table\r\n\r\n--4F9C21A0C3.1795428005/mx\r\nContent-Type: "
    "text/rfc822-headers\r\n\r\n" RETURNED "\r\n--4F9C21A0C3.1795428005/mx--\r\n",

    FROM_DAEMON
    "Subject: Mail delivery failed: returning message to sender\r\nX-Failed-Recipients: "
    "someone@customer.example\r\nAuto-Submitted: auto-replied\r\n\r\nThis message was created "
    "automatically by mail delivery software.\r\n\r\nA message that you sent could not be "
    "delivered to one or more of its\r\nrecipients. This is a permanent error. The following "
    "address(es) failed:\r\n\r\n  someone@customer.example\r\n    SMTP error from remote mail "
    "server after end of data:\r\n    host box.customer.example [198.51.100.8]: 552 5.2.2 "
    "Mailbox is over quota\r\n\r\n------ This is a copy of the message, including all the "
    "headers. ------\r\n\r\n" RETURNED "\r\nHello.\r\n",

    FROM_DAEMON
    "Subject: failure notice\r\n\r\nHi. This is the qmail-send program at mx.customer.example.\r\n"
    "I'm afraid I wasn't able to deliver your message to the following addresses.\r\nThis is a "
    "permanent error; I've given up. Sorry it didn't work out.\r\n\r\n<someone@customer.example>:"
    "\r\n198.51.100.8 does not like recipient.\r\nRemote host said: 554 5.7.1 Service unavailable; "
    "Client host [192.0.2.10] blocked using zen.spamhaus.org\r\nGiving up on 198.51.100.8.\r\n\r\n"
    "--- Below this line is a copy of the message.\r\n\r\n" RETURNED "\r\nHello.\r\n",

    FROM_DAEMON
    "Subject: complaint about message\r\nContent-Type: multipart/report; "
    "report-type=feedback-report; boundary=part\r\n\r\n--part\r\nContent-Type: text/plain\r\n\r\n"
    "This is an email abuse report.\r\n--part\r\nContent-Type: message/feedback-report\r\n\r\n"
    "Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\nOriginal-Mail-From: "
    "<news@shop.example>\r\nOriginal-Rcpt-To: <someone@customer.example>\r\nSource-IP: "
    "192.0.2.10\r\n\r\n--part\r\nContent-Type: message/rfc822\r\n\r\n" RETURNED
    "\r\nHello.\r\n--part--\r\n",
};

static const char *const replies[] = {
    "550 5.1.1 <someone@customer.example>: Recipient address rejected: User unknown",
    "552 5.2.2 The email account that you tried to reach is over quota. Please direct the "
    "recipient "
    "to https://support.example/mail/?p=OverQuotaPerm",
    "554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org",
    "421 4.7.0 [TSS04] Messages from 192.0.2.10 temporarily deferred due to unexpected volume or "
    "user complaints",
    "450 4.2.0 <someone@customer.example>: Recipient address rejected: Greylisted, try again later",
    "550 5.7.26 Unauthenticated email from shop.example is not accepted due to domain's DMARC "
    "policy",
    "451 4.3.2 System not accepting network messages",
    "550-5.7.1 This message does not have authentication information or fails to pass 550 5.7.1 "
    "authentication checks",
    "501 5.5.4 Invalid domain name",
    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
};

static int64_t cpu_ns(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        cli_die("this system does not measure CPU time");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct bounce_rules *load_rules(void)
{
    struct bounce_rules *rules = bounce_rules_create();
    struct err e;

    if (bounce_rules_add_shipped(rules, &e) < 0 || bounce_rules_compile(rules, &e) < 0)
        cli_die("%s", e.text);
    return rules;
}

static int print_speed(const char *what, uint64_t count, int64_t spent_ns, bool json)
{
    int64_t rate = (int64_t)((double)count * 1e9 / (double)spent_ns); /* far below 2^53 */
    struct buf out;
    struct json j;

    buf_init(&out, 4096);
    json_begin(&j, &out);
    if (json) {
        json_object(&j);
        json_member_int(&j, "per_second", rate);
        json_member_string(&j, "what", what);
        json_end(&j);
        buf_append_char(&out, '\n');
    } else {
        buf_printf(&out, "%lld %s a second, on one thread, rules loaded.\n", (long long)rate, what);
    }
    cli_write(&out);
    buf_finish(&out);
    return CLI_GOOD;
}

int bench_bounce(bool json)
{
    struct bounce_rules *rules = load_rules();
    struct bounce_reader *reader = bounce_reader_create(rules);
    int64_t start = cpu_ns(), spent;
    struct bounce_report report;
    uint64_t count = 0;
    struct err e;

    do {
        for (size_t i = 0; i < COUNT(reports); i++, count++) {
            if (bounce_read(reader, slice_of(reports[i]), &report, &e) < 0 || report.count != 1)
                cli_die("report %zu was not read", i);
        }
        spent = cpu_ns() - start;
    } while (spent < MEASURE_NS);
    bounce_reader_destroy(&reader);
    bounce_rules_destroy(&rules);
    return print_speed("reports", count, spent, json);
}

int bench_classify(bool json)
{
    struct bounce_rules *rules = load_rules();
    int64_t start = cpu_ns(), spent;
    struct bounce_verdict verdict;
    struct buf scratch;
    uint64_t count = 0;

    buf_init(&scratch, 2 * BOUNCE_TEXT_MAX);
    do {
        for (size_t i = 0; i < COUNT(replies); i++, count++) {
            const struct bounce_reply reply = {.text = slice_of(replies[i])};

            bounce_classify(rules, &reply, &scratch, &verdict);
        }
        spent = cpu_ns() - start;
    } while (spent < MEASURE_NS);
    buf_finish(&scratch);
    bounce_rules_destroy(&rules);
    return print_speed("replies", count, spent, json);
}
