/* Property: what is read can be written, what was written can be read, and writing that again gives
 * the same results; from then on, the same bytes (long values are cut the first time). A field
 * whose name can be read claims to be exactly that name. */
#include <assert.h>

#include "lib/authres/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const struct authres *a)
{
    size_t n = 0;

    for (const struct authres_result *r = a->results; r; r = r->next) {
        n += 1000;
        for (const struct authres_property *p = r->properties; p; p = p->next)
            n++;
    }
    return n;
}

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
    struct authres one, two, three;
    struct buf first, second;
    struct err e;

    buf_init(&first, (size_t)4 << 20);
    buf_init(&second, (size_t)4 << 20);
    if (authres_parse(value, arena, &one, &e) == 0) {
        assert(one.authserv_id.n == 0 || authres_claims(value, one.authserv_id) ||
               one.authserv_id.p[one.authserv_id.n - 1] == '.');
        authres_write(&one, "Authentication-Results", 0, &first);
        assert(authres_parse(value_of(&first), arena, &two, &e) == 0);
        assert(count(&one) == count(&two));
        authres_write(&two, "Authentication-Results", 0, &second);
        assert(authres_parse(value_of(&second), arena, &three, &e) == 0);
        buf_clear(&first);
        authres_write(&three, "Authentication-Results", 0, &first);
        assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_finish(&first);
    buf_finish(&second);
    arena_destroy(&arena);
    return 0;
}
