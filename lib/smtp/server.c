#include <assert.h>

#include "lib/smtp/server_in.h"

#define OUTPUT_MAX (1u << 20) /* a peer that never reads does not get more memory */
#define COMMAND_MAX 2048      /* RFC 5321 4.5.3.1.4 asks for 512; the extensions add to it */
#define AUTH_LINE_MAX 12288   /* RFC 4954 4 */
#define NAME_MAX 255

/* The state's name, and who takes the bytes that come in it. */
static const struct {
    const char *name;
    size_t (*take)(struct smtp_server *s, struct slice in);
} states[] = {
    [SERVER_HELLO] = {"waiting for EHLO", smtp_server_take_line},
    [SERVER_READY] = {"waiting for MAIL", smtp_server_take_line},
    [SERVER_MAIL] = {"waiting for the first RCPT", smtp_server_take_line},
    [SERVER_RCPT] = {"waiting for RCPT or DATA", smtp_server_take_line},
    [SERVER_DATA] = {"receiving the message", smtp_server_take_data},
    [SERVER_CHUNK] = {"receiving a chunk of the message", smtp_server_take_chunk},
    [SERVER_BDAT_NEXT] = {"waiting for the next chunk", smtp_server_take_line},
    [SERVER_AUTH] = {"waiting for a line of AUTH", smtp_server_take_line},
    [SERVER_TLS] = {"waiting for the TLS handshake", NULL},
    [SERVER_CLOSED] = {"closed", NULL},
};

/* While a question stands, what we do is wait for ourselves. */
static const char *const ask_names[] = {
    [SMTP_ASK_HELO] = "deciding about EHLO",
    [SMTP_ASK_TLS] = "waiting for the TLS handshake",
    [SMTP_ASK_AUTH] = "deciding about AUTH",
    [SMTP_ASK_SENDER] = "deciding about the sender",
    [SMTP_ASK_RECIPIENT] = "deciding about a recipient",
    [SMTP_ASK_DATA] = "deciding about DATA",
    [SMTP_ASK_BODY] = "storing the message",
    [SMTP_ASK_END] = "committing the message",
};

const char *smtp_server_state_name(const struct smtp_server *s)
{
    return s->ask.kind != SMTP_ASK_NOTHING ? ask_names[s->ask.kind] : states[s->state].name;
}

static void close_session(struct smtp_server *s)
{
    s->state = SERVER_CLOSED;
    s->in_transaction = false;
}

void smtp_server_say(struct smtp_server *s, struct smtp_reply reply)
{
    smtp_reply_write(reply, &s->output);
    if (s->output.full || reply.code == 421)
        close_session(s);
}

void smtp_server_refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text)
{
    unsigned max = s->settings->errors_max != 0 ? s->settings->errors_max : 10;

    if (code >= 500 && ++s->errors > max)
        smtp_server_say(s, (struct smtp_reply){421, "4.7.0", "Too many errors, closing"});
    else
        smtp_server_say(s, (struct smtp_reply){code, enhanced, text});
}

void smtp_server_end_transaction(struct smtp_server *s)
{
    if (s->state != SERVER_CLOSED && s->state != SERVER_HELLO)
        s->state = SERVER_READY;
    s->in_transaction = s->discards = s->refuses = false;
    s->recipients = s->refused_recipients = 0;
    s->sender = (struct smtp_sender){0};
    s->message_bytes = s->line_bytes = 0;
    s->place = LINE_START;
    buf_finish(&s->held);
}

/* The end of a line whose beginning was thrown away. */
static void end_oversized_line(struct smtp_server *s)
{
    s->lines++;
    s->skips_line = false;
    if (s->last_byte != '\r' && s->settings->bare_line_end == SMTP_BARE_REFUSE) {
        smtp_server_say(s, (struct smtp_reply){500, "5.5.2", "Bare LF in a command, closing"});
        close_session(s);
        return;
    }
    if (s->state == SERVER_AUTH) {
        s->state = SERVER_READY;
        smtp_server_end_auth(s, false);
    }
    smtp_server_refuse(s, 500, "5.5.2", "Line too long");
}

static size_t skip_line(struct smtp_server *s, struct slice in, size_t lf)
{
    size_t used = lf == SLICE_NONE ? in.n : lf + 1;

    if (used > (lf != SLICE_NONE))
        s->last_byte = in.p[used - 1 - (lf != SLICE_NONE)];
    if (lf != SLICE_NONE)
        end_oversized_line(s);
    return used;
}

