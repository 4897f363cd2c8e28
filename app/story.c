#include "app/story.h"

#include "app/daemon.h"

static enum cli_style style_of(enum ledger_kind kind)
{
    switch (kind) {
    case LEDGER_EV_DELIVERED:
        return CLI_GREEN;
    case LEDGER_EV_BOUNCED:
    case LEDGER_EV_EXPIRED:
    case LEDGER_EV_DROPPED:
        return CLI_RED;
    case LEDGER_EV_DEFERRED:
    case LEDGER_EV_UNKNOWN:
    case LEDGER_EV_DUPLICATE:
    case LEDGER_EV_HELD:
    case LEDGER_EV_SUPPRESSED:
        return CLI_YELLOW;
    case LEDGER_EV_ACCEPTED:
    case LEDGER_EV_SIGNED:
    case LEDGER_EV_RELEASED:
    case LEDGER_EV_RETRY:
    case LEDGER_EV_SETTLED:
    case LEDGER_EV_NOTE:
    case LEDGER_EV_REPORTED:
    case LEDGER_EV_COMPLAINT:
        break;
    }
    return CLI_PLAIN;
}

/* What happened, in words: who answered what. */
static void append_facts(struct buf *out, const struct ledger_event *ev)
{
    char code[16];

    if (ev->host.n > 0) {
        buf_append_text(out, " by ");
        cli_append_safe(out, ev->host);
        if (ev->ip.n > 0 && !slice_eq(ev->ip, ev->host)) {
            buf_append_text(out, " [");
            cli_append_safe(out, ev->ip);
            buf_append_char(out, ']');
        }
    }
    if (ev->start_ms > 0) {
        buf_append_text(out, " in ");
        daemon_append_span(out, ev->time_ms - ev->start_ms);
    }
    (void)snprintf(code, sizeof code, "%u ", ev->reply_code);
    if (ev->reply_code > 0 || ev->text.n > 0)
        buf_append_text(out, ": ");
    /* What a report quotes begins with its codes; what we heard ourselves does not. */
    bool is_quoted = ev->reply_code > 0 && slice_starts(ev->text, slice_of(code));
    if (ev->reply_code > 0 && !is_quoted)
        buf_append_text(out, code);
    if (ev->enhanced.n > 0 && !is_quoted) {
        cli_append_safe(out, ev->enhanced);
        buf_append_char(out, ' ');
    }
    cli_append_safe(out, ev->text);
    if (ev->category.n > 0)
        buf_printf(out, " (%.*s)", SLICE_ARG(ev->category));
}

static void append_kind(struct buf *out, enum ledger_kind kind)
{
    buf_printf(out, "%s%-10s%s", cli_style(style_of(kind)), ledger_kind_name(kind),
               cli_style(CLI_PLAIN));
}

void story_append_event(struct buf *out, const struct ledger_event *ev)
{
    char id[ID_TEXT_N + 1];

    id_encode(ev->id, id);
    daemon_append_time(out, ev->time_ms);
    buf_printf(out, "  %s  ", id);
    append_kind(out, ev->kind);
    buf_append_char(out, ' ');
    cli_append_safe(out, ev->stream);
    if (ev->tag.n > 0) {
        buf_append_char(out, '/');
        cli_append_safe(out, ev->tag);
    }
    if (ev->recipients.n > 0) {
        buf_append_text(out, " #");
        buf_append(out, ev->recipients);
    }
    if (ev->address.n > 0) {
        buf_append_char(out, ' ');
        cli_append_safe(out, ev->address);
        buf_append_text(out, ev->has_others ? " and others" : "");
    }
    append_facts(out, ev);
    buf_append_char(out, '\n');
}

static void json_id(struct json *j, const char *key, struct id value)
{
    char id[ID_TEXT_N + 1];

    id_encode(value, id);
    json_member_string(j, key, id);
}

