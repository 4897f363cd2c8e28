/* role/known_keys.h -- the keys that the keys role signs with, by name, as it says when its bus
 * opens (keys_known). The keys themselves never leave that process. */
#ifndef ROLE_KNOWN_KEYS_H
#define ROLE_KNOWN_KEYS_H

#include "base/arena.h"
#include "lib/dkim/sign.h"
#include "role/messages.h"

struct known_key {
    struct slice domain, selector;
    enum dkim_algorithm algorithm;
};
/* Zeroed: none. The list and its names are good until it is learned anew or forgotten. */
struct known_keys {
    struct known_key *list;
    size_t n;
    struct arena *arena;
};

/* What `m` says takes the place of what was known; nothing of `m` is kept. */
void known_keys_learn(struct known_keys *k, const struct msg_keys_known *m);
void known_keys_forget(struct known_keys *k);

/* How one of them signs. The names are copied into `arena`: keys may be learned anew while a
 * message waits for its signatures. */
struct dkim_sign_spec known_key_spec(const struct known_key *key, struct arena *arena);

#endif
