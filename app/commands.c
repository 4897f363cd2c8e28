#include "app/cli.h"

#define COMMAND(name, function, summary) int function(int argc, char **argv);
#include "app/commands.def"
#undef COMMAND

#define COMMAND(name, function, summary) {name, function, summary},
const struct cli_command cli_commands[] = {
#include "app/commands.def"
};
#undef COMMAND

const size_t cli_command_count = COUNT(cli_commands);
