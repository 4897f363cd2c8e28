/* Property: what is read can be written, what was written reads to the same, and writing that again
 * gives the same bytes. A field whose name can be read claims to be exactly that name. */
#include <assert.h>

#include "lib/authres/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice value_of(const struct buf *field)
{
    struct slice s = buf_slice(field);

    slice_cut(&s, ':');
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create((size_t)4 << 20);
    struct slice value = {(const char *)data, size};
    struct authres one, two;
    struct buf first, second;
    struct err e;

    buf_init(&first, (size_t)4 << 20);
    buf_init(&second, (size_t)4 << 20);
    if (authres_parse(value, arena, &one, &e) == 0) {
        assert(one.authserv_id.n == 0 || authres_claims(value, one.authserv_id) ||
               one.authserv_id.p[one.authserv_id.n - 1] == '.');
        authres_write(&one, "Authentication-Results", 0, &first);
        assert(authres_parse(value_of(&first), arena, &two, &e) == 0);
        authres_write(&two, "Authentication-Results", 0, &second);
        assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_finish(&first);
    buf_finish(&second);
    arena_destroy(&arena);
    return 0;
}
