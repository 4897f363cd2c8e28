/* role/outbound_reports.h -- may DMARC reports be sent there? The outbound role asks DNS for the
 * queue, which has no network.
 *
 *     rua_question --> for each URI: lib/dmarc/destination.h <--> rt/dns --> rua_answer */
#ifndef ROLE_OUTBOUND_REPORTS_H
#define ROLE_OUTBOUND_REPORTS_H

#include "rt/bus/bus.h"
#include "rt/dns/dns.h"

#define RUA_PLACES_MAX 5 /* of one policy; what it names beyond is not sent to */

struct rua_checks; /* opaque */

struct rua_checks *rua_checks_create(struct dns_resolver *dns);
void rua_checks_destroy(struct rua_checks **c); /* NULL is fine; writes NULL back */
/* `payload`: a rua_question. It is answered over `queue`, in a later turn. */
void rua_checks_take(struct rua_checks *c, struct bus *queue, struct slice payload);
void rua_checks_forget(struct rua_checks *c); /* nobody waits for answers any more; NULL is fine */

#endif
