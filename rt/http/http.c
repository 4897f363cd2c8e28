#include "rt/http/http.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <unistd.h>

#define HEADERS_MAX_BYTES 8192
#define BODY_MAX_BYTES (1024 * 1024)
#define REQUEST_S 30
#define REPLY_MAX_BYTES (64u * 1024u * 1024u)

struct route {
    struct route *next;
    char *path;
    http_fn *fn;
    void *ctx;
};

struct http_server {
    struct evhttp *http;
    struct route *routes;
};

static void send_reply(struct evhttp_request *request, const struct http_reply *reply)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    struct evbuffer *body = evbuffer_new();

    evhttp_add_header(headers, "Content-Type", reply->content_type);
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evbuffer_add(body, reply->body->p, reply->body->n);
    evhttp_send_reply(request, reply->status, NULL, body); /* no body for HEAD: evhttp knows */
    evbuffer_free(body);
}

static void send_words(struct evhttp_request *request, int status, const char *words)
{
    struct buf body;
    struct http_reply reply = {status, "text/plain; charset=utf-8", &body};

    buf_init(&body, 1000);
    buf_append_text(&body, words);
    send_reply(request, &reply);
    buf_finish(&body);
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    const struct route *route = ctx;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    struct evbuffer *in = evhttp_request_get_input_buffer(request);
    bool is_head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
    size_t n = evbuffer_get_length(in);
    struct buf body;
    struct http_request asked = {.method = is_head ? "HEAD" : "GET", .path = route->path};
    struct http_reply reply = {HTTP_OK, "text/plain; charset=utf-8", &body};

    if (!is_head && evhttp_request_get_command(request) != EVHTTP_REQ_GET) {
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        send_words(request, HTTP_BADMETHOD, "Only GET and HEAD are understood here.\n");
        return;
    }
    asked.query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
    if (asked.query == NULL)
        asked.query = "";
    asked.body = (struct slice){(const char *)evbuffer_pullup(in, -1), n};
    buf_init(&body, REPLY_MAX_BYTES);
    route->fn(route->ctx, &asked, &reply);
    if (body.full)
        send_words(request, HTTP_INTERNAL, "The answer is too large.\n");
    else
        send_reply(request, &reply);
    buf_finish(&body);
}

static void on_unknown(struct evhttp_request *request, void *ctx)
{
    (void)ctx;
    send_words(request, HTTP_NOTFOUND, "There is nothing here. Try /metrics or /health.\n");
}

struct http_server *http_server_create(struct loop *l, int fd)
{
    struct http_server *s = mem_alloc(sizeof *s);

    s->http = evhttp_new(loop_event_base(l));
    if (s->http == NULL)
        abort(); /* out of memory (STYLE rule 23) */
    evhttp_set_max_headers_size(s->http, HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(s->http, BODY_MAX_BYTES);
    evhttp_set_timeout(s->http, REQUEST_S);
    /* All methods reach us, so that the wrong ones get 405 with Allow, not 501. */
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                            EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                            EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_gencb(s->http, on_unknown, NULL);
    if (evhttp_accept_socket(s->http, fd) != 0)
        abort(); /* the descriptor is no listening socket: a bug */
    return s;
}

void http_server_destroy(struct http_server **s)
{
    if (*s == NULL)
        return;
    evhttp_free((*s)->http); /* closes the listening socket and all connections */
    while ((*s)->routes != NULL) {
        struct route *first = (*s)->routes;

        (*s)->routes = first->next;
        free(first->path);
        free(first);
    }
    free(*s);
    *s = NULL;
}

void http_server_route(struct http_server *s, const char *path, http_fn *fn, void *ctx)
{
    struct route *route = mem_alloc(sizeof *route);

    *route = (struct route){s->routes, mem_string(path), fn, ctx};
    s->routes = route;
    evhttp_set_cb(s->http, path, on_request, route);
}
