#include "app/compare_text.h"

#include "app/cli.h"
#include "app/trace_text.h"
#include "base/json.h"
#include "base/utf8.h"
#include "lib/trace/own.h"
#include "lib/trace/path.h"

#define FLUSH_BYTES (1u << 20)
#define GROUPS_SHOWN 50
#define EVENTS_SHOWN 20
#define SENTENCE_INDENT 11

void compare_flush(struct compare_output to)
{
    if (to.out->n > FLUSH_BYTES)
        to.flush(to.out);
}

/* --- JSON --- */

static void json_place(struct json *j, const struct received *r)
{
    if (r == NULL) {
        json_null(j);
        return;
    }
    json_object(j);
    json_member_text(j, "raw", r->value);
    json_member_or_null(j, "by", r->by);
    json_member_or_null(j, "id", r->id);
    json_key(j, "date_unix");
    if (r->has_date)
        json_int(j, r->date.unix_s);
    else
        json_null(j);
    json_end(j);
}

static void json_diverge(struct json *j, const struct aligned_copy *c)
{
    const struct received *r = c->diverge;

    json_object(j);
    json_member_text(j, "file", c->copy->name);
    json_member_or_null(j, "raw", r != NULL ? r->value : (struct slice){NULL, 0});
    json_member_or_null(j, "by", r != NULL ? r->by : (struct slice){NULL, 0});
    json_member_or_null(j, "id", r != NULL ? r->id : (struct slice){NULL, 0});
    json_key(j, "date_unix");
    if (r != NULL && r->has_date)
        json_int(j, r->date.unix_s);
    else
        json_null(j);
    json_member_or_null(j, "changes", c->changes);
    json_end(j);
}

static void json_own(struct json *j, const struct own_event *ev)
{
    json_object(j);
    json_member_text(j, "id", ev->id);
    json_member_int(j, "time_ms", ev->time_ms);
    json_member_text(j, "event", ev->name);
    json_member_text(j, "recipients", ev->recipients);
    json_member_text(j, "host", ev->host);
    json_member_text(j, "ip", ev->ip);
    json_member_int(j, "reply_code", ev->reply_code);
    json_member_text(j, "text", ev->text);
    json_member_int(j, "dot_ms", ev->dot_ms);
    json_end(j);
}

static void json_group(struct json *j, const struct compare_group *g)
{
    json_object(j);
    json_member_or_null(j, "message_id", g->message_id);
    json_key(j, "copies");
    json_array(j);
    for (size_t i = 0; i < g->count; i++)
        json_text(j, g->copies[i].copy->name);
    json_end(j);
    json_member_string(j, "verdict", compare_verdict_name(g->verdict));
    json_member_int(j, "common_hops", (int64_t)g->common_hops);
    json_key(j, "last_common");
    json_place(j, g->last_common);
    json_key(j, "diverge");
    json_array(j);
    for (size_t i = 0; i < g->count && g->verdict != COMPARE_SINGLE; i++)
        json_diverge(j, &g->copies[i]);
    json_end(j);
    json_member_or_null(j, "culprit", g->culprit);
    json_member_string(j, "cause",
                       g->verdict == COMPARE_SINGLE ? NULL : compare_cause_name(g->cause));
    json_member_or_null(j, "evidence", g->evidence);
    json_member_or_null(j, "advice", g->advice);
    json_member_bool(j, "by_content", g->is_by_content);
    json_member_bool(j, "collision", g->is_collision);
    json_member_bool(j, "confirmed_by_ledger", g->is_confirmed);
    json_key(j, "ledger");
    json_array(j);
    for (size_t i = 0; i < g->own_count; i++)
        json_own(j, &g->own[i]);
    json_end(j);
    json_end(j);
}

