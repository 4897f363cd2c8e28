/* lib/dnsmsg/zone.h -- answers from a file in master-file form, instead of the world.
 *
 *     text of the file --> dns_zone_create() --> dns_zone_answer(question) --> struct dns_answer
 *
 * It is what `--dns ZONE` reads: one record a line, `NAME [TTL] [IN] TYPE RDATA` (RFC 1035 5.1;
 * parentheses may join lines), names fully qualified or under $ORIGIN, '@' and a blank owner as
 * usual, unknown types as in RFC 3597. `;!timeout NAME [TYPE]` and `;!servfail NAME [TYPE]` make
 * questions fail. There are no wildcards and no delegation: a name is in the file or it does not
 * exist. */
#ifndef LIB_DNSMSG_ZONE_H
#define LIB_DNSMSG_ZONE_H

#include "lib/dnsmsg/record.h"

#define DNS_ZONE_RECORDS_MAX 1000000
#define DNS_ZONE_BYTES_MAX ((size_t)256 << 20) /* memory for all that a file says */
#define DNS_CNAMES_MAX 16                      /* a longer chain is SERVFAIL, as a loop is */

struct dns_zone; /* opaque */

/* Reads the file's text, which may go afterwards. NULL and `e` with the line's number when a line
 * cannot be read (ERR_SYNTAX) or there is too much (ERR_LIMIT). */
MUST_USE struct dns_zone *dns_zone_create(struct slice text, struct err *e);
void dns_zone_destroy(struct dns_zone **z); /* NULL is fine; writes NULL back */

/* Answers at once; CNAMEs are followed. What the answer points at is owned by the zone and lives
 * as long. `secure` is false. Nothing is allocated. */
void dns_zone_answer(const struct dns_zone *z, struct dns_question q,
                     struct dns_answer *answer_out);

#endif
