#include "lib/bounce/report.h"

#include "base/ascii.h"
#include "lib/bounce/report_in.h"
#include "lib/text/encoded_word.h"

#define READER_ARENA_MAX (256u << 20)

struct bounce_reader *bounce_reader_create(struct bounce_rules *rules)
{
    struct bounce_reader *r = mem_alloc(sizeof *r);

    r->arena = arena_create(READER_ARENA_MAX);
    r->rules = rules;
    r->phrases = phrases_create();
    buf_init(&r->scratch, 4 * READ_TEXT_MAX);
    buf_init(&r->flat, 2 * BOUNCE_TEXT_MAX);
    buf_init(&r->prose, READ_TEXT_MAX);
    buf_init(&r->status, READ_TEXT_MAX);
    buf_init(&r->feedback, READ_TEXT_MAX);
    buf_init(&r->receipt, READ_TEXT_MAX);
    r->items = mem_alloc(BOUNCE_RECIPIENTS_MAX * sizeof *r->items);
    return r;
}

void bounce_reader_destroy(struct bounce_reader **reader)
{
    struct bounce_reader *r = *reader;

    if (r == NULL)
        return;
    arena_destroy(&r->arena);
    phrases_destroy(&r->phrases);
    buf_finish(&r->scratch);
    buf_finish(&r->flat);
    buf_finish(&r->prose);
    buf_finish(&r->status);
    buf_finish(&r->feedback);
    buf_finish(&r->receipt);
    free(r->items);
    free(r);
    *reader = NULL;
}

struct bounce_recipient *report_get(struct bounce_reader *r, struct slice address)
{
    for (size_t i = 0; i < r->count; i++)
        if (slice_eq_nocase(r->items[i].recipient, address))
            return &r->items[i];
    return NULL;
}

struct bounce_recipient *report_add(struct bounce_reader *r, struct slice address)
{
    if (r->count == BOUNCE_RECIPIENTS_MAX) {
        r->is_cut = true;
        return NULL;
    }
    r->items[r->count] = (struct bounce_recipient){.recipient = address};
    return &r->items[r->count++];
}

/* --- the parts --- */

/* Appends text with LF line ends only; other control characters become spaces. */
static void append_lines(struct buf *out, struct slice text)
{
    if (text.n > out->max - out->n)
        text.n = out->max - out->n;
    char *p = buf_room(out, text.n);
    size_t n = 0;

    if (p == NULL)
        return;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\r') {
            p[n++] = '\n';
            if (i + 1 < text.n && text.p[i + 1] == '\n')
                i++;
        } else {
            p[n++] = ascii_is_control(c) && c != '\n' && c != '\t' ? ' ' : c;
        }
    }
    buf_claim(out, n);
    if (n > 0 && out->p[out->n - 1] != '\n')
        buf_append_char(out, '\n');
}

static void take_original(struct bounce_reader *r, const struct header *h)
{
    if (r->has_original || h->count == 0)
        return;
    r->original = *h;
    r->has_original = true;
}

static void original_from_text(struct bounce_reader *r, struct slice text)
{
    struct header h = {0};
    struct err e;

    /* the header may stand some lines below the marker */
    for (unsigned lines = 0; lines < 8 && text.n > 0; lines++) {
        struct slice rest = text, line = slice_cut(&rest, '\n');
        size_t colon = slice_find(line, ':');
        struct slice name = slice_sub(line, 0, colon);
        if (colon != SLICE_NONE && colon > 1 && slice_find(name, ' ') == SLICE_NONE)
            break;
        text = rest;
    }
    struct slice kept = arena_copy(r->arena, text);
    if (kept.n > 0 && header_parse(kept, NULL, r->arena, &h, &e) == 0)
        take_original(r, &h);
}

