/* waybill dmarc report: aggregate reports out of .xml, .gz, .zip, or mail, as a table. */
#include <time.h>

#include "app/cli.h"
#include "app/cmd_dmarc_in.h"
#include "app/daemon.h"
#include "base/json.h"
#include "lib/dmarc/report.h"
#include "lib/dmarc/tally.h"
#include "lib/dmarc/unpack.h"
#include "role/control.h"

#define OUTPUT_MAX ((size_t)256 << 20)
#define INPUT_MAX ((size_t)64 << 20)
#define MEMORY_MAX ((size_t)512 << 20)
#define PIECE_BYTES 32768
#define UNPACKED_MAX ((size_t)256 << 20)

struct reports {
    struct arena *arena;
    struct buf out;
    struct json json; /* open array */
    bool as_json;
    const char *file;
    size_t read, failing; /* reports; messages that did not pass */
    bool unread;          /* something could not be read */
    const char *socket;   /* of the daemon whose ledger gets them; NULL: none does */
};

static void append_date(struct buf *out, int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    char text[32];

    if (gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm) > 0)
        buf_append_text(out, text);
}

static bool passes(const struct dmarc_row *row)
{
    return slice_eq_nocase(row->dkim, SLICE("pass")) || slice_eq_nocase(row->spf, SLICE("pass"));
}

static void row_json(struct json *j, const struct dmarc_row *row)
{
    json_object(j);
    json_member_text(j, "source_ip", row->source_ip);
    json_member_int(j, "count", row->count > INT64_MAX ? INT64_MAX : (int64_t)row->count);
    json_member_text(j, "disposition", row->disposition);
    json_member_text(j, "dkim", row->dkim);
    json_member_text(j, "spf", row->spf);
    json_member_text(j, "header_from", row->header_from);
    json_member_text(j, "envelope_from", row->envelope_from);
    json_member_text(j, "envelope_to", row->envelope_to);
    json_key(j, "reasons");
    json_array(j);
    for (const struct dmarc_reason *x = row->reasons; x; x = x->next) {
        json_object(j);
        json_member_text(j, "type", x->type);
        json_member_text(j, "comment", x->comment);
        json_end(j);
    }
    json_end(j);
    json_key(j, "auth_results");
    json_array(j);
    for (const struct dmarc_auth *a = row->auths; a; a = a->next) {
        json_object(j);
        json_member_string(j, "method", a->is_dkim ? "dkim" : "spf");
        json_member_text(j, "domain", a->domain);
        json_member_text(j, a->is_dkim ? "selector" : "scope", a->is_dkim ? a->selector : a->scope);
        json_member_text(j, "result", a->result);
        json_end(j);
    }
    json_end(j);
    json_end(j);
}

static void report_json(struct json *j, const char *file, const struct dmarc_report *r)
{
    json_object(j);
    json_member_string(j, "file", file);
    json_member_string(j, "format", r->is_rfc9990 ? "rfc9990" : "rfc7489");
    json_member_text(j, "org_name", r->org_name);
    json_member_text(j, "email", r->email);
    json_member_text(j, "report_id", r->report_id);
    json_member_int(j, "begin_unix", r->begin_unix_s);
    json_member_int(j, "end_unix", r->end_unix_s);
    json_member_text(j, "domain", r->domain);
    json_member_text(j, "p", r->p);
    json_member_text(j, "sp", r->sp);
    json_member_text(j, "np", r->np);
    json_member_text(j, "adkim", r->adkim);
    json_member_text(j, "aspf", r->aspf);
    json_member_text(j, "testing", r->testing);
    json_member_text(j, "discovery_method", r->discovery_method);
    json_member_text(j, "generator", r->generator);
    json_key(j, "records");
    json_array(j);
    for (const struct dmarc_row *row = r->rows; row; row = row->next)
        row_json(j, row);
    json_end(j);
    json_end(j);
}

static void append_cell(struct buf *out, struct slice text, unsigned width)
{
    size_t before = out->n;

    cli_append_safe(out, text.n > 0 ? text : SLICE("-"));
    while (out->n - before < width)
        buf_append_char(out, ' ');
    buf_append_char(out, ' ');
}

