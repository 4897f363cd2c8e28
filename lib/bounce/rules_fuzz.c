/* Any file of rules is refused with a sentence, or compiled, and then decides about any text. */
#include <assert.h>

#include "lib/bounce/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct bounce_rules *rules = bounce_rules_create();
    struct err e = {ERR_NONE, ""};

    if (bounce_rules_add(rules, "fuzz", slice_sub(in, 0, 4096), &e) < 0) {
        assert(e.text[0] != '\0');
    } else if (bounce_rules_compile(rules, &e) < 0) {
        assert(e.text[0] != '\0');
    } else {
        const struct bounce_question question = {.text = SLICE("550 5.1.1 user unknown"),
                                                 .host = SLICE("mx.example.com"),
                                                 .code = 550,
                                                 .status = SLICE("5.1.1"),
                                                 .phase = BOUNCE_PHASE_RCPT};
        const struct bounce_rule *rule = bounce_rules_match(rules, &question);
        assert(rule == NULL || (rule->name != NULL && rule->category < BOUNCE_CATEGORIES));
    }
    bounce_rules_destroy(&rules);
    return 0;
}
