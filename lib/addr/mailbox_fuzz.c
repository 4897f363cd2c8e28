/* Any field is read to its end; what was read, written again, has the same address. */
#include <assert.h>

#include "base/utf8.h"
#include "lib/addr/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct arena *a = arena_create(1 << 20);
    struct mailbox_list list, again;
    struct err e;
    struct buf out;

    buf_init(&out, 1 << 20);
    (void)!mailbox_list_parse(in, 100, a, &list, &e);
    for (size_t i = 0; i < list.count; i++) {
        assert(list.items[i].local.n > 0);
        assert(utf8_valid(list.items[i].name));
        buf_clear(&out);
        mailbox_format(&list.items[i], &out);
        if (!out.full && mailbox_list_parse(buf_slice(&out), 2, a, &again, &e) == 0 &&
            again.count == 1)
            assert(list.items[i].domain.n == 0 || again.items[0].domain.n > 0);
    }
    buf_finish(&out);
    arena_destroy(&a);
    return 0;
}
