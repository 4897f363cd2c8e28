#include "lib/dkim/fields_in.h"

#include "base/ascii.h"
#include "base/map.h"
#include "lib/crypt/hash.h"

#define FIRST_FIELDS 64
#define NAME_PIECE_BYTES 128
#define QUICK_FIELDS_MAX 64 /* so few may collide: nobody's search is long */

/* One line with its CR LF; a CR or LF alone ends nothing. */
static struct slice cut_line(struct slice *rest)
{
    size_t n = 0;

    while (n < rest->n) {
        const char *lf = memchr(rest->p + n, '\n', rest->n - n);

        if (lf == NULL) {
            n = rest->n;
            break;
        }
        n = (size_t)(lf - rest->p) + 1; /* behind the LF, inside `rest` */
        if (n >= 2 && rest->p[n - 2] == '\r')
            break;
    }
    struct slice line = slice_sub(*rest, 0, n);
    *rest = slice_from(*rest, n);
    return line;
}

static struct slice cut_field(struct slice *rest)
{
    struct slice raw = cut_line(rest);

    while (rest->n > 0 && ascii_is_wsp(rest->p[0]))
        raw.n += cut_line(rest).n; /* the lines lie behind one another */
    return raw;
}

static struct slice name_of(struct slice raw)
{
    size_t n = slice_find(raw, ':');

    if (n == SLICE_NONE)
        return (struct slice){raw.p, 0};
    while (n > 0 && ascii_is_wsp(raw.p[n - 1]))
        n--;
    return slice_sub(raw, 0, n);
}

/* A few multiplications; whoever tries finds names that collide. */
static uint64_t quick_hash(uint64_t seed, struct slice name)
{
    uint64_t hash = seed ^ name.n, word;

    for (size_t at = 0; at < name.n; at += sizeof word) {
        struct slice piece = slice_sub(name, at, sizeof word);

        word = 0;
        memcpy(&word, piece.p, piece.n);
        word |= UINT64_C(0x2020202020202020); /* letters become small, some others too */
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash ^ hash >> 32;
}

/* Of the lower-case name, piece by piece. */
static uint64_t careful_hash(uint64_t seed, struct slice name)
{
    char lower[NAME_PIECE_BYTES];
    uint64_t hash = seed;

    do {
        struct slice piece = slice_sub(name, 0, sizeof lower);

        for (size_t i = 0; i < piece.n; i++)
            lower[i] = ascii_lower(piece.p[i]);
        hash = hash_bytes(hash, (struct slice){lower, piece.n});
        name = slice_from(name, piece.n);
    } while (name.n > 0);
    return hash;
}

/* The slot of the name, or the empty slot where it would be. */
static size_t find_slot(struct dkim_fields *f, struct slice name)
{
    bool few = f->count <= QUICK_FIELDS_MAX;
    uint64_t hash = few ? quick_hash(f->seed, name) : careful_hash(f->seed, name);
    size_t at = hash & (f->slots - 1);

    for (f->probes++; f->lowest[at] != DKIM_FIELD_NONE; f->probes++) {
        if (slice_eq_nocase(f->list[f->lowest[at]].name, name))
            break;
        at = (at + 1) & (f->slots - 1);
    }
    return at;
}

/* Twice as many slots as fields, so that a search ends. */
static void make_index(struct dkim_fields *f)
{
    size_t slots = f->slots > 0 ? f->slots : FIRST_FIELDS;

    while (slots < 2 * f->count + 1)
        slots *= 2;
    if (slots != f->slots) {
        f->lowest = mem_resize(f->lowest, slots * sizeof *f->lowest);
        f->next = mem_resize(f->next, slots * sizeof *f->next);
        f->slots = slots;
    }
    memset(f->lowest, 0xff, slots * sizeof *f->lowest); /* DKIM_FIELD_NONE */
    for (uint32_t i = 0; i < f->count; i++) {
        struct dkim_field *field = &f->list[i];

        field->slot = (uint32_t)find_slot(f, field->name); /* slots are few thousands */
        field->above = f->lowest[field->slot];
        f->lowest[field->slot] = i;
    }
}

int dkim_fields_read(struct dkim_fields *f, struct slice header, size_t fields_max, struct err *err)
{
    f->count = 0;
    f->probes = 0;
    if (f->seed == 0)
        crypt_random(&f->seed, sizeof f->seed);
    while (header.n > 0 && !slice_starts(header, SLICE("\r\n"))) {
        if (f->count == fields_max)
            return err_set(err, ERR_LIMIT, "the message has more than %zu header fields",
                           fields_max);
        if (f->count == f->capacity) {
            f->capacity = f->capacity > 0 ? 2 * f->capacity : FIRST_FIELDS;
            f->list = mem_resize(f->list, f->capacity * sizeof *f->list);
        }
        struct slice raw = cut_field(&header);
        f->list[f->count++] = (struct dkim_field){.raw = raw, .name = name_of(raw)};
    }
    make_index(f);
    return 0;
}

void dkim_fields_finish(struct dkim_fields *f)
{
    free(f->list);
    free(f->lowest);
    free(f->next);
    *f = (struct dkim_fields){0};
}

size_t dkim_fields_count(struct dkim_fields *f, struct slice name)
{
    size_t count = 0;

    for (uint32_t i = f->lowest[find_slot(f, name)]; i != DKIM_FIELD_NONE; i = f->list[i].above)
        count++;
    return count;
}

struct slice dkim_field_value(const struct dkim_field *field)
{
    struct slice value = field->raw;

    (void)slice_cut(&value, ':');
    if (slice_ends(value, SLICE("\r\n")))
        value.n -= 2;
    return value;
}

void dkim_fields_start(struct dkim_fields *f)
{
    memcpy(f->next, f->lowest, f->slots * sizeof *f->next);
}

const struct dkim_field *dkim_fields_take(struct dkim_fields *f, struct slice name)
{
    size_t slot = name.n > 0 ? find_slot(f, name) : 0;
    uint32_t found = name.n > 0 ? f->next[slot] : DKIM_FIELD_NONE;

    if (found == DKIM_FIELD_NONE)
        return NULL;
    f->next[slot] = f->list[found].above;
    return &f->list[found];
}

void dkim_field_without(enum canon kind, const struct dkim_field *field, struct slice hole,
                        struct buf *scratch, struct buf *out)
{
    size_t before = (size_t)(hole.p - field->raw.p); /* the hole lies in the field */

    buf_clear(scratch);
    buf_append(scratch, slice_sub(field->raw, 0, before));
    buf_append(scratch, slice_from(field->raw, before + hole.n));
    canon_header(kind, buf_slice(scratch), out);
    if (!out->full)
        out->n -= 2; /* the CR LF that canon_header always writes */
    if (scratch->full)
        out->full = true;
}
