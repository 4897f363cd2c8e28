/* DATA and BDAT: the bytes of a message.
 *
 * Bytes are handed out as they lie in the input, in runs as long as possible. What ends a run: a
 * dot to remove, a line end that is cut by the end of the input, a bare CR or LF. */
#include <assert.h>

#include "lib/smtp/scan_in.h"
#include "lib/smtp/server_in.h"

#define LINE_END SLICE("\r\n")

static enum step refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text)
{
    smtp_server_refuse(s, code, enhanced, text);
    return STEP_DONE;
}

/* --- refusing a message whose bytes are still to come --- */

static void hold_refusal(struct smtp_server *s, enum smtp_refusal refusal, struct smtp_reply reply)
{
    if (s->refuses && s->refusal <= refusal)
        return;
    buf_clear(&s->held);
    smtp_reply_write(reply, &s->held);
    s->refusal = refusal;
    s->refuses = true;
    s->in_transaction = false;
}

static void say_held(struct smtp_server *s)
{
    buf_append(&s->output, buf_slice(&s->held));
    if (s->output.full)
        s->state = SERVER_CLOSED;
}

/* What follows a bare line end may be meant as commands for somebody else: nothing after it is read
 * as SMTP (CVE-2023-51764). */
static void refuse_bare(struct smtp_server *s)
{
    if (s->state == SERVER_CHUNK) { /* the length says where the message ends: go on behind it */
        hold_refusal(s, REFUSAL_BARE,
                     (struct smtp_reply){550, "5.6.11", "Bare CR or LF in the message"});
        return;
    }
    smtp_server_say(s, (struct smtp_reply){550, "5.6.11", "Bare CR or LF in the message, closing"});
    smtp_server_end_transaction(s);
    s->state = SERVER_CLOSED;
}

/* --- handing bytes out --- */

static void hand_out(struct smtp_server *s, struct slice bytes)
{
    uint64_t max = s->settings->message_max_bytes;

    s->message_bytes += bytes.n;
    if (max != 0 && s->message_bytes > max)
        hold_refusal(s, REFUSAL_SIZE,
                     (struct smtp_reply){552, "5.3.4", "The message is larger than we take"});
    if (bytes.n > 0 && memchr(bytes.p, '\0', bytes.n) != NULL &&
        s->settings->bare_line_end == SMTP_BARE_REFUSE)
        hold_refusal(s, REFUSAL_NUL,
                     (struct smtp_reply){550, "5.6.0", "A NUL byte in the message"});
    if (bytes.n > 0 && !s->discards && !s->refuses)
        s->ask = (struct smtp_ask){.kind = SMTP_ASK_BODY, .value = bytes};
}

static void count_line(struct smtp_server *s, size_t bytes)
{
    size_t max = s->settings->body_line_max_bytes;

    s->line_bytes += bytes;
    if (max != 0 && s->line_bytes > max)
        hold_refusal(s, REFUSAL_LINE,
                     (struct smtp_reply){554, "5.6.0", "A line of the message is too long"});
}

/* A bare CR or LF is in the message. `text` is what it normalises to. */
static void meet_bare(struct smtp_server *s, struct slice text)
{
    s->place = LINE_START_BARE;
    s->line_bytes = 0;
    if (s->settings->bare_line_end == SMTP_BARE_REFUSE)
        refuse_bare(s);
    else
        hand_out(s, text);
}

/* Resolves what an earlier run left open. Returns how many bytes of `in` that took. */
static size_t take_open_end(struct smtp_server *s, struct slice in)
{
    bool is_lf = in.p[0] == '\n';

    switch (s->place) {
    case LINE_START:
    case LINE_INSIDE:
    case LINE_START_BARE:
        break;
    case LINE_CR:
        if (!is_lf) {
            meet_bare(s, LINE_END);
            return 0;
        }
        s->place = LINE_START;
        s->line_bytes = 0;
        hand_out(s, LINE_END);
        return 1;
    case LINE_DOT:
        if (is_lf) {
            meet_bare(s, SLICE(".\r\n"));
            return 1;
        }
        s->place = in.p[0] == '\r' ? LINE_DOT_CR : LINE_INSIDE;
        return in.p[0] == '\r';
    case LINE_DOT_CR:
        assert(!is_lf); /* the end of DATA, seen by the caller */
        meet_bare(s, SLICE(".\r\n"));
        return 0;
    }
    return 0;
}

