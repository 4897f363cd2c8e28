/* waybill suppress: who gets no mail any more, and why. Lists are read from the ledger; changes are
 * asked of the daemon. */
#include <time.h>

#include "app/daemon.h"
#include "app/suppression_list.h"
#include "base/json.h"
#include "role/control.h"

#define BATCH_BYTES 32768 /* of lines in one request */

int cmd_suppress(int argc, char **argv);

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV, FORMAT_POSTMARK, FORMAT_SES, FORMAT_SENDGRID };

struct listing {
    struct buf out;
    enum format format;
    uint64_t rows;
    int64_t now_ms;
};

/* --- one entry, in each format --- */

static void append_csv(struct buf *out, struct slice field)
{
    bool quoted = slice_find(field, ',') != SLICE_NONE || slice_find(field, '"') != SLICE_NONE ||
                  slice_find(field, '\n') != SLICE_NONE || slice_find(field, '\r') != SLICE_NONE;

    if (quoted)
        buf_append_char(out, '"');
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '"')
            buf_append_char(out, '"');
        buf_append_char(out, field.p[i]);
    }
    if (quoted)
        buf_append_char(out, '"');
}

static void row_csv(struct buf *out, const struct ledger_suppression *s)
{
    append_csv(out, s->address);
    buf_append_char(out, ',');
    append_csv(out, s->scope);
    buf_append_char(out, ',');
    append_csv(out, s->reason);
    buf_append_char(out, ',');
    append_csv(out, s->source);
    buf_append_char(out, ',');
    daemon_append_time(out, s->since_ms);
    buf_append_char(out, ',');
    if (s->until_ms > 0)
        daemon_append_time(out, s->until_ms);
    buf_append_char(out, ',');
    append_csv(out, s->evidence);
    buf_append_char(out, '\n');
}

static void row_json(struct buf *out, const struct ledger_suppression *s)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "address", s->address);
    json_member_text(&j, "scope", s->scope);
    json_member_text(&j, "reason", s->reason);
    json_member_text(&j, "source", s->source);
    json_member_int(&j, "since_ms", s->since_ms);
    json_member_int(&j, "until_ms", s->until_ms);
    json_member_text(&j, "evidence", s->evidence);
    json_end(&j);
    buf_append_char(out, '\n');
}

static bool is_complaint(struct slice reason)
{
    return slice_eq(reason, SLICE("complaint"));
}

/* "2026-11-23T22:34:00Z" */
static void iso_time(int64_t unix_ms, char out[32])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm t;

    if (gmtime_r(&seconds, &t) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t) == 0)
        out[0] = '\0';
}

static void row_service(struct listing *l, const struct ledger_suppression *s)
{
    struct json j;
    char when[32];

    iso_time(s->since_ms, when);
    if (l->rows > 0)
        buf_append_text(&l->out, ",\n");
    json_begin(&j, &l->out);
    json_object(&j);
    if (l->format == FORMAT_SENDGRID) {
        json_member_int(&j, "created", s->since_ms / 1000);
        json_member_text(&j, "email", s->address);
        json_member_text(&j, "reason", s->evidence.n > 0 ? s->evidence : s->reason);
        json_member_string(&j, "status", "");
    } else if (l->format == FORMAT_SES) {
        json_member_text(&j, "EmailAddress", s->address);
        json_member_string(&j, "Reason", is_complaint(s->reason) ? "COMPLAINT" : "BOUNCE");
        json_member_string(&j, "LastUpdateTime", when);
    } else {
        json_member_text(&j, "EmailAddress", s->address);
        json_member_string(&j, "SuppressionReason",
                           is_complaint(s->reason)                ? "SpamComplaint"
                           : slice_eq(s->reason, SLICE("manual")) ? "ManualSuppression"
                                                                  : "HardBounce");
        json_member_string(&j, "Origin",
                           slice_eq(s->source, SLICE("manual")) ? "Customer" : "Recipient");
        json_member_string(&j, "CreatedAt", when);
    }
    json_end(&j);
}

