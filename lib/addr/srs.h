/* lib/addr/srs.h -- the Sender Rewriting Scheme: a return path for mail that is forwarded, from
 * which the first sender can be read again, by us alone.
 *
 *     a@x.example, forwarded here       SRS0=HHHH=TT=x.example=a@ours.example
 *     that, forwarded by the next one   SRS1=HHHH=ours.example==HHHH=TT=x.example=a@second.example
 *     and by a third                    SRS1=HHHH=ours.example==HHHH=TT=x.example=a@third.example
 *
 * HHHH is the start of HMAC-SHA-1 in base64 over what follows it, letters folded; TT the day (mod
 * 1024) in base32. What comes back to SRS1 goes to the first forwarder, who alone knows the rest.
 * Form and hash are those of Mail::SRS, libsrs2 and postsrsd, and so is a weakness: the hash does
 * not see where the domain ends and the local part begins. A good address is therefore no proof of
 * more than "this may be tried with a bounce". Hashes are compared without case, for some systems
 * fold it. */
#ifndef LIB_ADDR_SRS_H
#define LIB_ADDR_SRS_H

#include "base/base.h"

#define SRS_LOCAL_MAX 64 /* RFC 5321 4.5.3.1.1 */
#define SRS_HASH_LEAST 4
#define SRS_HASH_MOST 27 /* all of it */
#define SRS_SECRETS_MAX 16
#define SRS_DAYS_MOST 1000 /* days are counted modulo 1024 */

struct srs {
    struct slice secrets[SRS_SECRETS_MAX]; /* the first one signs, all are good */
    size_t secret_count;                   /* at least 1 */
    unsigned hash_length;                  /* SRS_HASH_LEAST to SRS_HASH_MOST: what is written */
    unsigned hash_least;                   /* and what is taken */
    unsigned days;                         /* for so long an address is good */
};

enum srs_verdict {
    SRS_GOOD,
    SRS_EXPIRED, /* ours, but too old */
    SRS_FORGED,  /* has the form, but not our hash */
    SRS_NOT_ONE, /* another address */
};

/* Appends the address under which mail of `sender` (local@domain, not the null sender) is forwarded
 * by `forwarder`, a domain; one that is of that domain and SRS already stays as it is. `unix_s`
 * should be the time when the mail came, so that every attempt says the same. ERR_LIMIT: the local
 * part would be longer than SRS_LOCAL_MAX, and many would refuse it; ERR_SYNTAX: it has characters
 * that would need quotes. Nothing is appended then. */
MUST_USE int srs_encode(const struct srs *s, struct slice sender, struct slice forwarder,
                        int64_t unix_s, struct buf *out, struct err *e);

/* Appends the address that `address` stands for, unless it is not SRS_GOOD. */
enum srs_verdict srs_decode(const struct srs *s, struct slice address, struct slice forwarder,
                            int64_t unix_s, struct buf *out);

/* The local part begins like one: "SRS0=", "srs1+", ... */
bool srs_is_one(struct slice address);

const char *srs_verdict_name(enum srs_verdict verdict); /* "good", "expired", ... */

#endif
