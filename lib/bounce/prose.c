/* Reports in words. Every address in the text is a candidate; where it stands says how much it is
 * worth. The best kind that is there wins, and weaker ones are then left out. */
#include "base/ascii.h"
#include "lib/bounce/report_in.h"

#define REASON_MAX 2000
#define REASON_LINES_MAX 24

enum worth {
    WORTH_NOTHING,
    WORTH_MENTION, /* somewhere in a sentence about the failure */
    WORTH_NAMED,   /* "to <a@b>", "user a@b", in a reply of SMTP */
    WORTH_LISTED,  /* alone on its line, before a colon, behind a label */
};

/* --- lines and marks --- */

struct marking {
    struct bounce_reader *r;
    size_t line; /* ends only grow, so this moves on */
    const char *base;
};

static void mark_line(void *ctx, unsigned kind, size_t end)
{
    struct marking *m = ctx;
    struct bounce_reader *r = m->r;

    while (m->line + 1 < r->line_count && (size_t)(r->lines[m->line + 1].text.p - m->base) < end)
        m->line++;
    if (m->line < r->line_count)
        r->lines[m->line].marks |= kind;
    r->marks |= kind;
}

static void mark_all(void *ctx, unsigned kind, size_t end)
{
    struct bounce_reader *r = ctx;

    (void)end;
    r->marks |= kind;
}

void prose_split(struct bounce_reader *r)
{
    struct slice rest = buf_slice(&r->prose);
    struct marking m = {r, 0, rest.p};

    r->line_count = 0;
    r->marks = 0;
    while (rest.n > 0 && r->line_count < READ_LINES_MAX) {
        struct slice line = slice_cut(&rest, '\n');
        r->lines[r->line_count++] = (struct line){line, 0};
    }
    phrases_find(r->phrases, buf_slice(&r->prose), mark_line, &m);
    phrases_find(r->phrases, r->subject, mark_all, r);
}

/* --- where the returned message begins --- */

