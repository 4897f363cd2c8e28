#include "role/recipients.h"

#include "base/map.h"
#include "role/lines.h"

#define ADDRESS_MAX_BYTES 512

struct recipients {
    struct map *names; /* in lower case, with or without a domain */
};

void recipients_destroy(struct recipients **r)
{
    if (*r == NULL)
        return;
    map_destroy(&(*r)->names);
    free(*r);
    *r = NULL;
}

static int add_line(void *ctx, struct slice line, struct err *e)
{
    struct recipients *r = ctx;
    char room[ADDRESS_MAX_BYTES];
    struct slice name, rest = line;

    if (map_count(r->names) >= RECIPIENTS_LISTED_MAX)
        return err_set(e, ERR_LIMIT, "too many lines");
    while (rest.n > 0 && rest.p[0] != ' ' && rest.p[0] != '\t')
        rest = slice_from(rest, 1);
    name = slice_lower(slice_sub(line, 0, line.n - rest.n), room, sizeof room);
    if (name.n == 0 || name.p[0] == '@' || name.p[name.n - 1] == '@')
        return err_set(e, ERR_SYNTAX, "\"%.*s\" is no local part and no address",
                       SLICE_ARG(slice_sub(line, 0, 60)));
    (void)map_put(r->names, name, r);
    return 0;
}

struct recipients *recipients_load(const char *path, struct err *e)
{
    struct recipients *r = mem_alloc(sizeof *r);

    r->names = map_create(17);
    if (lines_each("recipients_file", path, add_line, r, e) < 0)
        recipients_destroy(&r);
    return r;
}

bool recipients_have(const struct recipients *r, struct slice address)
{
    char room[ADDRESS_MAX_BYTES];
    struct slice name = slice_lower(address, room, sizeof room);
    size_t at = slice_find_last(name, '@');

    return map_get(r->names, name) != NULL ||
           (at != SLICE_NONE && map_get(r->names, slice_sub(name, 0, at)) != NULL);
}

struct slice recipient_untagged(struct slice address, const char *delimiters, struct buf *out)
{
    size_t at = slice_find_last(address, '@'), start = out->n;

    if (at == SLICE_NONE || address.p[0] == '"')
        return SLICE("");
    for (size_t i = 1; i < at; i++) { /* a local part does not begin with a tag */
        if (address.p[i] == '\0' || strchr(delimiters, address.p[i]) == NULL)
            continue;
        buf_append(out, slice_sub(address, 0, i));
        buf_append(out, slice_from(address, at));
        return out->full ? SLICE("") : slice_from(buf_slice(out), start);
    }
    return SLICE("");
}
