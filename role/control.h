/* role/control.h -- asks the running daemon for something, over its control socket. Blocking. */
#ifndef ROLE_CONTROL_H
#define ROLE_CONTROL_H

#include "base/base.h"

struct control_reply {
    bool ok;
    uint64_t count; /* recipients that were changed */
    char text[200]; /* what went wrong, or a remark; may be empty */
};
/* `verb`: retry, hold, release, drop, ping. `argument`: a message id; for retry also "all".
 * -1: ERR_FOUND when no daemon listens there, ERR_TEMP when it does not answer within 30 s. */
MUST_USE int control_ask(const char *socket_path, const char *verb, const char *argument,
                         struct control_reply *reply_out, struct err *e);

#endif