/* The length of the run at the start of `in` that can be handed out as it lies there. `*skip_out`
 * bytes behind it are used too: a CR or a dot that waits for what follows. */
static size_t find_run(struct smtp_server *s, struct slice in, bool has_dots, size_t *skip_out)
{
    bool at_line_start = s->place == LINE_START;
    size_t at = 0;

    *skip_out = 0;
    if (s->settings->body_line_max_bytes == 0) { /* lines need no counting */
        at = smtp_scan_plain(in, has_dots, &at_line_start);
        if (at > 0)
            s->place = at_line_start ? LINE_START : LINE_INSIDE;
    }
    while (at < in.n) {
        if (has_dots && s->place == LINE_START && in.p[at] == '.') {
            s->place = LINE_DOT;
            *skip_out = 1;
            return at;
        }
        size_t left = in.n - at;
        const char *lf = memchr(in.p + at, '\n', left);
        size_t end = lf != NULL ? (size_t)(lf - in.p) : in.n;
        const char *cr = memchr(in.p + at, '\r', end - at);

        if (cr != NULL && cr + 1 == lf) {
            count_line(s, end - 1 - at);
            s->line_bytes = 0;
            s->place = LINE_START;
            at = end + 1;
            continue;
        }
        count_line(s, (cr != NULL ? (size_t)(cr - in.p) : end) - at);
        s->place = cr != NULL ? LINE_CR : LINE_INSIDE;
        *skip_out = cr != NULL;
        return cr != NULL ? (size_t)(cr - in.p) : end; /* `end`: a bare LF, or no more bytes */
    }
    return at;
}

/* Takes one run. Returns how many bytes were used. */
static size_t take_run(struct smtp_server *s, struct slice in, bool has_dots)
{
    size_t skip, n;

    if (s->place >= LINE_CR)
        return take_open_end(s, in);
    if (s->place != LINE_START && in.p[0] == '\n') {
        meet_bare(s, LINE_END);
        return 1;
    }
    n = find_run(s, in, has_dots, &skip);
    hand_out(s, slice_sub(in, 0, n));
    return n + skip;
}

/* --- DATA --- */

enum step smtp_server_run_data(struct smtp_server *s, struct slice args)
{
    if (args.n > 0)
        return refuse(s, 501, "5.5.4", "DATA takes no argument");
    if (s->recipients == 0)
        return refuse(s, 554, "5.5.1", "No recipient was accepted");
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_DATA};
    return STEP_DONE;
}

static bool ends_data(const struct smtp_server *s, struct slice in, size_t *used_out)
{
    static const struct slice ends[] = {
        [LINE_START] = SLICE_INIT(".\r\n"),
        [LINE_CR] = {NULL, 0}, /* and nothing ends it inside a line or behind a bare line end */
        [LINE_DOT] = SLICE_INIT("\r\n"),
        [LINE_DOT_CR] = SLICE_INIT("\n"),
    };

    if (ends[s->place].n == 0 || !slice_starts(in, ends[s->place]))
        return false;
    *used_out = ends[s->place].n;
    return true;
}

size_t smtp_server_take_data(struct smtp_server *s, struct slice in)
{
    size_t used;

    if (!ends_data(s, in, &used))
        return take_run(s, in, true);
    if (s->refuses) {
        say_held(s);
        smtp_server_end_transaction(s);
    } else {
        s->ask = (struct smtp_ask){.kind = SMTP_ASK_END, .size_bytes = s->message_bytes};
    }
    return used;
}

