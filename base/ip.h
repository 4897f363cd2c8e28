/* base/ip.h -- IP addresses and networks as values.
 *
 * No socket types: bytes in network order and a family. An IPv4-mapped IPv6 address
 * (::ffff:192.0.2.1) stays what it was written as until ip_address_unmap() is asked. */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/base.h"

enum ip_family {
    IP_NONE, /* a zeroed struct: no address */
    IP_V4,
    IP_V6,
};

struct ip_address {
    enum ip_family family;
    uint8_t bytes[16]; /* four are used for IP_V4, the rest is zero */
};

#define IP_TEXT_MAX 46     /* of ip_address_format(), with its NUL */
#define IP_NIBBLES_MAX 64  /* of ip_address_nibbles(), with its NUL */
#define IP_REVERSE_MAX 128 /* of ip_address_reverse(), with its NUL */

/* Reads dotted-quad IPv4 (no leading zeroes, RFC 6943 3.1.1) or RFC 4291 IPv6, all of `text`,
 * without brackets and zone. False when it is neither; `*address_out` is then zeroed. */
MUST_USE bool ip_address_parse(struct slice text, struct ip_address *address_out);

/* The canonical text (RFC 5952 for IPv6), as a C string; returns its length. */
size_t ip_address_format(const struct ip_address *a, char out[IP_TEXT_MAX]);

/* An IPv4-mapped IPv6 address becomes IPv4; everything else is returned as it is. */
struct ip_address ip_address_unmap(struct ip_address a);

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);

/* Whether the first `bits` bits agree. Different families never match; `bits` over the family's
 * length counts as that length. */
bool ip_address_in(const struct ip_address *a, const struct ip_address *network, unsigned bits);

/* Loopback, RFC 1918, link-local, unique local, shared (RFC 6598): no address of the Internet. A
 * mapped address is judged as what it maps. */
bool ip_address_is_private(const struct ip_address *a);
bool ip_address_is_loopback(const struct ip_address *a);

/* "192.0.2.1", or 32 lower-case nibbles with dots, highest first (RFC 7208 7.3, macro "i"). */
size_t ip_address_nibbles(const struct ip_address *a, char out[IP_NIBBLES_MAX]);

/* The name under which the PTR record stands: "1.2.0.192.in-addr.arpa", "...ip6.arpa". */
size_t ip_address_reverse(const struct ip_address *a, char out[IP_REVERSE_MAX]);

struct ip_network {
    struct ip_address address;
    unsigned bits; /* 0-32 or 0-128, as its family has it */
};

/* "10.0.0.0/8", "::1/128", or a lone address (all bits). Bits beyond the prefix must be zero. A
 * mapped network is the IPv4 network that it maps. */
MUST_USE bool ip_network_parse(struct slice text, struct ip_network *network_out);
bool ip_network_holds(const struct ip_network *network, const struct ip_address *a);

#endif
