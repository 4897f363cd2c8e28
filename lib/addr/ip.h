/* lib/addr/ip.h -- IPv4 and IPv6 addresses as values. */
#ifndef LIB_ADDR_IP_H
#define LIB_ADDR_IP_H

#include "base/base.h"

/* All zero means "no address". IPv4 uses the first 4 bytes. Network byte order. */
struct ip {
    unsigned char bytes[16];
    unsigned version; /* 4, 6, or 0 */
};

#define IP_TEXT_MAX 46 /* with the NUL */

/* Exactly one address in text: dotted quad (no leading zeros) or RFC 4291; no brackets, no zone. */
MUST_USE bool ip_parse(struct slice text, struct ip *ip_out);
/* The usual text (RFC 5952 for IPv6); `text_out` holds IP_TEXT_MAX bytes. Empty for no address. */
void ip_format(const struct ip *ip, char *text_out);

bool ip_equal(const struct ip *a, const struct ip *b); /* ::ffff:1.2.3.4 is not 1.2.3.4 here */
/* ::ffff:a.b.c.d becomes a.b.c.d; all else is returned as it is. */
struct ip ip_unmapped(const struct ip *ip);
/* `ip` lies in `network`/`prefix`; never across versions. */
bool ip_in_network(const struct ip *ip, const struct ip *network, unsigned prefix);
/* Loopback, RFC 1918, link-local, unique local, shared (RFC 6598): not an address of the Internet.
 */
bool ip_is_private(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);

#endif
