/* lib/dkim/fields_in.h -- the header fields of a message as signatures see them: in order, raw,
 * with an index by name, so that h= is answered bottom up without searching (RFC 6376 5.4.2). */
#ifndef LIB_DKIM_FIELDS_IN_H
#define LIB_DKIM_FIELDS_IN_H

#include "lib/message/canon.h"

#define DKIM_FIELD_NONE UINT32_MAX

struct dkim_field {
    struct slice raw;  /* with its line ends */
    struct slice name; /* without white space before the colon */
    uint32_t above;    /* the next field of that name further up, or DKIM_FIELD_NONE */
    uint32_t slot;     /* its name's place in the index */
};
struct dkim_fields {
    struct dkim_field *list; /* from the top */
    size_t count, capacity;
    uint32_t *lowest; /* index: the lowest field of the name, or DKIM_FIELD_NONE */
    uint32_t *next;   /* the same, moved upwards while h= is read */
    size_t slots;     /* a power of two; 0 before the first read */
    uint64_t seed;    /* of the index: a sender must not choose which names share a slot */
    uint64_t probes;  /* slots that were looked at since the read: what a test counts */
};

/* Zero the struct before the first read; it may be read into again. `header` is borrowed: CR LF
 * ends a line, an empty line ends the block. A line without a colon is a field that no name finds.
 * ERR_LIMIT: more than `fields_max`. */
MUST_USE int dkim_fields_read(struct dkim_fields *f, struct slice header, size_t fields_max,
                              struct err *err);
void dkim_fields_finish(struct dkim_fields *f);

size_t dkim_fields_count(struct dkim_fields *f, struct slice name);
/* The value behind the colon, with folds and without the last line end. */
struct slice dkim_field_value(const struct dkim_field *field);

/* Choosing fields as h= does: start, then name by name. take() returns NULL when there is none left
 * of that name (RFC 6376 5.4.2: then nothing is hashed). */
void dkim_fields_start(struct dkim_fields *f);
const struct dkim_field *dkim_fields_take(struct dkim_fields *f, struct slice name);

/* Appends the canonical form of `field` with the octets of `hole` left out (the value of b=), and
 * without the CR LF behind it: the end of what a signature covers (RFC 6376 3.7). */
void dkim_field_without(enum canon kind, const struct dkim_field *field, struct slice hole,
                        struct buf *scratch, struct buf *out);

#endif
