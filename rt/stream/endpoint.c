#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rt/stream/stream_in.h"

#define UNIX_PREFIX "unix:"

static bool port_parse(struct slice text, uint16_t *port_out)
{
    uint64_t port;

    if (!slice_to_u64(text, &port) || port > UINT16_MAX)
        return false;
    *port_out = (uint16_t)port; /* checked above */
    return true;
}

/* Cuts "[::1]:25", "1.2.3.4:25", "::1", "*" into host and port; no colon, no port. */
static bool split(struct slice text, struct slice *host_out, uint16_t *port)
{
    size_t close = slice_find(text, ']'), colon = slice_find_last(text, ':');

    *host_out = text;
    if (text.n > 0 && text.p[0] == '[') {
        if (close == SLICE_NONE)
            return false;
        *host_out = slice_sub(text, 1, close - 1);
        struct slice rest = slice_from(text, close + 1);
        return rest.n == 0 || (rest.p[0] == ':' && port_parse(slice_from(rest, 1), port));
    }
    if (colon == SLICE_NONE || colon != slice_find(text, ':'))
        return true; /* bare IPv4, or bare IPv6 */
    *host_out = slice_sub(text, 0, colon);
    return port_parse(slice_from(text, colon + 1), port);
}

int endpoint_parse(const char *text, uint16_t port, struct endpoint *endpoint_out, struct err *e)
{
    struct slice host, all = slice_of(text);
    struct endpoint ep = {.port = port};

    if (slice_starts(all, SLICE(UNIX_PREFIX))) {
        ep.unix_path = text + sizeof UNIX_PREFIX - 1;
        if (ep.unix_path[0] == '\0' ||
            strlen(ep.unix_path) >= sizeof((struct sockaddr_un *)0)->sun_path)
            return err_set(e, ERR_SYNTAX, "'%s' is no path that a unix socket can have", text);
        *endpoint_out = ep;
        return 0;
    }
    if (!split(all, &host, &ep.port))
        return err_set(e, ERR_SYNTAX, "'%s' is no ADDRESS, ADDRESS:PORT or unix:PATH", text);
    if (!slice_eq(host, SLICE("*")) && !ip_address_parse(host, &ep.ip)) /* "*": no address */
        return err_set(e, ERR_SYNTAX, "'%.*s' is no IP address", SLICE_ARG(host));
    *endpoint_out = ep;
    return 0;
}

struct slice endpoint_text(const struct endpoint *ep, char text_out[ENDPOINT_TEXT_MAX])
{
    char ip[IP_TEXT_MAX];
    bool v4 = ep->ip.family == IP_V4;

    if (ep->unix_path != NULL) {
        snprintf(text_out, ENDPOINT_TEXT_MAX, UNIX_PREFIX "%s", ep->unix_path);
    } else {
        if (ip_address_format(&ep->ip, ip) == 0)
            (void)snprintf(ip, sizeof ip, "::"); /* any */
        snprintf(text_out, ENDPOINT_TEXT_MAX, "%s%s%s:%u", v4 ? "" : "[", ip, v4 ? "" : "]",
                 ep->port);
    }
    return slice_of(text_out);
}

socklen_t endpoint_to_socket(const struct endpoint *ep, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ep->unix_path != NULL) {
        struct sockaddr_un *a = (struct sockaddr_un *)out;

        a->sun_family = AF_UNIX;
        snprintf(a->sun_path, sizeof a->sun_path, "%s", ep->unix_path);
        return sizeof *a;
    }
    if (ep->ip.family == IP_V4) {
        struct sockaddr_in *a = (struct sockaddr_in *)out;

        a->sin_family = AF_INET;
        a->sin_port = htons(ep->port);
        memcpy(&a->sin_addr, ep->ip.bytes, sizeof a->sin_addr);
        return sizeof *a;
    }
    struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;

    a->sin6_family = AF_INET6;
    a->sin6_port = htons(ep->port);
    memcpy(&a->sin6_addr, ep->ip.bytes, 16);
    return sizeof *a;
}

struct endpoint endpoint_from_socket(const struct sockaddr_storage *address)
{
    struct endpoint ep = {.unix_path = NULL};

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)address;

        ep.ip.family = IP_V4;
        memcpy(ep.ip.bytes, &a->sin_addr, sizeof a->sin_addr);
        ep.port = ntohs(a->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)address;

        ep.ip.family = IP_V6;
        memcpy(ep.ip.bytes, &a->sin6_addr, sizeof a->sin6_addr);
        ep.ip = ip_address_unmap(ep.ip); /* a socket for both families maps IPv4 */
        ep.port = ntohs(a->sin6_port);
    } else {
        ep.unix_path = "";
    }
    return ep;
}
