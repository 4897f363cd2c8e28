/* lib/dkim/bodies_in.h -- the body hashes of a message: one for each (canonical form, hash, l=)
 * that some signature wants, all fed in one pass. The set is used again for the next message. */
#ifndef LIB_DKIM_BODIES_IN_H
#define LIB_DKIM_BODIES_IN_H

#include "lib/crypt/hash.h"
#include "lib/message/canon.h"

/* Each one costs a pass of canonical form and hash over the body, so that signatures must not make
 * many with different l=. */
#define DKIM_BODIES_MAX 8
#define DKIM_BODY_NONE SIZE_MAX

struct dkim_body {
    enum crypt_hash_kind kind;
    struct canon_body canon; /* `produced` tells the length of the canonical body */
    struct crypt_hash *hash;
    struct crypt_digest digest; /* after dkim_bodies_end() */
};
struct dkim_bodies {
    struct dkim_body **list; /* `count` are in use, `made` exist */
    size_t count, made;
};

/* Zero the struct before the first use. */
void dkim_bodies_begin(struct dkim_bodies *b);
void dkim_bodies_finish(struct dkim_bodies *b);
/* Returns the place of that hash in the list; the same one for the same wish. DKIM_BODY_NONE at the
 * ceiling. */
size_t dkim_bodies_want(struct dkim_bodies *b, enum canon canon, enum crypt_hash_kind kind,
                        uint64_t limit);
void dkim_bodies_feed(struct dkim_bodies *b, struct slice bytes);
void dkim_bodies_end(struct dkim_bodies *b);

#endif
