/* lib/message/mime.h -- the tree of a MIME message (RFC 2045, 2046, 2231), with limits.
 *
 *     message --mime_parse()--> parts, each raw bytes, header, type --mime_decode()--> content
 *
 * Nothing is decoded before it is asked for; all slices point into the input. multipart/... and
 * message/rfc822 (message/global, text/rfc822) have children; everything else is a leaf. */
#ifndef LIB_MESSAGE_MIME_H
#define LIB_MESSAGE_MIME_H

#include "base/arena.h"
#include "base/base.h"
#include "lib/message/header.h"

/* A value with parameters: Content-Type, Content-Disposition. Owned by the arena. */
struct mime_param {
    struct slice name;  /* lower case, without RFC 2231 marks */
    struct slice value; /* unquoted, continuations joined; UTF-8 where a charset was given */
};
struct mime_value {
    struct slice text; /* "text/plain", "attachment": lower case, comments removed */
    const struct mime_param *params;
    size_t count;
};
#define MIME_PARAMS_MAX 64
#define MIME_VALUE_MAX 65536

/* Never fails: what cannot be read is left out. */
struct mime_value mime_value_parse(struct slice field_value, struct arena *a);
/* The parameter's value; empty if absent. `name` in lower case. */
struct slice mime_value_param(const struct mime_value *v, const char *name);

enum mime_encoding {
    MIME_IDENTITY, /* 7bit, 8bit, binary, none */
    MIME_BASE64,
    MIME_QUOTED_PRINTABLE,
    MIME_UUENCODE,
    MIME_UNKNOWN_ENCODING, /* content is shown undecoded */
};

struct mime_part {
    struct slice raw;  /* header and body, as in the file */
    struct slice body; /* after the empty line; without the line end that belongs to the boundary */
    struct header header;
    struct mime_value type;        /* "text/plain" if absent or unreadable (RFC 2045 5.2);
                                      message/rfc822 inside multipart/digest */
    struct mime_value disposition; /* text empty if absent */
    enum mime_encoding encoding;
    struct mime_part *parent, *children, *next; /* children: the first; next: sibling */
    unsigned depth;                             /* 0 for the message itself */
    size_t number;                              /* counted in the order of the file from 0 */
    bool is_cut; /* a multipart without its closing boundary, or parts beyond a limit */
};
struct mime_limits {
    unsigned depth_max;          /* 0: 50 */
    size_t parts_max;            /* 0: 10,000 */
    struct header_limits header; /* of each part */
};

/* Parses the whole tree. What lies below depth_max or beyond parts_max stays undivided in its
 * parent, which is then marked is_cut: no error. ERR_LIMIT only when the arena is full or a header
 * is beyond its limits. `limits` may be NULL. */
MUST_USE int mime_parse(struct slice message, const struct mime_limits *limits, struct arena *a,
                        struct mime_part **root_out, struct err *e);

/* The next part in the order of the file (children first), NULL behind the last of `root`. */
const struct mime_part *mime_next(const struct mime_part *root, const struct mime_part *part);
bool mime_is(const struct mime_part *part, const char *type);        /* "message/rfc822" */
bool mime_is_major(const struct mime_part *part, const char *major); /* "text" */
/* The name to save it under (filename, else name), decoded, without any path; may be empty. */
struct slice mime_filename(const struct mime_part *part);

/* Appends the content with its transfer encoding undone. `out->full` tells of the ceiling. */
void mime_decode(const struct mime_part *part, struct buf *out);
/* The same for text, converted to UTF-8 by its charset. */
void mime_decode_text(const struct mime_part *part, struct buf *out);

#endif
