#include "base/ascii.h"
#include "lib/smtp/server_in.h"

#define IDLE_COMMANDS_MAX 100

static enum step say(struct smtp_server *s, unsigned code, const char *enhanced, const char *text)
{
    smtp_server_say(s, (struct smtp_reply){code, enhanced, text});
    return STEP_DONE;
}

static enum step refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text)
{
    smtp_server_refuse(s, code, enhanced, text);
    return STEP_DONE;
}

static enum step run_hello(struct smtp_server *s, struct slice args, bool is_extended)
{
    for (size_t i = 0; i < args.n; i++)
        if (args.p[i] <= ' ' || args.p[i] > '~')
            return refuse(s, 501, "5.5.4", "The name holds bytes that no host name has");
    if (args.n == 0 || args.n > s->helo.max)
        return refuse(s, 501, "5.5.4", "A host name is needed");
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_HELO, .value = args, .is_extended = is_extended};
    return STEP_WAIT;
}

static enum step run_ehlo(struct smtp_server *s, struct slice args)
{
    return run_hello(s, args, true);
}

static enum step run_helo(struct smtp_server *s, struct slice args)
{
    return run_hello(s, args, false);
}

static void list_extensions(struct smtp_server *s)
{
    const struct smtp_server_settings *set = s->settings;
    struct buf *out = &s->output;

    if (!set->hide_pipelining)
        buf_append(out, SLICE("250-PIPELINING\r\n"));
    buf_append(out, SLICE("250-SIZE"));
    if (set->message_max_bytes != 0) {
        buf_append_char(out, ' ');
        buf_append_u64(out, set->message_max_bytes);
    }
    buf_append(out, SLICE("\r\n"));
    if (set->offer_starttls && !s->is_tls)
        buf_append(out, SLICE("250-STARTTLS\r\n"));
    if (smtp_server_offers_auth(s))
        buf_append(out, SLICE("250-AUTH PLAIN LOGIN\r\n"));
    if (!set->hide_dsn)
        buf_append(out, SLICE("250-DSN\r\n"));
    if (!set->hide_smtputf8)
        buf_append(out, SLICE("250-SMTPUTF8\r\n"));
    if (!set->hide_chunking)
        buf_append(out, SLICE("250-CHUNKING\r\n"));
    buf_append(out, SLICE("250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"));
}

void smtp_server_greet_back(struct smtp_server *s)
{
    struct slice args = buf_slice(&s->line);

    s->is_extended = ascii_lower(args.p[0]) == 'e';
    (void)slice_cut(&args, ' ');
    buf_clear(&s->helo);
    buf_append(&s->helo, slice_trim(args));
    s->state = SERVER_READY;
    smtp_server_end_transaction(s); /* RFC 5321 4.1.4: as if RSET had been said */
    buf_append_text(&s->output, s->is_extended ? "250-" : "250 ");
    buf_append_text(&s->output, s->settings->hostname);
    buf_append(&s->output, SLICE("\r\n"));
    if (s->is_extended)
        list_extensions(s);
}

static enum step run_starttls(struct smtp_server *s, struct slice args)
{
    if (!s->settings->offer_starttls)
        return refuse(s, 502, "5.5.1", "TLS is not offered here");
    if (s->is_tls)
        return refuse(s, 503, "5.5.1", "TLS is on already");
    if (args.n > 0)
        return refuse(s, 501, "5.5.4", "STARTTLS takes no argument");
    smtp_server_say(s, (struct smtp_reply){220, "2.0.0", "Ready to start TLS"});
    if (s->state == SERVER_CLOSED)
        return STEP_DONE;
    s->state = SERVER_TLS;
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_TLS};
    return STEP_DONE;
}

static enum step run_rset(struct smtp_server *s, struct slice args)
{
    if (args.n > 0)
        return refuse(s, 501, "5.5.4", "RSET takes no argument");
    smtp_server_end_transaction(s);
    return say(s, 250, "2.0.0", "Forgotten");
}

static enum step run_noop(struct smtp_server *s, struct slice args)
{
    (void)args;
    return say(s, 250, "2.0.0", "Here");
}

static enum step run_vrfy(struct smtp_server *s, struct slice args)
{
    if (args.n == 0)
        return refuse(s, 501, "5.5.4", "VRFY needs an address");
    return say(s, 252, "2.5.0", "Not verified; send the mail and see");
}

static enum step run_expn(struct smtp_server *s, struct slice args)
{
    (void)args;
    return refuse(s, 502, "5.5.1", "EXPN is not offered");
}

