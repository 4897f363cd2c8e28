#include "mta/event/outcome.h"

static const char *const outcome_names[] = {
    [OUTCOME_DELIVERED] = "delivered",
    [OUTCOME_DEFERRED] = "deferred",
    [OUTCOME_BOUNCED] = "bounced",
    [OUTCOME_UNKNOWN] = "unknown",
};

static const char *const policy_names[] = {
    [UNKNOWN_RETRY] = "retry",
    [UNKNOWN_HOLD] = "hold",
    [UNKNOWN_ASSUME_DELIVERED] = "assume-delivered",
};

const char *outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

const char *unknown_policy_name(enum unknown_policy policy)
{
    return policy_names[policy];
}

bool unknown_policy_parse(struct slice text, enum unknown_policy *policy_out)
{
    for (size_t i = 0; i < COUNT(policy_names); i++)
        if (slice_eq(text, slice_of(policy_names[i]))) {
            *policy_out = (enum unknown_policy)i;
            return true;
        }
    return false;
}

enum outcome outcome_of_reply(unsigned code, bool dot_sent)
{
    switch (code / 100) {
    case 2:
        return OUTCOME_DELIVERED;
    case 4:
        return OUTCOME_DEFERRED;
    case 5:
        return OUTCOME_BOUNCED;
    }
    return dot_sent ? OUTCOME_UNKNOWN : OUTCOME_DEFERRED;
}
