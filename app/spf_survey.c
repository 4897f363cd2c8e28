#include "app/spf_survey.h"

const struct spf_tree *spf_survey_walk(struct spf_survey *s, struct resolver *dns,
                                       struct slice domain, struct slice record)
{
    for (enum step step = spf_survey_start(s, domain, record); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(dns, spf_survey_question(s), &answer);
        step = spf_survey_answer(s, &answer);
    }
    return spf_survey_tree(s);
}
