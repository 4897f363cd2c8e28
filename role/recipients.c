#include "role/recipients.h"

#include <errno.h>

#include "base/ascii.h"
#include "base/map.h"

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

static struct slice lower(struct slice name, char room[ADDRESS_MAX_BYTES])
{
    size_t n = name.n < ADDRESS_MAX_BYTES ? name.n : 0;

    for (size_t i = 0; i < n; i++)
        room[i] = ascii_lower(name.p[i]);
    return (struct slice){room, n};
}

static int add_line(struct recipients *r, struct slice line, struct err *e)
{
    char room[ADDRESS_MAX_BYTES];
    struct slice name, rest = line;

    while (rest.n > 0 && rest.p[0] != ' ' && rest.p[0] != '\t')
        rest = slice_from(rest, 1);
    name = lower(slice_sub(line, 0, line.n - rest.n), room);
    if (name.n == 0 || name.p[0] == '@' || name.p[name.n - 1] == '@')
        return err_set(e, ERR_SYNTAX, "\"%.*s\" is no local part and no address",
                       SLICE_ARG(slice_sub(line, 0, 60)));
    (void)map_put(r->names, name, r);
    return 0;
}

struct recipients *recipients_load(const char *path, struct err *e)
{
    struct recipients *r = mem_alloc(sizeof *r);
    char *text = NULL;
    size_t cap = 0, number = 0;
    ssize_t n;

    r->names = map_create(17);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)err_system(e, errno, "recipients_file %s", path);
        recipients_destroy(&r);
        return NULL;
    }
    while (r != NULL && (n = getline(&text, &cap, file)) >= 0) {
        struct slice line = slice_trim((struct slice){text, (size_t)n}); /* not negative */
        struct err why = {ERR_LIMIT, "too many lines"};

        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (map_count(r->names) >= RECIPIENTS_LISTED_MAX || add_line(r, line, &why) < 0) {
            (void)err_set(e, ERR_SYNTAX, "%s:%zu: %s", path, number, why.text);
            recipients_destroy(&r);
        }
    }
    free(text);
    (void)fclose(file);
    return r;
}

bool recipients_have(const struct recipients *r, struct slice address)
{
    char room[ADDRESS_MAX_BYTES];
    struct slice name = lower(address, room);
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
