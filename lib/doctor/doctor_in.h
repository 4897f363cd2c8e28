/* lib/doctor/doctor_in.h -- the machine (doctor.c), and the examinations that it runs.
 *
 * An examination begins with doctor_begin(), asks with doctor_ask(), and returns at once when that
 * is NULL: it is run again when the answer has come, and what it found so far is forgotten. */
#ifndef LIB_DOCTOR_DOCTOR_IN_H
#define LIB_DOCTOR_DOCTOR_IN_H

#include "base/arena.h"
#include "base/map.h"
#include "lib/dmarc/eval.h"
#include "lib/doctor/doctor.h"
#include "lib/spf/survey.h"

/* An SPF record on its way; goes on where it stopped. */
struct doctor_walk {
    struct spf_survey *survey;
    enum step step;
};

struct known {
    struct dns_question question;
    struct dns_answer answer;
    bool answered;
};

struct doctor {
    const struct doctor_subject *subject;
    struct arena *facts; /* questions and answers */
    struct arena *words; /* findings, of this round */
    struct map *index;   /* type and name -> struct known */
    struct known *table[DOCTOR_QUESTIONS_MAX];
    size_t count, taken, answered;
    unsigned rounds;
    bool gave_up; /* a ceiling was reached: what is not known counts as no answer */
    struct doctor_walk return_path, author;
    struct dmarc *dmarc;
    enum step dmarc_step;
    struct slice area;
    struct doctor_finding *first, **last, spare;
};

/* --- doctor.c --- */
void doctor_begin(struct doctor *d, const char *what, struct slice name);
/* NULL: not known yet. */
const struct dns_answer *doctor_ask(struct doctor *d, struct slice name, enum dns_type type);
/* Never NULL; owned by the doctor. The name and the text are copied. */
struct doctor_finding *doctor_find(struct doctor *d, enum doctor_severity severity,
                                   const char *rule, struct slice name, struct slice text);
/* DNS did not answer: nothing can be said, and that is said. */
bool doctor_is_silent(struct doctor *d, const struct dns_answer *answer, struct slice name);
void doctor_find_silence(struct doctor *d, struct slice name, struct slice text);
/* Whether a name has an A or AAAA record: 1, 0; -1: not known yet, -2: DNS does not answer. */
int doctor_has_address(struct doctor *d, struct slice name);
struct slice doctor_publish_txt(struct doctor *d, struct slice name, struct slice text);

/* --- the examinations --- */
void doctor_examine_spf(struct doctor *d, struct doctor_walk *walk, struct slice domain);
void doctor_examine_dkim(struct doctor *d);
void doctor_examine_dmarc(struct doctor *d);
void doctor_examine_mx(struct doctor *d, struct slice domain);
void doctor_examine_addresses(struct doctor *d);
void doctor_examine_transport(struct doctor *d, struct slice domain);

#endif
