/* app/rules.h -- the bounce rules of a command: a user's files first, then the shipped ones. */
#ifndef APP_RULES_H
#define APP_RULES_H

#include "app/cli.h"
#include "lib/bounce/rules.h"

#define APP_RULES_OPTION(target)                                                                   \
    CLI_TEXT("rules", target, "DIR", "read the *.conf files of DIR before the built-in rules")

/* Reads the *.conf files of `dir` in the order of their names (NULL: none), then the rules built
 * into the program; cli_die() with the file and line when one is wrong. Destroy it. */
struct bounce_rules *app_rules_load(const char *dir);

#endif
