#include "lib/bounce/taxonomy.h"

static const char *const events[BOUNCE_EVENTS] = {
    [BOUNCE_FAILED] = "failed",           [BOUNCE_DELAYED] = "delayed",
    [BOUNCE_DELIVERED] = "delivered",     [BOUNCE_RELAYED] = "relayed",
    [BOUNCE_EXPANDED] = "expanded",       [BOUNCE_COMPLAINT] = "complaint",
    [BOUNCE_NOT_SPAM] = "not_spam",       [BOUNCE_AUTH_FAILURE_REPORT] = "auth_failure_report",
    [BOUNCE_UNSUBSCRIBE] = "unsubscribe", [BOUNCE_AUTO_REPLY] = "auto_reply",
    [BOUNCE_CHALLENGE] = "challenge",     [BOUNCE_NOT_A_BOUNCE] = "not_a_bounce",
};

static const char *const retries[] = {
    [BOUNCE_RETRY_NO] = "no",
    [BOUNCE_RETRY_YES] = "yes",
    [BOUNCE_RETRY_SLOW] = "slow",
    [BOUNCE_RETRY_LONG] = "long",
    [BOUNCE_RETRY_SAME] = "same_address",
    [BOUNCE_RETRY_RECHECK] = "recheck",
};

#define NEVER                                                                                      \
    {                                                                                              \
        0, 0, "never"                                                                              \
    }
#define AT_ONCE                                                                                    \
    {                                                                                              \
        1, 1, "at_once"                                                                            \
    }
#define AFTER(count, days)                                                                         \
    {                                                                                              \
        count, days, #count "/" #days "d"                                                          \
    }

