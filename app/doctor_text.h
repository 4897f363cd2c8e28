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
/* What was found about a domain earlier. */
struct doctor_recall {
    struct slice domain;
    int64_t time_ms;
    struct doctor_finding *first;
};
void doctor_text_append_recalled(const struct doctor_recall *list, size_t n, struct buf *out);
/* One object: "domain" (empty when there are several), "time_ms" of the oldest, and "findings". */
void doctor_text_json_recalled(const struct doctor_recall *list, size_t n, struct buf *out);
/* No warning and no error. */
bool doctor_text_is_well(const struct doctor_finding *first);

#endif
