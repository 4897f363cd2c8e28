/* AUTH PLAIN (RFC 4616) and AUTH LOGIN (draft-murchison-sasl-login), as RFC 4954 frames them. */
#include "lib/smtp/server_in.h"
#include "lib/text/base64.h"

static enum step refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text)
{
    s->state = SERVER_READY;
    smtp_server_end_auth(s, false);
    smtp_server_refuse(s, code, enhanced, text);
    return STEP_DONE;
}

bool smtp_server_offers_auth(const struct smtp_server *s)
{
    return s->settings->offer_auth && (s->is_tls || s->settings->offer_auth_in_clear);
}

/* This room sees no OpenSSL; glibc's explicit_bzero() serves for its OPENSSL_cleanse() (rule 26).
 */
void smtp_server_wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_finish(b);
}

void smtp_server_end_auth(struct smtp_server *s, bool accepted)
{
    if (accepted) {
        buf_clear(&s->user);
        buf_append(&s->user, s->login.user);
    }
    s->login = (struct smtp_login){0};
    s->user_bytes = 0;
    smtp_server_wipe(&s->secret);
    smtp_server_wipe(&s->line);
}

static enum step ask(struct smtp_server *s, struct slice mechanism)
{
    s->login.mechanism = mechanism;
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_AUTH, .login = &s->login};
    return STEP_WAIT;
}

/* RFC 4616: identity NUL user NUL password. */
static enum step take_plain(struct smtp_server *s)
{
    struct slice rest = buf_slice(&s->secret);
    size_t first = slice_find(rest, '\0');
    size_t second =
        first == SLICE_NONE ? SLICE_NONE : slice_find(slice_from(rest, first + 1), '\0');

    if (second == SLICE_NONE || second == 0)
        return refuse(s, 501, "5.5.2", "AUTH PLAIN needs identity, user and password");
    s->login.identity = slice_sub(rest, 0, first);
    s->login.user = slice_sub(rest, first + 1, second);
    s->login.password = slice_from(rest, first + 1 + second + 1);
    if (slice_find(s->login.password, '\0') != SLICE_NONE)
        return refuse(s, 501, "5.5.2", "AUTH PLAIN needs identity, user and password");
    return ask(s, SLICE("PLAIN"));
}

static enum step prompt(struct smtp_server *s, enum smtp_auth_step step, struct slice text)
{
    s->state = SERVER_AUTH;
    s->auth_step = step;
    buf_append(&s->output, SLICE("334 "));
    buf_append(&s->output, text);
    buf_append(&s->output, SLICE("\r\n"));
    return STEP_DONE;
}

/* One line of base64, "=" is an empty one, "*" gives up. */
enum step smtp_server_run_auth_line(struct smtp_server *s, struct slice line)
{
    struct err e = {0};

    if (slice_eq(line, SLICE("*")))
        return refuse(s, 501, "5.7.0", "AUTH was given up");
    if (s->secret.n == 0 && buf_room(&s->secret, s->secret.max) == NULL) /* grows never: one copy */
        return refuse(s, 500, "5.5.6", "Too long");
    if (!slice_eq(line, SLICE("=")) && base64_decode(line, &s->secret, &e) < 0)
        return refuse(s, 501, "5.5.2", "This is not base64");
    switch (s->auth_step) {
    case AUTH_PLAIN:
        return take_plain(s);
    case AUTH_LOGIN_USER:
        if (s->secret.n == 0 || slice_find(buf_slice(&s->secret), '\0') != SLICE_NONE)
            return refuse(s, 501, "5.5.2", "AUTH LOGIN needs a user");
        s->user_bytes = s->secret.n;
        return prompt(s, AUTH_LOGIN_PASSWORD, SLICE("UGFzc3dvcmQ6")); /* "Password:" */
    case AUTH_LOGIN_PASSWORD:
        s->login.user = slice_sub(buf_slice(&s->secret), 0, s->user_bytes);
        s->login.password = slice_from(buf_slice(&s->secret), s->user_bytes);
        return ask(s, SLICE("LOGIN"));
    }
    return STEP_DONE;
}

enum step smtp_server_run_auth(struct smtp_server *s, struct slice args)
{
    struct slice initial = args;
    struct slice mechanism = slice_cut(&initial, ' ');
    bool is_plain = slice_eq_nocase(mechanism, SLICE("PLAIN"));

    if (s->settings->offer_auth && !smtp_server_offers_auth(s))
        return refuse(s, 538, "5.7.11", "Say STARTTLS first: no passwords in clear");
    if (!smtp_server_offers_auth(s))
        return refuse(s, 502, "5.5.1", "AUTH is not offered here");
    if (s->user.n > 0)
        return refuse(s, 503, "5.5.1", "Logged in already");
    if (!is_plain && !slice_eq_nocase(mechanism, SLICE("LOGIN")))
        return refuse(s, 504, "5.5.4", "Only PLAIN and LOGIN are offered");
    s->auth_step = is_plain ? AUTH_PLAIN : AUTH_LOGIN_USER;
    if (initial.n > 0)
        return smtp_server_run_auth_line(s, slice_trim(initial));
    return is_plain ? prompt(s, AUTH_PLAIN, SLICE(""))
                    : prompt(s, AUTH_LOGIN_USER, SLICE("VXNlcm5hbWU6")); /* "Username:" */
}
