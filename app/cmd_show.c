#include "app/story.h"

#include <time.h>

#include "app/daemon.h"

int cmd_show(int argc, char **argv);

#define STORY_MAX (256u << 20)
#define MESSAGE_ID_DEPTH 100000

static struct id find_message(struct ledger_reader *reader, const char *text)
{
    struct id id;
    struct err e;
    size_t n;

    if (id_decode(slice_of(text), &id))
        return id;
    if (ledger_find_message_id(reader, slice_of(text), MESSAGE_ID_DEPTH, &id, 1, &n, &e) < 0)
        cli_die("%s", e.text);
    if (n == 0)
        cli_die("%s is neither a message id of ours nor a Message-ID of a recent message", text);
    return id;
}

int cmd_show(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "ID...", "shows the waybill of a message: every step and every reply",
        "ID is the id that Waybill answered with, or a Message-ID in its brackets."};
    const char *config = NULL;
    bool as_json = false;
    const struct cli_option options[] = {CLI_CONFIG(&config), CLI_JSON(&as_json)};
    int n = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct conf *conf = daemon_conf(config, NULL);
    struct ledger_reader *reader = daemon_ledger(conf);
    struct arena *arena = arena_create(STORY_MAX);
    struct buf out;

    if (n == 0)
        cli_die("which message? Give its id");
    buf_init(&out, STORY_MAX);
    for (int i = 0; i < n; i++) {
        struct ledger_story story;
        struct json j;
        struct err e;

        arena_reset(arena);
        if (ledger_show(reader, find_message(reader, argv[i]), arena, &story, &e) < 0)
            cli_die("%s", e.text);
        if (as_json) {
            json_begin(&j, &out);
            story_json(&j, &story);
            buf_append_char(&out, '\n');
        } else {
            story_append(&out, &story, (int64_t)time(NULL) * 1000);
        }
        cli_write(&out);
    }
    buf_finish(&out);
    arena_destroy(&arena);
    ledger_reader_close(&reader);
    conf_destroy(&conf);
    return CLI_GOOD;
}
