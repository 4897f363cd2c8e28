/* Parts lie inside their parents, in order; every content can be decoded in bounded space. */
#include <assert.h>

#include "base/utf8.h"
#include "lib/message/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct arena *a = arena_create(1 << 26);
    struct mime_part *root;
    struct err e;
    struct buf out;

    buf_init(&out, 4 * size + 100);
    if (mime_parse(in, NULL, a, &root, &e) == 0) {
        for (const struct mime_part *p = root; p != NULL; p = mime_next(root, p)) {
            assert(p->raw.p >= in.p && p->raw.p + p->raw.n <= in.p + in.n);
            if (p->parent != NULL && p->raw.n > 0)
                assert(p->raw.p >= p->parent->body.p &&
                       p->raw.p + p->raw.n <= p->parent->body.p + p->parent->body.n);
            if (p->next != NULL && p->next->raw.n > 0)
                assert(p->next->raw.p >= p->raw.p + p->raw.n);
            (void)mime_filename(p);
            if (p->children == NULL) {
                buf_clear(&out);
                mime_decode_text(p, &out);
                assert(utf8_valid(buf_slice(&out)));
            }
        }
    }
    buf_finish(&out);
    arena_destroy(&a);
    return 0;
}
