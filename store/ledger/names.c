#include "store/ledger/ledger.h"

static const char *const states[LEDGER_STATE_COUNT] = {
    [LEDGER_QUEUED] = "queued",
    [LEDGER_DELIVERED] = "delivered",
    [LEDGER_BOUNCED] = "bounced",
    [LEDGER_EXPIRED] = "expired",
    [LEDGER_DROPPED] = "dropped",
    [LEDGER_SUPPRESSED] = "suppressed",
    [LEDGER_HELD] = "held",
    [LEDGER_UNKNOWN_HELD] = "unknown-held",
    [LEDGER_ASSUMED] = "assumed-delivered",
};

static const char *const kinds[LEDGER_KIND_COUNT] = {
    [LEDGER_EV_ACCEPTED] = "accepted",
    [LEDGER_EV_SIGNED] = "signed",
    [LEDGER_EV_DELIVERED] = "delivered",
    [LEDGER_EV_DEFERRED] = "deferred",
    [LEDGER_EV_BOUNCED] = "bounced",
    [LEDGER_EV_UNKNOWN] = "unknown",
    [LEDGER_EV_DUPLICATE] = "duplicate",
    [LEDGER_EV_HELD] = "held",
    [LEDGER_EV_RELEASED] = "released",
    [LEDGER_EV_DROPPED] = "dropped",
    [LEDGER_EV_EXPIRED] = "expired",
    [LEDGER_EV_RETRY] = "retry",
    [LEDGER_EV_SUPPRESSED] = "suppressed",
    [LEDGER_EV_SETTLED] = "settled",
    [LEDGER_EV_NOTE] = "note",
    [LEDGER_EV_REPORTED] = "reported",
    [LEDGER_EV_COMPLAINT] = "complaint",
};

/* A number from disk may be from the future. */
const char *ledger_state_name(enum ledger_state state)
{
    return (unsigned)state < LEDGER_STATE_COUNT ? states[state] : "unheard-of";
}

const char *ledger_kind_name(enum ledger_kind kind)
{
    return (unsigned)kind < LEDGER_KIND_COUNT ? kinds[kind] : "unheard-of";
}

bool ledger_state_find(struct slice name, enum ledger_state *state_out)
{
    for (unsigned i = 0; i < LEDGER_STATE_COUNT; i++) {
        if (slice_eq(name, slice_of(states[i]))) {
            *state_out = (enum ledger_state)i; /* the table is indexed by it */
            return true;
        }
    }
    return false;
}

bool ledger_kind_find(struct slice name, enum ledger_kind *kind_out)
{
    for (unsigned i = 0; i < LEDGER_KIND_COUNT; i++) {
        if (slice_eq(name, slice_of(kinds[i]))) {
            *kind_out = (enum ledger_kind)i; /* the table is indexed by it */
            return true;
        }
    }
    return false;
}

bool ledger_state_is_final(enum ledger_state state)
{
    return state != LEDGER_QUEUED && state != LEDGER_HELD && state != LEDGER_UNKNOWN_HELD;
}
