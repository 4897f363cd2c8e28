#include "lib/dnsmsg/record.h"

static const struct {
    enum dns_type type;
    const char *text;
} types[] = {
    {DNS_A, "A"},   {DNS_NS, "NS"},   {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"},   {DNS_PTR, "PTR"},
    {DNS_MX, "MX"}, {DNS_TXT, "TXT"}, {DNS_AAAA, "AAAA"},   {DNS_TLSA, "TLSA"},
};

const char *dns_status_text(enum dns_status s)
{
    switch (s) {
    case DNS_OK:
        return "ok";
    case DNS_NODATA:
        return "no data";
    case DNS_NXDOMAIN:
        return "no such name";
    case DNS_SERVFAIL:
        return "server failure";
    case DNS_TIMEOUT:
        return "time-out";
    }
    return "unknown";
}

const char *dns_type_format(enum dns_type t, char out[DNS_TYPE_TEXT_MAX])
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].type == t) {
            snprintf(out, DNS_TYPE_TEXT_MAX, "%s", types[i].text);
            return out;
        }
    snprintf(out, DNS_TYPE_TEXT_MAX, "TYPE%u", (unsigned)t & 0xffffu);
    return out;
}

enum dns_type dns_type_parse(struct slice text)
{
    uint64_t number;

    for (size_t i = 0; i < COUNT(types); i++)
        if (slice_eq_nocase(text, slice_of(types[i].text)))
            return types[i].type;
    if (!slice_starts_nocase(text, SLICE("TYPE")) || !slice_to_u64(slice_from(text, 4), &number) ||
        number > 0xffff)
        return DNS_NO_TYPE;
    return (enum dns_type)number;
}
