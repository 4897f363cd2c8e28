#include "app/trace_text.h"

#include "app/cli.h"
#include "base/utf8.h"

#define BAR_MAX 20

/* --- JSON --- */

void json_member_or_null(struct json *j, const char *key, struct slice text)
{
    json_key(j, key);
    if (text.n > 0)
        json_text(j, text);
    else
        json_null(j);
}

void json_member_tls(struct json *j, const char *key, const struct received *r)
{
    struct buf out;

    buf_init(&out, 1000);
    buf_append(&out, r->tls_version);
    if (r->tls_cipher.n > 0)
        buf_append_char(&out, ' ');
    buf_append(&out, r->tls_cipher);
    json_member_or_null(j, key, buf_slice(&out));
    buf_finish(&out);
}

static void json_hop(struct json *j, const struct hop *h, size_t n)
{
    const struct received *r = &h->received;
    char ip[IP_TEXT_MAX];

    json_object(j);
    json_member_int(j, "n", (int64_t)n);
    json_key(j, "from");
    json_object(j);
    json_member_or_null(j, "helo", r->helo);
    json_member_or_null(j, "rdns", r->rdns);
    ip_address_format(&r->ip, ip);
    json_member_or_null(j, "ip", slice_of(ip));
    json_end(j);
    json_member_or_null(j, "by", r->by);
    json_member_or_null(j, "via", r->via);
    json_member_or_null(j, "with", r->with);
    json_member_or_null(j, "id", r->id);
    json_member_or_null(j, "for", r->for_address);
    json_member_tls(j, "tls", r);
    json_key(j, "date_unix");
    if (r->has_date)
        json_int(j, r->date.unix_s);
    else
        json_null(j);
    json_key(j, "delay_s");
    if (h->has_delay)
        json_int(j, h->delay_s);
    else
        json_null(j);
    json_member_bool(j, "ours", h->is_ours);
    json_member_text(j, "raw", r->value);
    json_end(j);
}

void trace_json(const struct trace *t, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_or_null(&j, "message_id", t->message_id);
    json_key(&j, "return_path");
    if (t->has_return_path)
        json_text(&j, t->return_path);
    else
        json_null(&j);
    json_member_or_null(&j, "from", t->from);
    json_member_or_null(&j, "subject", t->subject);
    json_key(&j, "hops");
    json_array(&j);
    for (size_t i = 0; i < t->count; i++)
        json_hop(&j, &t->hops[i], i + 1);
    json_end(&j);
    json_key(&j, "total_s");
    if (t->has_total)
        json_int(&j, t->total_s);
    else
        json_null(&j);
    json_key(&j, "warnings");
    json_array(&j);
    for (size_t i = 0; i < t->warning_count; i++)
        json_text(&j, t->warnings[i]);
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

/* --- text --- */

/* At most `width` characters, padded with spaces. */
static void padded(struct buf *out, struct slice text, size_t width)
{
    struct buf safe;
    size_t shown = 0;

    buf_init(&safe, 65536);
    cli_append_safe(&safe, text);
    struct slice rest = buf_slice(&safe);
    size_t length = utf8_length(rest);
    while (rest.n > 0 && shown < width) {
        size_t used;
        uint32_t c = utf8_decode(rest, &used);
        utf8_append(out, length > width && shown + 1 == width ? 0x2026 : c);
        rest = slice_from(rest, used);
        shown++;
    }
    for (; shown < width; shown++)
        buf_append_char(out, ' ');
    buf_finish(&safe);
}

static void line(struct buf *out, const char *label, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "%s%-11s%s ", cli_style(CLI_DIM), label, cli_style(CLI_PLAIN));
    cli_append_safe(out, value);
    buf_append_char(out, '\n');
}

static size_t bar_length(const struct trace *t, const struct hop *h)
{
    int64_t longest = 1;

    for (size_t i = 0; i < t->count; i++)
        if (t->hops[i].has_delay && t->hops[i].delay_s > longest)
            longest = t->hops[i].delay_s;
    if (!h->has_delay || h->delay_s <= 0)
        return 0;
    size_t n = (size_t)(h->delay_s * BAR_MAX / longest); /* not negative, at most BAR_MAX */
    return n > 0 ? n : 1;
}

static void hop_delay(const struct trace *t, const struct hop *h, struct buf *out)
{
    const char *style = h->is_skewed || h->is_slow ? cli_style(CLI_YELLOW) : "";
    struct buf text;

    buf_init(&text, 40);
    if (h->has_delay)
        duration_append(h->delay_s, &text);
    else
        buf_append_text(&text, h == t->hops ? "start" : "?");
    buf_append_text(out, style);
    buf_printf(out, "%12.*s ", SLICE_ARG(buf_slice(&text)));
    size_t n = bar_length(t, h);
    for (size_t i = 0; i < BAR_MAX; i++)
        buf_append_text(out, i < n ? "\xe2\x96\x87" : " ");
    if (*style != '\0')
        buf_append_text(out, cli_style(CLI_PLAIN));
    buf_finish(&text);
}

