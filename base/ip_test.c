#include "base/ip.h"

#include "base/test.h"

static const struct address_case {
    const char *name, *text, *shown; /* shown NULL: refused */
    bool is_private, is_loopback;
} addresses[] = {
    {"an IPv4 address", "192.0.2.200", "192.0.2.200", false, false},
    {"RFC 1918, inside", "172.31.0.1", "172.31.0.1", true, false},
    {"RFC 1918, just outside", "172.32.0.1", "172.32.0.1", false, false},
    {"shared address space", "100.64.0.1", "100.64.0.1", true, false},
    {"IPv4 loopback", "127.8.0.1", "127.8.0.1", true, true},
    {"IPv6 in its shortest form", "2001:DB8:0:0::1", "2001:db8::1", false, false},
    {"IPv6 loopback", "::1", "::1", true, true},
    {"unique local", "fd00::1", "fd00::1", true, false},
    {"a mapped address stays mapped", "::ffff:192.0.2.1", "::ffff:192.0.2.1", false, false},
    {"a mapped loopback is loopback", "::ffff:127.0.0.1", "::ffff:127.0.0.1", true, true},
    {"too few parts", "1.2.3", NULL, false, false},
    {"a leading zero", "192.0.2.01", NULL, false, false},
    {"a zone", "fe80::1%eth0", NULL, false, false},
    {"brackets", "[::1]", NULL, false, false},
    {"nothing", "", NULL, false, false},
};

static void read_address(void **state)
{
    const struct address_case *c = *state;
    struct ip_address ip;
    char text[IP_TEXT_MAX];

    assert_int_equal(ip_address_parse(slice_of(c->text), &ip), c->shown != NULL);
    if (c->shown == NULL) {
        assert_int_equal(ip.family, IP_NONE);
        return;
    }
    ip_address_format(&ip, text);
    assert_string_equal(text, c->shown);
    assert_int_equal(ip_address_is_private(&ip), c->is_private);
    assert_int_equal(ip_address_is_loopback(&ip), c->is_loopback);
}

static const struct network_case {
    const char *name, *network, *address;
    bool is_network, holds;
} networks[] = {
    {"the prefix agrees", "192.0.2.128/25", "192.0.2.200", true, true},
    {"one bit more does not", "192.0.2.128/26", "192.0.2.200", true, false},
    {"/0 holds its whole family", "0.0.0.0/0", "192.0.2.200", true, true},
    {"and not the other", "0.0.0.0/0", "2001:db8::1", true, false},
    {"a lone address is itself", "192.0.2.1", "192.0.2.1", true, true},
    {"and no other", "192.0.2.1", "192.0.2.2", true, false},
    {"IPv6", "2001:db8::/33", "2001:db8:7fff::1", true, true},
    {"IPv6, one bit outside", "2001:db8::/33", "2001:db8:8000::1", true, false},
    {"a mapped network is the IPv4 one", "::ffff:10.0.0.0/104", "10.9.8.7", true, true},
    {"a prefix that is too long", "192.0.2.0/33", "192.0.2.0", false, false},
    {"bits behind the prefix", "192.0.2.1/24", "192.0.2.1", false, false},
    {"no number", "192.0.2.0/x", "192.0.2.0", false, false},
};

static void hold_address(void **state)
{
    const struct network_case *c = *state;
    struct ip_network network;
    struct ip_address ip;

    assert_true(ip_address_parse(slice_of(c->address), &ip));
    assert_int_equal(ip_network_parse(slice_of(c->network), &network), c->is_network);
    if (c->is_network)
        assert_int_equal(ip_network_holds(&network, &ip), c->holds);
}

static void mapped_is_unmapped_when_asked(void **state)
{
    struct ip_address plain, mapped;
    (void)state;

    assert_true(ip_address_parse(SLICE("192.0.2.200"), &plain));
    assert_true(ip_address_parse(SLICE("::ffff:192.0.2.200"), &mapped));
    assert_false(ip_address_equal(&mapped, &plain));
    mapped = ip_address_unmap(mapped);
    assert_true(ip_address_equal(&mapped, &plain));
}

int main(void)
{
    struct CMUnitTest tests[COUNT(addresses) + COUNT(networks) + 1] = {
        cmocka_unit_test(mapped_is_unmapped_when_asked)};
    size_t n = 1;

    for (size_t i = 0; i < COUNT(addresses); i++)
        tests[n++] = (struct CMUnitTest){addresses[i].name, read_address, NULL, NULL,
                                         (void *)(uintptr_t)&addresses[i]};
    for (size_t i = 0; i < COUNT(networks); i++)
        tests[n++] = (struct CMUnitTest){networks[i].name, hold_address, NULL, NULL,
                                         (void *)(uintptr_t)&networks[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
