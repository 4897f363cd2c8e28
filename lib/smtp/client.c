#include <assert.h>

#include "lib/smtp/client_in.h"

#define OUTPUT_CEILING                                                                             \
    (64u << 20) /* 10,000 recipients with DSN parameters, and a piece of body                      \
                 */

static void take_unasked(struct smtp_client *c, struct smtp_response r)
{
    smtp_client_fail(c, r, false);
}
static void take_bye(struct smtp_client *c, struct smtp_response r)
{
    (void)c, (void)r;
}

/* The course of a connection. The name says what a failure there means, the patience is RFC 5321
 * 4.5.3.2, and the function takes a reply. */
static const struct {
    const char *name;
    unsigned patience_s;
    void (*take)(struct smtp_client *c, struct smtp_response r);
} phases[] = {
    [SMTP_PHASE_CONNECT] = {"waiting for the greeting", 300, smtp_client_take_greeting},
    [SMTP_PHASE_EHLO] = {"saying EHLO", 300, smtp_client_take_ehlo},
    [SMTP_PHASE_STARTTLS] = {"starting TLS", 300, smtp_client_take_starttls},
    [SMTP_PHASE_AUTH] = {"logging in", 300, smtp_client_take_auth},
    [SMTP_PHASE_READY] = {"between messages", 300, take_unasked},
    [SMTP_PHASE_MAIL] = {"saying MAIL FROM", 300, smtp_client_take_mail},
    [SMTP_PHASE_RCPT] = {"saying RCPT TO", 300, smtp_client_take_rcpt},
    [SMTP_PHASE_DATA] = {"saying DATA", 120, smtp_client_take_data},
    [SMTP_PHASE_BODY] = {"sending the message", 180, smtp_client_take_early},
    [SMTP_PHASE_DOT] = {"sending the final dot: the message may be delivered more than once", 600,
                        smtp_client_take_final},
    [SMTP_PHASE_RESET] = {"saying RSET", 300, smtp_client_take_reset},
    [SMTP_PHASE_QUIT] = {"saying QUIT", 10, take_bye},
};

const char *smtp_phase_name(enum smtp_phase phase)
{
    return phases[phase].name;
}

void smtp_client_enter(struct smtp_client *c, enum smtp_phase phase, enum smtp_want want)
{
    c->phase = phase;
    c->want = want;
}

void smtp_client_note_failure(struct smtp_client *c, struct smtp_response response)
{
    struct buf *text = &c->failure_text;

    buf_clear(text);
    buf_append(text, response.enhanced);
    buf_append(text, slice_sub(response.text, 0, SMTP_RESPONSE_TEXT_MAX));
    c->failure =
        (struct smtp_failure){c->phase,
                              {response.code, slice_sub(buf_slice(text), 0, response.enhanced.n),
                               slice_from(buf_slice(text), response.enhanced.n)}};
    c->is_closing = true;
}

void smtp_client_fail(struct smtp_client *c, struct smtp_response response, bool say_quit)
{
    smtp_client_note_failure(c, response);
    if (say_quit && response.code != 421)
        buf_append(&c->output, SLICE("QUIT\r\n"));
    c->want = SMTP_WANT_CLOSE;
}

void smtp_client_fail_text(struct smtp_client *c, const char *text)
{
    smtp_client_fail(c, (struct smtp_response){.text = slice_of(text)}, true);
}

void smtp_client_recv(struct smtp_client *c, struct slice in)
{
    while (in.n > 0 && c->want != SMTP_WANT_CLOSE && !c->is_closing) {
        struct smtp_response response;
        struct err e = {0};
        int result;

        if (c->want == SMTP_WANT_TLS) /* spoken in clear: not to be trusted (RFC 3207 6) */
            return;
        result = smtp_response_parse(&c->parser, &in, &response, &e);
        if (result < 0)
            smtp_client_lost(c, e.text);
        else if (result > 0 && c->want == SMTP_WANT_RESULT_TAKEN)
            smtp_client_note_failure(c, response); /* nobody asked: a 421, most likely */
        else if (result > 0)
            phases[c->phase].take(c, response);
    }
}

