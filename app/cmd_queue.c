#include <time.h>

#include "app/daemon.h"
#include "base/json.h"
#include "role/control.h"

int cmd_queue(int argc, char **argv);
int cmd_show(int argc, char **argv);

struct listing {
    struct buf out;
    struct json j;
    bool json;
    uint64_t rows;
    int64_t now_ms;
};

static void row_json(struct listing *l, const struct ledger_row *row)
{
    char id[ID_TEXT_N + 1];

    id_encode(row->id, id);
    json_begin(&l->j, &l->out);
    json_object(&l->j);
    json_member_string(&l->j, "id", id);
    json_member_int(&l->j, "n", row->n);
    json_member_text(&l->j, "sender", row->sender);
    json_member_text(&l->j, "recipient", row->address);
    json_member_text(&l->j, "site", row->site);
    json_member_text(&l->j, "stream", row->stream);
    json_member_text(&l->j, "tag", row->tag);
    json_member_string(&l->j, "state", ledger_state_name(row->state));
    json_member_bool(&l->j, "in_flight", row->in_flight);
    json_member_int(&l->j, "attempts", row->attempts);
    json_member_int(&l->j, "received_ms", row->received_ms);
    json_member_int(&l->j, "due_ms", row->due_ms == LEDGER_NEVER ? 0 : row->due_ms);
    json_member_int(&l->j, "size_bytes", (int64_t)row->size_bytes);
    json_member_int(&l->j, "reply_code", row->reply_code);
    json_member_text(&l->j, "reply_text", row->reply_text);
    json_end(&l->j);
    buf_append_char(&l->out, '\n');
}

static void row_text(struct listing *l, const struct ledger_row *row)
{
    char id[ID_TEXT_N + 1];

    id_encode(row->id, id);
    buf_printf(&l->out, "%s  ", id);
    cli_append_safe(&l->out, row->address);
    buf_printf(&l->out, "  %s%s%s", cli_style(CLI_BOLD), ledger_state_name(row->state),
               cli_style(CLI_PLAIN));
    buf_append_text(&l->out, ", here for ");
    daemon_append_span(&l->out, l->now_ms - row->received_ms);
    if (row->in_flight) {
        buf_append_text(&l->out, ", waiting for the reply to the final dot");
    } else if (row->state == LEDGER_QUEUED) {
        buf_append_text(&l->out, row->due_ms > l->now_ms ? ", next try in " : ", due now");
        if (row->due_ms > l->now_ms)
            daemon_append_span(&l->out, row->due_ms - l->now_ms);
    }
    if (row->attempts > 0)
        buf_printf(&l->out, ", %u attempt%s", row->attempts, row->attempts == 1 ? "" : "s");
    buf_append_char(&l->out, '\n');
    if (row->reply_code > 0 || row->reply_text.n > 0) {
        buf_append_text(&l->out, "    last: ");
        if (row->reply_code > 0)
            buf_printf(&l->out, "%u ", row->reply_code);
        cli_append_safe(&l->out, row->reply_text);
        buf_append_char(&l->out, '\n');
    }
}

static bool on_row(void *ctx, const struct ledger_row *row)
{
    struct listing *l = ctx;

    l->rows++;
    if (l->json)
        row_json(l, row);
    else
        row_text(l, row);
    if (l->out.n > (1u << 20))
        cli_write(&l->out);
    return true;
}

static int list_queue(const struct conf *conf, const struct ledger_filter *filter, bool json)
{
    struct ledger_reader *reader = daemon_ledger(conf);
    struct listing l = {.json = json, .now_ms = (int64_t)time(NULL) * 1000};
    struct err e;

    buf_init(&l.out, 8u << 20);
    if (ledger_list(reader, filter, on_row, &l, &e) < 0)
        cli_die("%s", e.text);
    if (l.rows == 0 && !json)
        buf_append_text(&l.out, "Nothing is waiting.\n");
    else if (l.rows == filter->limit && !json)
        buf_printf(&l.out, "(the first %llu; --limit N shows more)\n",
                   (unsigned long long)filter->limit);
    cli_write(&l.out);
    buf_finish(&l.out);
    ledger_reader_close(&reader);
    return CLI_GOOD;
}