void compare_json(const struct compare_report *r, struct compare_output to)
{
    struct json j;

    json_begin(&j, to.out);
    json_object(&j);
    json_member_int(&j, "messages", (int64_t)r->messages);
    json_key(&j, "groups");
    json_array(&j);
    for (size_t i = 0; i < r->count; i++) {
        json_group(&j, &r->groups[i]);
        compare_flush(to);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(to.out, '\n');
    to.flush(to.out);
}

/* --- what both pages need --- */

const char *compare_verdict_words(enum compare_verdict v)
{
    switch (v) {
    case COMPARE_SINGLE:
        return "one message";
    case COMPARE_DUPLICATED:
        return "copies of one message: it became several on its way";
    case COMPARE_IDENTICAL_CHAINS:
        return "copies of one message with the same path to its end";
    case COMPARE_SEPARATE_SENDS:
        return "messages of the same content: sent separately";
    }
    return "";
}

void compare_cause_words(const struct compare_group *g, struct buf *out)
{
    static const char *const words[] = {
        [CAUSE_UNKNOWN] = "the headers do not say",
        [CAUSE_RETRY_AFTER_LOST_REPLY] = "sent again after a lost reply",
        [CAUSE_QUEUE_RERUN] = "the queue was run again",
        [CAUSE_LIST_EXPANSION] = "a list or alias made several of it",
        [CAUSE_FORWARDING] = "kept, and forwarded",
        [CAUSE_TWO_NEXT_HOPS] = "given to two hosts",
        [CAUSE_SENT_TWICE] = "handed in more than once",
        [CAUSE_DELIVERED_TWICE] = "copied at the end of its path",
    };

    buf_printf(out, "%s (%s)%s", words[g->cause], compare_cause_name(g->cause),
               g->is_confirmed ? ", confirmed by our ledger" : "");
}

void compare_host_words(const struct compare_group *g, struct buf *out)
{
    if (g->culprit.n == 0)
        return;
    buf_append(out, g->culprit);
    buf_append_text(out, g->cause == CAUSE_SENT_TWICE ? ": it came from here each time"
                                                      : ": up to here it was one message");
}

struct compare_totals compare_totals(const struct compare_report *r)
{
    struct compare_totals t = {0};

    for (size_t i = 0; i < r->count; i++) {
        const struct compare_group *g = &r->groups[i];
        t.groups += g->count > 1;
        t.copies += g->count > 1 ? g->count : 0;
        t.singles += g->count == 1;
        t.collisions += g->is_collision;
        for (size_t k = 0; k < g->count; k++)
            t.inline_forwards += g->copies[k].copy->is_forwarded_inline;
    }
    return t;
}

void compare_letter(size_t i, struct buf *out)
{
    if (i < 26)
        buf_append_char(out, (char)('A' + i)); /* at most 'Z' */
    else
        buf_printf(out, "#%zu", i + 1);
}

/* --- text --- */

static void fact(struct buf *out, const char *label, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "  %s%-9s%s", cli_style(CLI_DIM), label, cli_style(CLI_PLAIN));
    cli_append_safe(out, value);
    buf_append_char(out, '\n');
}

/* A sentence behind a label, broken between words. */
static void sentence(struct buf *out, const char *label, struct slice text, const char *style)
{
    if (text.n == 0)
        return;
    buf_printf(out, "  %s%-9s%s%s", cli_style(CLI_DIM), label, cli_style(CLI_PLAIN), style);
    cli_append_paragraph(out, text, SENTENCE_INDENT);
    buf_printf(out, "%s\n", cli_style(CLI_PLAIN));
}

/* "A B" for a hop that all copies share, or " B" for one. */
static void letters(const struct compare_group *g, size_t only, struct buf *out)
{
    for (size_t i = 0; i < g->count && i < COMPARE_COPIES_SHOWN; i++) {
        if (only == SIZE_MAX || only == i)
            compare_letter(i, out);
        else
            buf_append_char(out, ' ');
        buf_append_char(out, ' ');
    }
    if (g->count > COMPARE_COPIES_SHOWN)
        buf_append_text(out, only == SIZE_MAX ? "+ " : "  ");
}

static void hop_line(const struct compare_group *g, const struct received *r, size_t n, size_t only,
                     size_t width, struct buf *out)
{
    struct slice host = received_host(r);
    struct buf name;

    buf_init(&name, 4096);
    cli_append_safe(&name, slice_sub(host.n > 0 ? host : SLICE("(not named)"), 0, 60));
    buf_printf(out, "  %3zu  ", n);
    letters(g, only, out);
    buf_append(out, buf_slice(&name));
    for (size_t i = utf8_length(buf_slice(&name)); i < width + 2; i++)
        buf_append_char(out, ' ');
    buf_finish(&name);
    if (r->has_date)
        date_format_short(r->date.unix_s, out);
    else
        buf_append_text(out, "(no date)          ");
    if (r->id.n > 0) {
        buf_append_text(out, "  id ");
        cli_append_safe(out, slice_sub(r->id, 0, 60));
    }
    if (r->for_address.n > 0) {
        buf_append_text(out, "  for ");
        cli_append_safe(out, slice_sub(r->for_address, 0, 80));
    }
    buf_append_char(out, '\n');
}