static void row_text(struct listing *l, const struct ledger_suppression *s)
{
    cli_append_safe(&l->out, s->address);
    buf_printf(&l->out, "  %s", s->scope.n > 0 ? "in " : "everywhere");
    cli_append_safe(&l->out, s->scope);
    buf_append_text(&l->out, ", ");
    cli_append_safe(&l->out, s->reason);
    buf_append_text(&l->out, ", since ");
    daemon_append_time(&l->out, s->since_ms);
    if (s->until_ms > 0) {
        buf_append_text(&l->out, s->until_ms > l->now_ms ? ", until " : ", ended ");
        daemon_append_time(&l->out, s->until_ms);
    }
    if (s->evidence.n > 0) {
        buf_append_text(&l->out, "\n    ");
        cli_append_safe(&l->out, s->evidence);
    }
    buf_append_char(&l->out, '\n');
}

static bool on_row(void *ctx, const struct ledger_suppression *s)
{
    struct listing *l = ctx;

    switch (l->format) {
    case FORMAT_TEXT:
        row_text(l, s);
        break;
    case FORMAT_JSON:
        row_json(&l->out, s);
        break;
    case FORMAT_CSV:
        row_csv(&l->out, s);
        break;
    case FORMAT_POSTMARK:
    case FORMAT_SES:
    case FORMAT_SENDGRID:
        row_service(l, s);
        break;
    }
    l->rows++;
    if (l->out.n > (1u << 20))
        cli_write(&l->out);
    return true;
}

static void begin_list(struct listing *l)
{
    if (l->format == FORMAT_CSV)
        buf_append_text(&l->out, "address,scope,reason,source,since,until,evidence\n");
    else if (l->format == FORMAT_POSTMARK)
        buf_append_text(&l->out, "{\"Suppressions\":[");
    else if (l->format == FORMAT_SES)
        buf_append_text(&l->out, "{\"SuppressedDestinationSummaries\":[");
    else if (l->format == FORMAT_SENDGRID)
        buf_append_char(&l->out, '[');
}

static void end_list(struct listing *l)
{
    if (l->format == FORMAT_POSTMARK || l->format == FORMAT_SES)
        buf_append_text(&l->out, "]}\n");
    else if (l->format == FORMAT_SENDGRID)
        buf_append_text(&l->out, "]\n");
    else if (l->format == FORMAT_TEXT && l->rows == 0)
        buf_append_text(&l->out, "Nobody is suppressed.\n");
}

static int list(const struct conf *conf, const char *stream, enum format format)
{
    struct listing l = {.format = format, .now_ms = (int64_t)time(NULL) * 1000};
    struct ledger_reader *reader = daemon_ledger(conf);
    struct slice scope = slice_of(stream);
    struct err e;

    buf_init(&l.out, 8u << 20);
    begin_list(&l);
    if (ledger_each_suppression(reader, SLICE(""), stream != NULL ? &scope : NULL, on_row, &l, &e) <
        0)
        cli_die("%s", e.text);
    end_list(&l);
    cli_write(&l.out);
    buf_finish(&l.out);
    ledger_reader_close(&reader);
    return CLI_GOOD;
}

/* --- why --- */

static bool on_failure(void *ctx, const struct ledger_failure *f)
{
    struct listing *l = ctx;

    l->rows++;
    if (l->format == FORMAT_JSON) {
        struct json j;

        json_begin(&j, &l->out);
        json_object(&j);
        json_member_text(&j, "failure", f->category);
        json_member_text(&j, "scope", f->scope);
        json_member_int(&j, "time_ms", f->time_ms);
        json_end(&j);
    } else {
        buf_append_text(&l->out, "    counted: ");
        daemon_append_time(&l->out, f->time_ms);
        buf_append_char(&l->out, ' ');
        cli_append_safe(&l->out, f->category);
        if (f->scope.n > 0) {
            buf_append_text(&l->out, " in ");
            cli_append_safe(&l->out, f->scope);
        }
    }
    buf_append_char(&l->out, '\n');
    return true;
}

