/* Property: what a record holds lies inside it; a settled record has a valid p; its report
 * addresses carry no size limit and are found again when read by themselves. */
#include <assert.h>

#include "lib/dmarc/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size}, uri, again;

    if (!dmarc_record_is(text))
        return 0;
    struct dmarc_record r = dmarc_record_parse(text);
    for (struct slice list = r.rua; dmarc_uri_next(&list, &uri);) {
        assert(uri.p >= text.p && uri.p + uri.n <= text.p + text.n);
        struct slice alone = uri;
        if (dmarc_uri_next(&alone, &again))
            assert(again.n <= uri.n);
    }
    if (dmarc_record_settle(&r))
        assert(r.p.state == DMARC_TAG_VALID && r.sp.state != DMARC_TAG_BROKEN);
    return 0;
}
