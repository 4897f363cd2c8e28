#include "base/ip.h"

#include <arpa/inet.h>

#define V4_BYTES 4
#define V6_BYTES 16
#define MAPPED_BITS 96 /* of ::ffff:0:0/96 */

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static size_t address_bytes(const struct ip_address *a)
{
    return a->family == IP_V4 ? V4_BYTES : V6_BYTES;
}

bool ip_address_parse(struct slice text, struct ip_address *address_out)
{
    char copy[IP_TEXT_MAX];

    *address_out = (struct ip_address){.family = IP_NONE};
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    /* inet_pton() refuses leading zeroes, spaces, and anything behind the address. */
    if (inet_pton(AF_INET, copy, address_out->bytes) == 1)
        address_out->family = IP_V4;
    else if (inet_pton(AF_INET6, copy, address_out->bytes) == 1)
        address_out->family = IP_V6;
    else
        *address_out = (struct ip_address){.family = IP_NONE};
    return address_out->family != IP_NONE;
}

size_t ip_address_format(const struct ip_address *a, char out[IP_TEXT_MAX])
{
    out[0] = '\0';
    if (a->family == IP_NONE)
        return 0;
    if (!inet_ntop(a->family == IP_V4 ? AF_INET : AF_INET6, a->bytes, out, IP_TEXT_MAX))
        return 0;
    return strlen(out);
}

struct ip_address ip_address_unmap(struct ip_address a)
{
    struct ip_address v4 = {.family = IP_V4};

    if (a.family != IP_V6 || memcmp(a.bytes, mapped_prefix, sizeof mapped_prefix) != 0)
        return a;
    memcpy(v4.bytes, a.bytes + sizeof mapped_prefix, V4_BYTES);
    return v4;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, address_bytes(a)) == 0;
}

bool ip_address_in(const struct ip_address *a, const struct ip_address *network, unsigned bits)
{
    size_t whole = bits / 8, n = address_bytes(a);
    unsigned rest = bits % 8;

    if (a->family != network->family || a->family == IP_NONE)
        return false;
    if (whole >= n)
        return ip_address_equal(a, network);
    if (memcmp(a->bytes, network->bytes, whole) != 0)
        return false;
    unsigned mask = 0xffu & (0xff00u >> rest);
    return ((unsigned)(a->bytes[whole] ^ network->bytes[whole]) & mask) == 0;
}

size_t ip_address_nibbles(const struct ip_address *a, char out[IP_NIBBLES_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    if (a->family != IP_V6)
        return ip_address_format(a, out);
    for (size_t i = 0; i < V6_BYTES; i++) {
        out[n++] = digits[a->bytes[i] >> 4];
        out[n++] = '.';
        out[n++] = digits[a->bytes[i] & 15];
        out[n++] = '.';
    }
    out[--n] = '\0'; /* the last dot */
    return n;
}

size_t ip_address_reverse(const struct ip_address *a, char out[IP_REVERSE_MAX])
{
    char nibbles[IP_NIBBLES_MAX];
    size_t n = 0;

    if (a->family == IP_V4) {
        int length = snprintf(out, IP_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", a->bytes[3],
                              a->bytes[2], a->bytes[1], a->bytes[0]);
        return (size_t)length;
    }
    for (size_t i = ip_address_nibbles(a, nibbles); i > 0; i--)
        out[n++] = nibbles[i - 1];
    memcpy(out + n, ".ip6.arpa", sizeof ".ip6.arpa");
    return n + sizeof ".ip6.arpa" - 1;
}

static const struct ip_network loopback[] = {
    {{IP_V4, {127}}, 8},
    {{IP_V6, {[15] = 1}}, 128},
};
static const struct ip_network private_networks[] = {
    {{IP_V4, {10}}, 8},        {{IP_V4, {172, 16}}, 12}, {{IP_V4, {192, 168}}, 16},
    {{IP_V4, {169, 254}}, 16}, {{IP_V4, {100, 64}}, 10}, /* RFC 6598 */
    {{IP_V4, {0}}, 8},         {{IP_V6, {0xfc}}, 7},     {{IP_V6, {0xfe, 0x80}}, 10},
    {{IP_V6, {0}}, 128},
};

static bool in_any(const struct ip_address *a, const struct ip_network *networks, size_t count)
{
    struct ip_address plain = ip_address_unmap(*a);

    for (size_t i = 0; i < count; i++)
        if (ip_network_holds(&networks[i], &plain))
            return true;
    return false;
}

bool ip_address_is_loopback(const struct ip_address *a)
{
    return in_any(a, loopback, COUNT(loopback));
}

bool ip_address_is_private(const struct ip_address *a)
{
    return ip_address_is_loopback(a) || in_any(a, private_networks, COUNT(private_networks));
}

bool ip_network_parse(struct slice text, struct ip_network *network_out)
{
    struct slice rest = text, head = slice_cut(&rest, '/');
    struct ip_network network;
    uint64_t bits;

    if (!ip_address_parse(head, &network.address))
        return false;
    unsigned all = (unsigned)address_bytes(&network.address) * 8; /* 32 or 128 */
    network.bits = all;
    if (head.n < text.n) {
        if (!slice_to_u64(rest, &bits) || bits > all)
            return false;
        network.bits = (unsigned)bits; /* at most 128 */
    }
    for (unsigned bit = network.bits; bit < all; bit++)
        if (network.address.bytes[bit / 8] & (0x80u >> bit % 8))
            return false;
    struct ip_address plain = ip_address_unmap(network.address);
    if (plain.family != network.address.family && network.bits >= MAPPED_BITS) {
        network.address = plain;
        network.bits -= MAPPED_BITS;
    }
    *network_out = network;
    return true;
}

bool ip_network_holds(const struct ip_network *network, const struct ip_address *a)
{
    return ip_address_in(a, &network->address, network->bits);
}