/* name, hard, retry after 5xx, retry, suppress, who, means, advice */
static const struct bounce_meaning meanings[BOUNCE_CATEGORIES] = {
    [BOUNCE_CATEGORY_NONE] = {"none", false, false, BOUNCE_RETRY_NO, NEVER, "nobody",
                              "nothing failed", "Nothing needs to be done."},
    [BOUNCE_INVALID_RECIPIENT] = {"invalid_recipient", true, false, BOUNCE_RETRY_NO, AT_ONCE,
                                  "list", "there is no such mailbox",
                                  "Take the address off the list now."},
    [BOUNCE_INVALID_DOMAIN] = {"invalid_domain", true, true, BOUNCE_RETRY_RECHECK, AFTER(2, 1),
                               "list", "the domain does not exist or takes no mail",
                               "Look for a typo; check the domain again in a day, then take the "
                               "address off the list."},
    [BOUNCE_MAILBOX_MOVED] = {"mailbox_moved", true, false, BOUNCE_RETRY_NO, AT_ONCE, "list",
                              "the mailbox has moved away",
                              "Take the address off the list; ask the person for the new one."},
    [BOUNCE_MAILBOX_INACTIVE] = {"mailbox_inactive", false, false, BOUNCE_RETRY_NO, AFTER(2, 7),
                                 "list", "the mailbox is disabled or abandoned",
                                 "Stop writing to it if it fails again within a week."},
    [BOUNCE_MAILBOX_FULL] = {"mailbox_full", false, false, BOUNCE_RETRY_LONG, AFTER(5, 14),
                             "recipient", "the mailbox is full",
                             "Keep the address; try again much later."},
    [BOUNCE_RECIPIENT_REFUSED] = {"recipient_refused", false, false, BOUNCE_RETRY_NO, AFTER(3, 14),
                                  "list", "the recipient or a filter of theirs refuses this mail",
                                  "Keep the address for now; stop after three such failures."},
    [BOUNCE_MESSAGE_TOO_LARGE] = {"message_too_large", false, false, BOUNCE_RETRY_NO, NEVER,
                                  "author", "the message is too large",
                                  "Send a smaller message; the address is good."},
    [BOUNCE_CONTENT_REJECTED] = {"content_rejected", false, false, BOUNCE_RETRY_NO, NEVER, "author",
                                 "something in the message is not allowed there",
                                 "Change the content (attachment, link, header); the address is "
                                 "good."},
    [BOUNCE_VIRUS_DETECTED] = {"virus_detected", false, false, BOUNCE_RETRY_NO, NEVER, "author",
                               "a virus scanner refused the message",
                               "Check the attachments and the machine that made them."},
    [BOUNCE_SPAM_CONTENT] = {"spam_content", false, false, BOUNCE_RETRY_NO, NEVER, "author",
                             "the message was taken for spam",
                             "Look at the content and at who asked for it; the address is good."},
    [BOUNCE_BLOCKED_IP] = {"blocked_ip", false, false, BOUNCE_RETRY_SLOW, NEVER,
                           "sender operations", "the sending IP address is blocked",
                           "Find out why the address is listed, stop the cause, ask for removal."},
    [BOUNCE_BLOCKED_SENDER] = {"blocked_sender", false, false, BOUNCE_RETRY_SLOW, NEVER,
                               "sender operations", "the sender's address or domain is refused",
                               "Check that the sender's domain exists, accepts mail and is not on "
                               "a list."},
    [BOUNCE_POLICY_REJECTED] = {"policy_rejected", false, false, BOUNCE_RETRY_SLOW, NEVER,
                                "sender operations", "the receiver's policy refuses this mail",
                                "Read the reply's link or ask their postmaster; the address is "
                                "good."},
    [BOUNCE_AUTH_FAILED] = {"auth_failed", false, false, BOUNCE_RETRY_YES, NEVER, "fix DNS",
                            "SPF, DKIM or DMARC failed",
                            "Run `waybill doctor` for the sender's domain and repair its records."},
    [BOUNCE_RDNS_HELO] = {"rdns_helo", false, false, BOUNCE_RETRY_YES, NEVER, "fix DNS",
                          "the sending host's name does not fit its address",
                          "Give the sending address a PTR record that matches its HELO name."},
    [BOUNCE_RATE_LIMITED] = {"rate_limited", false, true, BOUNCE_RETRY_SLOW, NEVER, "queue",
                             "too much mail in too short a time",
                             "Nothing to do for the list; send slower to this destination."},
    [BOUNCE_GREYLISTED] = {"greylisted", false, true, BOUNCE_RETRY_SAME, NEVER, "queue",
                           "greylisting: come back later",
                           "Nothing to do: a retry from the same address will pass."},
    [BOUNCE_RELAY_DENIED] = {"relay_denied", false, false, BOUNCE_RETRY_NO, AFTER(4, 14),
                             "receiver", "that server does not take mail for this address",
                             "Their MX record or server is set up wrongly; tell them if you can."},
    [BOUNCE_MESSAGE_NONCOMPLIANT] = {"message_noncompliant", false, false, BOUNCE_RETRY_NO, NEVER,
                                     "software", "the message breaks the standard",
                                     "Repair the program that made the message."},
    [BOUNCE_PROTOCOL_ERROR] = {"protocol_error", false, false, BOUNCE_RETRY_NO, NEVER, "software",
                               "the SMTP conversation went wrong",
                               "Look at the session's transcript; one of the two programs errs."},
    [BOUNCE_TLS_FAILURE] = {"tls_failure", false, true, BOUNCE_RETRY_YES, NEVER, "TLS policy",
                            "no connection that is safe enough",
                            "Check certificates, MTA-STS and DANE of both sides."},
    [BOUNCE_NETWORK] = {"network", false, false, BOUNCE_RETRY_YES, AFTER(5, 14), "queue",
                        "the destination could not be reached",
                        "Wait for the retries; look at DNS and routing if it lasts."},
    [BOUNCE_REMOTE_SYSTEM] = {"remote_system", false, false, BOUNCE_RETRY_YES, AFTER(5, 14),
                              "queue", "the receiving system has a fault",
                              "Wait: they have to repair it; the address may be good."},
    [BOUNCE_EXPIRED] = {"expired", false, false, BOUNCE_RETRY_YES, AFTER(5, 14), "queue",
                        "it could not be delivered in time",
                        "Look at the earlier attempts for the cause; the address may be good."},
    [BOUNCE_PROVIDER_SUPPRESSED] = {"provider_suppressed",
                                    false,
                                    false,
                                    BOUNCE_RETRY_NO,
                                    {1, 1, "mirror"},
                                    "list",
                                    "the sending service has suppressed the address",
                                    "Copy the service's suppression; look there for the reason."},
    [BOUNCE_UNDETERMINED] = {"undetermined", false, false, BOUNCE_RETRY_YES, AFTER(5, 30),
                             "operator", "the reason is not clear",
                             "Read the reply; add a rule if it comes often."},
    [BOUNCE_CATEGORY_COMPLAINT] =
        {"complaint",
         false,
         false,
         BOUNCE_RETRY_NO,
         {1, 1, "stream"},
         "list",
         "the recipient complained",
         "Stop this stream of mail to this person now."},
    [BOUNCE_CATEGORY_UNSUBSCRIBE] =
        {"unsubscribe",
         false,
         false,
         BOUNCE_RETRY_NO,
         {1, 1, "list"},
         "list",
         "the recipient wants off this list",
         "Take the address off that list."},
};

const char *bounce_event_name(enum bounce_event event)
{
    return events[event];
}

const struct bounce_meaning *bounce_meaning(enum bounce_category category)
{
    return &meanings[category];
}

bool bounce_category_find(struct slice name, enum bounce_category *category_out)
{
    for (size_t i = 0; i < BOUNCE_CATEGORIES; i++) {
        if (slice_eq(name, slice_of(meanings[i].name))) {
            *category_out = (enum bounce_category)i; /* the table's index is the enum */
            return true;
        }
    }
    return false;
}

const char *bounce_retry_name(enum bounce_retry retry)
{
    return retries[retry];
}