/* Takes the "> " off the lines of a report that a person has forwarded. */
static void unquote(struct buf *text, size_t start)
{
    size_t n = start;
    bool line_start = true;

    for (size_t i = start; i < text->n; i++) {
        if (line_start && text->p[i] == '>') {
            i += i + 1 < text->n && text->p[i + 1] == ' ';
            line_start = false;
            continue;
        }
        line_start = text->p[i] == '\n';
        text->p[n++] = text->p[i];
    }
    text->n = n;
}

/* Where the report begins in a text that a person forwards: behind the header of the report. */
static size_t skip_forwarded_header(struct slice text)
{
    size_t at = slice_search(text, SLICE("Begin forwarded message"));
    struct slice rest;
    bool any = false;

    if (at == SLICE_NONE)
        return 0;
    rest = slice_from(text, at);
    (void)slice_cut(&rest, '\n');
    while (rest.n > 0) {
        struct slice line = slice_trim(slice_cut(&rest, '\n'));
        if (line.n == 0 && any)
            return text.n - rest.n;
        any = any || line.n > 0;
    }
    return 0;
}

static bool is_report_header(const struct header *h)
{
    return slice_starts_nocase(slice_trim(header_value(h, "Content-Type")),
                               SLICE("multipart/report"));
}

static struct slice header_text(struct bounce_reader *r, const struct header *h, const char *name)
{
    buf_clear(&r->scratch);
    encoded_word_decode(header_value(h, name), &r->scratch);
    return arena_copy(r->arena, slice_trim(buf_slice(&r->scratch)));
}

static struct slice header_address(const struct header *h, const char *name)
{
    struct slice value = header_value(h, name);
    struct found_address found;

    return address_find(value, 0, &found) ? found.address : SLICE("");
}

static void read_parts(struct bounce_reader *r, const struct mime_part *root);

/* Who writes what, of the report that is read. */
static void take_head(struct bounce_reader *r, struct mime_part *root)
{
    r->root = root;
    r->from = header_address(&root->header, "From");
    r->subject = header_text(r, &root->header, "Subject");
}

static bool names_daemon(const struct header *h)
{
    struct slice from = header_value(h, "From");

    return slice_search_nocase(from, SLICE("mailer-daemon")) != SLICE_NONE ||
           slice_search_nocase(from, SLICE("mail delivery s")) != SLICE_NONE;
}

/* A person or a gateway passes a report on; what a daemon attaches is the returned message. */
static bool is_passed_on(const struct bounce_reader *r, const struct mime_part *inner)
{
    const struct header *outer = &r->root->header;

    if (r->is_inner || is_report_header(outer))
        return false;
    return is_report_header(&inner->header) ||
           (names_daemon(&inner->header) && !names_daemon(outer));
}

/* What a gateway returns may be a report of another system: then that one is read. */
static bool read_inner_report(struct bounce_reader *r, struct slice text)
{
    struct slice kept = text;
    struct header h = {0};
    struct mime_part *inner;
    struct err e;

    if (r->is_inner || slice_search_nocase(text, SLICE("multipart/report")) == SLICE_NONE)
        return false;
    if (slice_starts(kept, SLICE("From ")))
        (void)slice_cut(&kept, '\n');
    kept = arena_copy(r->arena, kept);
    if (header_parse(kept, NULL, r->arena, &h, &e) < 0 || !is_report_header(&h) ||
        mime_parse(kept, NULL, r->arena, &inner, &e) < 0)
        return false;
    r->is_inner = true;
    read_parts(r, inner);
    return true;
}

