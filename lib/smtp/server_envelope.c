/* MAIL and RCPT with their parameters. */
#include "base/ascii.h"
#include "lib/addr/path.h"
#include "lib/smtp/server_in.h"

#define RECIPIENTS_MAX 1000

/* A refusal of a parameter; code 0 while there is none. */
struct refusal {
    unsigned code;
    const char *enhanced, *text;
};

static enum step refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text)
{
    smtp_server_refuse(s, code, enhanced, text);
    return STEP_DONE;
}

/* RFC 3461 4: printable, without "+" and "=", which are written as "+2B", "+3D". RFC 6533 lets
 * UTF-8 stand in ORCPT when SMTPUTF8 was said. */
static bool is_xtext(struct slice value, bool utf8)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (c == '+') {
            if (value.n - i < 3 || ascii_hex_value(value.p[i + 1]) < 0 ||
                ascii_hex_value(value.p[i + 2]) < 0)
                return false;
            i += 2;
        } else if (c == '=' || ((unsigned char)c >= 0x80 ? !utf8 : c <= ' ' || c > '~')) {
            return false;
        }
    }
    return true;
}

static struct refusal take_size(struct smtp_server *s, struct slice value)
{
    uint64_t max = s->settings->message_max_bytes;

    if (value.n > 20 || !slice_to_u64(value, &s->sender.size_bytes))
        return (struct refusal){501, "5.5.4", "SIZE takes a number"};
    if (max != 0 && s->sender.size_bytes > max)
        return (struct refusal){552, "5.3.4", "The message is larger than we take"};
    return (struct refusal){0};
}

static struct refusal take_body(struct smtp_server *s, struct slice value)
{
    if (slice_eq_nocase(value, SLICE("8BITMIME")))
        s->sender.body = SMTP_BODY_8BITMIME;
    else if (!slice_eq_nocase(value, SLICE("7BIT")))
        return (struct refusal){501, "5.5.4", "BODY is 7BIT or 8BITMIME"};
    return (struct refusal){0};
}

static struct refusal take_utf8(struct smtp_server *s, struct slice value)
{
    s->sender.utf8 = true;
    if (value.n > 0)
        return (struct refusal){501, "5.5.4", "SMTPUTF8 takes no value"};
    return (struct refusal){0};
}

static struct refusal take_ret(struct smtp_server *s, struct slice value)
{
    if (slice_eq_nocase(value, SLICE("FULL")))
        s->sender.ret = SMTP_RET_FULL;
    else if (slice_eq_nocase(value, SLICE("HDRS")))
        s->sender.ret = SMTP_RET_HDRS;
    else
        return (struct refusal){501, "5.5.4", "RET is FULL or HDRS"};
    return (struct refusal){0};
}

static struct refusal take_envid(struct smtp_server *s, struct slice value)
{
    if (value.n == 0 || value.n > SMTP_ENVID_MAX || !is_xtext(value, false))
        return (struct refusal){501, "5.5.4", "ENVID takes up to 100 characters of xtext"};
    s->sender.envelope_id = value;
    return (struct refusal){0};
}

static struct refusal take_auth(struct smtp_server *s, struct slice value)
{
    if (value.n == 0 || value.n > SMTP_ORCPT_MAX || !is_xtext(value, false))
        return (struct refusal){501, "5.5.4", "AUTH takes an address as xtext, or <>"};
    s->sender.auth = value;
    return (struct refusal){0};
}