static size_t host_width(const struct compare_group *g)
{
    size_t width = 10;

    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < g->copies[i].count; k++) {
            size_t n = utf8_length(slice_sub(received_host(&g->copies[i].hops[k]), 0, 60));
            width = n > width ? n : width;
        }
    return width;
}

static void chains_text(const struct compare_group *g, struct buf *out)
{
    const struct aligned_copy *longest = &g->copies[0];
    size_t width = host_width(g);

    for (size_t i = 0; i < g->count; i++)
        if (g->copies[i].count > longest->count)
            longest = &g->copies[i];
    for (size_t k = 0; k < g->common_hops; k++)
        hop_line(g, &longest->hops[k], k + 1, SIZE_MAX, width, out);
    bool parts = false;
    for (size_t i = 0; i < g->count; i++)
        parts = parts || g->copies[i].diverge != NULL;
    if (!parts)
        return;
    buf_printf(out, "%s  %*s  %s%s\n", cli_style(CLI_YELLOW), 3, "--",
               g->common_hops > 0 ? "here the paths part" : "no hop in common",
               cli_style(CLI_PLAIN));
    for (size_t i = 0; i < g->count && i < COMPARE_COPIES_SHOWN; i++) {
        const struct aligned_copy *c = &g->copies[i];
        for (size_t k = g->common_hops; k < c->count; k++)
            hop_line(g, &c->hops[k], k + 1, i, width, out);
        if (c->diverge == NULL && c->count > 0) {
            buf_append_text(out, "       ");
            letters(g, i, out);
            buf_append_text(out, "(ends there)\n");
        }
    }
}

static void copies_text(const struct compare_group *g, struct buf *out)
{
    for (size_t i = 0; i < g->count && i < COMPARE_COPIES_SHOWN; i++) {
        const struct aligned_copy *c = &g->copies[i];
        buf_append_text(out, "  ");
        buf_append_text(out, cli_style(CLI_BOLD));
        compare_letter(i, out);
        buf_append_text(out, cli_style(CLI_PLAIN));
        buf_append_text(out, "        ");
        cli_append_safe(out, c->copy->name);
        buf_printf(out, "%s  %zu hop%s, %zu bytes%s%s\n", cli_style(CLI_DIM), c->count,
                   c->count == 1 ? "" : "s", c->copy->size,
                   c->count == 0 ? " (no path: the sender's own copy, or a draft)" : "",
                   cli_style(CLI_PLAIN));
        struct slice rest = c->changes;
        while (rest.n > 0) {
            struct slice one = slice_cut(&rest, '\n');
            buf_append_text(out, "           ");
            cli_append_safe(out, one);
            buf_append_char(out, '\n');
        }
    }
    if (g->count > COMPARE_COPIES_SHOWN)
        buf_printf(out, "           and %zu more\n", g->count - COMPARE_COPIES_SHOWN);
}

void compare_own_line(const struct own_event *ev, void (*append)(struct buf *out, struct slice s),
                      struct buf *out)
{
    date_format_short(ev->time_ms / 1000, out);
    buf_printf(out, ".%03d  ", (int)(ev->time_ms % 1000)); /* below 1000 */
    append(out, ev->id);
    buf_printf(out, "  %-9.*s", SLICE_ARG(ev->name));
    if (ev->host.n > 0 || ev->ip.n > 0) {
        bool is_client = ev->kind == OWN_ACCEPTED || ev->kind == OWN_REPEATED;
        buf_append_text(out, is_client ? " from " : " by ");
        append(out, ev->host.n > 0 ? ev->host : ev->ip);
    }
    if (ev->reply_code > 0 || ev->text.n > 0)
        buf_append_text(out, ": ");
    if (ev->reply_code > 0)
        buf_printf(out, "%u ", ev->reply_code);
    append(out, slice_sub(ev->text, 0, 200));
}

