/* What a reply means, and that names and values find each other. */
#include "base/test.h"

#include "mta/event/outcome.h"

struct reply_case {
    const char *name;
    unsigned code;
    bool dot_sent;
    enum outcome outcome;
};

static const struct reply_case cases[] = {
    {"250 after the dot is delivered", 250, true, OUTCOME_DELIVERED},
    {"451 is deferred", 451, true, OUTCOME_DEFERRED},
    {"550 at RCPT is bounced", 550, false, OUTCOME_BOUNCED},
    {"silence before the dot is deferred", 0, false, OUTCOME_DEFERRED},
    {"silence after the dot is unknown", 0, true, OUTCOME_UNKNOWN},
    {"a code of no class after the dot is unknown", 999, true, OUTCOME_UNKNOWN},
};

static void run_case(void **state)
{
    const struct reply_case *c = *state;
    enum unknown_policy policy;

    assert_int_equal(outcome_of_reply(c->code, c->dot_sent), c->outcome);
    for (int i = UNKNOWN_RETRY; i <= UNKNOWN_ASSUME_DELIVERED; i++) {
        const char *name = unknown_policy_name((enum unknown_policy)i);

        assert_true(unknown_policy_parse(slice_of(name), &policy));
        assert_int_equal(policy, i);
    }
    assert_false(unknown_policy_parse(SLICE("retr"), &policy));
}

int main(void)
{
    RUN_TABLE(cases, run_case);
}
