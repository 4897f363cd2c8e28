/* app/main.c -- the program `waybill`: one binary, a table of commands (app/commands.def). */
#include "app/cli.h"
#include "rt/proc/proc.h"

int main(int argc, char **argv)
{
    proc_title_init(argc, argv); /* so that `ps` shows which role a process has */
    return cli_run(argc, argv);
}
