/* lib/dkim/checks_in.h -- what DKIM and ARC share: look-ups of keys, each name asked once, and the
 * judgement of one signature when digest and key are known. */
#ifndef LIB_DKIM_CHECKS_IN_H
#define LIB_DKIM_CHECKS_IN_H

#include "lib/dkim/bodies_in.h"
#include "lib/dkim/signature_in.h"

#define DKIM_LOOKUP_NONE SIZE_MAX

enum dkim_lookup_state { LOOKUP_WANTED, LOOKUP_ASKED, LOOKUP_ANSWERED };
struct dkim_lookup {
    struct buf name;
    enum dkim_lookup_state state;
    enum dns_status status;
    size_t key_count;
    struct dkim_key *keys[DKIM_RECORDS_MAX];
};
struct dkim_lookups {
    struct dkim_keys *keys;     /* where parsed keys live */
    struct dkim_keys *own_keys; /* the same, if they are ours to destroy */
    struct dkim_lookup **list;  /* `count` are in use, `made` exist */
    size_t count, made, answered;
};

void dkim_lookups_init(struct dkim_lookups *l, struct dkim_keys *shared);
void dkim_lookups_finish(struct dkim_lookups *l);
void dkim_lookups_begin(struct dkim_lookups *l); /* forgets all questions, releases their keys */

/* The number of the question about the key of d= and s=. -1 when they make no name. */
MUST_USE int dkim_lookups_want(struct dkim_lookups *l, const struct dkim_signature *signature,
                               size_t *id_out, struct err *err);
bool dkim_lookups_question(struct dkim_lookups *l, size_t *id_out,
                           struct dns_question *question_out);
void dkim_lookups_answer(struct dkim_lookups *l, size_t id, const struct dns_answer *answer);

/* One signature on its way to a verdict. */
struct dkim_check {
    struct dkim_signature signature;
    bool decided;               /* `result` and `reason` are final */
    size_t lookup;              /* in the lookups */
    size_t body;                /* in the bodies; unused for a seal */
    struct crypt_digest digest; /* of the header */
    enum dkim_result result;
    enum dkim_problem problem;
    struct err reason;
    unsigned key_bits;
    bool testing;
};
void dkim_check_decide(struct dkim_check *c, enum dkim_result result);

/* Judges key and hashes. `body` is NULL for a seal. All answers must be there. */
void dkim_check_judge(struct dkim_check *c, const struct dkim_lookups *lookups,
                      const struct dkim_body *body, const struct dkim_verify_options *options,
                      struct buf *scratch);

#endif
