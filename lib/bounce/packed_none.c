/* For the program that makes the packed databases: there are none yet. */
#include "lib/bounce/shipped_in.h"

const struct slice bounce_packed_rules = {NULL, 0};
const struct slice bounce_packed_phrases = {NULL, 0};
