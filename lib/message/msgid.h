/* lib/message/msgid.h -- Message-ID: is it well-formed, and how to make one (RFC 5322 3.6.4). */
#ifndef LIB_MESSAGE_MSGID_H
#define LIB_MESSAGE_MSGID_H

#include "base/base.h"

enum msgid_verdict {
    MSGID_GOOD,
    MSGID_ODD, /* legal or harmless, but asks for trouble: obsolete form, local name, too long */
    MSGID_BAD, /* breaks the grammar: some programs will replace or misread it */
};
struct msgid_check {
    enum msgid_verdict verdict;
    const char *reason; /* one plain sentence, static; NULL when good */
};
/* `value` is the field's value, folded or not, with the angle brackets. */
struct msgid_check msgid_check(struct slice value);

/* The first <...> in `value`, with brackets; without one the trimmed value. Points into it. */
struct slice msgid_find(struct slice value);

/* Appends "<unique@domain>". `unique` (at least 16 bytes from a random source or an id of ours) is
 * written in letters and digits; the domain should be one that the sender owns. */
void msgid_make(struct slice unique, struct slice domain, struct buf *out);

#endif
