/* app/suppression_list.h -- suppression lists as files: CSV, and what services export.
 *
 *     bytes --suppression_list_read()--> one call for each address
 *
 * CSV with a header row (email, address, recipient, EmailAddress; reason, SuppressionReason, type;
 * SendGrid's and SES's files are such), a bare list of addresses, or JSON: objects with those
 * names, as Postmark's suppression dump, SES's list-suppressed-destinations and SendGrid's API
 * give. */
#ifndef APP_SUPPRESSION_LIST_H
#define APP_SUPPRESSION_LIST_H

#include "base/arena.h"

struct suppression_entry {
    struct slice address;
    struct slice scope;  /* the column "scope" or "stream"; empty: none was given */
    const char *reason;  /* a category, "complaint", "unsubscribe" or "manual" */
    struct slice detail; /* the evidence, or the reason in the file's words */
    int64_t until_ms;    /* the column "until", as our own CSV has it; 0: for ever */
};
/* Rows without an address are counted in *skipped_out. Slices live in `arena`, which the caller may
 * reset in each call of `entry`. */
void suppression_list_read(struct slice file, struct arena *arena,
                           void (*entry)(void *ctx, const struct suppression_entry *entry),
                           void *ctx, size_t *skipped_out);

#endif
