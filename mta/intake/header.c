#include "mta/intake/header.h"

#include "base/ascii.h"
#include "lib/message/date.h"
#include "lib/message/header.h"
#include "lib/message/msgid.h"
#include "lib/message/received.h"

enum field_use { KEEP, DROP, DROP_FORGED, STREAM, TAG, IDEMPOTENCY };

/* The fields that mean something to us. The first of two names for one thing wins. Of strangers'
 * mail STREAM, TAG and IDEMPOTENCY mean nothing and travel on: a list sends one author's mail in
 * many transactions, and his Idempotency-Key would make all but the first a repetition. */
static const struct {
    struct slice name;
    enum field_use use;
} known_fields[] = {
    {SLICE_INIT("X-Waybill-Stream"), STREAM},
    {SLICE_INIT("X-PM-Message-Stream"), STREAM},
    {SLICE_INIT("X-Waybill-Tag"), TAG},
    {SLICE_INIT("X-PM-Tag"), TAG},
    {SLICE_INIT("Idempotency-Key"), IDEMPOTENCY},
    {SLICE_INIT("X-Waybill-Idempotency-Key"), IDEMPOTENCY},
    {SLICE_INIT("Bcc"), DROP},
    {SLICE_INIT("Resent-Bcc"), DROP},
    {SLICE_INIT("Return-Path"), DROP},
    {SLICE_INIT("Content-Length"), DROP},
    {SLICE_INIT("X-Waybill-Quarantine"), DROP_FORGED}, /* ours says what we found out */
};

static enum field_use use_of(struct slice name, bool is_stranger)
{
    for (size_t i = 0; i < COUNT(known_fields); i++) {
        enum field_use use = known_fields[i].use;

        if (!slice_eq_nocase(name, known_fields[i].name))
            continue;
        if (use == DROP_FORGED)
            return is_stranger ? DROP : KEEP;
        return use == DROP || !is_stranger ? use : KEEP;
    }
    return KEEP;
}

/* A word that a peer chose, made harmless for a structured field: no comment, quote or line end. */
static void append_word(struct buf *out, struct slice word)
{
    for (size_t i = 0; i < word.n && i < 255; i++) {
        char c = word.p[i];
        bool fine = ascii_is_alnum(c) || strchr(".-_:[]/+@=", c) != NULL;

        buf_append_char(out, fine && c != '\0' ? c : '?');
    }
}

static void write_received(const struct intake_origin *o, struct buf *out)
{
    buf_append_text(out, "Received: ");
    if (!o->hide_client) {
        buf_append_text(out, "from ");
        append_word(out, o->helo.n > 0 ? o->helo : SLICE("unknown"));
        buf_append_text(out, " ([");
        append_word(out, o->client_ip);
        buf_append_text(out, "])\r\n\t");
    }
    buf_append_text(out, "by ");
    append_word(out, o->hostname);
    buf_append_text(out, " (Waybill) with ");
    append_word(out, o->protocol);
    buf_append_text(out, " id ");
    append_word(out, o->id);
    if (o->tls.n > 0) {
        buf_append_text(out, "\r\n\t(");
        for (size_t i = 0; i < o->tls.n; i++) /* OpenSSL's own words and one space */
            buf_append_char(out, o->tls.p[i]);
        buf_append_char(out, ')');
    }
    if (o->recipient.n > 0 && slice_find(o->recipient, '\r') == SLICE_NONE) {
        buf_append_text(out, "\r\n\tfor <");
        buf_append(out, o->recipient); /* path_parse() let it through: no brackets, no controls */
        buf_append_char(out, '>');
    }
    buf_append_text(out, ";\r\n\t");
    date_format(o->unix_s, 0, out);
    buf_append_text(out, "\r\n");
}

static struct slice summary(struct slice value, struct arena *a)
{
    return slice_sub(header_unfolded(value, a), 0, INTAKE_SUMMARY_BYTES);
}

/* Notes what the field says; returns whether it travels on. */
static bool read_field(const struct field *f, bool is_stranger, struct arena *a,
                       struct intake_header *found)
{
    switch (use_of(f->name, is_stranger)) {
    case KEEP:
        break;
    case DROP:
    case DROP_FORGED:
        return false;
    case STREAM:
        if (found->stream.n == 0)
            found->stream = summary(f->value, a);
        return false;
    case TAG:
        if (found->tag.n == 0)
            found->tag = summary(f->value, a);
        return false;
    case IDEMPOTENCY:
        if (found->idempotency_key.n == 0)
            found->idempotency_key = header_unfolded(f->value, a);
        return false;
    }
    if (slice_eq_nocase(f->name, SLICE("Received")))
        found->hops++;
    else if (slice_eq_nocase(f->name, SLICE("Message-ID")) && found->message_id.n == 0)
        found->message_id = summary(f->value, a);
    else if (slice_eq_nocase(f->name, SLICE("From")) && found->from.n == 0)
        found->from = summary(f->value, a);
    else if (slice_eq_nocase(f->name, SLICE("List-Unsubscribe")))
        found->has_unsubscribe = true;
    else if (slice_eq_nocase(f->name, SLICE("Subject")) && found->subject.n == 0)
        found->subject = summary(f->value, a);
    return true;
}

