/* app/main.c -- the program `waybill`: one binary, a table of commands (app/commands.def). */
#include "app/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