static int why(const struct conf *conf, const char *address, enum format format)
{
    struct listing l = {.format = format, .now_ms = (int64_t)time(NULL) * 1000};
    struct ledger_reader *reader = daemon_ledger(conf);
    uint64_t suppressed;
    struct err e;

    buf_init(&l.out, 8u << 20);
    if (ledger_each_suppression(reader, slice_of(address), NULL, on_row, &l, &e) < 0)
        cli_die("%s", e.text);
    suppressed = l.rows;
    if (suppressed == 0 && format == FORMAT_TEXT)
        buf_printf(&l.out, "%s is not suppressed.\n", address);
    if (ledger_each_failure(reader, slice_of(address), on_failure, &l, &e) < 0)
        cli_die("%s", e.text);
    if (suppressed > 0 && format == FORMAT_TEXT)
        buf_printf(&l.out, "To let mail through again: waybill suppress remove %s\n", address);
    cli_write(&l.out);
    buf_finish(&l.out);
    ledger_reader_close(&reader);
    return suppressed > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}

/* --- changes --- */

struct change {
    const char *socket_path, *verb;
    struct buf lines;
    struct slice scope, reason;
    int64_t until_ms;
    uint64_t done;
};

static void send_lines(struct change *c)
{
    struct control_reply reply;
    struct err e;

    if (c->lines.n == 0)
        return;
    buf_append_char(&c->lines, '\0');
    if (control_ask(c->socket_path, c->verb, c->lines.p, &reply, &e) < 0)
        cli_die("%s", e.text);
    if (!reply.ok)
        cli_die("%s", reply.text);
    c->done += reply.count;
    buf_clear(&c->lines);
}

static void append_clean(struct buf *out, struct slice s)
{
    s = slice_sub(s, 0, 500);
    for (size_t i = 0; i < s.n; i++)
        buf_append_char(out, (unsigned char)s.p[i] < ' ' ? ' ' : s.p[i]);
}

static void add_entry(void *ctx, const struct suppression_entry *entry)
{
    struct change *c = ctx;

    append_clean(&c->lines, entry->address);
    buf_append_char(&c->lines, '\t');
    append_clean(&c->lines, c->scope.n > 0 ? c->scope : entry->scope);
    buf_append_char(&c->lines, '\t');
    append_clean(&c->lines, c->reason.n > 0 ? c->reason : slice_of(entry->reason));
    buf_printf(&c->lines, "\t%lld\t", (long long)(c->until_ms ? c->until_ms : entry->until_ms));
    append_clean(&c->lines, entry->detail);
    buf_append_char(&c->lines, '\n');
    if (c->lines.n > BATCH_BYTES)
        send_lines(c);
}

static void report(struct change *c, const char *what)
{
    send_lines(c);
    buf_printf(&c->lines, "%llu %s %s.\n", (unsigned long long)c->done,
               c->done == 1 ? "address was" : "addresses were", what);
    cli_write(&c->lines);
    buf_finish(&c->lines);
}

static int add(struct change *c, char **addresses, int n, const char *note)
{
    for (int i = 0; i < n; i++)
        add_entry(c, &(struct suppression_entry){.address = slice_of(addresses[i]),
                                                 .reason = "manual",
                                                 .detail = slice_of(note)});
    report(c, "suppressed");
    return CLI_GOOD;
}

static int take_off(struct change *c, char **addresses, int n, bool all)
{
    c->verb = "unsuppress";
    for (int i = 0; i < n; i++) {
        append_clean(&c->lines, slice_of(addresses[i]));
        buf_append_char(&c->lines, '\t');
        append_clean(&c->lines, all ? SLICE("*") : c->scope);
        send_lines(c);
    }
    uint64_t done = c->done;
    report(c, "removed");
    return done > 0 ? CLI_GOOD : CLI_BAD_ANSWER;
}

static int import(struct change *c, char **files, int n)
{
    struct arena *arena = arena_create((size_t)1 << 30);
    size_t skipped, all_skipped = 0;

    for (int i = 0; i < n; i++) {
        struct cli_file file = cli_file_need(files[i], (size_t)1 << 30);

        suppression_list_read(file.data, arena, add_entry, c, &skipped);
        all_skipped += skipped;
        arena_reset(arena);
        cli_file_close(&file);
    }
    arena_destroy(&arena);
    if (all_skipped > 0)
        cli_warn("%zu row%s without an address left out", all_skipped, all_skipped == 1 ? "" : "s");
    report(c, "suppressed");
    return all_skipped > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}

