#include <assert.h>
#include <stdarg.h>

#include "base/base.h"

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_finish(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->full = false;
}

char *buf_room(struct buf *b, size_t n)
{
    size_t need;

    if (!size_add(b->n, n, &need) || need > b->max) {
        b->full = true;
        return NULL;
    }
    if (need > b->cap) {
        size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;

        while (cap < need)
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        if (cap > b->max)
            cap = b->max;
        b->p = mem_resize(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_claim(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->n);
    b->n += n;
}

void buf_append(struct buf *b, struct slice s)
{
    char *room;

    if (s.n == 0)
        return;
    room = buf_room(b, s.n);
    if (room == NULL)
        return;
    memcpy(room, s.p, s.n);
    b->n += s.n;
}

void buf_append_char(struct buf *b, char c)
{
    buf_append(b, (struct slice){&c, 1});
}

void buf_append_text(struct buf *b, const char *text)
{
    buf_append(b, slice_of(text));
}

void buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(b, (struct slice){digits + at, sizeof digits - at});
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    char small[256];
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(small, sizeof small, fmt, args);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_append(b, (struct slice){small, (size_t)n});
    } else {
        char *big = mem_alloc((size_t)n + 1);

        (void)vsnprintf(big, (size_t)n + 1, fmt, again);
        buf_append(b, (struct slice){big, (size_t)n});
        free(big);
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->n);
    b->n -= n;
    if (b->n > 0 && n > 0)
        memmove(b->p, b->p + n, b->n);
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->p, b->n};
}
