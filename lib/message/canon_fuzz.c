/* Cut anywhere equals whole, relaxed twice equals relaxed once, and the output has no more octets
 * than the input and a line end. */
#include <assert.h>

#include "lib/message/canon.h"

static void collect(void *ctx, struct slice bytes)
{
    buf_append(ctx, bytes);
}

static void canonicalise(enum canon kind, struct slice in, size_t piece, struct buf *out)
{
    struct canon_body c;

    buf_clear(out);
    canon_body_init(&c, kind, CANON_NO_LIMIT, collect, out);
    for (size_t at = 0; at < in.n; at += piece)
        canon_body_feed(&c, slice_sub(in, at, piece));
    canon_body_finish(&c);
    assert(c.produced == out->n);
    assert(out->n <= in.n + 2);
}

static void check_body(enum canon kind, struct slice in, size_t piece, struct buf out[3])
{
    canonicalise(kind, in, in.n + 1, &out[0]);
    canonicalise(kind, in, piece, &out[1]);
    assert(slice_eq(buf_slice(&out[0]), buf_slice(&out[1])));
    canonicalise(kind, buf_slice(&out[0]), in.n + 1, &out[2]);
    assert(slice_eq(buf_slice(&out[0]), buf_slice(&out[2])));
}

/* Every line end but the last is followed by WSP: what the splitter of a header hands out. */
static bool is_field(struct slice in)
{
    for (size_t i = 0; i + 2 < in.n; i++) {
        if (in.p[i] == '\r' && in.p[i + 1] == '\n' && in.p[i + 2] != ' ' && in.p[i + 2] != '\t')
            return false;
    }
    return true;
}

static void check_header(enum canon kind, struct slice in, struct buf out[3])
{
    buf_clear(&out[0]);
    buf_clear(&out[1]);
    canon_header(kind, in, &out[0]);
    canon_header(kind, buf_slice(&out[0]), &out[1]);
    assert(slice_ends(buf_slice(&out[0]), SLICE("\r\n")));
    assert(slice_eq(buf_slice(&out[0]), buf_slice(&out[1])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct buf out[3];

    if (size == 0)
        return 0;
    for (size_t i = 0; i < COUNT(out); i++)
        buf_init(&out[i], size + 16);
    size_t piece = 1 + data[0] % 37u;
    in = slice_from(in, 1);
    check_body(CANON_SIMPLE, in, piece, out);
    check_body(CANON_RELAXED, in, piece, out);
    check_header(CANON_SIMPLE, in, out);
    if (is_field(in))
        check_header(CANON_RELAXED, in, out);
    for (size_t i = 0; i < COUNT(out); i++)
        buf_finish(&out[i]);
    return 0;
}
