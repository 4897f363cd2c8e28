/* store/spool/temp_test.h -- a directory for a test, made and removed. */
#ifndef STORE_SPOOL_TEMP_TEST_H
#define STORE_SPOOL_TEMP_TEST_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

/* A new directory; temp_dir_remove() frees the name. */
static inline char *temp_dir(void)
{
    char *name = mem_string("/tmp/waybill-test-XXXXXX");

    if (mkdtemp(name) == NULL)
        abort();
    return name;
}

/* Removes the files in it, one level deep, and the directory. */
static inline void temp_dir_remove(const char *name)
{
    DIR *d = opendir(name);
    char path[400];

    for (struct dirent *entry = d != NULL ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        snprintf(path, sizeof path, "%.140s/%.250s", name, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0 && entry->d_type == DT_DIR)
            temp_dir_remove(mem_string(path));
    }
    if (d != NULL)
        closedir(d);
    rmdir(name);
    free((void *)(uintptr_t)name); /* it came from temp_dir() */
}

#endif
