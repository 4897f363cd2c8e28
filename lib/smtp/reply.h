/* lib/smtp/reply.h -- the answer to an SMTP command (RFC 5321 4.2, RFC 3463 for enhanced codes).
 *
 *     struct smtp_reply      what our server says: written with smtp_reply_write()
 *     struct smtp_response   what another server said: read with the parser below
 */
#ifndef LIB_SMTP_REPLY_H
#define LIB_SMTP_REPLY_H

#include "base/base.h"

/* Written as "250 2.0.0 text"; each '\n' in the text begins another line of the same reply. Every
 * other control character is written as '?', so no text can inject a reply. */
struct smtp_reply {
    unsigned code;        /* 200..599 */
    const char *enhanced; /* "2.1.5"; NULL writes the default of the code, such as "2.0.0" */
    const char *text;     /* NULL: empty */
};

/* Appends one whole reply. Lines are cut at 500 bytes (RFC 5321 4.5.3.1.5). */
void smtp_reply_write(struct smtp_reply reply, struct buf *out);

/* A reply as read. The slices belong to whoever handed it out. */
struct smtp_response {
    unsigned code;         /* 200..599; 0: there is no reply */
    struct slice enhanced; /* "5.1.1", or empty; its class always equals that of the code */
    struct slice text; /* lines joined by one space, without codes; control characters are '?' */
};

#define SMTP_RESPONSE_TEXT_MAX 1024 /* longer text is cut */
#define SMTP_RESPONSE_LINE_MAX 8192 /* longer lines are ERR_LIMIT; RFC 5321 says 512 */
#define SMTP_RESPONSE_LINES_MAX 256 /* more lines are ERR_LIMIT */

/* Collects the lines of one reply at a time. */
struct smtp_response_parser {
    struct buf line; /* the line that has not ended yet */
    struct buf text; /* of the lines before */
    unsigned code;   /* of the lines before; 0: at the start of a reply */
    unsigned lines;  /* of this reply */
    char enhanced[12];
    bool complete;   /* the last call finished a reply: the next one starts anew */
    bool keep_lines; /* join the lines by '\n' instead of a space (for EHLO) */
};
void smtp_response_parser_init(struct smtp_response_parser *p);
void smtp_response_parser_finish(struct smtp_response_parser *p);

/* Cuts bytes off `*in`. Returns 1: `response_out` is a whole reply, valid until the next call (and
 * `*in` stands behind it); 0: more bytes are needed, `*in` is empty; -1: these bytes are no reply,
 * or break a limit; the parser is then of no more use. Tolerates bare LF, a missing space after the
 * code, codes that change between the lines (the last one counts). */
MUST_USE int smtp_response_parse(struct smtp_response_parser *p, struct slice *in,
                                 struct smtp_response *response_out, struct err *e);

#endif
