#include <stdarg.h>

#include "base/base.h"

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list args;

    e->code = code;
    va_start(args, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return -1;
}

int err_system(struct err *e, int errnum, const char *fmt, ...)
{
    va_list args;
    size_t n;

    e->code = ERR_SYSTEM;
    va_start(args, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    n = strlen(e->text);
    (void)snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(errnum));
    return -1;
}
