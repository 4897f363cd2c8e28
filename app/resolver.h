/* app/resolver.h -- DNS for toolbox commands: a zone file (--dns), or the world.
 *
 * Commands are not in a hurry: a question is asked and waited for. */
#ifndef APP_RESOLVER_H
#define APP_RESOLVER_H

#include "lib/dnsmsg/record.h"

struct resolver; /* opaque */

/* `dns` as --dns gave it: a zone file ("FILE" or "zone:FILE") or "@ADDRESS[:PORT]" to ask that
 * server; NULL: the system's servers. Dies (cli_die) when it cannot be used. */
struct resolver *resolver_open(const char *dns);
void resolver_close(struct resolver **r); /* NULL is fine; writes NULL back */

/* Asks and waits. The answer is valid until the resolver is closed. */
void resolver_ask(struct resolver *r, struct dns_question q, struct dns_answer *answer_out);
/* The same for `n` questions at once. */
void resolver_ask_all(struct resolver *r, const struct dns_question *questions, size_t n,
                      struct dns_answer *answers_out);

#endif
