/* For the program that makes the packed databases: there are none yet. */
#include "lib/bounce/rules_in.h"
#include "lib/bounce/shipped_in.h"

const struct slice bounce_packed_rules[RULE_STAGES] = {{NULL, 0}};
const struct slice bounce_packed_phrases = {NULL, 0};
