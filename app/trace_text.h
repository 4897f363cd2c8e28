/* app/trace_text.h -- a traced path as JSON, as text for a terminal, and as a web page. */
#ifndef APP_TRACE_TEXT_H
#define APP_TRACE_TEXT_H

#include "base/json.h"
#include "lib/trace/path.h"

void trace_json(const struct trace *t, struct buf *out); /* one object and a line end */
/* `title` is shown above, or NULL. */
void trace_text(const struct trace *t, const char *title, struct arena *a, struct buf *out);
void trace_html(const struct trace *t, const char *title, struct arena *a, struct buf *out);

/* Text with the characters that HTML gives a meaning escaped, and control characters as '?'. */
void html_append(struct buf *out, struct slice text);
/* A row of a table of facts; nothing for an empty value. */
void html_line(struct buf *out, const char *label, struct slice value);
/* The head of a page: title and style; it is closed by "</body></html>". */
void html_begin(struct buf *out, const char *title);

/* Text member, null when empty. */
void json_member_or_null(struct json *j, const char *key, struct slice text);
/* "TLSv1.3 CIPHER"; null when in clear. */
void json_member_tls(struct json *j, const char *key, const struct received *r);

#endif
