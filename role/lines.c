#include "role/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int lines_each(const char *setting, const char *path,
               int (*take)(void *ctx, struct slice line, struct err *e), void *ctx, struct err *e)
{
    FILE *file = fopen(path, "re");
    size_t cap = 0, number = 0;
    char *text = NULL;
    int result = 0;
    ssize_t n;

    if (file == NULL)
        return err_system(e, errno, "%s %s", setting, path);
    while (result == 0 && (n = getline(&text, &cap, file)) >= 0) {
        struct slice line = slice_trim((struct slice){text, (size_t)n}); /* not negative */
        struct err why;

        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (take(ctx, line, &why) < 0)
            result = err_set(e, ERR_SYNTAX, "%s:%zu: %s", path, number, why.text);
    }
    free(text);
    (void)fclose(file);
    return result;
}
