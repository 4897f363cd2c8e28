#include "app/cli.h"

int cmd_help(int argc, char **argv);

static void list_commands(struct buf *out)
{
    size_t widest = 0;

    for (size_t i = 0; i < cli_command_count; i++)
        if (strlen(cli_commands[i].name) > widest)
            widest = strlen(cli_commands[i].name);
    buf_append_text(out, "waybill delivers mail, and can say what happened to it.\n\n"
                         "usage: waybill COMMAND [options] [files]\n\n");
    for (size_t i = 0; i < cli_command_count; i++)
        buf_printf(out, "  %s%-*s%s  %s\n", cli_style(CLI_BOLD), (int)widest, cli_commands[i].name,
                   cli_style(CLI_PLAIN), cli_commands[i].summary);
    buf_append_text(out, "\n`waybill COMMAND --help` explains one; `man waybill` has it all.\n"
                         "`-` is standard input. Exit status: 0 good, 1 the answer is bad, 2 usage "
                         "or unreadable input.\n");
}

int cmd_help(int argc, char **argv)
{
    static const struct cli_usage usage = {"[COMMAND]", "lists the commands, or explains one",
                                           NULL};
    int names = cli_parse(&usage, NULL, 0, argc, argv);

    if (names > 0) {
        char help[] = "--help", *args[] = {argv[0], argv[0], help, NULL};
        return cli_run(3, args);
    }
    struct buf out;
    buf_init(&out, 65536);
    list_commands(&out);
    cli_write(&out);
    buf_finish(&out);
    return CLI_GOOD;
}
