/* lib/spf/survey_in.h -- the walk (survey.c) and the judgement on what it saw (lint.c). */
#ifndef LIB_SPF_SURVEY_IN_H
#define LIB_SPF_SURVEY_IN_H

#include "base/arena.h"
#include "lib/spf/survey.h"

void spf_survey_find(struct spf_survey *s, enum spf_severity severity, const char *rule,
                     struct slice domain, struct slice text);
struct arena *spf_survey_arena(struct spf_survey *s);

/* One record that parses, as it is entered. */
void spf_survey_judge_record(struct spf_survey *s, struct slice domain, struct slice text,
                             const struct spf_record *record, unsigned depth);
/* The whole tree, at the end. */
void spf_survey_judge(struct spf_survey *s, const struct spf_tree *tree);

#endif