/* `s->line` holds a whole line without its LF. Takes the CR off too. False: it was refused. */
static bool strip_line_end(struct smtp_server *s)
{
    struct buf *line = &s->line;
    bool has_cr = line->n > 0 && line->p[line->n - 1] == '\r';

    if (has_cr)
        line->n--;
    if ((!has_cr && s->settings->bare_line_end == SMTP_BARE_REFUSE) ||
        slice_find(buf_slice(line), '\r') != SLICE_NONE) {
        smtp_server_say(s,
                        (struct smtp_reply){500, "5.5.2", "Bare CR or LF in a command, closing"});
        close_session(s);
        return false;
    }
    return true;
}

/* Takes bytes up to the end of a line, and runs it. */
size_t smtp_server_take_line(struct smtp_server *s, struct slice in)
{
    size_t lf = slice_find(in, '\n');
    size_t used = lf == SLICE_NONE ? in.n : lf + 1;
    size_t max = s->settings->command_max_bytes != 0 ? s->settings->command_max_bytes : COMMAND_MAX;
    struct slice line;

    if (s->skips_line)
        return skip_line(s, in, lf);
    /* AUTH with an initial response is as long as its later lines. */
    if (s->state == SERVER_AUTH || slice_starts_nocase(buf_slice(&s->line), SLICE("AUTH ")) ||
        (s->line.n == 0 && slice_starts_nocase(in, SLICE("AUTH "))))
        max = max > AUTH_LINE_MAX ? max : AUTH_LINE_MAX;
    if (s->line.n + used > max) {
        s->last_byte = s->line.n > 0 ? s->line.p[s->line.n - 1] : '\0';
        smtp_server_wipe(&s->line); /* it may hold a password */
        s->skips_line = true;
        return skip_line(s, in, lf);
    }
    buf_append(&s->line, slice_sub(in, 0, lf == SLICE_NONE ? used : lf));
    if (lf == SLICE_NONE)
        return used;
    s->lines++;
    if (strip_line_end(s)) {
        line = buf_slice(&s->line);
        if ((s->state == SERVER_AUTH ? smtp_server_run_auth_line(s, line)
                                     : smtp_server_run_command(s, line)) == STEP_WAIT)
            return used;
    }
    buf_finish(&s->line);
    return used;
}

size_t smtp_server_recv(struct smtp_server *s, struct slice in)
{
    size_t used = 0;

    while (used < in.n && s->ask.kind == SMTP_ASK_NOTHING && s->state != SERVER_CLOSED) {
        used += states[s->state].take(s, slice_from(in, used));
        if (s->ask.kind == SMTP_ASK_TLS) /* RFC 3207 6: what came in clear is not to be trusted */
            return in.n;
    }
    return s->state == SERVER_CLOSED ? in.n : used;
}

/* A refusal by the caller counts like one of ours. */
static void pass_on(struct smtp_server *s, struct smtp_reply reply)
{
    if (reply.code >= 500)
        smtp_server_refuse(s, reply.code, reply.enhanced, reply.text);
    else
        smtp_server_say(s, reply);
}

static void answer_sender(struct smtp_server *s, struct smtp_reply reply)
{
    bool accepted = reply.code / 100 == 2;

    s->in_transaction = accepted;
    if (accepted)
        s->state = SERVER_MAIL;
    /* The slices go with the line; only this is needed later. */
    s->sender = (struct smtp_sender){.utf8 = s->sender.utf8 && accepted};
    pass_on(s, reply);
}

static void answer_recipient(struct smtp_server *s, struct smtp_reply reply)
{
    unsigned max = s->settings->refused_recipients_max;

    if (reply.code / 100 == 2) {
        s->state = SERVER_RCPT;
        s->recipients++;
    } else if (max != 0 && ++s->refused_recipients > max) {
        reply = (struct smtp_reply){421, "4.7.0", "Too many refused recipients, closing"};
    }
    smtp_server_say(s, reply);
}

void smtp_server_answer(struct smtp_server *s, struct smtp_reply reply)
{
    enum smtp_ask_kind kind = s->ask.kind;

    assert(kind != SMTP_ASK_NOTHING && kind != SMTP_ASK_TLS && kind != SMTP_ASK_BODY);
    s->ask = (struct smtp_ask){0};
    switch (kind) {
    case SMTP_ASK_NOTHING:
    case SMTP_ASK_TLS:
    case SMTP_ASK_BODY:
        break;
    case SMTP_ASK_HELO:
        if (reply.code / 100 == 2)
            smtp_server_greet_back(s);
        else
            pass_on(s, reply);
        break;
    case SMTP_ASK_AUTH:
        s->state = SERVER_READY;
        smtp_server_end_auth(s, reply.code == 235);
        pass_on(s, reply);
        break;
    case SMTP_ASK_SENDER:
        answer_sender(s, reply);
        break;
    case SMTP_ASK_RECIPIENT:
        answer_recipient(s, reply);
        break;
    case SMTP_ASK_DATA:
        smtp_server_begin_message(s, reply);
        break;
    case SMTP_ASK_END:
        smtp_server_end_transaction(s);
        s->idle_commands = 0;
        smtp_server_say(s, reply);
        break;
    }
    buf_finish(&s->line); /* the question's slices lay there */
}

