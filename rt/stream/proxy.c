#include "rt/stream/proxy.h"

#define V1_MAX 107u
#define V2_FIXED 16u

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool read_port(struct slice text, uint16_t *port_out)
{
    uint64_t port;

    if (text.n > 5 || (text.n > 1 && text.p[0] == '0') || !slice_to_u64(text, &port) ||
        port > UINT16_MAX)
        return false;
    *port_out = (uint16_t)port; /* checked above */
    return true;
}

/* "PROXY TCP4 SOURCE DESTINATION SPORT DPORT", without CRLF. */
static bool read_v1(struct slice line, struct proxy_header *h)
{
    struct slice rest = line, word = slice_cut(&rest, ' ');
    struct slice family = slice_cut(&rest, ' ');

    if (!slice_eq(word, SLICE("PROXY")))
        return false;
    if (slice_eq(family, SLICE("UNKNOWN"))) /* whatever follows is to be ignored */
        return true;
    bool v4 = slice_eq(family, SLICE("TCP4"));
    if (!v4 && !slice_eq(family, SLICE("TCP6")))
        return false;
    if (!ip_address_parse(slice_cut(&rest, ' '), &h->source) ||
        !ip_address_parse(slice_cut(&rest, ' '), &h->destination))
        return false;
    h->source = ip_address_unmap(h->source);
    h->destination = ip_address_unmap(h->destination);
    if (v4 && (h->source.family != IP_V4 || h->destination.family != IP_V4))
        return false;
    if (!read_port(slice_cut(&rest, ' '), &h->source_port) ||
        !read_port(rest, &h->destination_port))
        return false;
    h->has_addresses = true;
    return true;
}

static enum proxy_verdict parse_v1(struct slice in, struct proxy_header *h, size_t *used)
{
    struct slice head = slice_sub(in, 0, V1_MAX);
    size_t end = slice_search(head, SLICE("\r\n")), lf = slice_find(head, '\n');

    if (end == SLICE_NONE)
        return in.n >= V1_MAX || lf != SLICE_NONE ? PROXY_BAD : PROXY_MORE;
    if (lf != end + 1 || !read_v1(slice_sub(in, 0, end), h))
        return PROXY_BAD;
    *used = end + 2;
    return PROXY_GOOD;
}

static struct ip_address read_ip(const char *p, bool v4)
{
    struct ip_address ip = {.family = v4 ? IP_V4 : IP_V6};

    memcpy(ip.bytes, p, v4 ? 4 : 16);
    return ip_address_unmap(ip);
}

static uint16_t read_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]); /* two octets fit */
}

/* Section 2.2: version and command, family and protocol, length, addresses. */
static enum proxy_verdict parse_v2(struct slice in, struct proxy_header *h, size_t *used)
{
    if (in.n < V2_FIXED)
        return in.n > 12 && (in.p[12] & 0xf0) != 0x20 ? PROXY_BAD : PROXY_MORE;
    unsigned char command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
    size_t length = read_u16(in.p + 14), size = 0;

    if (command != 0x20 && command != 0x21)
        return PROXY_BAD;
    if (V2_FIXED + length > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (family == 0x11)
        size = 4;
    else if (family == 0x21)
        size = 16;
    else if (family != 0x00 && family != 0x31) /* unspecified, unix stream */
        return PROXY_BAD;
    if (length < (size > 0 ? 2 * size + 4 : 0))
        return PROXY_BAD;
    if (in.n < V2_FIXED + length)
        return PROXY_MORE;
    *used = V2_FIXED + length;
    if (command == 0x20 || size == 0) /* LOCAL: the proxy speaks for itself */
        return PROXY_GOOD;
    const char *p = in.p + V2_FIXED;
    h->source = read_ip(p, size == 4);
    h->destination = read_ip(p + size, size == 4);
    h->source_port = read_u16(p + 2 * size);
    h->destination_port = read_u16(p + 2 * size + 2);
    h->has_addresses = true;
    return PROXY_GOOD;
}

enum proxy_verdict proxy_parse(struct slice in, struct proxy_header *header_out, size_t *used_out)
{
    static const struct slice v1 = SLICE_INIT("PROXY ");
    struct slice v2 = {v2_signature, sizeof v2_signature};
    struct slice head;

    *header_out = (struct proxy_header){.has_addresses = false};
    if (in.n == 0)
        return PROXY_MORE;
    if (slice_starts(in, v2))
        return parse_v2(in, header_out, used_out);
    if (slice_starts(in, v1)) {
        enum proxy_verdict verdict = parse_v1(in, header_out, used_out);

        if (verdict != PROXY_GOOD || !header_out->has_addresses)
            *header_out = (struct proxy_header){.has_addresses = false};
        return verdict;
    }
    head = slice_sub(in, 0, in.p[0] == 'P' ? v1.n : v2.n);
    return in.n == head.n && slice_starts(in.p[0] == 'P' ? v1 : v2, head) ? PROXY_MORE : PROXY_BAD;
}
