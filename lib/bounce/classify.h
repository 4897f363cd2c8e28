/* lib/bounce/classify.h -- what one SMTP reply, or the words of a report, mean for the list.
 *
 *     "550 5.1.1 <a@b.example>... User unknown" --bounce_classify()--> invalid_recipient, hard, ...
 *
 * Order of decision: a provider's rule, a trustworthy exact code, generic text, and last the codes
 * that say little. The class digit alone gives "undetermined". */
#ifndef LIB_BOUNCE_CLASSIFY_H
#define LIB_BOUNCE_CLASSIFY_H

#include "base/base.h"
#include "lib/bounce/rules.h"

struct bounce_reply {
    struct slice text;     /* any line ends; may begin with the codes */
    struct slice host;     /* who answered; may be empty */
    unsigned code;         /* 0: looked for in the text */
    struct slice status;   /* empty: looked for in the text */
    struct slice fallback; /* words from around it, asked when the text alone decides nothing */
    bool is_delayed;       /* a delay notice, or an attempt that will be repeated */
};

struct bounce_verdict {
    enum bounce_category category;
    bool hard;
    enum bounce_retry retry;
    struct bounce_threshold suppress;
    const char *who;
    const char *rule;    /* "gmail/disabled"; "class/5", "class/4" or "none" when no rule fitted */
    unsigned code;       /* as given or found; 0 */
    struct slice status; /* as given or found; points into the input */
};

/* `scratch` is overwritten; it should be kept between calls. */
void bounce_classify(struct bounce_rules *rules, const struct bounce_reply *reply,
                     struct buf *scratch, struct bounce_verdict *verdict_out);

/* The verdict that follows from a category alone; class_digit is 4, 5 or 0. */
void bounce_verdict_of(enum bounce_category category, char class_digit, bool is_delayed,
                       struct bounce_verdict *verdict_out);

/* The first "550" and "5.1.1" in a text: numbers that stand alone. Zero or empty when there is
 * none. A status x.0.0 gives way to a later, exacter one. */
unsigned bounce_find_code(struct slice text);
struct slice bounce_find_status(struct slice text);

#endif
