/* lib/bounce/rules.h -- rules as data: from the words of an SMTP reply to a category.
 *
 *     rule files --bounce_rules_add()--> set --bounce_rules_compile()--> one vectorscan database
 *     reply text + host + codes + phase --bounce_rules_match()--> the first rule that fits
 *
 * The file format is described in waybill-rules(5). All patterns of all files are matched in one
 * pass over the text, in time linear in its length; then the rules are walked in their order. */
#ifndef LIB_BOUNCE_RULES_H
#define LIB_BOUNCE_RULES_H

#include "base/base.h"
#include "lib/bounce/taxonomy.h"

/* The order of decision: a rule of a lower tier never overrides one of a higher. */
enum bounce_tier {
    BOUNCE_TIER_PROVIDER, /* one receiver's own words */
    BOUNCE_TIER_CODE,     /* enhanced status codes that can be trusted, and what contradicts them */
    BOUNCE_TIER_TEXT,     /* words that mean the same everywhere */
    BOUNCE_TIER_GUESS,    /* codes that say little */
};

/* During which command the reply came. */
enum bounce_phase {
    BOUNCE_PHASE_UNKNOWN = 0,
    BOUNCE_PHASE_CONNECT = 1,
    BOUNCE_PHASE_HELO = 2,
    BOUNCE_PHASE_MAIL = 4,
    BOUNCE_PHASE_RCPT = 8,
    BOUNCE_PHASE_DATA = 16, /* DATA and the end of the message */
};

/* What a rule is asked about. */
struct bounce_question {
    struct slice text;       /* one line, white space collapsed; matched without regard to case */
    struct slice host;       /* who answered: name or domain; may be empty */
    unsigned code;           /* 550; 0 if there is none */
    struct slice status;     /* "5.1.1"; may be empty */
    enum bounce_phase phase; /* one of them */
};

struct bounce_rule {
    const char *name; /* "gmail/disabled" */
    enum bounce_category category;
    enum bounce_tier tier;
};

#define BOUNCE_RULES_MAX 4096     /* rules in a set */
#define BOUNCE_PATTERNS_MAX 8192  /* patterns in a set */
#define BOUNCE_PATTERN_BYTES 1024 /* of one pattern */
#define BOUNCE_RULE_FILE_MAX (1u << 20)
#define BOUNCE_TEXT_MAX 16384 /* of a text; what lies beyond is not matched */

struct bounce_rules; /* opaque; not to be used by two threads at once */

struct bounce_rules *bounce_rules_create(void);
void bounce_rules_destroy(struct bounce_rules **rules); /* NULL is fine; writes NULL back */

/* Adds the rules of one file. `name` is only for messages ("rules/local.conf:12: ..."). Within a
 * tier, what was added first decides first, so add a user's files before the shipped ones.
 * ERR_SYNTAX or ERR_LIMIT; the set is then to be destroyed. */
MUST_USE int bounce_rules_add(struct bounce_rules *rules, const char *name, struct slice bytes,
                              struct err *e);
/* Adds every rule file that was built into the program. */
MUST_USE int bounce_rules_add_shipped(struct bounce_rules *rules, struct err *e);
/* Call once, after the last file. ERR_SYNTAX names the pattern that is not possible. */
MUST_USE int bounce_rules_compile(struct bounce_rules *rules, struct err *e);

size_t bounce_rules_count(const struct bounce_rules *rules);

/* The rule that decides, or NULL. Owned by `rules`. */
const struct bounce_rule *bounce_rules_match(struct bounce_rules *rules,
                                             const struct bounce_question *question);

#endif
