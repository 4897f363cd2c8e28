/* The input is cut into two mails at a NUL. Each has its place in one group; the order of the two
 * does not change what is common; tracing them never fails. */
#include <assert.h>

#include "lib/trace/compare.h"
#include "lib/trace/path.h"

static size_t common(struct slice x, struct slice y, size_t *groups_out)
{
    struct compare *c = compare_create(64 << 20);
    const struct compare_group *groups;
    struct err e;
    size_t copies = 0, hops;

    if (compare_add(c, SLICE("x"), x, &e) != 0 || compare_add(c, SLICE("y"), y, &e) != 0 ||
        compare_finish(c, &groups, groups_out, &e) != 0) {
        compare_destroy(&c);
        *groups_out = 0;
        return 0;
    }
    for (size_t i = 0; i < *groups_out; i++) {
        copies += groups[i].count;
        for (size_t k = 0; k < groups[i].count; k++)
            assert(groups[i].copies[k].count == 0 || groups[i].verdict == COMPARE_SINGLE ||
                   groups[i].copies[k].count >= groups[i].common_hops);
    }
    assert(copies == compare_count(c));
    hops = *groups_out > 0 ? groups[0].common_hops : 0;
    compare_destroy(&c);
    return hops;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    struct slice x = slice_cut(&rest, '\0');
    struct arena *a = arena_create(64 << 20);
    struct trace t;
    struct err e;
    size_t groups_xy, groups_yx;

    if (trace_message(x, (struct slice){NULL, 0}, a, &t, &e) == 0)
        assert(t.boundary <= t.count && t.count <= TRACE_HOPS_MAX);
    size_t xy = common(x, rest, &groups_xy), yx = common(rest, x, &groups_yx);
    assert(groups_xy != 1 || groups_yx != 1 || xy == yx);
    arena_destroy(&a);
    return 0;
}
