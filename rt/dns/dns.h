/* rt/dns/dns.h -- the resolver: questions out, answers in, never inside the call.
 *
 *     dns_ask() --> cache --> zone file, or c-ares --UDP/TCP--> the system's resolver
 *                                       |
 *     callback <--- a later turn -------+
 *
 * CNAMEs are followed. A time-out or SERVFAIL is an answer with that status, so a caller has one
 * path. `secure` is the AD bit, and only if every server asked is on loopback (RFC 4035 4.9.3):
 * whoever sits on the way could set it. Equal questions under way share one query. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/base.h"
#include "base/ip.h"
#include "lib/dnsmsg/record.h"
#include "lib/dnsmsg/zone.h"
#include "rt/loop/loop.h"

struct dns_resolver; /* opaque */
struct dns_ask;      /* one question under way; opaque */

struct dns_options {
    /* "system", "ADDRESS[:PORT]" ("127.0.0.1:5353", "[::1]:53"), or "zone:FILE". */
    const char *servers;
    int64_t timeout_ms; /* for one try, default 2,500 */
    unsigned tries;     /* default 3 */
    size_t cache_max;   /* answers kept, default 10,000; 0 keeps the default */
    uint32_t ttl_max_s; /* default 86,400 */
};
/* NULL options: all defaults, the system's servers. NULL on error. */
MUST_USE struct dns_resolver *dns_create(struct loop *l, const struct dns_options *options,
                                         struct err *e);
void dns_destroy(struct dns_resolver **r); /* open questions are dropped, not answered */

/* `question->name` is copied. `done` comes in a later turn, once; the answer is valid during the
 * call. The returned handle is valid until then. */
typedef void dns_done_fn(void *ctx, const struct dns_answer *answer);
struct dns_ask *dns_ask(struct dns_resolver *r, const struct dns_question *question,
                        dns_done_fn *done, void *ctx);
void dns_cancel(struct dns_ask **ask); /* `done` will not come; NULL is fine */

struct dns_counts {
    uint64_t asked, from_cache, queries, failures;
    size_t cached, open;
};
struct dns_counts dns_counts(const struct dns_resolver *r);

#endif
