/* base/base.h -- the nouns every room shares: slice, buf, err, step. Includes libc only.
 *
 * Input is a slice (borrowed), output is a buf (owned, with a ceiling), trouble is an err. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/poison.h"

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_USE __attribute__((warn_unused_result))
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The structure that holds the member at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* --- memory: running out of it is a bug or a broken machine, never an answer (STYLE rule 23) ---
 */

/* All of these abort instead of returning NULL. A size that a peer chose is checked first. */
MUST_USE void *mem_alloc(size_t size); /* zeroed; free() it */
MUST_USE void *mem_resize(void *old, size_t size);
MUST_USE char *mem_string(const char *text); /* a copy, as strdup() */

/* Arithmetic on sizes that come from outside. False when the result does not fit. */
MUST_USE static inline bool size_add(size_t a, size_t b, size_t *sum_out)
{
    return !__builtin_add_overflow(a, b, sum_out);
}
MUST_USE static inline bool size_mul(size_t a, size_t b, size_t *product_out)
{
    return !__builtin_mul_overflow(a, b, product_out);
}

/* --- slice: borrowed bytes --- */

/* Never owned, never promised to end in NUL. The contract of the function that hands one out
 * names the owner, and so how long it lives. An empty slice may have p == NULL. */
struct slice {
    const char *p;
    size_t n;
};
#define SLICE_INIT(lit)                                                                            \
    {                                                                                              \
        (lit), sizeof(lit) - 1                                                                     \
    }
#define SLICE(lit) ((struct slice)SLICE_INIT(lit))
#define SLICE_ARG(s) (int)(s).n, (s).n > 0 ? (s).p : "" /* for "%.*s" */

struct slice slice_of(const char *text);                     /* NULL gives the empty slice */
struct slice slice_sub(struct slice s, size_t at, size_t n); /* clipped to s */
struct slice slice_from(struct slice s, size_t at);          /* everything from `at` on; clipped */

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII letters only, no locale */
int slice_compare(struct slice a, struct slice b);    /* as memcmp, shorter first */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
bool slice_ends_nocase(struct slice s, struct slice suffix);

#define SLICE_NONE SIZE_MAX
size_t slice_find(struct slice s, char c); /* offset, or SLICE_NONE */
size_t slice_find_last(struct slice s, char c);
size_t slice_search(struct slice s, struct slice needle);
size_t slice_search_nocase(struct slice s, struct slice needle);

/* An ASCII lower-case copy in `room`; empty when `s` has `cap` bytes or more. */
struct slice slice_lower(struct slice s, char *room, size_t cap);

/* Cuts `*rest` at the first `sep`; without one, the head is everything and `*rest` is empty. */
struct slice slice_cut(struct slice *rest, char sep);

/* Cuts one line off `*rest`, without its end. Ends are CR LF, LF, or CR alone. */
struct slice slice_line(struct slice *rest);

struct slice slice_trim(struct slice s);       /* SP, HTAB, CR, LF at both ends */
struct slice slice_trim_start(struct slice s); /* the same, at the start only */

/* Reads all of `s` as an unsigned decimal number (digits only, at least one). */
MUST_USE bool slice_to_u64(struct slice s, uint64_t *value_out);

/* --- buf: growable bytes with a ceiling that a peer cannot push past --- */

/* A refused append sets `full` and changes nothing else, so a writer may append freely and look
 * at `full` once. */
struct buf {
    char *p;
    size_t n, cap, max;
    bool full;
};
void buf_init(struct buf *b, size_t max);
void buf_finish(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, forgets the bytes and `full` */
void buf_append(struct buf *b, struct slice s);
void buf_append_char(struct buf *b, char c);
void buf_append_text(struct buf *b, const char *text);
void buf_append_u64(struct buf *b, uint64_t value); /* decimal */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
void buf_drop(struct buf *b, size_t n); /* forgets the first n bytes */

/* Room for `n` more bytes at the end, to be filled by the caller and then claimed with
 * buf_claim(). NULL (and `full`) when the ceiling does not allow it. */
MUST_USE char *buf_room(struct buf *b, size_t n);
void buf_claim(struct buf *b, size_t n);
struct slice buf_slice(const struct buf *b); /* valid until the next change of `b` */

/* --- err: why something could not be done --- */

/* Verdicts (SPF fail, reply 550) are results, not errors. The text says what was wrong, where, and
 * the offending value; code never parses it. */
enum err_code {
    ERR_NONE,
    ERR_SYNTAX, /* the input breaks its grammar */
    ERR_LIMIT,  /* a ceiling of ours was reached */
    ERR_TEMP,   /* the outside world failed; later may work */
    ERR_FOUND,  /* what was asked for is not there, or is there already */
    ERR_SYSTEM, /* the operating system refused; the text holds its reason */
};
struct err {
    enum err_code code;
    char text[256];
};
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4); /* -1 */
int err_system(struct err *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);      /* -1 */

/* --- step: what a state function tells its driver --- */

enum step {
    STEP_NEXT, /* state changed: run the new state's function now */
    STEP_WAIT, /* nothing to do before the next event or answer */
    STEP_DONE, /* finished: the result fields are valid */
};

#endif
