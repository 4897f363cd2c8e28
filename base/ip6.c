#include "base/ip6.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip6_is_v4(struct ip6 ip)
{
    return memcmp(ip.bytes, mapped, sizeof mapped) == 0;
}

bool ip6_is_loopback(struct ip6 ip)
{
    static const struct ip6 one = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

    return ip6_is_v4(ip) ? ip.bytes[12] == 127 : ip6_eq(ip, one);
}

bool ip6_eq(struct ip6 a, struct ip6 b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool ip6_parse(struct slice text, struct ip6 *ip_out)
{
    char copy[IP6_TEXT_MAX];
    struct ip6 ip;

    if (text.n == 0 || text.n >= sizeof copy || slice_find(text, '\0') != SLICE_NONE)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    memcpy(ip.bytes, mapped, sizeof mapped);
    if (inet_pton(AF_INET, copy, ip.bytes + sizeof mapped) != 1 &&
        inet_pton(AF_INET6, copy, ip.bytes) != 1)
        return false;
    *ip_out = ip;
    return true;
}

struct slice ip6_text(struct ip6 ip, char text_out[IP6_TEXT_MAX])
{
    bool v4 = ip6_is_v4(ip);

    text_out[0] = '\0';
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip.bytes + sizeof mapped : ip.bytes, text_out,
              IP6_TEXT_MAX);
    return slice_of(text_out);
}

bool ip6_network_parse(struct slice text, struct ip6_network *network_out)
{
    struct slice rest = text, head = slice_cut(&rest, '/');
    struct ip6_network network = {.bits = 128};
    uint64_t bits;

    if (!ip6_parse(head, &network.ip))
        return false;
    if (head.n < text.n) {
        bool v4 = ip6_is_v4(network.ip);

        if (!slice_to_u64(rest, &bits) || bits > (v4 ? 32 : 128))
            return false;
        network.bits = (uint8_t)(bits + (v4 ? 96 : 0)); /* at most 128, checked above */
    }
    for (unsigned bit = network.bits; bit < 128; bit++)
        if (network.ip.bytes[bit / 8] & (0x80u >> bit % 8))
            return false;
    *network_out = network;
    return true;
}

bool ip6_network_holds(const struct ip6_network *network, struct ip6 ip)
{
    unsigned whole = network->bits / 8, odd = network->bits % 8;

    if (memcmp(network->ip.bytes, ip.bytes, whole) != 0)
        return false;
    return odd == 0 || (network->ip.bytes[whole] ^ ip.bytes[whole]) >> (8 - odd) == 0;
}
