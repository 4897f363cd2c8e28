/* rt/dns/dns_in.h -- one lookup, between its life (dns.c) and the wire (wire.c). */
#ifndef DNS_DNS_IN_H
#define DNS_DNS_IN_H

#include "base/arena.h"
#include "base/list.h"
#include "rt/dns/dns.h"

#define DNS_ANSWER_MAX ((size_t)512 * 1024) /* memory for one answer; a response has 64 KiB */
#define DNS_FOLLOWS_MAX 8                   /* responses for one chain of CNAMEs */

struct wire; /* c-ares and its sockets */

/* A question that is asked, or was answered and is kept. */
struct lookup {
    struct dns_resolver *resolver;
    struct list link; /* in `kept`, oldest first; or alone */
    struct list asks; /* who waits for it */
    struct buf key;   /* type and lower-case name */
    struct arena *arena;
    struct dns_question question; /* its name is in the arena */
    struct dns_answer answer;     /* once done; in the arena, or in the zone */
    int64_t expires_ms;
    unsigned follows;
    unsigned references; /* asks that will be told from it */
    bool done, in_map, insecure;
};

struct wire *wire_create(struct dns_resolver *r, struct loop *l, const struct dns_options *options,
                         struct err *e);
void wire_destroy(struct wire **w);
/* Asks for `name` (the question's, or where a CNAME led). Calls lookup_done(), now or later. */
void wire_ask(struct wire *w, struct lookup *k, struct slice name);

/* `k->answer` is there. Who asked is told in a deferred call. */
void lookup_done(struct lookup *k);

#endif
