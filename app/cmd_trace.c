/* app/cmd_trace.c -- `waybill trace FILE`: where one message was, when, and how long. */
#include "app/cli.h"
#include "app/trace_text.h"
#include "base/arena.h"
#include "lib/trace/path.h"

#define ARENA_MAX ((size_t)64 << 20)
#define OUTPUT_MAX ((size_t)64 << 20)

int cmd_trace(int argc, char **argv);

static const struct cli_usage usage = {
    "FILE...", "shows the path of a message: hops, delays, TLS, and what could be forged",
    "The first line shown is nearest the sender. Lines marked | were written by your own side\n"
    "(the domain of the host that wrote the newest one, or --ours DOMAIN); anybody could have\n"
    "written the others."};

int cmd_trace(int argc, char **argv)
{
    bool as_json = false, as_html = false;
    const char *ours = NULL;
    const struct cli_option options[] = {
        CLI_JSON(&as_json),
        CLI_FLAG("html", &as_html, "print a web page that stands alone, to mail to a colleague"),
        CLI_TEXT("ours", &ours, "DOMAIN", "the domain of your own mail hosts"),
    };
    int files = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct buf out;

    if (files == 0)
        cli_die("which file? `-` is standard input");
    buf_init(&out, OUTPUT_MAX);
    for (int i = 0; i < files; i++) {
        struct cli_file file = cli_file_need(argv[i], CLI_FILE_MAX);
        struct arena *a = arena_create(ARENA_MAX);
        struct trace t;
        struct err e = {0};
        if (trace_message(file.data, slice_of(ours), a, &t, &e) != 0)
            cli_die("%s: %s", argv[i], e.text);
        if (as_json)
            trace_json(&t, &out);
        else if (as_html)
            trace_html(&t, argv[i], a, &out);
        else
            trace_text(&t, files > 1 ? argv[i] : NULL, a, &out);
        cli_write(&out);
        arena_destroy(&a);
        cli_file_close(&file);
    }
    buf_finish(&out);
    return CLI_GOOD;
}
