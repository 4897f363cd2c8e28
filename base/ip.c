#include "base/ip.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_is_v4(struct ip ip)
{
    return memcmp(ip.bytes, mapped, sizeof mapped) == 0;
}

bool ip_is_loopback(struct ip ip)
{
    static const struct ip one = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

    return ip_is_v4(ip) ? ip.bytes[12] == 127 : ip_eq(ip, one);
}

bool ip_eq(struct ip a, struct ip b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool ip_parse(struct slice text, struct ip *ip_out)
{
    char copy[IP_TEXT_MAX];
    struct ip ip;

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

struct slice ip_text(struct ip ip, char text_out[IP_TEXT_MAX])
{
    bool v4 = ip_is_v4(ip);

    text_out[0] = '\0';
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip.bytes + sizeof mapped : ip.bytes, text_out,
              IP_TEXT_MAX);
    return slice_of(text_out);
}

bool ip_network_parse(struct slice text, struct ip_network *network_out)
{
    struct slice rest = text, head = slice_cut(&rest, '/');
    struct ip_network network = {.bits = 128};
    uint64_t bits;

    if (!ip_parse(head, &network.ip))
        return false;
    if (head.n < text.n) {
        bool v4 = ip_is_v4(network.ip);

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

bool ip_network_holds(const struct ip_network *network, struct ip ip)
{
    unsigned whole = network->bits / 8, odd = network->bits % 8;

    if (memcmp(network->ip.bytes, ip.bytes, whole) != 0)
        return false;
    return odd == 0 || (network->ip.bytes[whole] ^ ip.bytes[whole]) >> (8 - odd) == 0;
}
