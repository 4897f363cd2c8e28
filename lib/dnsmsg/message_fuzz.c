/* Property: a response is read or refused; what is read lies in the arena, has the asked type, and
 * is counted only when the status is ok. */
#include <assert.h>

#include "lib/dnsmsg/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_CNAME, DNS_TLSA};
    struct arena *arena = arena_create((size_t)1 << 20);

    for (size_t i = 0; i < COUNT(types); i++) {
        struct dns_question q = {SLICE_INIT("example.com"), types[i]};
        struct dns_answer a;
        bool unfinished;
        struct err e;

        if (dns_message_read((struct slice){(const char *)data, size}, q, arena, &a, &unfinished,
                             &e) == 0) {
            assert((a.status == DNS_OK) == (a.count > 0));
            for (size_t k = 0; k < a.count; k++)
                assert(a.records[k].type == types[i]);
        }
        arena_reset(arena);
    }
    arena_destroy(&arena);
    return 0;
}
