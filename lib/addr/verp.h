/* lib/addr/verp.h -- the return path: an address for each recipient that only we can make.
 *
 *     bounces+01J9Z3K8Q0ABCDEFGHJKMNPQRS.12=A0B1CDEFGHJKMNPQRSTV@return.example.com
 *             ---------- id ------------ n  day  ---- mac -----
 *
 * What comes back to it belongs to recipient `n` of message `id`, whatever the mail says. The tag
 * is the day on which it expires (4 digits, days since 1970) and 80 bits of HMAC-SHA-256 over the
 * address and the domain, both in Crockford's base32. Letters count in either case, for some
 * systems fold them. The local part has at most 63 octets (RFC 5321 4.5.3.1.1 allows 64). */
#ifndef LIB_ADDR_VERP_H
#define LIB_ADDR_VERP_H

#include "base/id.h"

#define VERP_KEY_BYTES 32
#define VERP_LOCAL_MAX 63
#define VERP_RECIPIENT_MAX 9999999u

struct verp {
    struct id id;
    uint32_t n;          /* the recipient's number, from 1 */
    int64_t expires_day; /* days since 1970; it is good until that day is over (UTC) */
};

enum verp_verdict {
    VERP_GOOD,
    VERP_EXPIRED, /* ours, but too old */
    VERP_FORGED,  /* has the form, but not our signature */
    VERP_NOT_ONE, /* another address */
};

/* Appends the address. `n` and the day must be in range: 1 to VERP_RECIPIENT_MAX, 0 to 2^20 - 1. */
void verp_write(const struct verp *v, struct slice key, struct slice domain, struct buf *out);

/* Reads local@domain. `*verp_out` is filled in unless it is VERP_NOT_ONE; nothing in it may be
 * believed unless it is VERP_GOOD or VERP_EXPIRED. Takes the same time for any wrong signature. */
enum verp_verdict verp_read(struct slice address, struct slice key, struct slice domain,
                            int64_t unix_s, struct verp *verp_out);

const char *verp_verdict_name(enum verp_verdict verdict); /* "good", "expired", ... */

#endif
