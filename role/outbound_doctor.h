/* role/outbound_doctor.h -- the doctor's questions to DNS: a doctor_check comes in, a doctor_found
 * goes out. The first copy of the outbound role has it, beside its deliveries. */
#ifndef ROLE_OUTBOUND_DOCTOR_H
#define ROLE_OUTBOUND_DOCTOR_H

#include "rt/bus/bus.h"
#include "rt/dns/dns.h"

struct outbound_doctor; /* opaque */

/* `dns` is borrowed. */
struct outbound_doctor *outbound_doctor_create(struct dns_resolver *dns);
void outbound_doctor_destroy(struct outbound_doctor **d); /* NULL is fine; writes NULL back */

/* Begins; an earlier check that is not finished is dropped. The answer goes to `bus`. */
void outbound_doctor_check(struct outbound_doctor *d, struct slice payload, struct bus *bus);
/* The bus is gone: nobody waits for an answer. */
void outbound_doctor_stop(struct outbound_doctor *d);

#endif
