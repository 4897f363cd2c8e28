/* Requests as they come over the wire, and what must be in the answer. */
#include "rt/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

static const struct talk {
    const char *name, *request, *status, *within;
} talks[] = {
    {"a route answers", "GET /hello?who=x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 ", "\r\n\r\nhello who=x"},
    {"HEAD has no body", "HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 ", "Content-Type: text/plain; charset=utf-8\r\n"},
    {"the answer's own status", "GET /sick HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 503 ", "not well"},
    {"another path is 404", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 404 ", "/metrics"},
    {"another method is 405",
     "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
     "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"},
    {"two requests on one connection",
     "GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /sick HTTP/1.1\r\nHost: h\r\n"
     "Connection: close\r\n\r\n",
     "HTTP/1.1 200 ", "HTTP/1.1 503 "},
    {"rubbish is 400", "rubbish\r\n\r\n", "HTTP/1.1 400 ", ""},
    {"headers have a ceiling", NULL, "HTTP/1.1 4", ""},
};

static void hello(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    buf_printf(reply->body, "%s %s", (const char *)ctx, request->query);
}

static void sick(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    (void)ctx, (void)request;
    reply->status = 503;
    buf_append_text(reply->body, "not well");
}

static void play(void **state)
{
    const struct talk *t = *state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t a_n = sizeof a;
    struct loop *l = loop_create();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct buf request, got;

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &a_n), 0);
    struct http_server *s = http_server_create(l, listener);
    http_server_route(s, "/hello", hello, (void *)(uintptr_t) "hello");
    http_server_route(s, "/sick", sick, NULL);
    buf_init(&request, 1 << 20);
    buf_init(&got, 1 << 20);
    if (t->request != NULL) {
        buf_append_text(&request, t->request);
    } else {
        buf_append_text(&request, "GET /hello HTTP/1.1\r\n");
        for (unsigned i = 0; i < 2000; i++)
            buf_printf(&request, "X-%u: something\r\n", i);
        buf_append_text(&request, "\r\n");
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(write(fd, request.p, request.n), (ssize_t)request.n);
    for (unsigned turns = 0; turns < 200; turns++) {
        loop_turn(l, 5);
        ssize_t n = recv(fd, buf_room(&got, 65536), 65536, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        if (n > 0)
            buf_claim(&got, (size_t)n);
    }
    assert_true(slice_starts(buf_slice(&got), slice_of(t->status)));
    assert_true(slice_search(buf_slice(&got), slice_of(t->within)) != SLICE_NONE);
    close(fd);
    http_server_destroy(&s);
    loop_destroy(&l);
    buf_finish(&request);
    buf_finish(&got);
}

int main(void)
{
    RUN_TABLE(talks, play);
}
