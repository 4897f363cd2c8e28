/* lib/addr/mailbox.h -- addresses in header fields (RFC 5322 3.4, obsolete forms of 4.4; RFC 6532).
 *
 *     From: =?utf-8?q?J=C3=BCrgen?= <j@example.org> (work), "list": a@b.example, c@d.example;
 *
 * Reads what senders write, not only what the grammar allows: a bad element is skipped up to the
 * next comma and counted, so one broken address does not hide the others. */
#ifndef LIB_ADDR_MAILBOX_H
#define LIB_ADDR_MAILBOX_H

#include "base/arena.h"
#include "base/base.h"

struct mailbox {
    struct slice
        name; /* display name as UTF-8, decoded, unquoted; else the comment; may be empty */
    struct slice address; /* local@domain; comments and folding removed, quotes kept where needed */
    struct slice local;   /* unquoted; never empty */
    struct slice
        domain; /* lower case is not forced; literal with brackets; empty if there was none */
    struct slice group; /* name of the group it stands in, or empty */
};
struct mailbox_list {
    const struct mailbox *items;
    size_t count;
    size_t groups; /* groups seen, empty ones too ("undisclosed-recipients:;") */
    size_t broken; /* elements that could not be read */
};

/* Parses the value of From, To, Cc, Reply-To, ... Everything in `list_out` is owned by `a`. At most
 * `max` mailboxes: ERR_LIMIT beyond (the list then holds the first `max`), or when the arena is
 * full. Nothing else fails: unreadable elements are counted in `broken`. */
MUST_USE int mailbox_list_parse(struct slice value, size_t max, struct arena *a,
                                struct mailbox_list *list_out, struct err *e);

/* Appends a mailbox for a header field: name quoted or encoded as needed, then <address>. */
void mailbox_format(const struct mailbox *m, struct buf *out);

#endif
