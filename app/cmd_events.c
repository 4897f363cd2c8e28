#include <unistd.h>

#include "app/daemon.h"
#include "app/story.h"

int cmd_events(int argc, char **argv);

#define BATCH 1000
#define FOLLOW_EVERY_US 200000

struct printing {
    struct buf out;
    bool json;
    uint64_t last, printed;
    bool filtered;
    enum ledger_kind only;
    bool notices_only; /* then: */
    enum ledger_notice_kind notice;
    struct slice stream;
};

static bool print_event(void *ctx, const struct ledger_event *ev)
{
    struct printing *p = ctx;
    struct json j;

    p->last = ev->seq;
    if (p->notices_only || (p->filtered && ev->kind != p->only) ||
        (p->stream.n > 0 && !slice_eq_nocase(p->stream, ev->stream)))
        return true;
    p->printed++;
    if (p->json) {
        json_begin(&j, &p->out);
        story_json_event(&j, ev);
        buf_append_char(&p->out, '\n');
    } else {
        story_append_event(&p->out, ev);
    }
    return true;
}

static bool print_notice(void *ctx, const struct ledger_notice *n)
{
    struct printing *p = ctx;
    struct json j;

    p->last = n->seq;
    if (p->filtered || p->stream.n > 0 || (p->notices_only && n->kind != p->notice))
        return true;
    p->printed++;
    if (p->json) {
        json_begin(&j, &p->out);
        story_json_notice(&j, n);
        buf_append_char(&p->out, '\n');
    } else {
        story_append_notice(&p->out, n);
    }
    return true;
}

/* Everything after p->last; returns when the log's end is reached. */
static void print_new(struct ledger_reader *reader, struct printing *p)
{
    static const struct ledger_log_handlers handlers = {print_event, print_notice};
    struct err e;
    uint64_t before;

    do {
        before = p->last;
        if (ledger_log(reader, p->last, BATCH, &handlers, p, &e) < 0)
            cli_die("%s", e.text);
        cli_write(&p->out);
    } while (p->last != before);
}

int cmd_events(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "", "shows what happened, oldest first",
        "Without --since and --last, the last 50 events are shown."};
    const char *config = NULL, *kind = NULL, *stream = NULL;
    bool follow = false;
    int64_t since = -1, last = 50;
    struct printing p = {0};
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_JSON(&p.json),
        CLI_FLAG("f", &follow, "go on as new events come"),
        CLI_NUMBER("since", &since, "SEQ", "events after this sequence number"),
        CLI_NUMBER("last", &last, "N", "about the last N events"),
        CLI_TEXT("event", &kind, "NAME", "only events of this name, such as bounced"),
        CLI_TEXT("stream", &stream, "NAME", "only events of this stream"),
    };
    struct ledger_reader *reader;
    struct conf *conf;
    uint64_t end = 0;
    struct err e;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 0)
        cli_die("takes no file");
    p.notices_only = kind != NULL && ledger_notice_find(slice_of(kind), &p.notice);
    p.filtered = kind != NULL && !p.notices_only;
    if (p.filtered && !ledger_kind_find(slice_of(kind), &p.only))
        cli_die("there is no event named %s", kind);
    p.stream = slice_of(stream);
    conf = daemon_conf(config, NULL);
    reader = daemon_ledger(conf);
    buf_init(&p.out, 64u << 20);
    if (since < 0) {
        if (ledger_last_seq(reader, &end, &e) < 0)
            cli_die("%s", e.text);
        p.last = last >= 0 && end > (uint64_t)last ? end - (uint64_t)last : 0;
    } else {
        p.last = (uint64_t)since;
    }
    print_new(reader, &p);
    while (follow) {
        (void)usleep(FOLLOW_EVERY_US);
        print_new(reader, &p);
    }
    buf_finish(&p.out);
    ledger_reader_close(&reader);
    conf_destroy(&conf);
    return CLI_GOOD;
}