static enum step run_help(struct smtp_server *s, struct slice args)
{
    (void)args;
    return say(s, 214, "2.0.0", "See RFC 5321");
}

static enum step run_quit(struct smtp_server *s, struct slice args)
{
    (void)args;
    say(s, 221, "2.0.0", "Bye");
    smtp_server_end_transaction(s);
    s->state = SERVER_CLOSED;
    return STEP_DONE;
}

/* A browser that was talked into posting mail (or a lost one): no mail client says these. */
static enum step run_web(struct smtp_server *s, struct slice args)
{
    (void)args;
    return say(s, 421, "4.7.0", "This is SMTP, not HTTP");
}

#define ANY                                                                                        \
    (IN(SERVER_HELLO) | IN(SERVER_READY) | IN(SERVER_MAIL) | IN(SERVER_RCPT) | IN(SERVER_BDAT_NEXT))
#define GREETED (ANY & ~IN(SERVER_HELLO))

/* The whole protocol at a glance: the verb, where it is legal, whether it moves no mail forward,
 * what runs. */
static const struct command {
    struct slice verb;
    unsigned legal;
    bool is_idle;
    enum step (*run)(struct smtp_server *s, struct slice args);
} commands[] = {
    {SLICE_INIT("RCPT"), IN(SERVER_MAIL) | IN(SERVER_RCPT), false, smtp_server_run_rcpt},
    {SLICE_INIT("MAIL"), IN(SERVER_READY), true, smtp_server_run_mail},
    {SLICE_INIT("DATA"), IN(SERVER_RCPT) | IN(SERVER_MAIL), false, smtp_server_run_data},
    {SLICE_INIT("BDAT"), ANY, false, smtp_server_run_bdat}, /* its bytes must go in any case */
    {SLICE_INIT("RSET"), ANY, true, run_rset},
    {SLICE_INIT("QUIT"), ANY, false, run_quit},
    {SLICE_INIT("EHLO"), ANY, true, run_ehlo},
    {SLICE_INIT("HELO"), ANY, true, run_helo},
    {SLICE_INIT("NOOP"), ANY, true, run_noop},
    {SLICE_INIT("STARTTLS"), IN(SERVER_READY), true, run_starttls},
    {SLICE_INIT("AUTH"), IN(SERVER_READY), true, smtp_server_run_auth},
    {SLICE_INIT("VRFY"), GREETED, true, run_vrfy},
    {SLICE_INIT("EXPN"), GREETED, true, run_expn},
    {SLICE_INIT("HELP"), ANY, true, run_help},
    {SLICE_INIT("GET"), ANY, true, run_web},
    {SLICE_INIT("POST"), ANY, true, run_web},
    {SLICE_INIT("PUT"), ANY, true, run_web},
    {SLICE_INIT("CONNECT"), ANY, true, run_web},
};

static const struct command *find_command(struct slice verb)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (slice_eq_nocase(verb, commands[i].verb))
            return &commands[i];
    return NULL;
}

static const char *why_not_now(const struct smtp_server *s)
{
    switch (s->state) {
    case SERVER_HELLO:
        return "Say EHLO first";
    case SERVER_READY:
        return "Say MAIL first";
    case SERVER_BDAT_NEXT:
        return "A message is being sent with BDAT";
    case SERVER_MAIL:
    case SERVER_RCPT:
        return "Not in the middle of a transaction";
    case SERVER_DATA:
    case SERVER_CHUNK:
    case SERVER_AUTH:
    case SERVER_TLS:
    case SERVER_CLOSED:
        break;
    }
    return "Not now";
}

static bool has_had_enough(struct smtp_server *s, bool is_idle)
{
    const struct smtp_server_settings *set = s->settings;
    unsigned idle_max = set->idle_commands_max != 0 ? set->idle_commands_max : IDLE_COMMANDS_MAX;

    s->commands++;
    s->idle_commands += is_idle;
    return s->idle_commands > idle_max ||
           (set->commands_max != 0 && s->commands > set->commands_max);
}

enum step smtp_server_run_command(struct smtp_server *s, struct slice line)
{
    struct slice args = line;
    struct slice verb = slice_cut(&args, ' ');
    const struct command *c = find_command(verb);

    if (has_had_enough(s, c == NULL || c->is_idle))
        return say(s, 421, "4.7.0", "Too many commands, closing");
    if (c == NULL)
        return refuse(s, 500, "5.5.1", "Unknown command");
    if ((c->legal & IN(s->state)) == 0)
        return refuse(s, 503, "5.5.1", why_not_now(s));
    return c->run(s, slice_trim(args));
}
