/* lib/message/canon.h -- the canonical forms of RFC 6376 3.4, streaming.
 *
 *     body bytes, cut anywhere --> canon_body_feed() --> sink(canonical bytes) --> a hash
 *     one header field         --> canon_header()    --> canonical bytes
 *
 * The body canonicaliser copies whole runs; it looks only at what the algorithm may change. Only CR
 * LF ends a line: a lone CR or LF is content, as any other octet. */
#ifndef LIB_MESSAGE_CANON_H
#define LIB_MESSAGE_CANON_H

#include "base/base.h"

enum canon { CANON_SIMPLE, CANON_RELAXED };

#define CANON_NO_LIMIT UINT64_MAX
#define CANON_BUFFER_BYTES 4096

/* Takes canonical bytes; they are gone after the call. */
typedef void canon_sink(void *ctx, struct slice bytes);

/* The fields are private, except that `produced` may be read after canon_body_finish(). */
struct canon_body {
    enum canon kind;
    canon_sink *sink;
    void *ctx;
    uint64_t limit;      /* how many canonical octets the sink gets (l=) */
    uint64_t produced;   /* how many the canonical body has, limit or not */
    uint64_t held_lines; /* CR LF seen that are not yet known to be followed by anything */
    bool held_space;     /* relaxed: a run of WSP after them */
    bool held_cr;        /* a CR at the end of what was fed */
    size_t used;
    char out[CANON_BUFFER_BYTES];
};

/* `limit`: CANON_NO_LIMIT, or the octet count of l= (RFC 6376 3.4.5). */
void canon_body_init(struct canon_body *c, enum canon kind, uint64_t limit, canon_sink *sink,
                     void *ctx);
void canon_body_feed(struct canon_body *c, struct slice bytes);
/* The end of the body: hands the rest to the sink. Feed nothing after it. */
void canon_body_finish(struct canon_body *c);

/* Appends the canonical form of one field: "Name: value" with its folds, with or without the CR LF
 * that ends it. A CR LF is always appended (RFC 6376 3.4.1, 3.4.2). A field without a colon is
 * taken as a name with an empty value. */
void canon_header(enum canon kind, struct slice field, struct buf *out);

#endif