static void read_text(struct bounce_reader *r, const struct mime_part *part, bool is_html)
{
    buf_clear(&r->scratch);
    mime_decode_text(part, &r->scratch);
    size_t start = r->prose.n;
    if (is_html) {
        struct slice all = arena_copy(r->arena, buf_slice(&r->scratch));
        buf_clear(&r->scratch);
        page_append(&r->scratch, all);
    }
    append_lines(&r->prose, buf_slice(&r->scratch));
    if (slice_search(slice_from(buf_slice(&r->prose), start), SLICE("Begin forwarded message")) !=
        SLICE_NONE)
        unquote(&r->prose, start);
    struct slice added = slice_from(buf_slice(&r->prose), start);
    size_t skipped = skip_forwarded_header(added);
    size_t cut = skipped + prose_find_original(slice_from(added, skipped));
    if (cut < added.n) {
        struct slice returned = arena_copy(r->arena, slice_from(added, cut));
        r->prose.n = start + cut; /* what was returned is not the report */
        if (!read_inner_report(r, returned))
            original_from_text(r, returned);
    }
    if (r->prose.n > start)
        buf_append_char(&r->prose, '\n');
}

static void read_fields(struct bounce_reader *r, const struct mime_part *part, struct buf *out)
{
    buf_clear(&r->scratch);
    mime_decode_text(part, &r->scratch);
    append_lines(out, buf_slice(&r->scratch));
    buf_append_char(out, '\n');
}

static void read_returned_header(struct bounce_reader *r, const struct mime_part *part)
{
    struct header h = {0};
    struct err e;

    buf_clear(&r->scratch);
    mime_decode(part, &r->scratch);
    struct slice kept = arena_copy(r->arena, buf_slice(&r->scratch));
    if (kept.n > 0 && header_parse(kept, NULL, r->arena, &h, &e) == 0)
        take_original(r, &h);
}

static bool is_inside_returned(const struct mime_part *part, const struct mime_part *root)
{
    for (const struct mime_part *up = part->parent; up != NULL && part != root; up = up->parent) {
        if (up == root)
            break;
        if (mime_is_major(up, "message") && up->parent != NULL)
            return true;
    }
    return false;
}

static void read_part(struct bounce_reader *r, const struct mime_part *part, bool html_too)
{
    if (mime_is(part, "message/rfc822") || mime_is(part, "message/global") ||
        mime_is(part, "text/rfc822") || mime_is(part, "text/rfc822-headers") ||
        mime_is(part, "message/rfc822-headers") || mime_is(part, "message/global-headers")) {
        if (part->children != NULL && is_passed_on(r, part->children)) {
            r->is_inner = true;
            buf_clear(&r->prose); /* the words of whoever passes it on */
            take_head(r, part->children);
            read_parts(r, part->children);
        } else if (part->children != NULL) {
            take_original(r, &part->children->header);
        } else {
            read_returned_header(r, part);
        }
    } else if (mime_is(part, "message/feedback-report")) {
        read_fields(r, part, &r->feedback);
    } else if (mime_is(part, "message/disposition-notification")) {
        read_fields(r, part, &r->receipt);
    } else if (mime_is_major(part, "message")) {
        read_fields(r, part, &r->status);
    } else if (mime_is(part, "text/html")) {
        if (html_too)
            read_text(r, part, true);
    } else if (mime_is_major(part, "text")) {
        read_text(r, part, false);
    } else if (part->children == NULL &&
               (part->parent == NULL || mime_is_major(part, "multipart"))) {
        read_text(r, part, false); /* one odd leaf, or a lost boundary: look at it all the same */
    }
}

static void read_parts(struct bounce_reader *r, const struct mime_part *root)
{
    for (int html = 0; html < 2; html++) {
        for (const struct mime_part *p = root; p != NULL; p = mime_next(root, p)) {
            if (is_inside_returned(p, root))
                continue;
            if (html == 0 || mime_is(p, "text/html"))
                read_part(r, p, html > 0);
        }
        if (slice_trim(buf_slice(&r->prose)).n > 0)
            break; /* an HTML part only says it again */
    }
}

/* --- from parts to entries --- */

