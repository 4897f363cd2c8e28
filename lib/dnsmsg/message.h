/* lib/dnsmsg/message.h -- reads a DNS response as it came over the wire (RFC 1035 4).
 *
 *     bytes of a response --> dns_message_read() --> struct dns_answer, its records in an arena
 *
 * For rt/dns: c-ares hands over the bytes; this follows the CNAMEs inside the response, takes the
 * records of the asked type, the TTL, and the AD bit. */
#ifndef LIB_DNSMSG_MESSAGE_H
#define LIB_DNSMSG_MESSAGE_H

#include "base/arena.h"
#include "lib/dnsmsg/record.h"

#define DNS_RECORDS_MAX 1024 /* of one response that are looked at */

/* Reads the response to `question`. Names and texts are copied into `arena` (about twice the
 * response's size). `secure` is the AD bit as it came: the caller clears it unless it trusts the
 * path (RFC 4035 4.9.3). NXDOMAIN and SERVFAIL are answers: 0 with that status; every other RCODE
 * (refused, ...) counts as SERVFAIL, and so does a circle of CNAMEs. -1 with ERR_SYNTAX when it is
 * no response, answers another question, or is broken; ERR_LIMIT when the arena is full.
 * A CNAME without its target in the same response gives DNS_NODATA with `canonical` at the target
 * and `*unfinished_out` true: ask again for `canonical`. */
MUST_USE int dns_message_read(struct slice wire, struct dns_question question, struct arena *arena,
                              struct dns_answer *answer_out, bool *unfinished_out, struct err *e);

/* Reads one RDATA of `type`. `message` is the whole response, for compressed names; `at` and
 * `length` say where the RDATA lies in it. False when it is broken or the arena is full. */
MUST_USE bool dns_rdata_read(struct slice message, size_t at, size_t length, enum dns_type type,
                             struct arena *arena, struct dns_record *record_out);

#endif