static void report_text(struct buf *out, const char *file, const struct dmarc_report *r)
{
    buf_append_text(out, cli_style(CLI_BOLD));
    cli_append_safe(out, r->domain);
    buf_append_text(out, cli_style(CLI_PLAIN));
    buf_append_text(out, " by ");
    cli_append_safe(out, r->org_name.n > 0 ? r->org_name
                         : r->email.n > 0  ? r->email
                                           : SLICE("somebody who gives no name"));
    buf_append_text(out, ", ");
    append_date(out, r->begin_unix_s);
    buf_append_text(out, " to ");
    append_date(out, r->end_unix_s);
    buf_printf(out, " UTC, p=");
    cli_append_safe(out, r->p);
    buf_printf(out, " (%s)\n", file);
    buf_printf(out, "%8s  %-39s %-5s %-5s %-11s %-24s %s\n", "messages", "source", "dkim", "spf",
               "disposition", "from", "passed for");
    for (const struct dmarc_row *row = r->rows; row; row = row->next) {
        buf_append_text(out, passes(row) ? "" : cli_style(CLI_RED));
        buf_printf(out, "%8llu  ", (unsigned long long)row->count);
        append_cell(out, row->source_ip, 39);
        append_cell(out, row->dkim, 5);
        append_cell(out, row->spf, 5);
        append_cell(out, row->disposition, 11);
        append_cell(out, row->header_from, 24);
        for (const struct dmarc_auth *a = row->auths; a; a = a->next)
            if (slice_eq_nocase(a->result, SLICE("pass"))) {
                buf_append_text(out, a->is_dkim ? "dkim:" : "spf:");
                cli_append_safe(out, a->domain);
                buf_append_char(out, ' ');
            }
        buf_append_text(out, passes(row) ? "\n" : cli_style(CLI_PLAIN));
        if (!passes(row))
            buf_append_char(out, '\n');
    }
}

/* Into the daemon's ledger, in pieces that its control socket takes. */
static bool store(const struct reports *all, const struct dmarc_report *r)
{
    const struct dmarc_row *row = r->rows;
    uint64_t first = 0, count;
    struct control_reply reply = {.ok = true};
    struct buf piece;
    struct err e;

    buf_init(&piece, 4 * PIECE_BYTES);
    do {
        buf_clear(&piece);
        row = dmarc_tally_write_piece(r, row, first, PIECE_BYTES, &piece, &count);
        first += count;
        buf_append_char(&piece, '\0');
        if (control_ask(all->socket, "dmarc-store", piece.p, &reply, &e) < 0)
            cli_die("%s", e.text);
    } while (row != NULL && reply.ok);
    buf_finish(&piece);
    if (!reply.ok)
        cli_warn("%s: not stored: %s", all->file, reply.text);
    return reply.ok;
}

static void take_xml(void *ctx, struct slice xml)
{
    struct reports *all = ctx;
    struct dmarc_report r;
    struct err e;

    if (dmarc_report_read(xml, all->arena, &r, &e)) {
        cli_warn("%s: %s", all->file, e.text);
        all->unread = true;
        return;
    }
    for (const struct dmarc_row *row = r.rows; row; row = row->next)
        all->failing += passes(row) ? 0 : row->count > SIZE_MAX / 2 ? 1 : (size_t)row->count;
    if (all->as_json)
        report_json(&all->json, all->file, &r);
    else
        report_text(&all->out, all->file, &r);
    if (all->socket != NULL && !store(all, &r))
        all->unread = true;
    else if (all->socket != NULL && !all->as_json)
        buf_append_text(&all->out, "It is in the ledger now.\n");
    all->read++;
}

int dmarc_report_run(int files, char **paths, bool json, bool store, const char *store_config)
{
    struct conf *conf = store ? daemon_conf(store_config, NULL) : NULL;
    struct reports all = {.as_json = json};
    char socket[256];
    struct err e;

    if (store)
        all.socket = conf_control_socket(conf, socket);

    buf_init(&all.out, OUTPUT_MAX);
    if (json) {
        json_begin(&all.json, &all.out);
        json_array(&all.json);
    }
    for (int i = 0; i < files; i++) {
        struct cli_file file = cli_file_need(paths[i], INPUT_MAX);

        all.arena = arena_create(MEMORY_MAX);
        all.file = paths[i];
        if (dmarc_unpack(file.data, UNPACKED_MAX, all.arena, take_xml, &all, &e)) {
            cli_warn("%s: %s", paths[i], e.text);
            all.unread = true;
        }
        arena_destroy(&all.arena);
        cli_file_close(&file);
    }
    if (json) {
        json_end(&all.json);
        buf_append_char(&all.out, '\n');
    } else if (all.read > 0) {
        if (all.failing > 0)
            buf_printf(&all.out,
                       "%zu message%s passed neither way: if a source above is yours, sign there "
                       "with DKIM or add it to SPF.\n",
                       all.failing, all.failing == 1 ? "" : "s");
        else
            buf_append_text(&all.out, "Every message passed.\n");
    }
    cli_write(&all.out);
    buf_finish(&all.out);
    if (conf != NULL)
        conf_destroy(&conf);
    return all.unread ? CLI_USAGE : all.failing > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}
