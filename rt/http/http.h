/* rt/http/http.h -- a small HTTP server: /metrics, /health, later the API and the dashboard.
 *
 * evhttp does the protocol (HTTP/1.1, keep-alive). A handler answers at once. Limits: 8 KiB of
 * headers, 1 MiB of body, 30 s for a request. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/base.h"
#include "rt/loop/loop.h"

struct http_server; /* opaque */

struct http_request {
    const char *method; /* "GET" */
    const char *path;   /* decoded, without the query */
    const char *query;  /* as sent; "" if none */
    struct slice body;
};
struct http_reply {
    int status;               /* preset: 200 */
    const char *content_type; /* preset: text/plain; charset=utf-8 */
    struct buf *body;
};
typedef void http_fn(void *ctx, const struct http_request *request, struct http_reply *reply);

/* Takes over `fd`, a listening socket (listener_open of rt/stream). */
struct http_server *http_server_create(struct loop *l, int fd);
void http_server_destroy(struct http_server **s);
/* Exact paths; everything else is 404, and another method than GET or HEAD is 405. */
void http_server_route(struct http_server *s, const char *path, http_fn *fn, void *ctx);

#endif
