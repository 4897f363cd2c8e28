/* Any bytes as a file: messages lie in memory while they are handed over, and an error has a text.
 */
#include <assert.h>

#include "app/mailbox_reader.h"

static int take(void *ctx, struct slice name, struct slice message, struct err *e)
{
    volatile char sum = 0;

    (void)ctx, (void)e;
    assert(name.n > 0 && message.n > 0);
    for (size_t i = 0; i < message.n; i += 4096)
        sum = (char)(sum ^ message.p[i]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mailbox_sink sink = {NULL, take, NULL, NULL};
    struct err e = {0};

    if (mailbox_read_bytes(SLICE("f"), (struct slice){(const char *)data, size}, &sink, &e) != 0)
        assert(e.code != ERR_NONE && e.text[0] != '\0');
    return 0;
}
