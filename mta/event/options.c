#include "mta/event/options.h"

static const struct {
    struct slice name;
    unsigned bit;
} notify_names[] = {
    {SLICE_INIT("NEVER"), SMTP_NOTIFY_NEVER},
    {SLICE_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
    {SLICE_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
    {SLICE_INIT("DELAY"), SMTP_NOTIFY_DELAY},
};

static void add(struct buf *out, const char *name, struct slice value)
{
    if (out->n > 0)
        buf_append_char(out, ' ');
    buf_append_text(out, name);
    buf_append(out, value);
}

void options_write_sender(const struct smtp_sender *s, struct buf *out)
{
    if (s->body == SMTP_BODY_8BITMIME)
        add(out, "BODY=8BITMIME", SLICE(""));
    if (s->utf8)
        add(out, "SMTPUTF8", SLICE(""));
    if (s->ret != SMTP_RET_UNSAID)
        add(out, "RET=", s->ret == SMTP_RET_FULL ? SLICE("FULL") : SLICE("HDRS"));
    if (s->envelope_id.n > 0)
        add(out, "ENVID=", s->envelope_id);
}

void options_write_recipient(const struct smtp_recipient *r, struct buf *out)
{
    char sep = '=';

    if (r->notify != 0) {
        add(out, "NOTIFY", SLICE(""));
        for (size_t i = 0; i < COUNT(notify_names); i++)
            if ((r->notify & notify_names[i].bit) != 0) {
                buf_append_char(out, sep);
                buf_append(out, notify_names[i].name);
                sep = ',';
            }
    }
    if (r->origin.n > 0)
        add(out, "ORCPT=", r->origin);
}

void options_read_sender(struct slice text, struct smtp_sender *s)
{
    while (text.n > 0) {
        struct slice value = slice_cut(&text, ' ');
        struct slice name = slice_cut(&value, '=');

        if (slice_eq(name, SLICE("BODY")))
            s->body = slice_eq(value, SLICE("8BITMIME")) ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
        else if (slice_eq(name, SLICE("SMTPUTF8")))
            s->utf8 = true;
        else if (slice_eq(name, SLICE("RET")))
            s->ret = slice_eq(value, SLICE("FULL")) ? SMTP_RET_FULL : SMTP_RET_HDRS;
        else if (slice_eq(name, SLICE("ENVID")))
            s->envelope_id = value;
    }
}

void options_read_recipient(struct slice text, struct smtp_recipient *r)
{
    while (text.n > 0) {
        struct slice value = slice_cut(&text, ' ');
        struct slice name = slice_cut(&value, '=');

        if (slice_eq(name, SLICE("ORCPT"))) {
            r->origin = value;
        } else if (slice_eq(name, SLICE("NOTIFY"))) {
            while (value.n > 0) {
                struct slice word = slice_cut(&value, ',');

                for (size_t i = 0; i < COUNT(notify_names); i++)
                    if (slice_eq(word, notify_names[i].name))
                        r->notify |= notify_names[i].bit;
            }
        }
    }
}

static const struct slice proven = SLICE_INIT("X-FROM=PROVEN");
static const struct slice unproven = SLICE_INIT("X-FROM=UNPROVEN");
static const struct slice forwarded = SLICE_INIT("X-FORWARDED");

static bool has_word(struct slice text, struct slice word)
{
    while (text.n > 0)
        if (slice_eq(slice_cut(&text, ' '), word))
            return true;
    return false;
}

void options_write_origin(enum options_origin origin, struct buf *out)
{
    if (origin != OPTIONS_OURS)
        add(out, "", origin == OPTIONS_PROVEN ? proven : unproven);
}

enum options_origin options_read_origin(struct slice text)
{
    return has_word(text, unproven) ? OPTIONS_UNPROVEN
           : has_word(text, proven) ? OPTIONS_PROVEN
                                    : OPTIONS_OURS;
}

void options_write_forwarded(struct buf *out)
{
    add(out, "", forwarded);
}

bool options_is_forwarded(struct slice text)
{
    return has_word(text, forwarded);
}
