#include "store/ledger/ranges.h"

void range_list_finish(struct range_list *list)
{
    free(list->p);
    *list = (struct range_list){0};
}

void range_list_clear(struct range_list *list)
{
    list->n = 0;
}

static void insert_at(struct range_list *list, size_t at, struct range r)
{
    if (list->n == list->cap) {
        list->cap = list->cap == 0 ? 4 : 2 * list->cap;
        list->p = mem_resize(list->p, list->cap * sizeof *list->p);
    }
    memmove(list->p + at + 1, list->p + at, (list->n - at) * sizeof *list->p);
    list->p[at] = r;
    list->n++;
}

static void remove_at(struct range_list *list, size_t at, size_t count)
{
    memmove(list->p + at, list->p + at + count, (list->n - at - count) * sizeof *list->p);
    list->n -= count;
}

/* The first range that ends at `n` or later. */
static size_t find(const struct range *p, size_t count, uint32_t n)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void range_list_add(struct range_list *list, uint32_t first, uint32_t last)
{
    /* Touching ranges grow together, so look one number to each side. */
    size_t at = find(list->p, list->n, first > 0 ? first - 1 : 0);
    size_t end = at;
    struct range r = {first, last};

    while (end < list->n && (last == UINT32_MAX || list->p[end].first <= last + 1)) {
        r.first = list->p[end].first < r.first ? list->p[end].first : r.first;
        r.last = list->p[end].last > r.last ? list->p[end].last : r.last;
        end++;
    }
    if (end == at) {
        insert_at(list, at, r);
        return;
    }
    list->p[at] = r;
    remove_at(list, at + 1, end - at - 1);
}

void range_list_add_all(struct range_list *list, struct ranges more)
{
    for (size_t i = 0; i < more.n; i++)
        range_list_add(list, more.p[i].first, more.p[i].last);
}

void range_list_remove(struct range_list *list, uint32_t first, uint32_t last)
{
    size_t at = find(list->p, list->n, first);

    while (at < list->n && list->p[at].first <= last) {
        struct range r = list->p[at];
        remove_at(list, at, 1);
        if (r.first < first)
            insert_at(list, at++, (struct range){r.first, first - 1});
        if (r.last > last)
            insert_at(list, at++, (struct range){last + 1, r.last});
    }
}

uint64_t ranges_count(struct ranges r)
{
    uint64_t count = 0;

    for (size_t i = 0; i < r.n; i++)
        count += (uint64_t)r.p[i].last - r.p[i].first + 1;
    return count;
}

bool ranges_contain(struct ranges r, uint32_t n)
{
    size_t at = find(r.p, r.n, n);

    return at < r.n && r.p[at].first <= n;
}

bool ranges_cover(struct ranges r, struct ranges inner)
{
    for (size_t i = 0; i < inner.n; i++) {
        size_t at = find(r.p, r.n, inner.p[i].first);
        if (at == r.n || r.p[at].first > inner.p[i].first || r.p[at].last < inner.p[i].last)
            return false;
    }
    return true;
}

void ranges_print(struct ranges r, struct buf *out)
{
    for (size_t i = 0; i < r.n; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_u64(out, r.p[i].first);
        if (r.p[i].last > r.p[i].first) {
            buf_append_char(out, '-');
            buf_append_u64(out, r.p[i].last);
        }
    }
}

/* One number as ranges_print() writes it: no leading zero, 1..max. */
static bool read_number(struct slice text, uint32_t max, uint32_t *n_out)
{
    uint64_t value;

    if (text.n == 0 || text.p[0] == '0' || !slice_to_u64(text, &value) || value > max)
        return false;
    *n_out = (uint32_t)value; /* at most max */
    return true;
}

int ranges_parse(struct slice text, uint32_t max, struct range_list *out, struct err *e)
{
    struct slice rest = text;
    uint64_t least = 1; /* a range that touches the one before it would have been joined */

    range_list_clear(out);
    if (text.n > 0 && text.p[text.n - 1] == ',')
        goto bad;
    while (rest.n > 0) {
        struct slice piece = slice_cut(&rest, ',');
        bool is_pair = slice_find(piece, '-') != SLICE_NONE;
        struct slice first = slice_cut(&piece, '-');
        struct range r;
        if (!read_number(first, max, &r.first) || r.first < least)
            goto bad;
        r.last = r.first;
        if (is_pair && (!read_number(piece, max, &r.last) || r.last <= r.first))
            goto bad;
        insert_at(out, out->n, r);
        least = (uint64_t)r.last + 2;
    }
    return 0;
bad:
    return err_set(e, ERR_SYNTAX, "recipients \"%.*s\" are not ranges within 1-%u",
                   text.n > 100 ? 100 : (int)text.n, text.p, max);
}
