/* lib/bounce/rules_in.h -- the set of rules from the inside: shared by reader and matcher. */
#ifndef LIB_BOUNCE_RULES_IN_H
#define LIB_BOUNCE_RULES_IN_H

#include <hs/hs.h>

#include "base/arena.h"
#include "lib/bounce/rules.h"

/* SINGLEMATCH: that a pattern is there is all we ask, and it bounds the number of reports. */
#define BOUNCE_PATTERN_FLAGS (HS_FLAG_CASELESS | HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH)

enum pattern_kind {
    PATTERN_MATCH, /* one of these must be there */
    PATTERN_NEED,  /* all of these must be there */
    PATTERN_NOT,   /* none of these may be there */
};

struct pattern {
    const char *text;
    enum pattern_kind kind;
};

/* Names of hosts or codes, as words of one line of the file. */
struct words {
    const struct slice *items;
    size_t count;
};

struct rule {
    struct bounce_rule face;
    size_t first, patterns; /* a range of bounce_rules.patterns */
    struct words hosts, codes, statuses;
    unsigned phases; /* 0: any */
    size_t order;
    bool has_need; /* one of its patterns is a PATTERN_NEED */
};

/* Stage 0: the tiers provider and code; stage 1: text and guess. */
#define RULE_STAGES 2

/* What a found pattern means for the rule that it belongs to. */
struct owner {
    uint16_t rule; /* below BOUNCE_RULES_MAX */
    uint8_t kind;  /* enum pattern_kind */
};

struct bounce_rules {
    struct arena *arena;
    struct rule *rules;
    size_t count, rules_room;
    struct pattern *patterns;
    size_t pattern_count, patterns_room;
    /* Two stages, asked one after the other: most replies are decided by the first, so that the
     * many patterns of the second are not run. first_rule[stage] is the first rule of each. In each
     * stage the shipped patterns have a database of their own, which need not be compiled anew
     * because a user adds some. */
    struct patterns {
        hs_database_t *database; /* NULL: there are none */
        size_t base;             /* its pattern 0 is this one */
    } shipped[RULE_STAGES], own[RULE_STAGES];
    size_t first_rule[RULE_STAGES + 1];
    size_t shipped_first, shipped_end; /* the shipped ones among `patterns`; equal: none */
    hs_scratch_t *scratch;
    struct owner *owners; /* by pattern */
    /* Sets of rules, a bit for each in the order of decision, so that only the few are looked at
     * whose words were found: those without any `match`, those of which a `match` was found, those
     * of which a `not` was found. */
    uint64_t *wordless, *hit, *vetoed;
    size_t set_words; /* of each of them */
    uint32_t *seen;   /* by pattern: the last question in which this `need` was found */
    uint32_t round;
};

#endif
