#include "base/base.h"

static void *must(void *p)
{
    if (p == NULL)
        abort(); /* the supervisor restarts us; what was promised is on disk */
    return p;
}

void *mem_alloc(size_t size)
{
    return must(calloc(1, size > 0 ? size : 1));
}

void *mem_resize(void *old, size_t size)
{
    return must(realloc(old, size > 0 ? size : 1));
}

char *mem_string(const char *text)
{
    return must(strdup(text));
}
