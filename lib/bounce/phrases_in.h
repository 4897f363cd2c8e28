/* lib/bounce/phrases_in.h -- the fixed phrases by which the words of a report are read. */
#ifndef LIB_BOUNCE_PHRASES_IN_H
#define LIB_BOUNCE_PHRASES_IN_H

#include "base/base.h"

/* What a phrase says about the line it stands in. */
enum phrase_kind {
    PHRASE_FAILED = 1u << 0,     /* something was not delivered */
    PHRASE_DELAYED = 1u << 1,    /* not yet delivered */
    PHRASE_FINAL = 1u << 2,      /* and it will not be: wins over a delay */
    PHRASE_DELIVERED = 1u << 3,  /* reached its goal */
    PHRASE_ORIGINAL = 1u << 4,   /* the returned message begins here */
    PHRASE_SENDER = 1u << 5,     /* the address after it is the sender's */
    PHRASE_CONTACT = 1u << 6,    /* the address in this line is for asking */
    PHRASE_CHALLENGE = 1u << 7,  /* prove that you are human */
    PHRASE_AUTO_REPLY = 1u << 8, /* a person is away */
    PHRASE_DETAILS = 1u << 9,    /* technical details follow: not new recipients */
    PHRASE_WARNING = 1u << 10,   /* only a warning: wins over everything */
};

struct phrases; /* opaque */
struct phrases *phrases_create(void);
void phrases_destroy(struct phrases **p);
struct hs_database *phrases_database(const struct phrases *p); /* for pack.c */

typedef void (*phrase_found)(void *ctx, unsigned kind, size_t end);
/* Calls `found` for every phrase in `text`, in the order of their ends. */
void phrases_find(struct phrases *p, struct slice text, phrase_found found, void *ctx);

#endif
