#include "app/rules.h"

#include <dirent.h>

static int is_rule_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && slice_ends(slice_of(entry->d_name), SLICE(".conf"));
}

static void add_directory(struct bounce_rules *rules, const char *dir)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, is_rule_file, alphasort);
    struct err e;

    if (count < 0)
        cli_die("%s: cannot be read as a directory of rules", dir);
    for (int i = 0; i < count; i++) {
        char path[4096];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name) >= sizeof path)
            cli_die("%s: the name is too long", dir);
        struct cli_file file = cli_file_need(path, BOUNCE_RULE_FILE_MAX);
        if (bounce_rules_add(rules, path, file.data, &e) < 0)
            cli_die("%s", e.text);
        cli_file_close(&file);
        free(entries[i]);
    }
    free(entries);
}

struct bounce_rules *app_rules_load(const char *dir)
{
    struct bounce_rules *rules = bounce_rules_create();
    struct err e;

    if (dir != NULL)
        add_directory(rules, dir);
    if (bounce_rules_add_shipped(rules, &e) < 0 || bounce_rules_compile(rules, &e) < 0)
        cli_die("%s", e.text);
    return rules;
}