static bool is_strong_field(struct slice name)
{
    static const char *const names[] = {
        "Return-Path", "Received",       "Message-ID",   "MIME-Version", "Delivered-To",
        "X-Mailer",    "DKIM-Signature", "Content-Type", "From",         "Date"};

    for (size_t i = 0; i < COUNT(names); i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

static bool is_field_line(struct slice line, struct slice *name_out)
{
    size_t n = 0;

    while (n < line.n && (ascii_is_alnum(line.p[n]) || line.p[n] == '-' || line.p[n] == '_'))
        n++;
    *name_out = slice_sub(line, 0, n);
    return n > 1 && n < line.n && line.p[n] == ':';
}

/* From here on stand at least three header fields, two of which only messages have. */
static bool is_header_block(struct slice text)
{
    unsigned fields = 0, strong = 0, lines = 0;
    struct slice name;

    while (text.n > 0 && lines < 40) {
        struct slice line = slice_cut(&text, '\n');
        lines++;
        if (fields > 0 && line.n > 0 && ascii_is_wsp(line.p[0]))
            continue;
        if (lines == 1 &&
            (slice_starts(line, SLICE("From ")) || slice_starts(line, SLICE(">From "))))
            continue;
        if (!is_field_line(line, &name))
            return false;
        if (slice_eq_nocase(name, SLICE("Reporting-MTA")) ||
            slice_eq_nocase(name, SLICE("Final-Recipient")))
            return false;
        fields++;
        strong += is_strong_field(name);
        if (fields >= 3 && strong >= 2)
            return true;
    }
    return fields >= 2 && strong >= 2;
}

static bool is_rule_char(char c)
{
    return c == '-' || c == '=' || c == '*' || c == '#' || c == '_' || c == '|' || c == '~';
}

/* "------ This is a copy of the message ------", "Original message follows.", "--- Below:" */
static bool is_marker(struct slice line)
{
    static const char *const words[] = {
        "copy of the message",  "copy of your message",
        "copy of the original", "original message",
        "original mail",        "returned message",
        "returned mail",        "unsent message",
        "undelivered message",  "undeliverable message",
        "bounced message",      "message follows",
        "message header",       "header of the",
        "headers of the",       "message text",
        "text of the message",  "start of message",
        "source mail",          "forwarded message",
        "rejected message",     "old message",
        "original e-mail",      "your message follows",
        "copy of the mail",     "text of your message",
        "mensaje original",     "summary of the undeliver",
        "failed message",       "body of message",
        "your original",        "unzustellbare nachricht",
        "headers follow",       "copy of your mail",
        "message attached",     "beginning of",
    };
    struct slice s = slice_trim(line);
    size_t dashes = 0;

    if (s.n < 8 || s.n > 120)
        return false;
    while (dashes < s.n && (is_rule_char(s.p[dashes]) || s.p[dashes] == ' '))
        dashes++;
    bool announces = dashes >= 2 || s.p[s.n - 1] == ':' ||
                     slice_ends_nocase(s, SLICE("follows.")) ||
                     slice_ends_nocase(s, SLICE("follows")) || slice_ends(s, SLICE("--"));
    if (!announces || slice_ends_nocase(s, SLICE("response:")) ||
        slice_search_nocase(s, SLICE("was received at")) != SLICE_NONE ||
        slice_search_nocase(s, SLICE("transcript")) != SLICE_NONE)
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (slice_search_nocase(s, slice_of(words[i])) != SLICE_NONE)
            return true;
    return false;
}

size_t prose_find_original(struct slice text)
{
    struct slice rest = text, name;
    bool after_blank = true;

    while (rest.n > 0) {
        size_t at = text.n - rest.n;
        struct slice here = rest, line = slice_cut(&rest, '\n');
        bool blank = slice_trim(line).n == 0;
        if (!blank && at > 0 && is_marker(line))
            return at;
        if (!blank && (after_blank || at == 0) && is_header_block(here))
            return at;
        /* a header glued to a boundary or a rule */
        if (!blank && is_field_line(line, &name) &&
            (slice_eq_nocase(name, SLICE("Return-Path")) ||
             slice_eq_nocase(name, SLICE("Received"))) &&
            is_header_block(here))
            return at;
        after_blank = blank || (line.n > 0 && is_rule_char(line.p[0]));
    }
    return text.n;
}

/* --- candidates --- */

static bool is_blank(const struct line *line)
{
    return slice_trim(line->text).n == 0;
}

/* Marks of the last line before `i` that is not empty. */
static const struct line *line_before(const struct bounce_reader *r, size_t i)
{
    while (i > 0) {
        i--;
        if (!is_blank(&r->lines[i]))
            return &r->lines[i];
    }
    return NULL;
}

static bool ends_with_word(struct slice before, const char *word)
{
    struct slice w = slice_of(word);

    if (!slice_ends_nocase(before, w))
        return false;
    return before.n == w.n || !ascii_is_alnum(before.p[before.n - w.n - 1]);
}

static bool any_word(struct slice before, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ends_with_word(before, words[i]))
            return true;
    return false;
}

/* What stands before the address, without quotes and brackets that belong to it. */
static struct slice trim_before(struct slice before)
{
    before = slice_trim(before);
    while (before.n > 0 && strchr("<\"'([`*", before.p[before.n - 1]) != NULL)
        before = slice_trim(slice_sub(before, 0, before.n - 1));
    return before;
}

static bool is_label(struct slice before)
{
    static const char *const labels[] = {
        "to",
        "recipient",
        "recipients",
        "address",
        "addresses",
        "recipient(s)",
        "user",
        "userid",
        "account",
        "mailbox",
        "rcpt to",
        "address(es)",
        "email",
        "e-mail",
        "full",
        "unknown",
        "failed",
        "follows",
        "invalid",
        "rcpt",
        "name",
        "following",
        "recipient address",
    };

    if (before.n == 0 || before.p[before.n - 1] != ':' || before.n > 60)
        return false;
    return any_word(slice_trim(slice_sub(before, 0, before.n - 1)), labels, COUNT(labels));
}

static bool is_about_sender(struct slice before)
{
    static const char *const words[] = {
        "from",          "from:",       "sender",
        "sender:",       "mail from:",  "by",
        "reply-to:",     "sent by",     "sender address",
        "return-path:",  "contact",     "contact:",
        "cc:",           "bcc:",        "f=",
        "message-id:",   "id:",         "return path",
        "envelope-from", "originator",  "subject:",
        "on behalf of",  "postmaster:", "von",
        "absender:",     "de:",
    };

    return any_word(before, words, COUNT(words));
}

static bool is_reply_line(struct slice s)
{
    return slice_starts(s, SLICE("<<<")) || slice_starts(s, SLICE(">>>")) ||
           (s.n > 4 && (s.p[0] == '4' || s.p[0] == '5') && ascii_is_digit(s.p[1]) &&
            ascii_is_digit(s.p[2]) && !ascii_is_alnum(s.p[3]));
}

static enum worth judge_tail(struct slice before, struct slice after)
{
    if (before.n == 0 && after.n == 0)
        return WORTH_LISTED;
    if (before.n == 0 &&
        (strchr(":(,;-=|", after.p[0]) != NULL || slice_starts(after, SLICE("..."))))
        return WORTH_LISTED;
    if (is_label(before))
        return WORTH_LISTED;
    if (before.n == 0 && slice_starts_nocase(after, SLICE("on ")) && after.n > 20 &&
        slice_find(after, ',') == 6)
        return WORTH_LISTED; /* Exchange 5.5: "a@b on Thu, 29 Apr 2010 ..." */
    if (before.n == 0 && slice_starts_nocase(after, SLICE("<mailto:")))
        return WORTH_LISTED;
    return WORTH_NOTHING;
}

static bool is_subject_next(const struct bounce_reader *r, size_t i)
{
    for (size_t k = i + 1; k < r->line_count && k < i + 4; k++)
        if (slice_starts_nocase(slice_trim(r->lines[k].text), SLICE("subject:")))
            return true;
    return false;
}

static enum worth judge(const struct bounce_reader *r, size_t i, struct found_address found)
{
    static const char *const named[] = {
        "to",    "recipient",  "user", "mailbox", "account", "address",   "for",      "to:<",
        "reach", "recipients", "to:",  "at",      "unknown", "addressee", "rcpt to:",
    };
    const struct line *line = &r->lines[i], *previous = line_before(r, i);
    struct slice text = line->text;
    struct slice before = trim_before(slice_sub(text, 0, found.start));
    struct slice after = slice_trim(slice_from(text, found.end));

    while (before.n > 0 && strchr("*-+.|#o", before.p[0]) != NULL && before.n < 3)
        before = slice_trim(slice_from(before, 1)); /* a list's bullet */
    while (after.n > 0 && strchr(">\"')].`", after.p[0]) != NULL &&
           !slice_starts(after, SLICE("..")))
        after = slice_trim(slice_from(after, 1));
    if (ends_with_word(before, "generated from"))
        return WORTH_MENTION; /* Exim: what the sender wrote, when it hides what became of it */
    if (is_about_sender(before))
        return WORTH_NOTHING;
    if (previous != NULL && before.n == 0 && (previous->marks & PHRASE_SENDER) != 0 &&
        slice_trim(previous->text).n < 60)
        return WORTH_NOTHING;
    if (is_subject_next(r, i) && slice_starts_nocase(before, SLICE("to:")))
        return WORTH_NOTHING; /* "Your message / To: / Subject:" describes what was sent */
    enum worth worth = judge_tail(before, after);
    if (worth == WORTH_LISTED)
        return worth;
    if ((line->marks & PHRASE_SENDER) != 0)
        return WORTH_NOTHING;
    if (is_reply_line(slice_trim(text)))
        return before.n <= 16 && slice_starts(after, SLICE("...")) ? WORTH_LISTED : WORTH_NAMED;
    if ((line->marks & PHRASE_CONTACT) != 0 && (line->marks & PHRASE_FAILED) == 0)
        return WORTH_NOTHING;
    if (any_word(before, named, COUNT(named)))
        return WORTH_NAMED;
    if (before.n == 0 && after.n > 0)
        return WORTH_NAMED;
    return (line->marks & PHRASE_CONTACT) != 0 ? WORTH_NOTHING : WORTH_MENTION;
}

static bool is_own_local(struct slice address)
{
    static const char *const locals[] = {"mailer-daemon@", "postmaster@", "mailerdaemon@",
                                         "maildaemon@",    "abuse@",      "hostmaster@"};

    for (size_t i = 0; i < COUNT(locals); i++)
        if (slice_starts_nocase(address, slice_of(locals[i])))
            return true;
    return false;
}

static bool is_sender(const struct bounce_reader *r, struct slice address)
{
    return slice_eq_nocase(address, r->to) || slice_eq_nocase(address, r->from);
}

/* --- reasons --- */

static void append_words(struct buf *out, struct slice text)
{
    text = slice_trim(text);
    if (text.n == 0)
        return;
    if (out->n > 0)
        buf_append_char(out, ' ');
    buf_append(out, slice_sub(text, 0, REASON_MAX));
}

/* "=======" */
static bool is_rule_line(struct slice line)
{
    struct slice s = slice_trim(line);

    for (size_t i = 0; i < s.n; i++)
        if (!is_rule_char(s.p[i]))
            return false;
    return true;
}

/* Reply lines that name the address. */
static void append_replies(struct bounce_reader *r, struct slice address)
{
    for (size_t i = 0; i < r->line_count && r->scratch.n < REASON_MAX; i++) {
        struct slice text = slice_trim(r->lines[i].text);
        if (!is_reply_line(text) || slice_starts(text, SLICE(">>>")))
            continue;
        bool names_it = slice_search_nocase(text, address) != SLICE_NONE;
        if (names_it || (r->count == 1 && slice_find(text, '@') == SLICE_NONE))
            append_words(&r->scratch,
                         slice_starts(text, SLICE("<<<")) ? slice_from(text, 3) : text);
    }
}

static bool starts_other(const struct bounce_reader *r, size_t i, struct slice address)
{
    struct found_address found;

    return address_find(r->lines[i].text, 0, &found) && judge(r, i, found) == WORTH_LISTED &&
           !slice_eq_nocase(found.address, address);
}

/* What follows an address: the rest of its line and the lines below, up to an empty line or the
 * next address. When only empty lines and one paragraph follow, that paragraph. */
static void append_paragraph(struct bounce_reader *r, size_t i, struct found_address found,
                             bool near_only)
{
    struct slice before = slice_trim(slice_sub(r->lines[i].text, 0, found.start));
    size_t lines = 0, start = r->scratch.n;

    if (before.n > 12)
        append_words(&r->scratch, r->lines[i].text);
    else
        append_words(&r->scratch, slice_from(r->lines[i].text, found.end));
    while (!near_only && r->scratch.n - start < 8 && i + 1 < r->line_count &&
           is_blank(&r->lines[i + 1]))
        i++;
    for (i++; i < r->line_count && lines < REASON_LINES_MAX && r->scratch.n < REASON_MAX; i++) {
        if (is_blank(&r->lines[i]) || starts_other(r, i, found.address))
            break;
        if (!is_rule_line(r->lines[i].text))
            append_words(&r->scratch, r->lines[i].text);
        lines++;
    }
}

struct slice prose_reason(struct bounce_reader *r, struct slice address, bool near_only)
{
    struct found_address found;

    buf_clear(&r->scratch);
    for (size_t i = 0; i < r->line_count; i++) {
        struct slice text = r->lines[i].text;
        if (address.n == 0 || !address_find(text, 0, &found) || judge(r, i, found) < WORTH_NAMED ||
            is_reply_line(slice_trim(text)))
            continue;
        if (!slice_eq_nocase(found.address, address))
            continue;
        append_paragraph(r, i, found, near_only);
        break;
    }
    append_replies(r, address);
    return arena_copy(r->arena, slice_trim(buf_slice(&r->scratch)));
}

/* --- the reading --- */

/* What the headings above say about the addresses below them. */
static enum bounce_event mode_after(const struct line *line, enum bounce_event mode)
{
    unsigned marks = line->marks;

    if ((marks & PHRASE_FINAL) != 0)
        return BOUNCE_FAILED;
    if ((marks & PHRASE_DELAYED) != 0)
        return BOUNCE_DELAYED;
    if ((marks & PHRASE_DELIVERED) != 0 && (marks & PHRASE_FAILED) == 0)
        return BOUNCE_DELIVERED;
    return mode;
}

struct gathering {
    bool take_own; /* the sender's and the postmaster's addresses too */
    size_t counts[WORTH_LISTED + 1];
};

static void consider(struct bounce_reader *r, size_t i, struct found_address found,
                     enum worth wanted, enum bounce_event mode, struct gathering *g)
{
    enum worth worth = judge(r, i, found);

    if (worth == WORTH_NOTHING || found.address.n > 320)
        return;
    bool own = is_sender(r, found.address) || is_own_local(found.address);
    if (own && worth < WORTH_NAMED)
        return;
    if (wanted == WORTH_NOTHING) {
        g->counts[own ? WORTH_NOTHING : worth]++; /* a bounce to oneself is possible */
        return;
    }
    if (worth < wanted || (own && !g->take_own) || report_get(r, found.address) != NULL)
        return;
    struct bounce_recipient *item = report_add(r, found.address);
    if (item != NULL)
        item->event = mode;
}

enum bounce_event prose_mode(const struct bounce_reader *r)
{
    if ((r->marks & PHRASE_WARNING) != 0)
        return BOUNCE_DELAYED;
    return (r->marks & PHRASE_DELAYED) != 0 && (r->marks & PHRASE_FINAL) == 0 ? BOUNCE_DELAYED
                                                                              : BOUNCE_FAILED;
}

static void walk(struct bounce_reader *r, enum worth wanted, struct gathering *g)
{
    enum bounce_event mode = prose_mode(r);

    for (size_t i = 0; i < r->line_count; i++) {
        struct slice text = r->lines[i].text;
        struct found_address found;
        if (text.n > 1 && text.p[0] == '>' && text.p[1] != '>')
            continue; /* quoted */
        if ((r->marks & PHRASE_WARNING) == 0)
            mode = mode_after(&r->lines[i], mode);
        for (size_t at = 0; address_find(text, at, &found); at = found.end)
            consider(r, i, found, wanted, mode, g);
    }
}

/* "could not be delivered because ...:" and then names without a domain: the reporter's own users.
 */
static void read_local_names(struct bounce_reader *r)
{
    size_t at = slice_find_last(r->from, '@');
    bool listed = false;

    for (size_t i = 0; at != SLICE_NONE && i < r->line_count; i++) {
        struct slice text = slice_trim(r->lines[i].text);
        if (text.n == 0)
            continue;
        size_t n = 0;
        while (n < text.n && (ascii_is_alnum(text.p[n]) || strchr("._-+", text.p[n]) != NULL))
            n++;
        if (listed && n == text.n && n <= 64 && ascii_is_alnum(text.p[0])) {
            struct bounce_recipient *item =
                report_add(r, arena_printf(r->arena, "%.*s%.*s", SLICE_ARG(text),
                                           SLICE_ARG(slice_from(r->from, at))));
            if (item != NULL)
                item->event = prose_mode(r);
            continue;
        }
        listed = (r->marks & PHRASE_FAILED) != 0 && text.p[text.n - 1] == ':' && text.n > 12;
    }
}

void prose_read(struct bounce_reader *r)
{
    struct gathering g = {0};

    walk(r, WORTH_NOTHING, &g);
    for (int worth = WORTH_LISTED; worth > WORTH_NOTHING; worth--) {
        if (g.counts[worth] > 0) {
            walk(r, (enum worth)worth, &g);
            break;
        }
    }
    /* The sender's own address counts when nothing else does. */
    g.take_own = true;
    for (int worth = WORTH_LISTED; worth >= WORTH_NAMED && r->count == 0; worth--)
        if (g.counts[WORTH_NOTHING] > 0)
            walk(r, (enum worth)worth, &g);
    if (r->count == 0 && !r->has_original)
        read_local_names(r);
}
