#include "lib/addr/ip.h"

#include <arpa/inet.h>

bool ip_parse(struct slice text, struct ip *ip_out)
{
    char copy[IP_TEXT_MAX];

    *ip_out = (struct ip){0};
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    bool is_v6 = slice_find(text, ':') != SLICE_NONE;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, ip_out->bytes) != 1)
        return false;
    ip_out->version = is_v6 ? 6 : 4;
    return true;
}

void ip_format(const struct ip *ip, char *text_out)
{
    text_out[0] = '\0';
    if (ip->version != 0)
        (void)inet_ntop(ip->version == 6 ? AF_INET6 : AF_INET, ip->bytes, text_out, IP_TEXT_MAX);
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return a->version == b->version && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct ip ip_unmapped(const struct ip *ip)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct ip v4 = {.version = 4};

    if (ip->version != 6 || memcmp(ip->bytes, mapped, sizeof mapped) != 0)
        return *ip;
    memcpy(v4.bytes, ip->bytes + sizeof mapped, 4);
    return v4;
}

bool ip_in_network(const struct ip *ip, const struct ip *network, unsigned prefix)
{
    if (ip->version == 0 || ip->version != network->version ||
        prefix > (ip->version == 4 ? 32u : 128u))
        return false;
    if (memcmp(ip->bytes, network->bytes, prefix / 8) != 0)
        return false;
    if (prefix % 8 == 0)
        return true;
    unsigned mask = 0xff00u >> prefix % 8;
    return ((ip->bytes[prefix / 8] ^ network->bytes[prefix / 8]) & mask & 0xff) == 0;
}

struct network {
    struct ip ip;
    unsigned prefix;
};

static bool in_any(const struct ip *ip, const struct network *networks, size_t count)
{
    struct ip plain = ip_unmapped(ip);

    for (size_t i = 0; i < count; i++)
        if (ip_in_network(&plain, &networks[i].ip, networks[i].prefix))
            return true;
    return false;
}

static const struct network loopback[] = {
    {{{127}, 4}, 8},
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 6}, 128},
};
static const struct network private_networks[] = {
    {{{10}, 4}, 8},       {{{172, 16}, 4}, 12}, {{{192, 168}, 4}, 16},   {{{169, 254}, 4}, 16},
    {{{100, 64}, 4}, 10}, /* RFC 6598 */
    {{{0}, 4}, 8},        {{{0xfc}, 6}, 7},     {{{0xfe, 0x80}, 6}, 10}, {{{0}, 6}, 128},
};

bool ip_is_loopback(const struct ip *ip)
{
    return in_any(ip, loopback, COUNT(loopback));
}

bool ip_is_private(const struct ip *ip)
{
    return ip_is_loopback(ip) || in_any(ip, private_networks, COUNT(private_networks));
}