void smtp_server_begin_message(struct smtp_server *s, struct smtp_reply reply)
{
    bool accepted = reply.code / 100 == 3;

    if (s->state == SERVER_CHUNK) {
        if (reply.code == 421)
            smtp_server_say(s, reply);
        else if (!accepted)
            hold_refusal(s, REFUSAL_ORDER, reply);
        if (s->state == SERVER_CHUNK && s->chunk_left == 0)
            smtp_server_finish_chunk(s);
        return;
    }
    if (accepted) {
        s->state = SERVER_DATA;
        smtp_server_say(s, (struct smtp_reply){reply.code, NULL,
                                               reply.text != NULL ? reply.text
                                                                  : "Send it, then CR LF . CR LF"});
    } else {
        smtp_server_say(s, reply);
        smtp_server_end_transaction(s);
    }
}

/* --- BDAT (RFC 3030) --- */

/* "BDAT 86" or "BDAT 0 LAST" */
static bool read_chunk_size(struct smtp_server *s, struct slice args)
{
    struct slice rest = args;
    struct slice count = slice_cut(&rest, ' ');

    rest = slice_trim(rest);
    s->chunk_is_last = slice_eq_nocase(rest, SLICE("LAST"));
    return count.n <= 19 && slice_to_u64(count, &s->chunk_left) &&
           (rest.n == 0 || s->chunk_is_last);
}

enum step smtp_server_run_bdat(struct smtp_server *s, struct slice args)
{
    bool begins = s->state == SERVER_RCPT;

    if (!read_chunk_size(s, args) || s->settings->hide_chunking) {
        /* Bytes of the message follow, nobody knows how many. */
        smtp_server_say(s, (struct smtp_reply){501, "5.5.4", "Say BDAT size [LAST]; closing"});
        smtp_server_end_transaction(s);
        s->state = SERVER_CLOSED;
        return STEP_DONE;
    }
    s->chunk_bytes = s->chunk_left;
    s->after_chunk = s->state;
    if (!begins && s->state != SERVER_BDAT_NEXT)
        hold_refusal(s, REFUSAL_ORDER,
                     s->state == SERVER_MAIL
                         ? (struct smtp_reply){554, "5.5.1", "No recipient was accepted"}
                         : (struct smtp_reply){503, "5.5.1", "Say MAIL and RCPT first"});
    s->state = SERVER_CHUNK;
    if (begins)
        s->ask = (struct smtp_ask){.kind = SMTP_ASK_DATA};
    else if (s->chunk_left == 0)
        smtp_server_finish_chunk(s);
    return STEP_DONE;
}

/* All bytes of a chunk are taken, and nothing of them is being asked about. */
void smtp_server_finish_chunk(struct smtp_server *s)
{
    if (s->chunk_is_last && s->place == LINE_CR)
        meet_bare(s, LINE_END);
    if (s->refuses) {
        say_held(s);
        if (s->state == SERVER_CLOSED)
            return;
        s->state = s->after_chunk;
        smtp_server_end_transaction(s);
        return;
    }
    if (s->ask.kind != SMTP_ASK_NOTHING)
        return;
    if (!s->chunk_is_last) {
        s->state = SERVER_BDAT_NEXT;
        buf_append(&s->output, SLICE("250 2.0.0 "));
        buf_append_u64(&s->output, s->chunk_bytes);
        buf_append(&s->output, SLICE(" bytes taken\r\n"));
        return;
    }
    if (s->place == LINE_INSIDE) { /* a message ends with a line end, whatever carried it */
        s->place = LINE_START;
        hand_out(s, LINE_END);
        if (s->ask.kind != SMTP_ASK_NOTHING || s->refuses) {
            if (s->refuses)
                smtp_server_finish_chunk(s);
            return;
        }
    }
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_END, .size_bytes = s->message_bytes};
}

size_t smtp_server_take_chunk(struct smtp_server *s, struct slice in)
{
    size_t used;

    if (s->chunk_left < in.n)
        in.n = (size_t)s->chunk_left; /* it fits: it is smaller than a size_t */
    if (s->refuses && s->refusal == REFUSAL_ORDER)
        used = in.n;
    else
        used = take_run(s, in, false);
    s->chunk_left -= used;
    if (s->chunk_left == 0 && s->ask.kind == SMTP_ASK_NOTHING)
        smtp_server_finish_chunk(s);
    return used;
}
