/* lib/doctor/doctor.h -- compares what a domain publishes with what its server really does.
 *
 *     struct doctor_subject (what is true here) --> doctor_create()
 *         doctor_step() --> STEP_WAIT --> doctor_question()... --> doctor_answer()... --+
 *              ^------------------------------------------------------------------------+
 *         doctor_step() --> STEP_DONE --> doctor_findings()
 *
 * A finding says what is wrong, why it matters, and the record to publish. The examinations read as
 * if all answers were known; one that misses an answer notes the question and is run again, so the
 * questions of a round are asked together, and answers may come in any order. */
#ifndef LIB_DOCTOR_DOCTOR_H
#define LIB_DOCTOR_DOCTOR_H

#include "lib/dnsmsg/record.h"
#include "lib/doctor/subject.h"

#define DOCTOR_QUESTIONS_MAX 600 /* of one examination; then it says that it gave up */
#define DOCTOR_ROUNDS_MAX 300

enum doctor_severity {
    DOCTOR_GOOD,
    DOCTOR_HINT, /* could be better; nothing is wrong */
    DOCTOR_WARNING,
    DOCTOR_ERROR,
};
#define DOCTOR_SEVERITIES 4
const char *doctor_severity_name(enum doctor_severity s); /* "good", "hint", ... */

struct doctor_finding {
    struct doctor_finding *next;
    enum doctor_severity severity;
    bool temporary;       /* DNS did not answer: nothing is known about this area */
    struct slice area;    /* "spf example.com": what was examined; groups findings */
    const char *rule;     /* a word for programs: "spf-missing-address", "dkim-wrong-key", ... */
    struct slice name;    /* the name in DNS that it is about */
    struct slice detail;  /* tells it from others of the same rule and name; may be empty */
    struct slice text;    /* a sentence */
    struct slice publish; /* the record, as a line of a zone file; empty if none helps */
    /* For those who keep findings; not filled in here: */
    struct slice domain; /* whose examination it comes from */
    int64_t since_ms;    /* when it was found first */
};

struct doctor; /* opaque */

/* `subject` is borrowed until the end. */
struct doctor *doctor_create(const struct doctor_subject *subject);
void doctor_destroy(struct doctor **d); /* NULL is fine; writes NULL back */

/* STEP_WAIT: questions are open. STEP_DONE: the findings are there. */
MUST_USE enum step doctor_step(struct doctor *d);
/* The next question that was not taken yet, with the number to answer it by; false: no more now.
 * Its name lives as long as the doctor. */
MUST_USE bool doctor_question(struct doctor *d, struct dns_question *question_out,
                              size_t *number_out);
/* Copied. A number that is not open is ignored. */
void doctor_answer(struct doctor *d, size_t number, const struct dns_answer *answer);

/* After STEP_DONE, until the end; in the order SPF, DKIM, DMARC, MX, addresses, transport. */
const struct doctor_finding *doctor_findings(const struct doctor *d);

#endif
