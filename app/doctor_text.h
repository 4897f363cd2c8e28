/* app/doctor_text.h -- findings and facts of `waybill doctor` as text and JSON. */
#ifndef APP_DOCTOR_TEXT_H
#define APP_DOCTOR_TEXT_H

#include "base/json.h"
#include "lib/doctor/doctor.h"

/* For people: facts, findings, the records to publish, what to do next. */
void doctor_text_append(const struct doctor_subject *subject, const struct doctor_finding *first,
                        struct buf *out);
/* Members of an open object: "addresses", and "findings". */
void doctor_text_json(struct json *j, const struct doctor_subject *subject,
                      const struct doctor_finding *first);
/* Only the findings, with their records; says how many there are to mend and to look at. */
void doctor_text_findings(const struct doctor_finding *first, struct buf *out);
void doctor_text_json_findings(struct json *j, const struct doctor_finding *first);
/* No warning and no error. */
bool doctor_text_is_well(const struct doctor_finding *first);

#endif
