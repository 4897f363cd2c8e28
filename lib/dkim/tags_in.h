/* lib/dkim/tags_in.h -- tag=value lists (RFC 6376 3.2), and what their values are made of. */
#ifndef LIB_DKIM_TAGS_IN_H
#define LIB_DKIM_TAGS_IN_H

#include "base/base.h"

#define DKIM_TAGS_MAX 64

struct dkim_tag {
    struct slice name;
    struct slice value; /* without the white space around it */
    struct slice span;  /* the value with that white space: what emptying b= takes away */
};
struct dkim_tags {
    size_t count;
    struct dkim_tag list[DKIM_TAGS_MAX];
};

/* Reads a list. -1 with the reason when it breaks the grammar or names a tag twice (the whole list
 * is invalid then); `tags_out` holds what was read before that. Slices point into `text`. */
MUST_USE int dkim_tags_read(struct slice text, struct dkim_tags *tags_out, struct err *err);

/* The tag of that name (case matters), or NULL. */
const struct dkim_tag *dkim_tags_find(const struct dkim_tags *tags, const char *name);

/* Folding white space off both ends. */
struct slice dkim_trim(struct slice s);

/* Appends decoded base64 with folding white space inside; padding may be missing (ABNF
 * base64string). -1 when it is something else or empty; `what` names it in the reason. With `out`
 * NULL it is only judged. */
MUST_USE int dkim_base64_read(struct slice text, const char *what, struct buf *out,
                              struct err *err);

/* Is `word` one of the colon-separated values in `list`? */
bool dkim_list_has(struct slice list, struct slice word);

/* Only digits: the value, UINT64_MAX if it is larger. False otherwise. */
MUST_USE bool dkim_number_read(struct slice text, uint64_t *value_out);

/* Names as d= and s= may hold them: labels of letters, digits, '-', '_' or UTF-8, at least `labels`
 * of them, each at most 63 octets and the whole at most 253. */
bool dkim_is_domain(struct slice name, unsigned labels);

/* `name` is `parent`, or ends in a dot and `parent`; ASCII case ignored. */
bool dkim_is_within(struct slice name, struct slice parent);

/* Makes a reason printable: control characters become '?'. */
void dkim_clean(struct err *err);

#endif
