/* app/compare_html.c -- groups of copies as a web page that stands alone. */
#include "app/compare_text.h"
#include "app/trace_text.h"
#include "lib/trace/own.h"

/* Where and when, in a cell. */
static void html_hop(const struct received *r, const char *style, size_t columns, struct buf *out)
{
    buf_printf(out, "<td class=\"%s\" colspan=\"%zu\"><b>", style, columns);
    html_append(out, received_host(r).n > 0 ? received_host(r) : SLICE("(not named)"));
    buf_append_text(out, "</b><br>");
    if (r->has_date)
        date_format_short(r->date.unix_s, out);
    else
        buf_append_text(out, "(no date)");
    buf_append_text(out, "<br><span class=\"dim\">");
    if (r->id.n > 0) {
        buf_append_text(out, "id ");
        html_append(out, r->id);
    }
    buf_append_text(out, "</span></td>");
}

/* The chains side by side: one column for each copy, one wide cell for what they share. */
static void html_chains(const struct compare_group *g, struct buf *out)
{
    size_t columns = g->count < COMPARE_COPIES_SHOWN ? g->count : COMPARE_COPIES_SHOWN, longest = 0;

    buf_append_text(out, "<table>\n<tr><th></th>");
    for (size_t i = 0; i < columns; i++) {
        longest = g->copies[i].count > g->copies[longest].count ? i : longest;
        buf_append_text(out, "<th>");
        compare_letter(i, out);
        buf_append_text(out, "</th>");
    }
    buf_append_text(out, "</tr>\n");
    for (size_t k = 0; k < g->copies[longest].count; k++) {
        bool is_common = k < g->common_hops;
        if (k == g->common_hops)
            buf_printf(out, "<tr><td></td><td colspan=\"%zu\" class=\"note\">%s</td></tr>\n",
                       columns, k > 0 ? "here the paths part" : "no hop in common");
        buf_printf(out, "<tr><td>%zu</td>", k + 1);
        if (is_common)
            html_hop(&g->copies[longest].hops[k], "common", columns, out);
        for (size_t i = 0; i < columns && !is_common; i++)
            if (k < g->copies[i].count)
                html_hop(&g->copies[i].hops[k], "part", 1, out);
            else
                buf_append_text(out, "<td class=\"dim\">ends above</td>");
        buf_append_text(out, "</tr>\n");
    }
    buf_append_text(out, "</table>\n");
}

static void html_copies(const struct compare_group *g, struct buf *out)
{
    buf_append_text(out, "<table class=\"facts\">\n");
    for (size_t i = 0; i < g->count; i++) {
        const struct aligned_copy *c = &g->copies[i];
        buf_append_text(out, "<tr><th>");
        compare_letter(i, out);
        buf_append_text(out, "</th><td>");
        html_append(out, c->copy->name);
        buf_printf(out, " <span class=\"dim\">%zu hop%s, %zu bytes", c->count,
                   c->count == 1 ? "" : "s", c->copy->size);
        struct slice rest = c->changes;
        while (rest.n > 0) {
            buf_append_text(out, "<br>");
            html_append(out, slice_cut(&rest, '\n'));
        }
        buf_append_text(out, "</span></td></tr>\n");
    }
    buf_append_text(out, "</table>\n");
}

static void html_raw(const struct compare_group *g, struct buf *out)
{
    buf_append_text(out, "<details><summary>The Received lines themselves</summary>\n");
    for (size_t i = 0; i < g->count; i++) {
        buf_append_text(out, "<p><b>");
        compare_letter(i, out);
        buf_append_text(out, "</b>");
        for (size_t k = 0; k < g->copies[i].count; k++) {
            buf_printf(out, "<br>%zu <code class=\"dim\">", k + 1);
            html_append(out, g->copies[i].hops[k].value);
            buf_append_text(out, "</code>");
        }
        buf_append_text(out, "</p>\n");
    }
    buf_append_text(out, "</details>\n");
}

static void html_own(const struct compare_group *g, struct buf *out)
{
    if (g->own_count == 0)
        return;
    buf_append_text(out, "<h3>What our own ledger says</h3>\n<pre>");
    for (size_t i = 0; i < g->own_count; i++) {
        compare_own_line(&g->own[i], html_append, out);
        buf_append_char(out, '\n');
    }
    buf_append_text(out, "</pre>\n");
}

static void html_group(const struct compare_group *g, struct buf *out)
{
    struct buf words;

    buf_printf(out, "<h2>%zu %s</h2>\n<table class=\"facts\">\n", g->count,
               compare_verdict_words(g->verdict));
    html_line(out, "Id", g->message_id);
    html_line(out, "From", g->copies[0].copy->from);
    html_line(out, "Subject", g->copies[0].copy->subject);
    buf_append_text(out, "</table>\n<table class=\"facts note\">\n");
    buf_init(&words, 4096);
    compare_cause_words(g, &words);
    html_line(out, "Cause", buf_slice(&words));
    buf_clear(&words);
    compare_host_words(g, &words);
    html_line(out, "Host", buf_slice(&words));
    buf_finish(&words);
    html_line(out, "Why", g->evidence);
    html_line(out, "Next", g->advice);
    buf_append_text(out, "</table>\n");
    html_copies(g, out);
    html_chains(g, out);
    html_own(g, out);
    html_raw(g, out);
}

void compare_html(const struct compare_report *r, struct compare_output to)
{
    struct compare_totals t = compare_totals(r);

    html_begin(to.out, "Copies compared");
    buf_printf(to.out,
               "<p>%zu message%s: %zu in %zu group%s of copies, %zu without a copy. Times are UTC; "
               "hop 1 is nearest the sender.</p>\n",
               r->messages, r->messages == 1 ? "" : "s", t.copies, t.groups,
               t.groups == 1 ? "" : "s", t.singles);
    for (size_t i = 0; i < r->count; i++) {
        if (r->groups[i].count < 2)
            continue;
        html_group(&r->groups[i], to.out);
        compare_flush(to);
    }
    if (t.inline_forwards > 0) {
        buf_append_text(to.out, "<pre class=\"note\">");
        html_append(to.out, slice_of(compare_inline_advice));
        buf_append_text(to.out, "</pre>\n");
    }
    buf_append_text(to.out, "</body></html>\n");
    to.flush(to.out);
}
