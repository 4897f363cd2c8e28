/* Replies as receivers write them, and what they mean. Every case is new, none from a corpus. */
#include "base/test.h"
#include "lib/bounce/classify.h"

struct reply {
    const char *name, *host, *text, *category;
    bool hard;
    const char *retry, *suppress;
};

static const struct reply replies[] = {
    {"a trusted code needs no words", "", "550 5.1.1 nope", "invalid_recipient", true, "no",
     "at_once"},
    {"plain words without a code in them", "", "550 No such user here", "invalid_recipient", true,
     "no", "at_once"},
    {"over quota beside 5.1.1 is a full mailbox", "", "550 5.1.1 mailbox is over quota",
     "mailbox_full", false, "no", "5/14d"},
    {"a full mailbox with 4xx is tried for long", "", "452 4.2.2 Mailbox full", "mailbox_full",
     false, "long", "5/14d"},
    {"one 4xx never suppresses at once", "", "450 4.1.1 <a@b.example>: User unknown",
     "invalid_recipient", false, "yes", "3/14d"},
    {"5.7.1 alone is no dead address", "", "550 5.7.1 Rejected by policy", "policy_rejected", false,
     "no", "never"},
    {"a block list names the sender's address", "",
     "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example.org",
     "blocked_ip", false, "no", "never"},
    {"a large provider says 5.4.1 for an unknown recipient", "mx.example.com",
     "550 5.4.1 Recipient address rejected: Access denied", "invalid_recipient", true, "no",
     "at_once"},
    {"dmarc", "", "550 5.7.26 Unauthenticated email is not accepted due to DMARC policy",
     "auth_failed", false, "no", "never"},
    {"missing reverse DNS", "", "550 5.7.25 no PTR record for your IP", "rdns_helo", false, "no",
     "never"},
    {"greylisting asks for the same address again", "", "451 4.7.1 Greylisted, come back later",
     "greylisted", false, "same_address", "never"},
    {"too many connections", "", "421 4.7.0 Too many connections from your IP", "rate_limited",
     false, "slow", "never"},
    {"relaying", "", "550 5.7.1 Relaying denied", "relay_denied", false, "no", "4/14d"},
    {"a virus", "", "550 Virus detected in message", "virus_detected", false, "no", "never"},
    {"spam", "", "550 5.7.1 This message has been classified as spam", "spam_content", false, "no",
     "never"},
    {"too large", "", "552 5.3.4 Message size exceeds fixed limit", "message_too_large", false,
     "no", "never"},
    {"the domain is gone", "", "550 5.1.2 Host unknown", "invalid_domain", true, "recheck", "2/1d"},
    {"the class digit alone decides nothing", "", "550 5.0.0 xyzzy", "undetermined", false, "no",
     "5/30d"},
    {"an empty line", "", "", "undetermined", false, "no", "5/30d"},
    {"a user who left", "", "550 5.2.1 This account has been disabled", "mailbox_inactive", false,
     "no", "2/7d"},
    {"a reply inside a sentence", "",
     "host mx.example [192.0.2.1] said: 550 5.1.1 <a@b.example>: unknown", "invalid_recipient",
     true, "no", "at_once"},
    {"a service's own suppression list", "", "550 Recipient is on the suppression list",
     "provider_suppressed", false, "no", "mirror"},
    {"words that a reply of several lines cuts apart", "",
     "550-5.7.1 This message is\r\n550-5.7.1 likely\r\n550 5.7.1 unsolicited mail", "spam_content",
     false, "no", "never"},
    {"such a reply on one line", "", "552-5.2.2 The recipient's inbox is 552-5.2.2 out of storage",
     "mailbox_full", false, "no", "5/14d"},
    {"another code in the middle is not one of its lines", "",
     "550-Callout verification failed: 550 550 5.1.1 User unknown", "invalid_recipient", true, "no",
     "at_once"},
    {"a full mailbox in German, Latin-1", "",
     "552 Postfach \xfc"
     "berf\xfcllt",
     "mailbox_full", false, "no", "5/14d"},
    {"an unknown user in Russian", "", "550 Пользователь не найден", "invalid_recipient", true,
     "no", "at_once"},
    {"a domain's reputation is the sender's", "", "550 5.7.1 Sender domain has poor reputation",
     "blocked_sender", false, "no", "never"},
    {"a policy that needs TLS", "", "530 5.7.0 Must issue a STARTTLS command first", "tls_failure",
     false, "yes", "never"},
};

static struct bounce_rules *shipped(void)
{
    struct bounce_rules *rules = bounce_rules_create();
    struct err e;

    assert_int_equal(bounce_rules_add_shipped(rules, &e), 0);
    assert_int_equal(bounce_rules_compile(rules, &e), 0);
    return rules;
}

static void check_reply(void **state)
{
    const struct reply *c = *state;
    struct bounce_rules *rules = shipped();
    struct bounce_reply reply = {.text = slice_of(c->text), .host = slice_of(c->host)};
    struct bounce_verdict verdict;
    struct buf scratch;

    buf_init(&scratch, 2 * BOUNCE_TEXT_MAX);
    bounce_classify(rules, &reply, &scratch, &verdict);
    assert_string_equal(bounce_meaning(verdict.category)->name, c->category);
    assert_int_equal(verdict.hard, c->hard);
    assert_string_equal(bounce_retry_name(verdict.retry), c->retry);
    assert_string_equal(verdict.suppress.text, c->suppress);
    buf_finish(&scratch);
    bounce_rules_destroy(&rules);
}

int main(void)
{
    RUN_TABLE(replies, check_reply);
}
