/* lib/spf/merge.h -- several SPF records of one domain, which RFC 7208 4.5 forbids, as the one that
 * whoever published them meant. */
#ifndef LIB_SPF_MERGE_H
#define LIB_SPF_MERGE_H

#include "lib/spf/record.h"

#define SPF_MERGE_RECORDS_MAX 8 /* more are no better than these */
#define SPF_MERGE_TERMS_MAX 500 /* of all together; nobody can evaluate that many */

/* Appends one record: each term once, in the order given, and the strictest "all". A redirect stays
 * one only if no record has an "all", else it becomes an include. What cannot be read is left out;
 * if nothing can be read, nothing is appended. */
void spf_merge_records(const struct slice *records, size_t count, struct buf *out);

#endif
