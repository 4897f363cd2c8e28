#include "role/forwards.h"

#include "base/map.h"
#include "role/lines.h"

#define ADDRESS_MAX_BYTES 512

struct forwards {
    /* lower case -> C string of targets; local parts are compared without case, as nearly everybody
     * has them */
    struct map *by_address;
};

void forwards_destroy(struct forwards **f)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    if (*f == NULL)
        return;
    while (map_next((*f)->by_address, &cursor, &key, &value))
        free(value);
    map_destroy(&(*f)->by_address);
    free(*f);
    *f = NULL;
}

static struct slice take_word(struct slice *rest)
{
    size_t n = 0;

    *rest = slice_trim_start(*rest);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    struct slice word = slice_sub(*rest, 0, n);
    *rest = slice_from(*rest, n);
    return word;
}

static bool is_address(struct slice s)
{
    size_t at = slice_find_last(s, '@');

    return at != SLICE_NONE && at > 0 && at + 1 < s.n && s.n < ADDRESS_MAX_BYTES;
}

static int add_line(void *ctx, struct slice line, struct err *e)
{
    struct forwards *f = ctx;
    char room[ADDRESS_MAX_BYTES];
    struct slice address = take_word(&line), target, key = slice_lower(address, room, sizeof room);
    struct buf targets;
    size_t count = 0;
    int result = 0;

    if (map_count(f->by_address) >= FORWARDS_MAX)
        return err_set(e, ERR_LIMIT, "too many lines");
    if (slice_find(address, '@') == SLICE_NONE || key.n < 2)
        return err_set(e, ERR_SYNTAX, "\"%.*s\" is no address", SLICE_ARG(address));
    if (map_get(f->by_address, key) != NULL)
        return err_set(e, ERR_SYNTAX, "%.*s stands here twice", SLICE_ARG(address));
    buf_init(&targets, (size_t)FORWARD_TARGETS_MAX * (ADDRESS_MAX_BYTES + 1) + 1);
    while (result == 0 && (target = take_word(&line)).n > 0) {
        if (!is_address(target) || count == FORWARD_TARGETS_MAX)
            result = err_set(e, ERR_SYNTAX, "\"%.*s\" is no address, or one too many",
                             SLICE_ARG(target));
        if (count++ > 0)
            buf_append_char(&targets, ' ');
        buf_append(&targets, target);
    }
    if (result == 0 && count == 0)
        result = err_set(e, ERR_SYNTAX, "%.*s goes nowhere", SLICE_ARG(address));
    buf_append_char(&targets, '\0');
    if (result == 0)
        (void)map_put(f->by_address, key, mem_string(targets.p));
    buf_finish(&targets);
    return result;
}

struct forwards *forwards_load(const char *path, struct err *e)
{
    struct forwards *f = mem_alloc(sizeof *f);

    f->by_address = map_create(13);
    if (path[0] != '\0' && lines_each("forwards_file", path, add_line, f, e) < 0)
        forwards_destroy(&f);
    return f;
}

struct slice forwards_find(const struct forwards *f, struct slice address, struct slice untagged)
{
    char room[ADDRESS_MAX_BYTES], untagged_room[ADDRESS_MAX_BYTES];
    struct slice key = slice_lower(address, room, sizeof room);
    size_t at = slice_find_last(key, '@');
    const char *targets = map_get(f->by_address, key);

    if (targets == NULL && untagged.n > 0)
        targets =
            map_get(f->by_address, slice_lower(untagged, untagged_room, sizeof untagged_room));
    if (targets == NULL && at != SLICE_NONE)
        targets = map_get(f->by_address, slice_from(key, at));
    return slice_of(targets);
}
