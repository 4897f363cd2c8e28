/* Any bytes as a file: refused with a sentence, or read so that printing and reading again changes
 * nothing. */
#include <assert.h>

#include "rt/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    struct conf *c = conf_parse("f", (struct slice){(const char *)data, size}, &e), *again;
    struct buf text;

    if (c == NULL) {
        assert(e.code != ERR_NONE && e.text[0] != '\0');
        return 0;
    }
    buf_init(&text, 1 << 24);
    conf_print(c, false, &text);
    again = conf_parse("again", buf_slice(&text), &e);
    assert(again != NULL);
    assert(conf_diff(c, again, NULL, NULL) == 0);
    conf_destroy(&again);
    conf_destroy(&c);
    buf_finish(&text);
    return 0;
}
