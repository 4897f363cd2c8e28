/* Property: a file that can be read answers every question; an answer counts records only when it
 * is ok, and those have the asked type. Reading the same text twice gives the same answers. */
#include <assert.h>

#include "lib/dnsmsg/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_zone *z, struct slice name)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_CNAME, DNS_TLSA};
    struct dns_answer a;

    for (size_t i = 0; i < COUNT(types); i++) {
        dns_zone_answer(z, (struct dns_question){name, types[i]}, &a);
        assert((a.status == DNS_OK) == (a.count > 0));
        for (size_t k = 0; k < a.count; k++)
            assert(a.records[k].type == types[i] && a.records[k].ttl_s >= a.ttl_s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct err e, again;
    struct dns_zone *z = dns_zone_create(text, &e), *other = dns_zone_create(text, &again);

    assert((z == NULL) == (other == NULL));
    if (z) {
        check(z, SLICE("example.com"));
        for (struct slice rest = text; rest.n > 0;)
            check(z, slice_cut(&rest, ' '));
    } else {
        assert(e.text[0] != '\0' && e.code == again.code);
    }
    dns_zone_destroy(&z);
    dns_zone_destroy(&other);
    return 0;
}
