/* lib/waybill/share_in.h -- between the library's public structs and ours. */
#ifndef LIB_WAYBILL_SHARE_IN_H
#define LIB_WAYBILL_SHARE_IN_H

#include <waybill/waybill.h>

#include "base/base.h"

/* Hands a sentence over; `to` may be NULL. Returns -1. */
static inline int waybill_fail(struct waybill_error *to, const char *text)
{
    if (to)
        (void)snprintf(to->text, sizeof to->text, "%s", text);
    return -1;
}
static inline struct waybill_text waybill_text_of(struct slice s)
{
    return (struct waybill_text){s.p, s.n};
}

#endif