/* --- the command --- */

static enum format format_of(const char *name, bool json, bool is_export)
{
    static const char *const names[] = {[FORMAT_CSV] = "csv",
                                        [FORMAT_POSTMARK] = "postmark",
                                        [FORMAT_SES] = "ses",
                                        [FORMAT_SENDGRID] = "sendgrid"};

    if (name == NULL)
        return json ? FORMAT_JSON : is_export ? FORMAT_CSV : FORMAT_TEXT;
    for (unsigned i = FORMAT_CSV; i <= FORMAT_SENDGRID; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum format)i; /* the table's index */
    cli_die("--format is csv, postmark, ses or sendgrid, not %s", name);
}

static void need_operands(int n, const char *what)
{
    if (n == 0)
        cli_die("say which %s", what);
}

int cmd_suppress(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "list|add|remove|why|import|export [ADDRESS...|FILE...]",
        "shows and changes who gets no mail any more",
        "list           everybody\n"
        "add ADDRESS    from now on; for ever, or as --for says\n"
        "remove ADDRESS lets mail through again\n"
        "why ADDRESS    the evidence; exit status 1 when it is suppressed\n"
        "import FILE    CSV, or JSON of Postmark, SES or SendGrid\n"
        "export         CSV, or as --format says"};
    const char *config = NULL, *stream = NULL, *reason = NULL, *format = NULL, *span = NULL;
    const char *note = NULL;
    bool json = false;
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_JSON(&json),
        CLI_TEXT("stream", &stream, "NAME", "only in this stream; without it: everywhere"),
        CLI_TEXT("reason", &reason, "NAME", "add, import: why, such as invalid_recipient [manual]"),
        CLI_TEXT("note", &note, "TEXT", "add: evidence to keep"),
        CLI_TEXT("for", &span, "TIME", "add, import: how long, such as 90d"),
        CLI_TEXT("format", &format, "NAME", "export: csv, postmark, ses or sendgrid [csv]"),
    };
    int n = cli_parse(&usage, options, COUNT(options), argc, argv), status = CLI_GOOD;
    struct slice verb = slice_of(n > 0 ? argv[0] : "list");
    bool is_export = slice_eq(verb, SLICE("export"));
    struct conf *conf = daemon_conf(config, NULL);
    char path[256];
    struct change c = {.socket_path = conf_control_socket(conf, path),
                       .verb = "suppress",
                       .scope = slice_of(stream),
                       .reason = slice_of(reason)};
    int64_t span_ms = 0;

    if (span != NULL && !daemon_parse_span(slice_of(span), &span_ms))
        cli_die("--for: %s is no span of time; say it as 90d", span);
    if (span != NULL)
        c.until_ms = (int64_t)time(NULL) * 1000 + span_ms;
    buf_init(&c.lines, 1u << 20);
    if (slice_eq(verb, SLICE("list")) || is_export) {
        status = list(conf, stream, format_of(format, json, is_export));
    } else if (slice_eq(verb, SLICE("why"))) {
        need_operands(n - 1, "address");
        status = why(conf, argv[1], json ? FORMAT_JSON : FORMAT_TEXT);
    } else if (slice_eq(verb, SLICE("add"))) {
        need_operands(n - 1, "address");
        status = add(&c, argv + 1, n - 1, note);
    } else if (slice_eq(verb, SLICE("remove"))) {
        need_operands(n - 1, "address");
        status = take_off(&c, argv + 1, n - 1, stream == NULL);
    } else if (slice_eq(verb, SLICE("import"))) {
        need_operands(n - 1, "file");
        status = import(&c, argv + 1, n - 1);
    } else {
        cli_die("say list, add, remove, why, import or export, not %s", argv[0]);
    }
    conf_destroy(&conf);
    return status;
}
