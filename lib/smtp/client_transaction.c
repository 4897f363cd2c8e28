/* One transaction, from MAIL to the final reply. */
#include <assert.h>

#include "base/ascii.h"
#include "lib/smtp/client_in.h"

/* --- verdicts --- */

static void settle(struct smtp_client *c, size_t i, enum smtp_outcome outcome,
                   struct smtp_response r)
{
    struct slice text = arena_copy(c->texts, slice_sub(r.text, 0, SMTP_RESPONSE_TEXT_MAX));

    c->verdicts[i] = (struct smtp_verdict){
        .outcome = outcome,
        .phase = c->phase,
        .response = {r.code, arena_copy(c->texts, r.enhanced), text},
        .dot_sent = c->dot_sent,
    };
    c->settled[i] = true;
    c->unsettled--;
}

void smtp_client_settle_rest(struct smtp_client *c, enum smtp_outcome outcome,
                             struct smtp_response response)
{
    const struct smtp_verdict *first = NULL;

    for (size_t i = 0; i < c->recipients; i++) {
        if (c->settled[i])
            continue;
        if (first == NULL) {
            settle(c, i, outcome, response);
            first = &c->verdicts[i];
        } else {
            c->verdicts[i] = *first; /* one text for all */
            c->settled[i] = true;
        }
    }
    c->unsettled = 0;
    c->want = SMTP_WANT_RESULT_TAKEN;
}

static enum smtp_outcome outcome_of(unsigned code)
{
    return code / 100 == 5 ? SMTP_REFUSED : SMTP_DEFERRED;
}

/* The server is leaving, or out of step: what it said is the verdict for all that have none. */
static void settle_and_close(struct smtp_client *c, struct smtp_response r)
{
    enum smtp_outcome outcome = outcome_of(r.code);

    if (r.code < 400 && c->dot_sent)
        outcome = SMTP_UNKNOWN;
    smtp_client_note_failure(c, r);
    smtp_client_settle_rest(c, outcome, r);
}

/* --- begin: the script --- */

/* A path as it can stand between < and >: no control characters; no space or bracket outside
 * quotes. */
static bool is_sendable_path(struct slice path)
{
    bool is_quoted = false;

    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (ascii_is_control(c))
            return false;
        if (c == '"')
            is_quoted = !is_quoted;
        else if (c == '\\' && is_quoted)
            i++;
        else if (!is_quoted && (c == ' ' || c == '<' || c == '>'))
            return false;
        if (i < path.n && ascii_is_control(path.p[i]))
            return false;
    }
    return !is_quoted;
}

static bool is_sendable_value(struct slice value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == ' ' || ascii_is_control(value.p[i]))
            return false;
    return true;
}

static bool has_high_byte(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

static int check_envelope(const struct smtp_envelope *envelope, bool *needs_utf8_out, struct err *e)
{
    const struct smtp_sender *sender = &envelope->sender;

    if (envelope->recipient_count == 0)
        return err_set(e, ERR_SYNTAX, "a message for nobody");
    if (envelope->recipient_count > SMTP_CLIENT_RECIPIENTS_MAX)
        return err_set(e, ERR_LIMIT, "%zu recipients in one message, at most %d",
                       envelope->recipient_count, SMTP_CLIENT_RECIPIENTS_MAX);
    if (!is_sendable_path(sender->path) || !is_sendable_value(sender->envelope_id) ||
        !is_sendable_value(sender->auth))
        return err_set(e, ERR_SYNTAX, "the sender \"%.*s\" cannot stand in a MAIL command",
                       SLICE_ARG(slice_sub(sender->path, 0, 100)));
    *needs_utf8_out = sender->utf8 || has_high_byte(sender->path);
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct smtp_recipient *r = &envelope->recipients[i];

        if (r->path.n == 0 || !is_sendable_path(r->path) || !is_sendable_value(r->origin))
            return err_set(e, ERR_SYNTAX, "the recipient \"%.*s\" cannot stand in a RCPT command",
                           SLICE_ARG(slice_sub(r->path, 0, 100)));
        *needs_utf8_out = *needs_utf8_out || has_high_byte(r->path);
    }
    return 0;
}

static void add(struct buf *script, const char *name, struct slice value)
{
    buf_append_text(script, name);
    buf_append(script, value);
}

