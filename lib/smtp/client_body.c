/* The message on its way out. Whatever lies in the store, what leaves has CR LF line ends only, so
 * nothing that we send can be read as the end of DATA by a server that is lax about them. */
#include <assert.h>

#include "lib/smtp/client_in.h"
#include "lib/smtp/scan_in.h"

#define LINE_END SLICE("\r\n")

/* Appends `bytes`, with dots if `stuffs`, and bare CR and LF as CR LF. */
static void write_text(struct smtp_client *c, struct slice bytes, bool stuffs, struct buf *out)
{
    const char *p = bytes.p;
    size_t run = 0, at = 0; /* [run, at) can be copied as it is */

    if (c->after_cr && bytes.n > 0) {
        buf_append(out, LINE_END);
        c->after_cr = false;
        c->at_line_start = true;
        run = at = p[0] == '\n';
    }
    while (at < bytes.n) {
        at += smtp_scan_plain(slice_from(bytes, at), stuffs, &c->at_line_start);
        if (at == bytes.n)
            break;
        if (stuffs && c->at_line_start && p[at] == '.') {
            buf_append(out, slice_sub(bytes, run, at - run));
            buf_append_char(out, '.');
            run = at;
        }
        const char *lf = memchr(p + at, '\n', bytes.n - at);
        size_t end = lf != NULL ? (size_t)(lf - p) : bytes.n;
        const char *cr = memchr(p + at, '\r', end - at);
        size_t stop = cr != NULL ? (size_t)(cr - p) : end;

        c->at_line_start = cr != NULL || lf != NULL;
        if (cr != NULL && cr + 1 == lf) {
            at = end + 1;
            continue;
        }
        at = stop;
        if (!c->at_line_start)
            break;
        buf_append(out, slice_sub(bytes, run, stop - run));
        run = at = stop + 1;
        if (cr != NULL && at == bytes.n)
            c->after_cr = true; /* the LF may be in the next bytes */
        else
            buf_append(out, LINE_END);
    }
    buf_append(out, slice_sub(bytes, run, at - run));
}

static void send_chunk(struct smtp_client *c)
{
    if (c->chunk.n == 0)
        return;
    buf_append(&c->output, SLICE("BDAT "));
    buf_append_u64(&c->output, c->chunk.n);
    buf_append(&c->output, LINE_END);
    buf_append(&c->output, buf_slice(&c->chunk));
    buf_finish(&c->chunk);
    c->chunk_replies++;
}

size_t smtp_client_body(struct smtp_client *c, struct slice bytes)
{
    assert(c->want == SMTP_WANT_BODY);
    if (c->output.n >= SMTP_CLIENT_OUTPUT_MAX)
        return 0;
    bytes = slice_sub(bytes, 0, SMTP_CLIENT_OUTPUT_MAX - c->output.n);
    if (c->chunks) {
        write_text(c, bytes, false, &c->chunk);
        send_chunk(c);
    } else {
        (void)!buf_room(&c->output, bytes.n + bytes.n / 64 + 16); /* grows once, not seven times */
        write_text(c, bytes, true, &c->output);
    }
    return bytes.n;
}

void smtp_client_body_end(struct smtp_client *c)
{
    assert(c->want == SMTP_WANT_BODY);
    if (c->after_cr || !c->at_line_start)
        buf_append(c->chunks ? &c->chunk : &c->output, LINE_END);
    c->after_cr = false;
    send_chunk(c);
    c->want = SMTP_WANT_DOT;
}

void smtp_client_send_dot(struct smtp_client *c)
{
    assert(c->want == SMTP_WANT_DOT);
    buf_append(&c->output, c->chunks ? SLICE("BDAT 0 LAST\r\n") : SLICE(".\r\n"));
    c->dot_sent = true;
    smtp_client_enter(c, SMTP_PHASE_DOT, SMTP_WANT_BYTES);
}