static void json_event_members(struct json *j, const struct ledger_event *ev, const char *id,
                               const char *name)
{
    json_member_int(j, "seq", (int64_t)ev->seq);
    json_member_int(j, "time_ms", ev->time_ms);
    json_member_string(j, "id", id);
    json_member_string(j, "event", name);
    json_member_text(j, "recipients", ev->recipients);
    json_member_text(j, "stream", ev->stream);
    json_member_text(j, "tag", ev->tag);
    json_member_text(j, "host", ev->host);
    json_member_text(j, "ip", ev->ip);
    json_member_int(j, "reply_code", ev->reply_code);
    json_member_text(j, "enhanced", ev->enhanced);
    json_member_text(j, "text", ev->text);
    json_member_text(j, "category", ev->category);
    json_member_int(j, "start_ms", ev->start_ms);
    json_member_int(j, "dot_ms", ev->dot_ms);
}

void story_json_event(struct json *j, const struct ledger_event *ev)
{
    char id[ID_TEXT_N + 1];

    id_encode(ev->id, id);
    json_object(j);
    json_event_members(j, ev, id, ledger_kind_name(ev->kind));
    if (ev->address.n > 0)
        json_member_text(j, "recipient", ev->address);
    json_end(j);
}

void story_append_notice(struct buf *out, const struct ledger_notice *n)
{
    bool is_drift = n->kind == LEDGER_NOTICE_DRIFT;

    daemon_append_time(out, n->time_ms);
    buf_printf(out, "  %-*s  %s%-10s%s ", ID_TEXT_N, "waybill doctor",
               cli_style(!is_drift                     ? CLI_GREEN
                         : n->severity == LEDGER_ERROR ? CLI_RED
                                                       : CLI_YELLOW),
               ledger_notice_name(n->kind), cli_style(CLI_PLAIN));
    cli_append_safe(out, n->domain);
    buf_append_text(out, " (");
    cli_append_safe(out, n->rule);
    buf_append_text(out, is_drift ? "): " : "), no longer: ");
    if (!slice_eq(n->name, n->domain) && !slice_starts(n->text, n->name)) {
        cli_append_safe(out, n->name);
        buf_append_text(out, ": ");
    }
    cli_append_safe(out, n->text);
    buf_append_char(out, '\n');
}

/* The fields that all events have, then its own. */
void story_json_notice(struct json *j, const struct ledger_notice *n)
{
    const struct ledger_event ev = {.seq = n->seq, .time_ms = n->time_ms, .text = n->text};

    json_object(j);
    json_event_members(j, &ev, "", ledger_notice_name(n->kind));
    json_member_text(j, "domain", n->domain);
    json_member_string(j, "severity", ledger_severity_name(n->severity));
    json_member_text(j, "rule", n->rule);
    json_member_text(j, "name", n->name);
    json_member_text(j, "publish", n->publish);
    json_end(j);
}

static void append_line(struct buf *out, const char *name, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "  %-12s ", name);
    cli_append_safe(out, value);
    buf_append_char(out, '\n');
}

static void append_recipients(struct buf *out, const struct ledger_story *s, int64_t now_ms)
{
    enum { SHOWN = 50 };

    for (uint32_t i = 0; i < s->message.recipient_count && i < SHOWN; i++) {
        const struct ledger_recipient_view *r = &s->recipients[i];

        buf_printf(out, "  #%-4u ", i + 1);
        cli_append_safe(out, r->address);
        buf_printf(out, "  %s", ledger_state_name(r->state));
        if (r->dot_ms > 0)
            buf_append_text(out, ", the final dot was sent, no reply yet");
        else if (r->state == LEDGER_QUEUED && r->due_ms > now_ms) {
            buf_append_text(out, ", next try in ");
            daemon_append_span(out, r->due_ms - now_ms);
        }
        if (r->attempts > 1)
            buf_printf(out, ", %u attempts", r->attempts);
        buf_append_char(out, '\n');
    }
    if (s->message.recipient_count > SHOWN)
        buf_printf(out, "  ... and %u more (--json shows all)\n",
                   s->message.recipient_count - SHOWN);
}

