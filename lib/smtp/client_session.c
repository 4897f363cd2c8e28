/* From the greeting to the first transaction: EHLO or LHLO, STARTTLS, AUTH. */
#include "lib/smtp/client_in.h"
#include "lib/text/base64.h"

#define EHLO_TEXT_MAX 8192

void smtp_client_take_greeting(struct smtp_client *c, struct smtp_response r)
{
    if (r.code / 100 == 2)
        smtp_client_say_ehlo(c);
    else
        smtp_client_fail(c, r, true);
}

void smtp_client_say_ehlo(struct smtp_client *c)
{
    c->capabilities = (struct smtp_capabilities){0};
    c->parser.keep_lines = true;
    c->parser.text.max = EHLO_TEXT_MAX;
    buf_append_text(&c->output, c->settings.lmtp ? "LHLO " : c->says_helo ? "HELO " : "EHLO ");
    buf_append_text(&c->output, c->settings.helo_name);
    buf_append(&c->output, SLICE("\r\n"));
    smtp_client_enter(c, SMTP_PHASE_EHLO, SMTP_WANT_BYTES);
}

static void read_auth(struct smtp_capabilities *can, struct slice mechanisms)
{
    while (mechanisms.n > 0) {
        struct slice word = slice_cut(&mechanisms, ' ');

        can->auth_plain = can->auth_plain || slice_eq_nocase(word, SLICE("PLAIN"));
        can->auth_login = can->auth_login || slice_eq_nocase(word, SLICE("LOGIN"));
    }
}

static void read_capability(struct smtp_capabilities *can, struct slice line)
{
    const struct {
        struct slice keyword;
        bool *flag;
    } flags[] = {
        {SLICE("PIPELINING"), &can->pipelining},
        {SLICE("SIZE"), &can->size},
        {SLICE("8BITMIME"), &can->eightbit},
        {SLICE("SMTPUTF8"), &can->utf8},
        {SLICE("CHUNKING"), &can->chunking},
        {SLICE("ENHANCEDSTATUSCODES"), &can->enhanced_codes},
        {SLICE("STARTTLS"), &can->starttls},
        {SLICE("DSN"), &can->dsn},
    };
    struct slice rest = slice_trim(line);
    struct slice keyword = slice_cut(&rest, ' ');
    uint64_t size;

    for (size_t i = 0; i < COUNT(flags); i++)
        if (slice_eq_nocase(keyword, flags[i].keyword))
            *flags[i].flag = true;
    if (slice_eq_nocase(keyword, SLICE("SIZE")) && slice_to_u64(slice_trim(rest), &size))
        can->size_max_bytes = size;
    if (slice_eq_nocase(keyword, SLICE("AUTH")))
        read_auth(can, rest);
    else if (slice_starts_nocase(keyword, SLICE("AUTH="))) { /* before RFC 2554 */
        read_auth(can, slice_from(keyword, 5));
        read_auth(can, rest);
    }
}

static void say_secret(struct smtp_client *c, struct slice secret)
{
    base64_encode(secret, &c->output);
    buf_append(&c->output, SLICE("\r\n"));
}

static void say_auth_plain(struct smtp_client *c)
{
    struct buf secret;

    buf_init(&secret, 4096);
    buf_append_char(&secret, '\0');
    buf_append_text(&secret, c->settings.user);
    buf_append_char(&secret, '\0');
    buf_append_text(&secret, c->settings.password);
    if (secret.full) {
        smtp_client_fail_text(c, "the user or the password is too long");
    } else {
        buf_append(&c->output, SLICE("AUTH PLAIN "));
        say_secret(c, buf_slice(&secret));
    }
    if (secret.p != NULL)
        explicit_bzero(secret.p, secret.cap);
    buf_finish(&secret);
}

static void log_in(struct smtp_client *c)
{
    smtp_client_enter(c, SMTP_PHASE_AUTH, SMTP_WANT_BYTES);
    if (!c->is_tls && !c->settings.auth_in_clear) {
        smtp_client_fail_text(c, "logging in needs TLS, and the server offers none");
    } else if (c->capabilities.auth_plain) {
        c->auth_step = CLIENT_AUTH_PLAIN;
        say_auth_plain(c);
    } else if (c->capabilities.auth_login) {
        c->auth_step = CLIENT_AUTH_LOGIN;
        buf_append(&c->output, SLICE("AUTH LOGIN\r\n"));
    } else {
        smtp_client_fail_text(c, "the server offers neither AUTH PLAIN nor AUTH LOGIN");
    }
}

/* EHLO is answered, and TLS is on or will not be. */
static void after_ehlo(struct smtp_client *c)
{
    if (c->settings.user != NULL)
        log_in(c);
    else
        smtp_client_enter(c, SMTP_PHASE_READY, SMTP_WANT_TRANSACTION);
}

static void leave_ehlo(struct smtp_client *c)
{
    c->parser.keep_lines = false;
    c->parser.text.max = SMTP_RESPONSE_TEXT_MAX;
}

void smtp_client_take_ehlo(struct smtp_client *c, struct smtp_response r)
{
    struct slice lines = r.text;

    leave_ehlo(c);
    if (r.code / 100 == 5 && !c->says_helo && !c->settings.lmtp) {
        c->says_helo = true; /* RFC 5321 3.2 */
        smtp_client_say_ehlo(c);
        return;
    }
    if (r.code / 100 != 2) {
        smtp_client_fail(c, r, true);
        return;
    }
    (void)slice_cut(&lines, '\n'); /* the server's name */
    c->capabilities.extended = !c->says_helo;
    while (lines.n > 0 && !c->says_helo)
        read_capability(&c->capabilities, slice_cut(&lines, '\n'));
    if (c->is_tls || c->settings.tls == SMTP_TLS_NEVER) {
        after_ehlo(c);
    } else if (c->capabilities.starttls) {
        buf_append(&c->output, SLICE("STARTTLS\r\n"));
        smtp_client_enter(c, SMTP_PHASE_STARTTLS, SMTP_WANT_BYTES);
    } else if (c->settings.tls == SMTP_TLS_REQUIRED) {
        smtp_client_enter(c, SMTP_PHASE_STARTTLS, SMTP_WANT_BYTES);
        smtp_client_fail_text(c, "TLS is required, and the server does not offer STARTTLS");
    } else {
        after_ehlo(c);
    }
}

void smtp_client_take_starttls(struct smtp_client *c, struct smtp_response r)
{
    if (r.code == 220)
        c->want = SMTP_WANT_TLS;
    else if (c->settings.tls == SMTP_TLS_REQUIRED || r.code == 421)
        smtp_client_fail(c, r, true);
    else
        after_ehlo(c);
}

void smtp_client_take_auth(struct smtp_client *c, struct smtp_response r)
{
    if (r.code / 100 == 2) {
        smtp_client_enter(c, SMTP_PHASE_READY, SMTP_WANT_TRANSACTION);
        return;
    }
    if (r.code != 334 || c->auth_step == CLIENT_AUTH_PLAIN ||
        c->auth_step == CLIENT_AUTH_PASSWORD) {
        smtp_client_fail(c, r, true);
        return;
    }
    if (c->auth_step == CLIENT_AUTH_LOGIN) {
        c->auth_step = CLIENT_AUTH_USER;
        say_secret(c, slice_of(c->settings.user));
    } else {
        c->auth_step = CLIENT_AUTH_PASSWORD;
        say_secret(c, slice_of(c->settings.password));
    }
}