static struct refusal take_notify(struct smtp_server *s, struct slice value)
{
    static const struct {
        struct slice word;
        unsigned bit;
    } words[] = {
        {SLICE_INIT("NEVER"), SMTP_NOTIFY_NEVER},
        {SLICE_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
        {SLICE_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
        {SLICE_INIT("DELAY"), SMTP_NOTIFY_DELAY},
    };
    unsigned notify = 0;

    while (value.n > 0) {
        struct slice word = slice_cut(&value, ',');
        unsigned bit = 0;

        for (size_t i = 0; i < COUNT(words); i++)
            if (slice_eq_nocase(word, words[i].word))
                bit = words[i].bit;
        if (bit == 0)
            notify = UINT32_MAX;
        notify |= bit;
    }
    if (notify == 0 || notify == UINT32_MAX ||
        ((notify & SMTP_NOTIFY_NEVER) != 0 && notify != SMTP_NOTIFY_NEVER))
        return (struct refusal){501, "5.5.4", "NOTIFY is NEVER, or of SUCCESS,FAILURE,DELAY"};
    s->recipient.notify = notify;
    return (struct refusal){0};
}

static struct refusal take_orcpt(struct smtp_server *s, struct slice value)
{
    struct slice rest = value;
    struct slice type = slice_cut(&rest, ';');

    if (type.n == 0 || rest.n == 0 || value.n > SMTP_ORCPT_MAX || !is_xtext(value, s->sender.utf8))
        return (struct refusal){501, "5.5.4", "ORCPT takes type;address, the address as xtext"};
    s->recipient.origin = value;
    return (struct refusal){0};
}

enum { FOR_MAIL, FOR_RCPT };

static const struct parameter {
    struct slice name;
    int command;
    bool is_dsn, is_utf8; /* not known while the extension is hidden */
    struct refusal (*take)(struct smtp_server *s, struct slice value);
} parameters[] = {
    {SLICE_INIT("SIZE"), FOR_MAIL, false, false, take_size},
    {SLICE_INIT("BODY"), FOR_MAIL, false, false, take_body},
    {SLICE_INIT("SMTPUTF8"), FOR_MAIL, false, true, take_utf8},
    {SLICE_INIT("RET"), FOR_MAIL, true, false, take_ret},
    {SLICE_INIT("ENVID"), FOR_MAIL, true, false, take_envid},
    {SLICE_INIT("AUTH"), FOR_MAIL, false, false, take_auth},
    {SLICE_INIT("NOTIFY"), FOR_RCPT, true, false, take_notify},
    {SLICE_INIT("ORCPT"), FOR_RCPT, true, false, take_orcpt},
};

static struct refusal take_parameter(struct smtp_server *s, int command, struct slice word,
                                     unsigned *seen)
{
    struct slice value = word;
    struct slice name = slice_cut(&value, '=');
    bool has_equals = name.n < word.n;

    for (size_t i = 0; i < COUNT(parameters); i++) {
        const struct parameter *p = &parameters[i];

        if (p->command != command || !slice_eq_nocase(name, p->name) ||
            (p->is_dsn && s->settings->hide_dsn) || (p->is_utf8 && s->settings->hide_smtputf8))
            continue;
        if ((*seen & 1u << i) != 0)
            return (struct refusal){501, "5.5.4", "A parameter stands twice"};
        *seen |= 1u << i;
        if (has_equals && value.n == 0)
            return (struct refusal){501, "5.5.4", "A parameter has no value"};
        return p->take(s, value);
    }
    return (struct refusal){555, "5.5.4", "Unknown parameter"};
}

static struct refusal take_parameters(struct smtp_server *s, int command, struct slice words)
{
    struct refusal refusal = {0};
    unsigned seen = 0;

    while (words.n > 0 && refusal.code == 0) {
        struct slice word = slice_cut(&words, ' ');

        if (word.n > 0)
            refusal = take_parameter(s, command, word, &seen);
    }
    return refusal;
}

/* Takes "KEYWORD:<path> parameters" apart. 0: it is done and answered. */
static int take_path(struct smtp_server *s, struct slice keyword, struct slice args, unsigned flags,
                     struct path *path_out, struct slice *parameters_out)
{
    bool is_mail = (flags & PATH_NULL) != 0;
    struct slice rest = args;
    struct slice word = slice_trim(slice_cut(&rest, ':'));
    struct err e = {0};

    rest = slice_trim_start(rest); /* "FROM: <x>" is wrong and common */
    if (!slice_eq_nocase(word, keyword) || rest.n == 0 || rest.p[0] != '<') {
        smtp_server_refuse(s, 501, "5.5.4",
                           is_mail ? "Say MAIL FROM:<address>" : "Say RCPT TO:<address>");
        return 0;
    }
    if (!s->settings->hide_smtputf8)
        flags |= PATH_UTF8;
    if (path_parse(rest, flags, path_out, &e) < 0) {
        smtp_server_refuse(s, 501, is_mail ? "5.1.7" : "5.1.3", e.text);
        return 0;
    }
    *parameters_out = slice_from(rest, path_out->used);
    if (parameters_out->n > 0 && parameters_out->p[0] != ' ') {
        smtp_server_refuse(s, 501, "5.5.4", "A space is needed behind the address");
        return 0;
    }
    return 1;
}

enum step smtp_server_run_mail(struct smtp_server *s, struct slice args)
{
    const struct smtp_server_settings *set = s->settings;
    struct path path;
    struct slice words;
    struct refusal refusal;

    if (set->require_tls && !s->is_tls)
        return refuse(s, 530, "5.7.0", "Say STARTTLS first");
    if (set->require_auth && s->user.n == 0)
        return refuse(s, 530, "5.7.0", "Log in first");
    smtp_server_end_transaction(s);
    if (!take_path(s, SLICE("FROM"), args, PATH_NULL, &path, &words))
        return STEP_DONE;
    refusal = take_parameters(s, FOR_MAIL, words);
    if (refusal.code == 0 && path.is_utf8 && !s->sender.utf8)
        refusal = (struct refusal){553, "5.6.7", "An address in UTF-8 needs SMTPUTF8"};
    if (refusal.code != 0) {
        smtp_server_end_transaction(s);
        return refuse(s, refusal.code, refusal.enhanced, refusal.text);
    }
    s->sender.path = path.address;
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_SENDER, .sender = &s->sender};
    return STEP_WAIT;
}

enum step smtp_server_run_rcpt(struct smtp_server *s, struct slice args)
{
    unsigned max = s->settings->recipients_max != 0 ? s->settings->recipients_max : RECIPIENTS_MAX;
    struct path path;
    struct slice words;
    struct refusal refusal;

    s->recipient = (struct smtp_recipient){0};
    if (s->recipients >= max) /* RFC 5321 4.5.3.1.10 */
        return refuse(s, 452, "4.5.3", "Too many recipients, send the rest in another message");
    if (!take_path(s, SLICE("TO"), args, PATH_POSTMASTER, &path, &words))
        return STEP_DONE;
    refusal = take_parameters(s, FOR_RCPT, words);
    if (refusal.code == 0 && path.is_utf8 && !s->sender.utf8)
        refusal = (struct refusal){553, "5.6.7", "An address in UTF-8 needs SMTPUTF8"};
    if (refusal.code != 0)
        return refuse(s, refusal.code, refusal.enhanced, refusal.text);
    s->recipient.path = path.address;
    s->ask = (struct smtp_ask){.kind = SMTP_ASK_RECIPIENT, .recipient = &s->recipient};
    return STEP_WAIT;
}