/* Exim's and Gmail's header field with the addresses, comma-separated, maybe several fields. */
static void read_failed_recipients(struct bounce_reader *r)
{
    static const char *const names[] = {"X-Failed-Recipients", "X-Actual-Recipients",
                                        "X-Failed-Recipient"};
    const struct header *h = &r->root->header;

    for (size_t i = 0; i < COUNT(names); i++) {
        for (const struct field *f = header_next(h, names[i], NULL); f != NULL;
             f = header_next(h, names[i], f)) {
            struct found_address found;
            for (size_t at = 0; address_find(f->value, at, &found); at = found.end) {
                if (report_get(r, found.address) != NULL)
                    continue;
                struct bounce_recipient *item = report_add(r, found.address);
                if (item != NULL)
                    item->event = prose_mode(r);
            }
        }
    }
}

static bool starts_with_any(struct slice s, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_starts_nocase(s, slice_of(words[i])))
            return true;
    return false;
}

/* Written by a mail system, beyond doubt. */
static bool is_daemon(const struct bounce_reader *r)
{
    static const char *const writers[] = {"mailer-daemon", "mailer_daemon", "mailerdaemon",
                                          "mail-daemon",   "maildaemon",    "mdaemon@"};
    struct slice from = header_value(&r->root->header, "From");

    if (starts_with_any(r->from, writers, COUNT(writers)))
        return (r->marks & PHRASE_CHALLENGE) == 0;
    for (size_t i = 0; i < COUNT(writers); i++)
        if (slice_search_nocase(from, slice_of(writers[i])) != SLICE_NONE)
            return true;
    return slice_search_nocase(from, SLICE("mail delivery s")) != SLICE_NONE ||
           (slice_starts_nocase(r->from, SLICE("postmaster")) && (r->marks & PHRASE_FAILED) != 0 &&
            (r->marks & PHRASE_AUTO_REPLY) == 0);
}

/* "Fwd: " and its like in front of the subject of a report that somebody passes on. */
static struct slice without_forward_mark(struct slice subject)
{
    static const char *const marks[] = {"fwd:", "fw:", "wg:", "tr:", "rv:", "enc:", "doorst:"};

    for (size_t i = 0; i < COUNT(marks); i++)
        if (slice_starts_nocase(subject, slice_of(marks[i])))
            return slice_trim(slice_from(subject, strlen(marks[i])));
    return subject;
}

/* Who writes, and under what subject: enough to believe the words when they tell of a failure. */
static bool looks_like_report(const struct bounce_reader *r)
{
    static const char *const writers[] = {"postmaster", "post_master", "bounce", "no-reply@"};
    static const char *const subjects[] = {
        "undeliver",         "delivery",          "returned mail",  "failure",
        "mail fail",         "non-deliver",       "mail delivery",  "failed",
        "mail system error", "warning:",          "mail error",     "undelivered",
        "message status",    "could not",         "error",          "nondeliverable",
        "unzustellbar",      "processing error",  "mail could not", "your message",
        "message delivery",  "rejected",          "mail status",    "there was an error",
        "loop alert",        "unable to deliver",
    };
    struct slice path = header_value(&r->root->header, "Return-Path");

    if (starts_with_any(r->from, writers, COUNT(writers)))
        return true;
    if ((slice_eq(path, SLICE("<>")) || slice_starts_nocase(path, SLICE("<mailer-daemon"))) &&
        (r->marks & PHRASE_AUTO_REPLY) == 0)
        return true;
    if (slice_starts_nocase(r->root->type.text, SLICE("multipart/report")))
        return true;
    return starts_with_any(without_forward_mark(r->subject), subjects, COUNT(subjects));
}

/* The returned message went to one address: then that is the one. */
static void guess_from_original(struct bounce_reader *r)
{
    static const char *const fields[] = {"X-Envelope-To", "Envelope-To", "X-Original-To",
                                         "Delivered-To", "To"};

    for (size_t i = 0; r->has_original && i < COUNT(fields); i++) {
        struct slice value = header_value(&r->original, fields[i]);
        struct found_address found, second;
        if (!address_find(value, 0, &found) || address_find(value, found.end, &second))
            continue;
        struct bounce_recipient *item = report_add(r, found.address);
        if (item != NULL)
            item->event = prose_mode(r);
        return;
    }
}

