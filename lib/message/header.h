/* lib/message/header.h -- the header of a message, without copying it (RFC 5322 2.2, 3.6).
 *
 *     whole message --message_split()--> header block | body
 *     header block  --header_parse()---> fields in order, each raw, name, value
 *
 * Line ends may be CR LF, LF or CR, even mixed. All slices point into the input. */
#ifndef LIB_MESSAGE_HEADER_H
#define LIB_MESSAGE_HEADER_H

#include "base/arena.h"
#include "base/base.h"

struct field {
    struct slice raw;   /* the whole field, folded lines and final line end as in the file */
    struct slice name;  /* without white space before the colon */
    struct slice value; /* what follows the colon: folded, as in the file, without the final line
                           end; white space at its start is kept (DKIM needs it) */
};
struct header {
    const struct field *fields; /* in the order of the file; owned by the arena */
    size_t count;
    struct slice block; /* the bytes that were parsed, without the empty line */
};
struct header_limits {
    size_t fields_max; /* 0: HEADER_FIELDS_MAX */
    size_t size_max;   /* bytes of the header block; 0: HEADER_SIZE_MAX */
};
#define HEADER_FIELDS_MAX 10000
#define HEADER_SIZE_MAX (4u << 20)

struct message_parts {
    struct slice envelope; /* an mbox "From " line (or ">From ") before the header, else empty */
    struct slice header;   /* with the line end of its last field, without the empty line */
    struct slice body;     /* what follows the empty line; may be empty */
    bool has_body;         /* there was an empty line, or a line that cannot be a field */
};
/* Finds the end of the header: the first empty line, or the first line that is neither a field nor
 * a continuation (the body then begins with that line, as mail readers do). Never fails. */
struct message_parts message_split(struct slice message);

/* Parses the header of `message` (its body may be there or not; an mbox "From " line is skipped).
 * ERR_LIMIT when a limit or the arena's ceiling is reached; `header_out` then holds the fields
 * before it. `limits` may be NULL. */
MUST_USE int header_parse(struct slice message, const struct header_limits *limits, struct arena *a,
                          struct header *header_out, struct err *e);

/* Names are compared without regard to case. NULL when there is none. */
const struct field *header_first(const struct header *h, const char *name);
const struct field *header_last(const struct header *h, const char *name);
/* The next field of that name after `after`; NULL starts at the top. */
const struct field *header_next(const struct header *h, const char *name,
                                const struct field *after);
size_t header_count(const struct header *h, const char *name);
/* The value of the first field of that name, trimmed (folding inside is kept); empty if absent. */
struct slice header_value(const struct header *h, const char *name);

/* Appends `value` on one line: line ends go, the white space after them stays (RFC 5322 2.2.3),
 * white space at both ends of the whole goes. */
void header_unfold(struct slice value, struct buf *out);
/* The same into the arena; where nothing is folded, the trimmed `value` itself. Empty at the
 * arena's ceiling. */
struct slice header_unfolded(struct slice value, struct arena *a);

/* What follows the white space, folding and (nested) comments at the start of `s` (RFC 5322 3.2.2).
 * A comment that never ends takes the rest. Depth is counted, not recursed. */
struct slice header_skip_cfws(struct slice s);

#endif