static int ask(const struct conf *conf, const char *verb, char **ids, int n, bool json)
{
    char path[256];
    const char *socket_path = conf_control_socket(conf, path);
    int status = CLI_GOOD;
    struct buf out;

    if (n == 0)
        cli_die("%s what? Give the message's id%s", verb,
                slice_eq(slice_of(verb), SLICE("retry")) ? ", or all" : "");
    buf_init(&out, 65536);
    for (int i = 0; i < n; i++) {
        struct control_reply reply;
        struct json j;
        struct err e;

        if (control_ask(socket_path, verb, ids[i], &reply, &e) < 0)
            cli_die("%s", e.text);
        if (!reply.ok)
            status = CLI_BAD_ANSWER;
        if (json) {
            json_begin(&j, &out);
            json_object(&j);
            json_member_string(&j, "id", ids[i]);
            json_member_string(&j, "verb", verb);
            json_member_bool(&j, "ok", reply.ok);
            json_member_int(&j, "recipients", (int64_t)reply.count);
            json_member_string(&j, "text", reply.text);
            json_end(&j);
            buf_append_char(&out, '\n');
        } else if (reply.ok) {
            buf_printf(&out, "%s: %s, %llu recipient%s%s%s\n", ids[i], verb,
                       (unsigned long long)reply.count, reply.count == 1 ? "" : "s",
                       reply.text[0] != '\0' ? "; " : "", reply.text);
        } else {
            buf_printf(&out, "%s: not done: %s\n", ids[i], reply.text);
        }
        cli_write(&out);
    }
    buf_finish(&out);
    return status;
}

/* As `waybill show` does it. */
static int show(const char *config, bool json, char *id)
{
    char name[] = "show", config_option[] = "--config", json_option[] = "--json", *words[6];
    int n = 0;

    words[n++] = name;
    words[n++] = id;
    if (config != NULL) {
        words[n++] = config_option;
        words[n++] = (char *)(uintptr_t)config;
    }
    if (json)
        words[n++] = json_option;
    words[n] = NULL;
    return cmd_show(n, words);
}

int cmd_queue(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "list|show|retry|hold|release|drop [ID...|all]",
        "shows and changes what waits for delivery",
        "list     recipients that are not finished, oldest first\n"
        "show ID  one message (the same as `waybill show ID`)\n"
        "retry    try now, whatever the schedule says; also: retry all\n"
        "hold     keep back until released\n"
        "release  undo a hold\n"
        "drop     give up without a bounce"};
    const char *config = NULL, *domain = NULL, *stream = NULL, *tag = NULL, *state = NULL;
    const char *recipient = NULL;
    bool json = false;
    int64_t limit = 100;
    struct ledger_filter filter = {0};
    enum ledger_state wanted;
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_JSON(&json),
        CLI_TEXT("domain", &domain, "NAME", "list: only recipients of this domain"),
        CLI_TEXT("recipient", &recipient, "ADDRESS", "list: only this recipient"),
        CLI_TEXT("stream", &stream, "NAME", "list: only this stream"),
        CLI_TEXT("tag", &tag, "NAME", "list: only this tag"),
        CLI_TEXT("state", &state, "NAME", "list: recipients in this state, finished ones too"),
        CLI_NUMBER("limit", &limit, "N", "list: at most N rows [100]"),
    };
    int n = cli_parse(&usage, options, COUNT(options), argc, argv), status;
    struct slice verb = slice_of(n > 0 ? argv[0] : "list");
    struct conf *conf = daemon_conf(config, NULL);

    if (slice_eq(verb, SLICE("list"))) {
        if (state != NULL && !ledger_state_find(slice_of(state), &wanted))
            cli_die("there is no state named %s", state);
        filter.states = state == NULL ? 0 : 1u << wanted;
        filter.domain = slice_of(domain);
        filter.recipient = slice_of(recipient);
        filter.stream = slice_of(stream);
        filter.tag = slice_of(tag);
        filter.limit = limit > 0 ? (uint64_t)limit : 100;
        status = list_queue(conf, &filter, json);
    } else if (slice_eq(verb, SLICE("retry")) || slice_eq(verb, SLICE("hold")) ||
               slice_eq(verb, SLICE("release")) || slice_eq(verb, SLICE("drop"))) {
        status = ask(conf, argv[0], argv + 1, n - 1, json);
    } else if (slice_eq(verb, SLICE("show")) && n == 2) {
        status = show(config, json, argv[1]);
    } else {
        cli_die("say list, show, retry, hold, release or drop, not %s", argv[0]);
    }
    conf_destroy(&conf);
    return status;
}