static void hop_details(const struct hop *h, struct buf *out)
{
    const struct received *r = &h->received;
    char ip[IP_TEXT_MAX];
    bool any = false;

    ip_address_format(&r->ip, ip);
    buf_append_text(out, cli_style(CLI_DIM));
    buf_append_text(out, "       ");
    if (r->has_date) {
        date_format_short(r->date.unix_s, out);
        buf_append_text(out, " UTC");
        any = true;
    }
    const struct {
        const char *label;
        struct slice value;
    } facts[] = {{"", r->with},
                 {"", r->tls_version},
                 {"address ", slice_of(ip)},
                 {"id ", r->id},
                 {"for ", r->for_address}};
    for (size_t i = 0; i < COUNT(facts); i++) {
        if (facts[i].value.n == 0)
            continue;
        buf_append_text(out, any ? ", " : "");
        buf_append_text(out, facts[i].label);
        cli_append_safe(out, slice_sub(facts[i].value, 0, 120));
        any = true;
    }
    if (!r->is_readable) {
        buf_append_text(out, any ? ", " : "");
        cli_append_safe(out, slice_sub(r->value, 0, 200));
    }
    buf_append_text(out, cli_style(CLI_PLAIN));
    buf_append_char(out, '\n');
}

static void hop_text(const struct trace *t, size_t i, size_t width, struct arena *a,
                     struct buf *out)
{
    const struct hop *h = &t->hops[i];
    struct slice by = received_host(&h->received);
    struct slice client = hop_client(h, a);

    buf_printf(out, "%s%c%s %3zu  ", cli_style(CLI_GREEN), h->is_ours ? '|' : ' ',
               cli_style(CLI_PLAIN), i + 1);
    buf_append_text(out, cli_style(CLI_BOLD));
    padded(out, by.n > 0 ? by : SLICE("(not named)"), width);
    buf_append_text(out, cli_style(CLI_PLAIN));
    hop_delay(t, h, out);
    buf_append_text(out, "  from ");
    if (client.n > 0)
        cli_append_safe(out, slice_sub(client, 0, 80));
    else
        buf_append_text(out, "itself");
    buf_append_char(out, '\n');
    hop_details(h, out);
}

static void trust_text(const struct trace *t, struct arena *a, struct buf *out)
{
    if (t->count == 0 || t->boundary >= t->count)
        return;
    const struct hop *border = &t->hops[t->boundary];
    buf_printf(out, "\n%s|%s written by your side (%.*s).", cli_style(CLI_GREEN),
               cli_style(CLI_PLAIN), SLICE_ARG(t->our_domain));
    if (t->boundary == 0) {
        buf_append_text(out, " All of it: the message never left your side.\n");
        return;
    }
    struct slice client = hop_client(border, a);
    buf_append_text(out, " The last thing you know for sure is that ");
    cli_append_safe(out, client.n > 0 ? client : SLICE("somebody"));
    buf_printf(out, " handed it over at hop %zu;\n  the lines above that could be forged.\n",
               t->boundary + 1);
}

static void warnings_text(const struct trace *t, struct buf *out)
{
    buf_append_char(out, '\n');
    for (size_t i = 0; i < t->warning_count; i++) {
        buf_printf(out, "%s!%s ", cli_style(CLI_YELLOW), cli_style(CLI_PLAIN));
        cli_append_safe(out, t->warnings[i]);
        buf_append_char(out, '\n');
    }
    if (t->is_forwarded_inline)
        buf_append_text(out,
                        "! The text quotes a forwarded message. Its own path is not in this file; "
                        "see \"waybill compare --help\"\n  for how to export the original.\n");
    if (t->warning_count == 0 && !t->is_forwarded_inline)
        buf_printf(out, "%sNothing is wrong with this path.%s\n", cli_style(CLI_GREEN),
                   cli_style(CLI_PLAIN));
}

void trace_text(const struct trace *t, const char *title, struct arena *a, struct buf *out)
{
    size_t width = 12;

    if (title != NULL)
        buf_printf(out, "%s%s%s\n", cli_style(CLI_BOLD), title, cli_style(CLI_PLAIN));
    line(out, "Message-ID", t->message_id);
    line(out, "From", t->from);
    line(out, "To", t->to);
    line(out, "Subject", t->subject);
    if (t->has_return_path)
        line(out, "Bounces to",
             t->return_path.n > 0 ? t->return_path : SLICE("nobody (<>: itself a bounce)"));
    line(out, "List", t->list);
    for (size_t i = 0; i < t->auth_count; i++)
        line(out, i == 0 ? "Checked by" : "", slice_sub(t->auth[i], 0, 400));
    buf_append_char(out, '\n');
    for (size_t i = 0; i < t->count; i++) {
        size_t n = utf8_length(received_host(&t->hops[i].received));
        width = n > width ? n : width;
    }
    width = width > 42 ? 42 : width;
    for (size_t i = 0; i < t->count; i++)
        hop_text(t, i, width, a, out);
    if (t->has_total) {
        buf_printf(out, "\n%zu hops in %s", t->count, cli_style(CLI_BOLD));
        duration_append(t->total_s, out);
        buf_printf(out, "%s.\n", cli_style(CLI_PLAIN));
    }
    trust_text(t, a, out);
    warnings_text(t, out);
}
