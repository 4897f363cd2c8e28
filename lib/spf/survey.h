/* lib/spf/survey.h -- the whole tree of an SPF record, for people: what it includes, which
 * addresses it ends in, what it costs, what is wrong with it.
 *
 *     spf_survey_start(domain) --> STEP_WAIT --> question --> answer --> ... --> STEP_DONE --> tree
 *
 * Unlike an evaluation (eval.h) it asks about every term, whoever the client is, and goes on after
 * errors, so that all of them are seen at once. */
#ifndef LIB_SPF_SURVEY_H
#define LIB_SPF_SURVEY_H

#include "lib/dnsmsg/record.h"
#include "lib/spf/record.h"

#define SPF_SURVEY_LOOKUPS_MAX 80 /* it gives up beyond: the record is broken anyway */
#define SPF_SURVEY_DEPTH_MAX 16

/* One line of the tree, in order. */
struct spf_node {
    struct spf_node *next;
    unsigned depth;      /* of the record that it stands in; 0: the domain's own */
    bool is_record;      /* a record; otherwise one of its terms */
    struct slice domain; /* whose record */
    struct slice text;   /* the record, or the term */
    enum spf_kind kind;  /* of a term */
    enum spf_result qualifier;
    unsigned lookups;     /* what it costs, with all that it includes */
    struct slice problem; /* a sentence, or empty */
    bool finds_nothing;   /* a, mx: no address is behind it */
};

/* Addresses that a record names, however deep. */
struct spf_network {
    struct spf_network *next;
    struct ip_address address;
    unsigned bits;
    bool passes;     /* every qualifier on the way to it is "+" */
    struct slice by; /* the host that has it; empty for ip4 and ip6 */
    const struct spf_node *node;
};

enum spf_severity {
    SPF_ERROR,   /* receivers answer permerror, or the record does not do what it should */
    SPF_WARNING, /* works today, and is fragile or dangerous */
    SPF_HINT,
};

struct spf_finding {
    struct spf_finding *next;
    enum spf_severity severity;
    struct slice domain;
    const char *rule;  /* a word for programs: "lookups", "two-records", "plus-all", ... */
    struct slice text; /* a sentence: what is wrong and what to do */
};

struct spf_tree {
    struct slice domain;
    struct slice record; /* empty if there is none */
    bool is_merged;      /* several records stand there; `record` is what they would be as one */
    const struct spf_node *nodes;
    const struct spf_network *networks;
    const struct spf_finding *findings;
    unsigned lookups, void_lookups;
    enum spf_result all; /* what unknown clients get: the "all" that counts; SPF_NEUTRAL if none */
    bool failed;         /* DNS did not answer somewhere: the tree is not complete */
};

struct spf_survey; /* opaque */

struct spf_survey *spf_survey_create(void);
void spf_survey_destroy(struct spf_survey **s); /* NULL is fine; writes NULL back */

/* `record`: try this one in place of what the domain publishes; empty: look it up. */
MUST_USE enum step spf_survey_start(struct spf_survey *s, struct slice domain, struct slice record);
struct dns_question spf_survey_question(const struct spf_survey *s);
MUST_USE enum step spf_survey_answer(struct spf_survey *s, const struct dns_answer *answer);

/* After STEP_DONE, until the next start. */
const struct spf_tree *spf_survey_tree(const struct spf_survey *s);

#endif
