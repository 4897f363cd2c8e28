/* rt/loop/heap_in.h -- the timers that are filed, soonest first: a binary heap of pointers. */
#ifndef LOOP_HEAP_IN_H
#define LOOP_HEAP_IN_H

#include "rt/loop/loop.h"

struct heap {
    struct loop_timer **items;
    size_t count, cap;
};
void heap_finish(struct heap *h);
void heap_put(struct heap *h, struct loop_timer *t); /* by filed_ms; sets place */
void heap_remove(struct heap *h, struct loop_timer *t);
void heap_moved_later(struct heap *h, struct loop_timer *t); /* filed_ms grew */

#endif
