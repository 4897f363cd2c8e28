#include "rt/loop/heap_in.h"

static void set(struct heap *h, size_t at, struct loop_timer *t)
{
    h->items[at] = t;
    t->place = at + 1;
}

static void sift_up(struct heap *h, size_t at, struct loop_timer *t)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (h->items[parent]->filed_ms <= t->filed_ms)
            break;
        set(h, at, h->items[parent]);
        at = parent;
    }
    set(h, at, t);
}

static void sift_down(struct heap *h, size_t at, struct loop_timer *t)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->items[child + 1]->filed_ms < h->items[child]->filed_ms)
            child++;
        if (t->filed_ms <= h->items[child]->filed_ms)
            break;
        set(h, at, h->items[child]);
        at = child;
    }
    set(h, at, t);
}

void heap_put(struct heap *h, struct loop_timer *t)
{
    if (h->count == h->cap) {
        h->cap = h->cap > 0 ? 2 * h->cap : 64;
        h->items = mem_resize(h->items, h->cap * sizeof *h->items);
    }
    sift_up(h, h->count++, t);
}

void heap_remove(struct heap *h, struct loop_timer *t)
{
    size_t at = t->place - 1;
    struct loop_timer *last = h->items[--h->count];

    t->place = 0;
    if (last == t)
        return;
    if (at > 0 && h->items[(at - 1) / 2]->filed_ms > last->filed_ms)
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}

void heap_moved_later(struct heap *h, struct loop_timer *t)
{
    sift_down(h, t->place - 1, t);
}

void heap_finish(struct heap *h)
{
    free(h->items);
    *h = (struct heap){0};
}
