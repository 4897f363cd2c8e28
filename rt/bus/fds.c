#include <unistd.h>

#include "rt/bus/bus_in.h"

void bus_fds_put(struct bus_fds *q, int fd, size_t at)
{
    if (q->first > 0 && q->first + q->count == q->cap) {
        memmove(q->items, q->items + q->first, q->count * sizeof *q->items);
        q->first = 0;
    }
    if (q->first + q->count == q->cap) {
        q->cap = q->cap > 0 ? 2 * q->cap : 8;
        q->items = mem_resize(q->items, q->cap * sizeof *q->items);
    }
    q->items[q->first + q->count++] = (struct bus_fd){fd, at};
}

int bus_fds_take(struct bus_fds *q)
{
    if (q->count == 0)
        return -1;
    int fd = q->items[q->first++].fd;
    if (--q->count == 0)
        q->first = 0;
    return fd;
}

void bus_fds_finish(struct bus_fds *q)
{
    while (q->count > 0)
        close(bus_fds_take(q));
    free(q->items);
    *q = (struct bus_fds){0};
}
