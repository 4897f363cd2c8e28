#include "app/rules.h"

#include "role/bounce_rules.h"

struct bounce_rules *app_rules_load(const char *dir)
{
    struct err e;
    struct bounce_rules *rules = bounce_rules_load(dir == NULL ? "" : dir, &e);

    if (rules == NULL)
        cli_die("%s", e.text);
    return rules;
}
