/* app/compare_text.h -- groups of copies as JSON, as text for a terminal, and as a web page. */
#ifndef APP_COMPARE_TEXT_H
#define APP_COMPARE_TEXT_H

#include "base/base.h"
#include "lib/trace/compare.h"

struct compare_report {
    const struct compare_group *groups;
    size_t count;
    size_t messages;
};
/* Each appends to `out` and calls `flush` when it has grown. */
struct compare_output {
    struct buf *out;
    void (*flush)(struct buf *out);
};
void compare_json(const struct compare_report *r, struct compare_output to);
void compare_text(const struct compare_report *r, struct compare_output to);
void compare_html(const struct compare_report *r, struct compare_output to);

/* --- what text and page share --- */

#define COMPARE_COPIES_SHOWN 8 /* of one group, side by side */

struct own_event;
struct compare_totals {
    size_t groups, copies, singles, collisions, inline_forwards;
};
struct compare_totals compare_totals(const struct compare_report *r);
const char *compare_verdict_words(enum compare_verdict v);
/* "sent again after a lost reply (retry_after_lost_reply)"; "out.a.example: up to here ...". */
void compare_cause_words(const struct compare_group *g, struct buf *out);
void compare_host_words(const struct compare_group *g, struct buf *out);
void compare_letter(size_t i, struct buf *out); /* "A", "B", ... "#27" */
void compare_flush(struct compare_output to);   /* if much has gathered */
/* "2026-11-23 22:00:02.123  ID  unknown   by mx.b.example: timed out"; `append` makes text safe. */
void compare_own_line(const struct own_event *ev,
                      void (*append)(struct buf *out, struct slice text), struct buf *out);
extern const char compare_inline_advice[];

#endif