void smtp_client_lost(struct smtp_client *c, const char *why)
{
    struct smtp_response response = {.text = slice_of(why)};

    if (c->want == SMTP_WANT_CLOSE)
        return;
    if (!c->is_closing)
        smtp_client_note_failure(c, response);
    if (c->in_transaction)
        smtp_client_settle_rest(c, c->dot_sent ? SMTP_UNKNOWN : SMTP_DEFERRED, response);
    else
        c->want = SMTP_WANT_CLOSE;
}

void smtp_client_abort(struct smtp_client *c, const char *why)
{
    assert(c->in_transaction && !c->dot_sent);
    smtp_client_lost(c, why);
}

void smtp_client_quit(struct smtp_client *c)
{
    assert(c->want == SMTP_WANT_TRANSACTION);
    buf_append(&c->output, SLICE("QUIT\r\n"));
    smtp_client_enter(c, SMTP_PHASE_QUIT, SMTP_WANT_CLOSE);
}

void smtp_client_tls_started(struct smtp_client *c)
{
    assert(c->want == SMTP_WANT_TLS);
    c->is_tls = true;
    smtp_response_parser_finish(&c->parser);
    smtp_response_parser_init(&c->parser);
    smtp_client_say_ehlo(c); /* what was said in clear is forgotten */
}

struct slice smtp_client_output(const struct smtp_client *c)
{
    return buf_slice(&c->output);
}

void smtp_client_sent(struct smtp_client *c, size_t n)
{
    buf_drop(&c->output, n);
    if (c->output.n == 0 && c->want != SMTP_WANT_BODY)
        buf_finish(&c->output); /* an idle connection holds no buffers */
}

enum smtp_want smtp_client_want(const struct smtp_client *c)
{
    return c->want;
}
struct smtp_failure smtp_client_failure(const struct smtp_client *c)
{
    return c->failure;
}
const struct smtp_capabilities *smtp_client_capabilities(const struct smtp_client *c)
{
    return &c->capabilities;
}
bool smtp_client_is_tls(const struct smtp_client *c)
{
    return c->is_tls;
}
enum smtp_phase smtp_client_phase(const struct smtp_client *c)
{
    return c->phase;
}
const char *smtp_client_state_name(const struct smtp_client *c)
{
    return c->want == SMTP_WANT_CLOSE ? "closing" : phases[c->phase].name;
}
bool smtp_client_dot_sent(const struct smtp_client *c)
{
    return c->in_transaction && c->dot_sent;
}
unsigned smtp_client_patience_s(const struct smtp_client *c)
{
    return phases[c->phase].patience_s;
}

struct smtp_client *smtp_client_create(const struct smtp_client_settings *settings)
{
    struct smtp_client *c = mem_alloc(sizeof *c);

    assert(settings->user == NULL || settings->password != NULL);
    c->settings = *settings;
    c->is_tls = settings->tls_from_start;
    c->phase = SMTP_PHASE_CONNECT;
    c->failure.phase = SMTP_PHASE_QUIT;
    buf_init(&c->output, OUTPUT_CEILING);
    buf_init(&c->script, OUTPUT_CEILING / 2);
    buf_init(&c->chunk, 2 * SMTP_CLIENT_OUTPUT_MAX);
    buf_init(&c->failure_text, SMTP_RESPONSE_TEXT_MAX + 16);
    smtp_response_parser_init(&c->parser);
    return c;
}

void smtp_client_destroy(struct smtp_client **c)
{
    if (*c == NULL)
        return;
    buf_finish(&(*c)->output);
    buf_finish(&(*c)->script);
    buf_finish(&(*c)->chunk);
    buf_finish(&(*c)->failure_text);
    smtp_response_parser_finish(&(*c)->parser);
    arena_destroy(&(*c)->texts);
    free(*c);
    *c = NULL;
}
