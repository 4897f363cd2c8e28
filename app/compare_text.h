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

#endif
