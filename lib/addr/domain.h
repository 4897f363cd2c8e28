/* lib/addr/domain.h -- what may stand to the right of an @ (RFC 5321 4.1.2, 4.1.3). */
#ifndef LIB_ADDR_DOMAIN_H
#define LIB_ADDR_DOMAIN_H

#include "base/base.h"
#include "base/ip.h"

#define DOMAIN_MAX 255      /* RFC 5321 4.5.3.1.2 */
#define DOMAIN_LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* A domain name: labels of letters, digits, inner hyphens and (as found in the wild) underscores;
 * no empty label, no final dot. With `utf8`, U-labels too (RFC 6531 3.3): well-formed UTF-8. */
bool domain_is_name(struct slice text, bool utf8);

/* The same, at least two labels, and the last one not all digits: what a public host is called. */
bool domain_is_qualified(struct slice text, bool utf8);

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" give an address; "[tag:anything]" is legal without one
 * (IP_NONE). False for what is no literal. */
MUST_USE bool domain_literal_parse(struct slice text, struct ip_address *ip_out);

/* What stands behind the last @; empty if there is none. Lives where the address does. */
struct slice domain_of_address(struct slice address);

/* Equal as names: ASCII case ignored, one final dot ignored on either side. */
bool domain_equal(struct slice a, struct slice b);
/* `name` is `parent` or lies below it, on a label boundary. */
bool domain_is_within(struct slice name, struct slice parent);

#endif