static void own_text(const struct compare_group *g, struct buf *out)
{
    for (size_t i = 0; i < g->own_count && i < EVENTS_SHOWN; i++) {
        const struct own_event *ev = &g->own[i];
        buf_printf(out, "  %s%-9s%s", cli_style(CLI_DIM), i == 0 ? "Ledger" : "",
                   cli_style(CLI_PLAIN));
        buf_append_text(out, cli_style(ev->kind == OWN_LOST ? CLI_YELLOW : CLI_PLAIN));
        compare_own_line(ev, cli_append_safe, out);
        buf_printf(out, "%s\n", cli_style(CLI_PLAIN));
    }
    if (g->own_count > EVENTS_SHOWN)
        buf_printf(out, "           and %zu more events\n", g->own_count - EVENTS_SHOWN);
}

static void group_text(const struct compare_group *g, struct buf *out)
{
    const struct mail_copy *first = g->copies[0].copy;
    struct buf words;

    buf_printf(out, "\n%s%zu %s%s\n", cli_style(CLI_BOLD), g->count,
               compare_verdict_words(g->verdict), cli_style(CLI_PLAIN));
    fact(out, "Id", g->message_id.n > 0 ? g->message_id : SLICE("(no Message-ID)"));
    fact(out, "From", first->from);
    fact(out, "Subject", first->subject);
    copies_text(g, out);
    buf_append_char(out, '\n');
    chains_text(g, out);
    buf_append_char(out, '\n');
    own_text(g, out);
    if (g->own_count > 0)
        buf_append_char(out, '\n');
    buf_init(&words, 4096);
    compare_cause_words(g, &words);
    sentence(out, "Cause", buf_slice(&words), cli_style(CLI_BOLD));
    buf_clear(&words);
    compare_host_words(g, &words);
    sentence(out, "Host", buf_slice(&words), cli_style(CLI_RED));
    buf_finish(&words);
    sentence(out, "Why", g->evidence, "");
    sentence(out, "Next", g->advice, "");
    if (g->is_by_content)
        sentence(out, "Note",
                 SLICE("The Message-IDs differ or are missing; the content says that these belong "
                       "together."),
                 "");
}

const char compare_inline_advice[] =
    "A mail that was forwarded inline (as text) has lost its Received lines, and with them its "
    "path.\n"
    "Export the original instead:\n"
    "  Gmail        open it, three dots, \"Download message\" (or \"Show original\")\n"
    "  Outlook      new: three dots, \"Save as\" .eml; web: three dots, \"Download\" .eml;\n"
    "               or forward it as an attachment (Ctrl+Alt+F)\n"
    "  Apple Mail   select it, File, \"Save As\", format \"Raw Message Source\"\n"
    "  Thunderbird  select it, right click, \"Save As\" .eml (several at once are fine)\n";

static void notes_text(const struct compare_report *r, const struct compare_totals *t,
                       struct buf *out)
{
    size_t shown = 0;

    if (t->collisions > 0)
        buf_printf(out,
                   "\n! %zu groups share a Message-ID with a different message. The program that "
                   "made these ids is broken:\n",
                   t->collisions);
    for (size_t i = 0; i < r->count && shown < 10; i++) {
        if (!r->groups[i].is_collision)
            continue;
        shown++;
        buf_append_text(out, "    ");
        cli_append_safe(out, r->groups[i].message_id);
        buf_append_text(out, "  ");
        cli_append_safe(out, r->groups[i].copies[0].copy->name);
        buf_append_char(out, '\n');
    }
    if (t->inline_forwards > 0)
        buf_printf(out, "\n! %s", compare_inline_advice);
}

void compare_text(const struct compare_report *r, struct compare_output to)
{
    struct compare_totals t = compare_totals(r);
    size_t shown = 0;

    buf_printf(to.out, "%zu message%s: %zu in %zu group%s of copies, %zu without a copy.\n",
               r->messages, r->messages == 1 ? "" : "s", t.copies, t.groups,
               t.groups == 1 ? "" : "s", t.singles);
    for (size_t i = 0; i < r->count && shown < GROUPS_SHOWN; i++) {
        if (r->groups[i].count < 2)
            continue;
        group_text(&r->groups[i], to.out);
        shown++;
        compare_flush(to);
    }
    if (t.groups > shown)
        buf_printf(to.out, "\n%zu more groups are not shown; --json and --html have them all.\n",
                   t.groups - shown);
    if (t.groups == 0)
        buf_append_text(to.out, "No message is here twice.\n");
    notes_text(r, &t, to.out);
    to.flush(to.out);
}
