/* What is read and written again means the same moment. */
#include <assert.h>

#include "lib/message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct mail_date date, again;
    struct err e;
    struct buf out;

    if (date_parse(in, &date, &e) != 0) {
        assert(!date_is_strict(in));
        return 0;
    }
    if (date.unix_s < -59000000000 || date.unix_s > 253402200000) /* years 100 to 9999 */
        return 0;
    buf_init(&out, 100);
    date_format(date.unix_s, date.zone_minutes, &out);
    assert(date_parse(buf_slice(&out), &again, &e) == 0);
    assert(again.unix_s == date.unix_s && again.zone_minutes == date.zone_minutes);
    assert(date_is_strict(buf_slice(&out)));
    buf_finish(&out);
    return 0;
}