static void append_timeline(struct buf *out, const struct ledger_story *s)
{
    for (size_t i = 0; i < s->event_count; i++) {
        const struct ledger_event *ev = &s->events[i];

        buf_append_text(out, "  +");
        size_t start = out->n;
        daemon_append_span(out, ev->time_ms - s->message.received_ms);
        for (size_t n = out->n - start; n < 12; n++)
            buf_append_char(out, ' ');
        append_kind(out, ev->kind);
        if (s->message.recipient_count > 1 && ev->recipients.n > 0) {
            buf_append_text(out, " #");
            buf_append(out, ev->recipients);
        }
        append_facts(out, ev);
        buf_append_char(out, '\n');
    }
}

void story_append(struct buf *out, const struct ledger_story *s, int64_t now_ms)
{
    char id[ID_TEXT_N + 1];

    id_encode(s->message.id, id);
    buf_printf(out, "%sWaybill %s%s\n", cli_style(CLI_BOLD), id, cli_style(CLI_PLAIN));
    append_line(out, "From", s->message.from);
    append_line(out, "Subject", s->message.subject);
    append_line(out, "Message-ID", s->message.message_id);
    append_line(out, "Sender", s->message.sender.n > 0 ? s->message.sender : SLICE("<> (null)"));
    append_line(out, "Stream", s->message.stream);
    append_line(out, "Tag", s->message.tag);
    append_line(out, "Client", s->message.client_ip);
    append_line(out, "Login", s->message.login);
    append_line(out, "TLS", s->message.tls);
    buf_append_text(out, "  Received     ");
    daemon_append_time(out, s->message.received_ms);
    buf_printf(out, " UTC, %llu bytes\n\n%sRecipients%s\n",
               (unsigned long long)s->message.size_bytes, cli_style(CLI_BOLD),
               cli_style(CLI_PLAIN));
    append_recipients(out, s, now_ms);
    buf_printf(out, "\n%sWhat happened%s\n", cli_style(CLI_BOLD), cli_style(CLI_PLAIN));
    append_timeline(out, s);
}

void story_json(struct json *j, const struct ledger_story *s)
{
    json_object(j);
    json_id(j, "id", s->message.id);
    json_member_text(j, "message_id", s->message.message_id);
    json_member_text(j, "from", s->message.from);
    json_member_text(j, "subject", s->message.subject);
    json_member_text(j, "sender", s->message.sender);
    json_member_text(j, "stream", s->message.stream);
    json_member_text(j, "tag", s->message.tag);
    json_member_text(j, "client_ip", s->message.client_ip);
    json_member_text(j, "helo", s->message.helo);
    json_member_text(j, "login", s->message.login);
    json_member_text(j, "tls", s->message.tls);
    json_member_int(j, "received_ms", s->message.received_ms);
    json_member_int(j, "size_bytes", (int64_t)s->message.size_bytes);
    json_key(j, "recipients");
    json_array(j);
    for (uint32_t i = 0; i < s->message.recipient_count; i++) {
        const struct ledger_recipient_view *r = &s->recipients[i];

        json_object(j);
        json_member_int(j, "n", i + 1);
        json_member_text(j, "address", r->address);
        json_member_text(j, "site", r->site);
        json_member_string(j, "state", ledger_state_name(r->state));
        json_member_int(j, "attempts", r->attempts);
        json_member_int(j, "due_ms", r->due_ms == LEDGER_NEVER ? 0 : r->due_ms);
        json_end(j);
    }
    json_end(j);
    json_key(j, "events");
    json_array(j);
    for (size_t i = 0; i < s->event_count; i++)
        story_json_event(j, &s->events[i]);
    json_end(j);
    json_end(j);
}

bool story_is_finished(const struct ledger_story *s)
{
    for (uint32_t i = 0; i < s->message.recipient_count; i++)
        if (s->recipients[i].state == LEDGER_QUEUED)
            return false;
    return true;
}