/* Copies the kept fields; neighbours go in one piece. */
static void copy_fields(const struct header *h, bool is_stranger, struct arena *a, struct buf *out,
                        struct intake_header *found, bool *has_date)
{
    struct slice run = {NULL, 0};

    for (size_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];

        if (slice_eq_nocase(f->name, SLICE("Date")))
            *has_date = true;
        if (!read_field(f, is_stranger, a, found)) {
            buf_append(out, run);
            run = (struct slice){NULL, 0};
        } else if (run.n > 0 && run.p + run.n == f->raw.p) {
            run.n += f->raw.n;
        } else {
            buf_append(out, run);
            run = f->raw;
        }
    }
    buf_append(out, run);
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        buf_append_text(out, "\r\n"); /* the last line had no end: mail without a body */
}

static void add_missing(const struct intake_origin *o, bool has_date, struct arena *a,
                        struct buf *out, struct intake_header *found)
{
    if (found->message_id.n == 0) {
        found->message_id =
            arena_printf(a, "<%.*s@%.*s>", SLICE_ARG(o->id), SLICE_ARG(o->hostname));
        buf_append_text(out, "Message-ID: ");
        buf_append(out, found->message_id);
        buf_append_text(out, "\r\n");
    } else {
        found->message_id_problem = msgid_check(found->message_id).reason;
    }
    if (!has_date) {
        buf_append_text(out, "Date: ");
        date_format(o->unix_s, 0, out);
        buf_append_text(out, "\r\n");
    }
}

/* How often this host has had it before. */
static size_t count_passes(const struct header *h, struct slice hostname, struct arena *a)
{
    struct received r;
    size_t passes = 0;

    for (size_t i = 0; i < h->count; i++)
        if (slice_eq_nocase(h->fields[i].name, SLICE("Received"))) {
            received_parse(h->fields[i].value, a, &r);
            passes += slice_eq_nocase(r.by, hostname);
        }
    return passes;
}

/* Two hosts that forward to each other, and to several addresses, would make 2^50 mails of one
 * before the hops are too many. */
static int check_loop(const struct header *h, const struct intake_origin *origin, struct arena *a,
                      struct intake_header *found, struct err *e)
{
    found->is_loop = true;
    if (found->hops > INTAKE_HOPS_MAX)
        return err_set(e, ERR_LIMIT, "Routing loop: %zu Received fields on board", found->hops);
    if (origin->is_forwarded && count_passes(h, origin->hostname, a) > INTAKE_PASSES_MAX)
        return err_set(e, ERR_LIMIT, "Forwarding loop: %.*s has had this mail more than %d times",
                       SLICE_ARG(slice_sub(origin->hostname, 0, 60)), INTAKE_PASSES_MAX);
    found->is_loop = false;
    return 0;
}

int intake_header_edit(struct slice header, const struct intake_origin *origin, struct arena *a,
                       struct buf *out, struct intake_header *found_out, struct err *e)
{
    struct header h;
    bool has_date = false;
    size_t start = out->n;

    *found_out = (struct intake_header){0};
    if (header_parse(header, NULL, a, &h, e) < 0)
        return -1;
    write_received(origin, out);
    found_out->received_bytes = out->n - start;
    copy_fields(&h, origin->is_stranger, a, out, found_out, &has_date);
    add_missing(origin, has_date, a, out, found_out);
    if (check_loop(&h, origin, a, found_out, e) < 0)
        return -1;
    if (out->full)
        return err_set(e, ERR_LIMIT, "The header is larger than %zu bytes", out->max);
    return 0;
}

int intake_add_unsubscribe(struct slice url, struct slice id, struct buf *out, struct err *e)
{
    static const struct slice mark = SLICE_INIT("{id}");

    if (!slice_starts(url, SLICE("https://")))
        return err_set(e, ERR_SYNTAX, "unsubscribe: \"%.*s\" is no https URL",
                       SLICE_ARG(slice_sub(url, 0, 100)));
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f || url.p[i] == '<' ||
            url.p[i] == '>')
            return err_set(e, ERR_SYNTAX,
                           "unsubscribe: \"%.*s\" holds a character that a URL may not",
                           SLICE_ARG(slice_sub(url, 0, 100)));
    buf_append_text(out, "List-Unsubscribe: <");
    for (size_t at; (at = slice_search(url, mark)) != SLICE_NONE;) {
        buf_append(out, slice_sub(url, 0, at));
        buf_append(out, id);
        url = slice_from(url, at + mark.n);
    }
    buf_append(out, url);
    buf_append_text(out, ">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    return 0;
}
