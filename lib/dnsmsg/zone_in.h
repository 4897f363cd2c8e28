/* lib/dnsmsg/zone_in.h -- the reader of master files and the zone that it fills. */
#ifndef LIB_DNSMSG_ZONE_IN_H
#define LIB_DNSMSG_ZONE_IN_H

#include "base/arena.h"
#include "lib/dnsmsg/zone.h"

/* Adds a record under a lower-case name. What the record points at lies in the zone's arena. */
MUST_USE int dns_zone_add(struct dns_zone *z, struct slice name, const struct dns_record *record,
                          struct err *e);

/* Orders failures. Without a type (DNS_NO_TYPE) all types fail that the name does not hold. */
MUST_USE int dns_zone_add_failure(struct dns_zone *z, struct slice name, enum dns_type type,
                                  enum dns_status status, struct err *e);

/* Reads a master file into `z`; strings and names are put into `arena`. */
MUST_USE int dns_zone_read(struct dns_zone *z, struct arena *arena, struct slice text,
                           struct err *e);

#endif