/* A delivery agent (Dovecot's) gives its reason in words and a code that says something else. */
static struct slice agents_words(struct bounce_reader *r, struct slice diagnostic)
{
    struct slice prose = buf_slice(&r->prose);
    size_t at = r->count == 1 ? slice_search(prose, SLICE("automatically rejected:")) : SLICE_NONE;

    if (at == SLICE_NONE)
        return diagnostic;
    return slice_sub(prose, at, slice_search(slice_from(prose, at), SLICE("\n\n")));
}

static void classify_items(struct bounce_reader *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct bounce_recipient *item = &r->items[i];
        if (item->event != BOUNCE_FAILED && item->event != BOUNCE_DELAYED) {
            bounce_verdict_of(BOUNCE_CATEGORY_NONE, '2', false, &item->verdict);
            continue;
        }
        bool is_exact = item->status.n > 0 && !slice_ends(item->status, SLICE(".0.0"));
        struct slice reason = prose_reason(r, item->recipient, is_exact && item->diagnostic.n == 0);
        if (item->diagnostic.n == 0)
            item->diagnostic = reason;
        struct slice fallback =
            reason.n > 0 && item->diagnostic.p != reason.p ? reason : buf_slice(&r->prose);
        struct bounce_reply reply = {
            .text = agents_words(r, item->diagnostic),
            .host = item->remote_mta,
            .status = item->status,
            .fallback = fallback,
            .is_delayed = item->event == BOUNCE_DELAYED,
        };
        bounce_classify(r->rules, &reply, &r->flat, &item->verdict);
        if (item->status.n == 0)
            item->status = item->verdict.status;
        if (item->reply_code == 0)
            item->reply_code = item->verdict.code;
    }
}

static enum bounce_event event_of_all(const struct bounce_reader *r)
{
    enum bounce_event event = r->items[0].event;

    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].event == BOUNCE_FAILED)
            return BOUNCE_FAILED;
        if (r->items[i].event == BOUNCE_DELAYED)
            event = BOUNCE_DELAYED;
    }
    return event;
}

/* True when it is a report about delivery. */
static bool read_delivery(struct bounce_reader *r)
{
    bool report = fields_read(r, buf_slice(&r->status));

    report = report || fields_read(r, buf_slice(&r->prose));
    if (r->count == 0)
        read_failed_recipients(r);
    if (r->count > 0)
        return true;
    bool believed = is_daemon(r);
    if (!believed && kind_of_reply(r) == BOUNCE_NOT_A_BOUNCE)
        believed = looks_like_report(r) && (r->marks & (PHRASE_FAILED | PHRASE_DELAYED)) != 0;
    if (believed || r->status.n > 0)
        prose_read(r);
    if (r->count == 0 && (believed || r->status.n > 0))
        guess_from_original(r);
    return r->count > 0 || report;
}

static void describe_original(struct bounce_reader *r, struct bounce_report *report)
{
    report->message_id = slice_trim(r->original_id);
    if (!r->has_original)
        return;
    struct slice id = header_value(&r->original, "Message-ID");
    if (id.n > 0) /* its own header is nearer than what the reporter noted */
        report->message_id = id;
    report->from = header_address(&r->original, "From");
    report->subject = header_text(r, &r->original, "Subject");
}

/* The boundary of a multipart body whose Content-Type is lost: a first line "--x", behind which a
 * field of a part or an empty line stands, and which comes again. Empty if it is none. */
static struct slice find_boundary(struct slice body)
{
    struct slice rest = body, line = slice_line(&rest);

    for (unsigned lines = 0; lines < 12 && rest.n > 0 && !slice_starts(line, SLICE("--")); lines++)
        line = slice_line(&rest);
    struct slice next = slice_line(&rest), name = slice_from(line, 2);
    bool is_part = next.n == 0 || slice_starts_nocase(next, SLICE("content-"));
    if (!slice_starts(line, SLICE("--")) || !is_part || name.n == 0 || name.n > 70 ||
        slice_find(name, '"') != SLICE_NONE || slice_search(rest, line) == SLICE_NONE)
        return (struct slice){NULL, 0};
    return name;
}

