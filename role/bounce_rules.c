#include "role/bounce_rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int is_rule_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && slice_ends(slice_of(entry->d_name), SLICE(".conf"));
}

static int add_file(struct bounce_rules *rules, const char *path, struct err *e)
{
    /* A pipe must not stop the process that reads its settings anew. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result = -1;
    char *room = mem_alloc(BOUNCE_RULE_FILE_MAX + 1);
    ssize_t n = fd < 0 ? -1 : read(fd, room, BOUNCE_RULE_FILE_MAX + 1);

    if (n < 0)
        (void)err_system(e, errno, "%s cannot be read", path);
    else
        result = bounce_rules_add(rules, path, (struct slice){room, (size_t)n}, e);
    if (fd >= 0)
        close(fd);
    free(room);
    return result;
}

static int add_directory(struct bounce_rules *rules, const char *directory, struct err *e)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_rule_file, alphasort), result = 0;
    char path[4096];

    if (count < 0)
        return err_system(e, errno, "%s cannot be read as a directory of rules", directory);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%.2000s/%.1000s", directory, entries[i]->d_name);
        if (result == 0)
            result = add_file(rules, path, e);
        free(entries[i]);
    }
    free(entries);
    return result;
}

struct bounce_rules *bounce_rules_load(const char *directory, struct err *e)
{
    struct bounce_rules *rules = bounce_rules_create();

    if ((directory[0] != '\0' && add_directory(rules, directory, e) < 0) ||
        bounce_rules_add_shipped(rules, e) < 0 || bounce_rules_compile(rules, e) < 0)
        bounce_rules_destroy(&rules);
    return rules;
}
