#include "rt/stream/proxy.h"

#include "base/test.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct header {
    const char *name;
    struct slice in;
    enum proxy_verdict verdict;
    size_t used;
    const char *source; /* NULL: no addresses */
    unsigned port;
} headers[] = {
    {"version 1, IPv4", SLICE_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\nEHLO x\r\n"),
     PROXY_GOOD, 41, "192.0.2.1", 56324},
    {"version 1, IPv6", SLICE_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n"), PROXY_GOOD, 41,
     "2001:db8::1", 1},
    {"version 1, unknown", SLICE_INIT("PROXY UNKNOWN whatever 1 2\r\n"), PROXY_GOOD, 28, NULL, 0},
    {"version 1, no end yet", SLICE_INIT("PROXY TCP4 192.0.2.1"), PROXY_MORE, 0, NULL, 0},
    {"version 1, bare LF", SLICE_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\n\r\n"), PROXY_BAD,
     0, NULL, 0},
    {"version 1, IPv6 address as TCP4", SLICE_INIT("PROXY TCP4 ::1 ::1 1 2\r\n"), PROXY_BAD, 0,
     NULL, 0},
    {"version 1, port above 65535", SLICE_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), PROXY_BAD,
     0, NULL, 0},
    {"version 1, port with leading zero", SLICE_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 025 2\r\n"),
     PROXY_BAD, 0, NULL, 0},
    {"version 1, longer than 107",
     SLICE_INIT(
         "PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
     PROXY_BAD, 0, NULL, 0},
    {"version 2, IPv4",
     SLICE_INIT(SIG "\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\0\x19rest"), PROXY_GOOD, 28,
     "192.0.2.1", 56324},
    {"version 2, IPv4 with a TLV",
     SLICE_INIT(SIG "\x21\x11\0\x10\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\0\x19\x04\0\x01z"),
     PROXY_GOOD, 32, "192.0.2.1", 56324},
    {"version 2, IPv6",
     SLICE_INIT(SIG "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x09\0\x19"),
     PROXY_GOOD, 52, "2001:db8::1", 9},
    {"version 2, local", SLICE_INIT(SIG "\x20\0\0\0"), PROXY_GOOD, 16, NULL, 0},
    {"version 2, cut", SLICE_INIT(SIG "\x21\x11\0\x0c\xc0\0"), PROXY_MORE, 0, NULL, 0},
    {"version 2, too short for its addresses", SLICE_INIT(SIG "\x21\x11\0\x0b"), PROXY_BAD, 0, NULL,
     0},
    {"version 2, too long for us", SLICE_INIT(SIG "\x21\x11\xff\xff"), PROXY_BAD, 0, NULL, 0},
    {"version 3", SLICE_INIT(SIG "\x31\x11\0\x0c"), PROXY_BAD, 0, NULL, 0},
    {"datagrams", SLICE_INIT(SIG "\x21\x12\0\x0c"), PROXY_BAD, 0, NULL, 0},
    {"an SMTP client without header", SLICE_INIT("EHLO client.example\r\n"), PROXY_BAD, 0, NULL, 0},
    {"nothing yet", SLICE_INIT(""), PROXY_MORE, 0, NULL, 0},
};

/* Fed byte by byte: MORE until the verdict, and the same verdict as for the whole. */
static void reads(void **state)
{
    const struct header *c = *state;
    enum proxy_verdict verdict = PROXY_MORE;
    struct proxy_header h;
    char text[IP_TEXT_MAX];
    size_t used = 0;

    for (size_t n = 0; n <= c->in.n && verdict == PROXY_MORE; n++)
        verdict = proxy_parse(slice_sub(c->in, 0, n), &h, &used);
    assert_int_equal(verdict, c->verdict);
    assert_int_equal(proxy_parse(c->in, &h, &used), c->verdict);
    if (verdict != PROXY_GOOD)
        return;
    assert_int_equal(used, c->used);
    assert_int_equal(h.has_addresses, c->source != NULL);
    if (c->source == NULL)
        return;
    ip_address_format(&h.source, text);
    assert_string_equal(text, c->source);
    assert_int_equal(h.source_port, c->port);
    assert_int_equal(h.destination_port, 25);
}

int main(void)
{
    RUN_TABLE(headers, reads);
}
