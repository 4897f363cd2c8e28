#include <time.h>

#include "app/daemon.h"
#include "base/json.h"

int cmd_streams(int argc, char **argv);

#define ROWS_MAX 1000

struct table {
    struct buf out;
    bool json, by_tag;
    char **only; /* stream names to compare */
    int only_n;
    size_t rows;
};

static bool is_wanted(const struct table *t, const struct ledger_stream_row *row)
{
    for (int i = 0; i < t->only_n; i++)
        if (slice_eq_nocase(slice_of(t->only[i]), row->stream))
            return true;
    return t->only_n == 0;
}

static void row_json(struct table *t, const struct ledger_stream_row *r)
{
    struct json j;

    json_begin(&j, &t->out);
    json_object(&j);
    json_member_text(&j, "stream", r->stream);
    if (t->by_tag)
        json_member_text(&j, "tag", r->tag);
    json_member_int(&j, "messages", (int64_t)r->messages);
    json_member_int(&j, "sent", (int64_t)r->sent);
    json_member_int(&j, "delivered", (int64_t)r->delivered);
    json_member_int(&j, "deferred", (int64_t)r->deferred);
    json_member_int(&j, "bounced", (int64_t)r->bounced);
    json_member_int(&j, "unknown", (int64_t)r->unknown);
    json_member_int(&j, "expired", (int64_t)r->expired);
    json_member_int(&j, "duplicates", (int64_t)r->duplicates);
    json_member_int(&j, "p50_ms", r->p50_ms);
    json_member_int(&j, "p90_ms", r->p90_ms);
    json_member_int(&j, "p99_ms", r->p99_ms);
    json_end(&j);
    buf_append_char(&t->out, '\n');
}

static void append_cell(struct buf *out, int64_t ms)
{
    struct buf cell;

    buf_init(&cell, 64);
    if (ms < 0)
        buf_append_char(&cell, '-');
    else
        daemon_append_span(&cell, ms);
    buf_printf(out, " %12.*s", SLICE_ARG(buf_slice(&cell)));
    buf_finish(&cell);
}

static void row_text(struct table *t, const struct ledger_stream_row *r)
{
    struct buf name;

    buf_init(&name, 1000);
    cli_append_safe(&name, r->stream);
    if (t->by_tag) {
        buf_append_char(&name, '/');
        cli_append_safe(&name, r->tag.n > 0 ? r->tag : SLICE("-"));
    }
    if (t->rows == 1)
        buf_printf(&t->out, "%s%-28s %9s %9s %9s %9s %8s %8s %8s %12s %12s %12s%s\n",
                   cli_style(CLI_BOLD), "stream", "messages", "sent", "delivered", "deferred",
                   "bounced", "unknown", "dupl.", "half in", "90% in", "99% in",
                   cli_style(CLI_PLAIN));
    buf_printf(&t->out, "%-28.*s %9llu %9llu %9llu %9llu %8llu %8llu %8llu",
               SLICE_ARG(slice_sub(buf_slice(&name), 0, 28)), (unsigned long long)r->messages,
               (unsigned long long)r->sent, (unsigned long long)r->delivered,
               (unsigned long long)r->deferred, (unsigned long long)r->bounced,
               (unsigned long long)r->unknown, (unsigned long long)r->duplicates);
    append_cell(&t->out, r->p50_ms);
    append_cell(&t->out, r->p90_ms);
    append_cell(&t->out, r->p99_ms);
    buf_append_char(&t->out, '\n');
    buf_finish(&name);
}

static bool on_row(void *ctx, const struct ledger_stream_row *row)
{
    struct table *t = ctx;

    if (!is_wanted(t, row))
        return true;
    t->rows++;
    if (t->json)
        row_json(t, row);
    else
        row_text(t, row);
    return t->rows < ROWS_MAX;
}

int cmd_streams(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "[compare STREAM STREAM...]", "compares streams: what was sent, and what became of it",
        "Counts recipients over a period (--last 24h; whole hours), messages where it says so.\n"
        "half in, 90% in, 99% in: time from acceptance to delivery."};
    const char *config = NULL, *last = "24h";
    struct table t = {0};
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_JSON(&t.json),
        CLI_FLAG("tags", &t.by_tag, "one row for each tag of a stream"),
        CLI_TEXT("last", &last, "SPAN", "the period: 1h, 24h, 7d [24h]"),
    };
    int n = cli_parse(&usage, options, COUNT(options), argc, argv);
    int64_t span_ms, now_ms = (int64_t)time(NULL) * 1000;
    struct ledger_reader *reader;
    struct conf *conf;
    struct err e;

    if (!daemon_parse_span(slice_of(last), &span_ms))
        cli_die("--last %s is no period; write 1h, 24h or 7d", last);
    if (n > 0 && !slice_eq(slice_of(argv[0]), SLICE("compare")))
        cli_die("say `waybill streams`, or `waybill streams compare A B`");
    t.only = argv + 1;
    t.only_n = n > 0 ? n - 1 : 0;
    conf = daemon_conf(config, NULL);
    reader = daemon_ledger(conf);
    buf_init(&t.out, 8u << 20);
    if (ledger_streams(reader, now_ms - span_ms, now_ms, t.by_tag, on_row, &t, &e) < 0)
        cli_die("%s", e.text);
    if (t.rows == 0 && !t.json)
        buf_printf(&t.out, "Nothing was sent in the last %s.\n", last);
    cli_write(&t.out);
    buf_finish(&t.out);
    ledger_reader_close(&reader);
    conf_destroy(&conf);
    return CLI_GOOD;
}