/* A message that came through something that took its Content-Type away is read as if it were
 * there. */
static int restore_type(struct bounce_reader *r, struct slice message, struct err *e)
{
    static const char *const kinds[] = {"message/delivery-status", "message/feedback-report",
                                        "message/global-delivery-status",
                                        "message/disposition-notification"};
    const char *type = "mixed";

    if (header_first(&r->root->header, "Content-Type") != NULL || r->root->children != NULL)
        return 0;
    struct slice boundary = find_boundary(r->root->body);
    if (boundary.n == 0)
        return 0;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (slice_search_nocase(r->root->body, slice_of(kinds[i])) != SLICE_NONE)
            type = "report";
    const char *end = slice_find(slice_sub(message, 0, 4096), '\n') != SLICE_NONE ? "\n" : "\r";
    struct slice field = arena_printf(r->arena, "Content-Type: multipart/%s; boundary=\"%.*s\"%s",
                                      type, SLICE_ARG(boundary), end);
    char *whole = arena_alloc(r->arena, field.n + message.n);
    if (field.p == NULL || whole == NULL)
        return 0; /* too large for that: it is read as it is */
    memcpy(whole, field.p, field.n);
    memcpy(whole + field.n, message.p, message.n);
    return mime_parse((struct slice){whole, field.n + message.n}, NULL, r->arena, &r->root, e);
}

static int read_start(struct bounce_reader *r, struct slice message, struct err *e)
{
    arena_reset(r->arena);
    buf_clear(&r->prose);
    buf_clear(&r->status);
    buf_clear(&r->feedback);
    buf_clear(&r->receipt);
    r->count = 0;
    r->is_cut = false;
    r->has_original = false;
    r->is_inner = false;
    r->has_nameless = false;
    r->original_id = (struct slice){NULL, 0};
    r->original = (struct header){0};
    if (message.n > BOUNCE_MESSAGE_MAX)
        return err_set(e, ERR_LIMIT, "the message has %zu bytes; more than %u are not read",
                       message.n, BOUNCE_MESSAGE_MAX);
    if (mime_parse(message, NULL, r->arena, &r->root, e) < 0)
        return -1;
    if (restore_type(r, message, e) < 0)
        return -1;
    r->to = header_address(&r->root->header, "To");
    take_head(r, r->root);
    read_parts(r, r->root);
    prose_split(r);
    return 0;
}

int bounce_read(struct bounce_reader *r, struct slice message, struct bounce_report *report_out,
                struct err *e)
{
    *report_out = (struct bounce_report){.event = BOUNCE_NOT_A_BOUNCE};
    if (read_start(r, message, e) < 0)
        return -1;
    if (!feedback_read(r, report_out) && !receipt_read(r, report_out)) {
        if (read_delivery(r)) {
            classify_items(r);
            report_out->event = r->count > 0 ? event_of_all(r) : BOUNCE_NOT_A_BOUNCE;
        } else if (r->has_nameless) {
            report_out->event = BOUNCE_FAILED; /* our return path may know whom it is about */
        } else {
            report_out->event = kind_of_reply(r);
            struct bounce_recipient *item =
                report_out->event == BOUNCE_NOT_A_BOUNCE ? NULL : report_add(r, r->from);
            if (item != NULL) {
                item->event = report_out->event;
                bounce_verdict_of(BOUNCE_CATEGORY_NONE, '2', false, &item->verdict);
            }
        }
    }
    describe_original(r, report_out);
    report_out->envelope_to = r->to;
    report_out->recipients = r->items;
    report_out->count = r->count;
    report_out->is_cut = r->is_cut;
    return 0;
}
