/* What is no bounce: complaints (RFC 5965), receipts (RFC 8098), auto-replies (RFC 3834),
 * challenges. */
#include "base/ascii.h"
#include "lib/bounce/report_in.h"
#include "lib/text/encoded_word.h"

/* --- complaints --- */

static enum bounce_event event_of_feedback(struct slice type)
{
    static const struct {
        const char *name;
        enum bounce_event event;
    } types[] = {
        {"not-spam", BOUNCE_NOT_SPAM},         {"auth-failure", BOUNCE_AUTH_FAILURE_REPORT},
        {"dmarc", BOUNCE_AUTH_FAILURE_REPORT}, {"opt-out", BOUNCE_UNSUBSCRIBE},
        {"opt-out-list", BOUNCE_UNSUBSCRIBE},  {"unsubscribe", BOUNCE_UNSUBSCRIBE},
    };

    for (size_t i = 0; i < COUNT(types); i++)
        if (slice_eq_nocase(type, slice_of(types[i].name)))
            return types[i].event;
    return BOUNCE_COMPLAINT;
}

static enum bounce_category category_of_event(enum bounce_event event)
{
    if (event == BOUNCE_COMPLAINT)
        return BOUNCE_CATEGORY_COMPLAINT;
    return event == BOUNCE_UNSUBSCRIBE ? BOUNCE_CATEGORY_UNSUBSCRIBE : BOUNCE_CATEGORY_NONE;
}

static void add_complainer(struct bounce_reader *r, struct slice address, enum bounce_event event)
{
    struct found_address found;

    if (!address_find(address, 0, &found) || report_get(r, found.address) != NULL)
        return;
    struct bounce_recipient *item = report_add(r, found.address);
    if (item == NULL)
        return;
    item->event = event;
    bounce_verdict_of(category_of_event(event), '0', false, &item->verdict);
}

/* Microsoft's reports have no feedback part: who complained stands in the returned header. */
static bool is_bare_complaint(const struct bounce_reader *r)
{
    if (!r->has_original)
        return false;
    return header_first(&r->original, "X-HmXmrOriginalRecipient") != NULL &&
           slice_search_nocase(r->from, SLICE("hotmail")) != SLICE_NONE;
}

bool feedback_read(struct bounce_reader *r, struct bounce_report *report)
{
    struct slice rest = buf_slice(&r->feedback), name, value = {NULL, 0};
    struct slice recipients[8], type = {NULL, 0}, removal = {NULL, 0};
    size_t count = 0;
    bool is_blank;

    if (r->feedback.n == 0 && !is_bare_complaint(r))
        return false;
    while (field_next(r, &rest, &name, &value, &is_blank)) {
        if (is_blank)
            continue;
        if (slice_eq_nocase(name, SLICE("Feedback-Type")))
            type = slice_trim(value);
        else if (slice_eq_nocase(name, SLICE("Original-Rcpt-To")) && count < COUNT(recipients))
            recipients[count++] = value;
        else if (slice_eq_nocase(name, SLICE("Removal-Recipient")))
            removal = value;
    }
    report->feedback_type = type;
    report->event = event_of_feedback(type);
    for (size_t i = 0; i < count; i++)
        add_complainer(r, recipients[i], report->event);
    if (r->count == 0 && removal.n > 0)
        add_complainer(r, removal, report->event);
    if (r->count == 0 && r->has_original) {
        static const char *const fields[] = {"X-HmXmrOriginalRecipient", "X-Original-To",
                                             "Delivered-To", "To"};
        for (size_t i = 0; i < COUNT(fields) && r->count == 0; i++)
            add_complainer(r, header_value(&r->original, fields[i]), report->event);
    }
    return true;
}

/* --- receipts --- */

bool receipt_read(struct bounce_reader *r, struct bounce_report *report)
{
    struct slice rest = buf_slice(&r->receipt), name, value = {NULL, 0}, recipient = {NULL, 0};
    struct slice disposition = {NULL, 0};
    bool is_blank;

    if (r->receipt.n == 0)
        return false;
    while (field_next(r, &rest, &name, &value, &is_blank)) {
        if (is_blank)
            continue;
        if (slice_eq_nocase(name, SLICE("Final-Recipient")))
            recipient = value;
        else if (slice_eq_nocase(name, SLICE("Disposition")))
            disposition = value;
        else if (slice_eq_nocase(name, SLICE("Original-Message-ID")))
            r->original_id = value;
    }
    bool failed = slice_search_nocase(disposition, SLICE("failed")) != SLICE_NONE;
    report->event = failed ? BOUNCE_NOT_A_BOUNCE : BOUNCE_DELIVERED;
    add_complainer(r, recipient, report->event);
    return true;
}

/* --- replies --- */

static bool has_field(const struct bounce_reader *r, const char *name)
{
    return header_first(&r->root->header, name) != NULL;
}

static bool subject_says(const struct bounce_reader *r, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_search_nocase(r->subject, slice_of(words[i])) != SLICE_NONE)
            return true;
    return false;
}

enum bounce_event kind_of_reply(struct bounce_reader *r)
{
    static const char *const away[] = {
        "out of office",
        "out of the office",
        "auto:",
        "automatic reply",
        "auto reply",
        "auto-reply",
        "autoreply",
        "vacation",
        "autoresponse",
        "auto response",
        "auto-response",
        "away from",
        "abwesenheit",
        "automatische antwort",
        "r\xc3\xa9ponse automatique",
        "respuesta autom",
        "autoresponder",
        "on holiday",
        "absence du bureau",
        "message d'absence",
        "fuera de la oficina",
        "risposta automatica",
        "fuori ufficio",
        "assente dal",
        "resposta autom",
        "ausente do",
        "automatisch antwoord",
        "afwezig",
        "autosvar",
        "automatisk svar",
        "automaattinen vastaus",
        "automatyczna odpowied",
        "nieobecno",
        "автоответ",
        "автоматический ответ",
        "自動返信",
        "自動応答",
        "不在通知",
        "自动回复",
        "自動回覆",
        "자동 회신",
        "자동회신",
        "자동응답",
        "부재중",
    };
    static const char *const challenge[] = {"confirm your message", "verification required",
                                            "please confirm", "boxbe", "spam arrest"};
    const struct header *h = &r->root->header;
    struct slice automatic = header_value(h, "Auto-Submitted");

    if ((r->marks & PHRASE_CHALLENGE) != 0 || subject_says(r, challenge, COUNT(challenge)))
        return BOUNCE_CHALLENGE;
    if (slice_starts_nocase(automatic, SLICE("auto-replied")) || has_field(r, "X-Autoreply") ||
        has_field(r, "X-Autorespond") || has_field(r, "X-Autoresponder") ||
        slice_eq_nocase(header_value(h, "Precedence"), SLICE("auto_reply")) ||
        has_field(r, "X-Auto-Response-Suppress"))
        return BOUNCE_AUTO_REPLY;
    if (subject_says(r, away, COUNT(away)))
        return BOUNCE_AUTO_REPLY;
    if ((r->marks & PHRASE_AUTO_REPLY) != 0 &&
        (has_field(r, "In-Reply-To") || slice_starts_nocase(r->subject, SLICE("re:"))))
        return BOUNCE_AUTO_REPLY;
    return BOUNCE_NOT_A_BOUNCE;
}
