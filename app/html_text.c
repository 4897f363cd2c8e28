/* app/html_text.c -- web pages that stand alone: no script, nothing fetched. */
#include "app/trace_text.h"

#include "app/cli.h"

void html_append(struct buf *out, struct slice text)
{
    struct buf safe;

    buf_init(&safe, 4 * text.n + 16);
    cli_append_safe(&safe, text);
    for (size_t i = 0; i < safe.n; i++) {
        char c = safe.p[i];
        const char *escaped = c == '&'    ? "&amp;"
                              : c == '<'  ? "&lt;"
                              : c == '>'  ? "&gt;"
                              : c == '"'  ? "&quot;"
                              : c == '\'' ? "&#39;"
                                          : NULL;
        if (escaped != NULL)
            buf_append_text(out, escaped);
        else
            buf_append_char(out, c);
    }
    buf_finish(&safe);
}

void html_begin(struct buf *out, const char *title)
{
    buf_append_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                         "'none'; style-src 'unsafe-inline'\"><title>");
    html_append(out, slice_of(title));
    buf_append_text(
        out,
        "</title><style>"
        "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;"
        "color:#222;background:#fff}h1{font-size:1.3em}h2{font-size:1.1em;margin-top:2em}"
        "table{border-collapse:collapse;width:100%}td,th{padding:.3em .6em;text-align:left;"
        "vertical-align:top;border-bottom:1px solid #ddd}code,pre{font-size:.85em}code{"
        "overflow-wrap:anywhere}pre{overflow-x:auto}.facts th{width:7em}.facts{margin:.6em 0}"
        "summary{cursor:pointer;margin-top:1em}.b{background:#4a7;height:.8em;display:inline-block}"
        ".slow .b{background:#d80}.slow{font-weight:bold}.common{background:#f2f7f3}"
        ".part{background:#fdf3e3}.ours{border-left:4px solid #4a7}"
        ".note{background:#fdf3e3;padding:.4em .8em;margin:.3em 0}"
        ".dim{color:#777;font-size:.9em}</style></head><body>\n<h1>");
    html_append(out, slice_of(title));
    buf_append_text(out, "</h1>\n");
}

void html_line(struct buf *out, const char *label, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "<tr><th>%s</th><td>", label);
    html_append(out, value);
    buf_append_text(out, "</td></tr>\n");
}

static void html_hop(const struct trace *t, size_t i, struct arena *a, struct buf *out)
{
    const struct hop *h = &t->hops[i];
    int64_t longest = 1;

    for (size_t k = 0; k < t->count; k++)
        if (t->hops[k].has_delay && t->hops[k].delay_s > longest)
            longest = t->hops[k].delay_s;
    buf_printf(out, "<tr class=\"%s%s\"><td>%zu</td><td><b>", h->is_ours ? "ours " : "",
               h->is_slow ? "slow" : "", i + 1);
    html_append(out, received_host(&h->received));
    buf_append_text(out, "</b><br><span class=\"dim\">from ");
    html_append(out, hop_client(h, a));
    buf_append_text(out, "</span></td><td>");
    if (h->received.has_date)
        date_format_short(h->received.date.unix_s, out);
    buf_append_text(out, "</td><td>");
    html_append(out, h->received.with);
    buf_append_text(out, "<br><span class=\"dim\">");
    html_append(out, h->received.tls_version.n > 0 ? h->received.tls_version : SLICE("in clear"));
    buf_append_text(out, "</span></td><td>");
    if (h->has_delay)
        duration_append(h->delay_s, out);
    int64_t width = h->has_delay && h->delay_s > 0 ? h->delay_s * 100 / longest : 0;
    buf_printf(out, "</td><td style=\"width:20%%\"><span class=\"b\" style=\"width:%d%%\"></span>",
               (int)width); /* at most 100 */
    buf_append_text(out, "</td></tr>\n");
    buf_printf(out, "<tr class=\"%s\"><td></td><td colspan=\"5\"><code class=\"dim\">",
               h->is_ours ? "ours" : "");
    html_append(out, h->received.value);
    buf_append_text(out, "</code></td></tr>\n");
}

void trace_html(const struct trace *t, const char *title, struct arena *a, struct buf *out)
{
    html_begin(out, title);
    for (size_t i = 0; i < t->warning_count; i++) {
        buf_append_text(out, "<p class=\"note\">");
        html_append(out, t->warnings[i]);
        buf_append_text(out, "</p>\n");
    }
    if (t->warning_count == 0)
        buf_append_text(out, "<p>Nothing is wrong with this path.</p>\n");
    buf_append_text(out, "<table class=\"facts\">\n");
    html_line(out, "Message-ID", t->message_id);
    html_line(out, "From", t->from);
    html_line(out, "To", t->to);
    html_line(out, "Subject", t->subject);
    html_line(out, "Bounces to", t->return_path);
    html_line(out, "List", t->list);
    buf_append_text(out, "</table>\n<h2>The path, nearest the sender first</h2>\n<table>\n"
                         "<tr><th></th><th>taken by</th><th>at "
                         "(UTC)</th><th>with</th><th>after</th><th></th></tr>\n");
    for (size_t i = 0; i < t->count; i++)
        html_hop(t, i, a, out);
    buf_append_text(out, "</table>\n");
    if (t->has_total) {
        buf_printf(out, "<p>%zu hops in <b>", t->count);
        duration_append(t->total_s, out);
        buf_append_text(out, "</b>. Lines with a green edge were written by your own side; the "
                             "others could be forged.</p>\n");
    }
    buf_append_text(out, "</body></html>\n");
}
