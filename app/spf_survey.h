/* app/spf_survey.h -- the whole SPF record of a domain, for commands. */
#ifndef APP_SPF_SURVEY_H
#define APP_SPF_SURVEY_H

#include "app/resolver.h"
#include "lib/spf/survey.h"

/* Walks the whole record of `domain` (or `record` in its place, if not empty). */
const struct spf_tree *spf_survey_walk(struct spf_survey *s, struct resolver *dns,
                                       struct slice domain, struct slice record);

#endif