void smtp_server_body_taken(struct smtp_server *s)
{
    assert(s->ask.kind == SMTP_ASK_BODY);
    s->ask = (struct smtp_ask){0};
    if (s->state == SERVER_CHUNK && s->chunk_left == 0)
        smtp_server_finish_chunk(s);
}

void smtp_server_tls_started(struct smtp_server *s)
{
    assert(!s->is_tls && s->state != SERVER_CLOSED);
    s->ask = (struct smtp_ask){0};
    s->state = SERVER_HELLO;
    smtp_server_end_transaction(s);
    s->is_tls = true;
    s->is_extended = false;
    buf_finish(&s->helo);
    buf_finish(&s->user);
    buf_finish(&s->line);
}

void smtp_server_discard(struct smtp_server *s)
{
    s->discards = true;
}

void smtp_server_close(struct smtp_server *s, struct smtp_reply reply)
{
    if (s->state == SERVER_CLOSED)
        return;
    if (!s->greeting_sent)
        buf_clear(&s->output);
    if (s->ask.kind == SMTP_ASK_AUTH || s->state == SERVER_AUTH)
        smtp_server_end_auth(s, false);
    s->ask = (struct smtp_ask){0};
    /* In the middle of a handshake there is nobody who could read a reply in clear. */
    if (s->state != SERVER_TLS)
        smtp_reply_write(reply, &s->output);
    close_session(s);
}

void smtp_server_timeout(struct smtp_server *s)
{
    smtp_server_close(s, (struct smtp_reply){421, "4.4.2", "Nothing heard for too long, closing"});
}

void smtp_server_shutdown(struct smtp_server *s)
{
    smtp_server_close(s, (struct smtp_reply){421, "4.3.2", "Service is stopping, try again later"});
}

struct slice smtp_server_output(const struct smtp_server *s)
{
    return buf_slice(&s->output);
}

void smtp_server_sent(struct smtp_server *s, size_t n)
{
    s->greeting_sent = s->greeting_sent || n > 0;
    buf_drop(&s->output, n);
    if (s->output.n == 0)
        buf_finish(&s->output); /* an idle session holds no buffers */
}

struct smtp_ask smtp_server_ask(const struct smtp_server *s)
{
    return s->ask;
}
bool smtp_server_is_closed(const struct smtp_server *s)
{
    return s->state == SERVER_CLOSED;
}
bool smtp_server_in_transaction(const struct smtp_server *s)
{
    return s->in_transaction;
}
bool smtp_server_is_tls(const struct smtp_server *s)
{
    return s->is_tls;
}
bool smtp_server_is_extended(const struct smtp_server *s)
{
    return s->is_extended;
}
bool smtp_server_is_utf8(const struct smtp_server *s)
{
    return s->sender.utf8;
}
unsigned smtp_server_lines(const struct smtp_server *s)
{
    return s->lines;
}
struct slice smtp_server_helo(const struct smtp_server *s)
{
    return buf_slice(&s->helo);
}
struct slice smtp_server_user(const struct smtp_server *s)
{
    return buf_slice(&s->user);
}

struct smtp_server *smtp_server_create(const struct smtp_server_settings *settings)
{
    struct smtp_server *s = mem_alloc(sizeof *s);

    s->settings = settings;
    buf_init(&s->line, AUTH_LINE_MAX > settings->command_max_bytes ? AUTH_LINE_MAX
                                                                   : settings->command_max_bytes);
    buf_init(&s->output, OUTPUT_MAX);
    buf_init(&s->helo, NAME_MAX);
    buf_init(&s->user, AUTH_LINE_MAX);
    buf_init(&s->held, 64 * 1024);
    buf_init(&s->secret, AUTH_LINE_MAX);
    buf_append(&s->output, SLICE("220 "));
    buf_append_text(&s->output, settings->hostname);
    buf_append_char(&s->output, ' ');
    buf_append_text(&s->output, settings->banner != NULL ? settings->banner : "ESMTP");
    buf_append(&s->output, SLICE("\r\n"));
    return s;
}

void smtp_server_destroy(struct smtp_server **s)
{
    if (*s == NULL)
        return;
    smtp_server_end_auth(*s, false);
    buf_finish(&(*s)->line);
    buf_finish(&(*s)->output);
    buf_finish(&(*s)->helo);
    buf_finish(&(*s)->user);
    buf_finish(&(*s)->held);
    free(*s);
    *s = NULL;
}
