/* app/cmd_verify_in.h -- waybill verify: cmd_verify.c gathers and judges, verify_text.c prints. */
#ifndef APP_CMD_VERIFY_IN_H
#define APP_CMD_VERIFY_IN_H

#include "app/cli.h"
#include "app/eml.h"
#include "app/resolver.h"
#include "base/arena.h"
#include "lib/message/header.h"
#include "lib/verdict/verdict.h"

struct verify {
    bool json;
    const char *ip, *helo, *mail_from, *dns, *authserv_id;
    int64_t now, hop;

    struct arena *arena;
    struct resolver *resolver;
    struct eml eml;
    struct header header;
    struct verdict_request request;
    struct slice client_source; /* where the client's address was taken from */
    struct slice our_name;
    struct verdict *verdict;
    struct buf results; /* the Authentication-Results field */
};

static inline bool verify_has_client(const struct verify *v)
{
    return v->request.client.family != IP_NONE;
}

void verify_json(const struct verify *v, struct buf *out);
void verify_text(struct verify *v, struct buf *out);

#endif
