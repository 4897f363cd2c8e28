/* base/ip6.h -- IP addresses and networks, IPv4 and IPv6 in one form.
 *
 * An IPv4 address is kept as IPv4-mapped IPv6 (::ffff:a.b.c.d), so that one struct, one comparison
 * and one network test serve both. Text output shows IPv4 in its own form. */
#ifndef BASE_IP6_H
#define BASE_IP6_H

#include "base/base.h"

#define IP6_TEXT_MAX 46 /* the longest text with its NUL */

struct ip6 {
    uint8_t bytes[16]; /* network order */
};
struct ip6_network {
    struct ip6 ip;
    uint8_t bits; /* 0-128, counted in the mapped form: 10.0.0.0/8 has 104 */
};

bool ip6_is_v4(struct ip6 ip);
bool ip6_is_loopback(struct ip6 ip);
bool ip6_eq(struct ip6 a, struct ip6 b);

/* "192.0.2.1", "2001:db8::1"; no brackets, no zone. False leaves `*ip_out` alone. */
MUST_USE bool ip6_parse(struct slice text, struct ip6 *ip_out);
/* Writes the text form with its NUL and returns it as a slice of `text_out`. */
struct slice ip6_text(struct ip6 ip, char text_out[IP6_TEXT_MAX]);

/* "10.0.0.0/8", "::1/128", or a lone address (all bits). Bits beyond the prefix must be zero. */
MUST_USE bool ip6_network_parse(struct slice text, struct ip6_network *network_out);
bool ip6_network_holds(const struct ip6_network *network, struct ip6 ip);

#endif