static void write_mail(struct smtp_client *c, const struct smtp_sender *sender, bool needs_utf8)
{
    const struct smtp_capabilities *can = &c->capabilities;
    struct buf *script = &c->script;

    add(script, "MAIL FROM:<", sender->path);
    buf_append_char(script, '>');
    if (can->size && sender->size_bytes > 0) {
        buf_append_text(script, " SIZE=");
        buf_append_u64(script, sender->size_bytes);
    }
    if (can->eightbit && sender->body == SMTP_BODY_8BITMIME)
        buf_append_text(script, " BODY=8BITMIME");
    if (needs_utf8)
        buf_append_text(script, " SMTPUTF8");
    if (can->dsn && sender->ret != SMTP_RET_UNSAID)
        buf_append_text(script, sender->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
    if (can->dsn && sender->envelope_id.n > 0)
        add(script, " ENVID=", sender->envelope_id);
    if (c->settings.user != NULL && sender->auth.n > 0)
        add(script, " AUTH=", sender->auth);
    buf_append_text(script, "\r\n");
}

static void write_notify(struct buf *script, unsigned notify)
{
    static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    const char *before = " NOTIFY=";

    for (size_t i = 0; i < COUNT(words); i++)
        if ((notify & 1u << i) != 0) {
            add(script, before, slice_of(words[i]));
            before = ",";
        }
}

static void write_rcpt(struct smtp_client *c, const struct smtp_recipient *recipient)
{
    add(&c->script, "RCPT TO:<", recipient->path);
    buf_append_char(&c->script, '>');
    if (c->capabilities.dsn) {
        write_notify(&c->script, recipient->notify);
        if (recipient->origin.n > 0)
            add(&c->script, " ORCPT=", recipient->origin);
    }
    buf_append_text(&c->script, "\r\n");
}

/* The whole script leaves, or its next line. */
static void send_script(struct smtp_client *c)
{
    struct slice rest = slice_from(buf_slice(&c->script), c->script_at);

    if (!c->pipelines)
        rest = slice_sub(rest, 0, slice_find(rest, '\n') + 1);
    buf_append(&c->output, rest);
    c->script_at += rest.n;
}

static void reset_transaction(struct smtp_client *c)
{
    buf_finish(&c->script);
    if (c->texts != NULL)
        arena_destroy(&c->texts);
    c->verdicts = NULL;
    c->settled = NULL;
    c->script_at = c->replies = c->replies_due = c->recipients = c->unsettled = 0;
    c->lmtp_next = c->chunk_replies = 0;
    c->in_transaction = c->mail_accepted = c->data_accepted = c->dot_sent = c->cancels = false;
    c->at_line_start = true;
    c->after_cr = false;
}

static void open_transaction(struct smtp_client *c, size_t recipients)
{
    size_t each = sizeof(struct smtp_verdict) + SMTP_RESPONSE_TEXT_MAX + 128;

    reset_transaction(c);
    c->in_transaction = true;
    c->recipients = c->unsettled = recipients;
    c->texts = arena_create(recipients * each + 4096); /* recipients <= 10,000 */
    c->verdicts = arena_array(c->texts, recipients, sizeof *c->verdicts);
    c->settled = arena_array(c->texts, recipients, sizeof *c->settled);
    assert(c->verdicts != NULL && c->settled != NULL);
    c->pipelines = c->capabilities.pipelining && !c->settings.no_pipelining;
    c->chunks = c->capabilities.chunking && c->settings.use_chunking;
    smtp_client_enter(c, SMTP_PHASE_MAIL, SMTP_WANT_BYTES);
}

int smtp_client_begin(struct smtp_client *c, const struct smtp_envelope *envelope, struct err *e)
{
    const struct smtp_capabilities *can = &c->capabilities;
    bool needs_utf8 = false;

    assert(c->want == SMTP_WANT_TRANSACTION);
    if (check_envelope(envelope, &needs_utf8, e) < 0)
        return -1;
    open_transaction(c, envelope->recipient_count);
    if (needs_utf8 && !can->utf8) {
        smtp_client_settle_rest(
            c, SMTP_REFUSED,
            (struct smtp_response){0, SLICE("5.6.7"), SLICE("the server does not offer SMTPUTF8")});
        return 0;
    }
    if (can->size_max_bytes > 0 && envelope->sender.size_bytes > can->size_max_bytes) {
        smtp_client_settle_rest(
            c, SMTP_REFUSED,
            (struct smtp_response){0, SLICE("5.3.4"),
                                   SLICE("the message is larger than the SIZE of the server")});
        return 0;
    }
    write_mail(c, &envelope->sender, needs_utf8);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        write_rcpt(c, &envelope->recipients[i]);
    if (!c->chunks)
        buf_append(&c->script, SLICE("DATA\r\n"));
    c->replies_due = 1 + c->recipients + !c->chunks;
    if (c->script.full) {
        reset_transaction(c);
        smtp_client_enter(c, SMTP_PHASE_READY, SMTP_WANT_TRANSACTION);
        return err_set(e, ERR_LIMIT, "the commands for %zu recipients are too long",
                       envelope->recipient_count);
    }
    send_script(c);
    return 0;
}

/* --- replies to the script --- */

/* All replies are there, or no more commands make sense. */
static void end_script(struct smtp_client *c)
{
    buf_finish(&c->script);
    if (c->unsettled > 0) {
        smtp_client_enter(c, SMTP_PHASE_BODY, SMTP_WANT_BODY);
    } else if (c->data_accepted) {
        /* Nobody takes it, and the server waits for a message: an empty one (RFC 2920 3.1). */
        c->cancels = true;
        buf_append(&c->output, SLICE(".\r\n"));
    } else {
        c->want = SMTP_WANT_RESULT_TAKEN;
    }
}

static void next_reply(struct smtp_client *c)
{
    bool is_hopeless;

    c->replies++;
    is_hopeless = !c->mail_accepted || (c->replies > c->recipients && c->unsettled == 0);
    if (c->replies == c->replies_due || (!c->pipelines && is_hopeless)) {
        end_script(c);
        return;
    }
    c->phase = c->replies <= c->recipients ? SMTP_PHASE_RCPT : SMTP_PHASE_DATA;
    if (!c->pipelines)
        send_script(c);
}

void smtp_client_take_mail(struct smtp_client *c, struct smtp_response r)
{
    if (r.code == 421 || r.code / 100 == 3) {
        settle_and_close(c, r);
        return;
    }
    c->mail_accepted = r.code / 100 == 2;
    if (!c->mail_accepted) {
        smtp_client_settle_rest(c, outcome_of(r.code), r);
        c->want = SMTP_WANT_BYTES; /* the replies to RCPT and DATA are still to come */
    }
    next_reply(c);
}

void smtp_client_take_rcpt(struct smtp_client *c, struct smtp_response r)
{
    size_t i = c->replies - 1;
    enum smtp_outcome outcome = outcome_of(r.code);

    if (r.code == 421 || r.code / 100 == 3) {
        settle_and_close(c, r);
        return;
    }
    /* RFC 5321 4.5.3.1.10: 552 may mean "too many recipients", which is 452 */
    if (r.code == 552 && (r.enhanced.n == 0 || slice_eq(r.enhanced, SLICE("5.5.3"))))
        outcome = SMTP_DEFERRED;
    if (r.code / 100 != 2 && !c->settled[i])
        settle(c, i, outcome, r);
    next_reply(c);
}

void smtp_client_take_data(struct smtp_client *c, struct smtp_response r)
{
    if (r.code == 421 || r.code / 100 == 2) {
        if (!c->cancels) {
            settle_and_close(c, r);
            return;
        }
        if (r.code == 421)
            smtp_client_note_failure(c, r);
    }
    if (c->cancels) { /* whatever it says, the empty message was for nobody */
        c->want = SMTP_WANT_RESULT_TAKEN;
        return;
    }
    c->data_accepted = r.code / 100 == 3;
    if (!c->data_accepted && c->unsettled > 0) {
        smtp_client_settle_rest(c, outcome_of(r.code), r);
        c->want = SMTP_WANT_BYTES;
    }
    next_reply(c);
}

/* --- replies to the message --- */

/* A reply while we are still sending. For BDAT it may be due; for DATA it is bad news. */
void smtp_client_take_early(struct smtp_client *c, struct smtp_response r)
{
    if (c->chunk_replies > 0 && r.code / 100 == 2)
        c->chunk_replies--;
    else
        settle_and_close(c, r);
}

void smtp_client_take_final(struct smtp_client *c, struct smtp_response r)
{
    enum smtp_outcome outcome = r.code / 100 == 2 ? SMTP_DELIVERED : outcome_of(r.code);

    if (r.code == 421 || r.code / 100 == 3 || (c->chunk_replies > 0 && r.code / 100 != 2)) {
        settle_and_close(c, r);
        return;
    }
    if (c->chunk_replies > 0) {
        c->chunk_replies--;
        return;
    }
    if (!c->settings.lmtp) {
        smtp_client_settle_rest(c, outcome, r);
        return;
    }
    while (c->settled[c->lmtp_next]) /* refused at RCPT: no final reply (RFC 2033 4.2) */
        c->lmtp_next++;
    settle(c, c->lmtp_next, outcome, r);
    if (c->unsettled == 0)
        c->want = SMTP_WANT_RESULT_TAKEN;
}

struct smtp_verdict smtp_client_verdict(const struct smtp_client *c, size_t i)
{
    assert(c->want == SMTP_WANT_RESULT_TAKEN && i < c->recipients);
    return c->verdicts[i];
}

void smtp_client_done(struct smtp_client *c)
{
    bool needs_reset = c->mail_accepted && !c->dot_sent && !c->cancels;

    assert(c->want == SMTP_WANT_RESULT_TAKEN);
    reset_transaction(c);
    if (c->is_closing) {
        c->want = SMTP_WANT_CLOSE;
    } else if (needs_reset) {
        buf_append(&c->output, SLICE("RSET\r\n"));
        smtp_client_enter(c, SMTP_PHASE_RESET, SMTP_WANT_BYTES);
    } else {
        smtp_client_enter(c, SMTP_PHASE_READY, SMTP_WANT_TRANSACTION);
    }
}

void smtp_client_take_reset(struct smtp_client *c, struct smtp_response r)
{
    if (r.code / 100 == 2)
        smtp_client_enter(c, SMTP_PHASE_READY, SMTP_WANT_TRANSACTION);
    else
        smtp_client_fail(c, r, true);
}
