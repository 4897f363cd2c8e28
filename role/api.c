/* The api role: HTTP on a local port. So far /metrics (Prometheus text) and /health. */
#include "role/role.h"
#include "rt/http/http.h"

#define METRICS_MAX (4u << 20)

struct api {
    struct role_env env;
    struct http_server *server;
};

static void show_metrics(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    struct api *a = ctx;
    (void)request;

    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(a->env.metrics, reply->body);
}

static void show_health(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    (void)ctx;
    (void)request;
    buf_append_text(reply->body, "ok\n");
}

static void *api_create(const struct role_env *env, struct err *e)
{
    struct api *a = mem_alloc(sizeof *a);
    (void)e;

    a->env = *env;
    if (env->http >= 0) {
        a->server = http_server_create(env->loop, env->http);
        http_server_route(a->server, "/metrics", show_metrics, a);
        http_server_route(a->server, "/health", show_health, a);
    }
    return a;
}

static void api_destroy(void *role)
{
    struct api *a = role;

    http_server_destroy(&a->server);
    free(a);
}

static void api_attach(void *role, enum role_kind peer, unsigned index, struct bus *bus)
{
    (void)role;
    (void)peer;
    (void)index;
    bus_close(&bus);
}

static void api_stop(void *role)
{
    struct api *a = role;

    if (a->env.stopped != NULL)
        a->env.stopped(a->env.stopped_ctx);
}

static void api_settings(void *role, const struct conf *conf)
{
    ((struct api *)role)->env.conf = conf;
}

const struct role_ops api_role = {
    .name = "api",
    .jail = PROC_JAIL_INBOUND,
    .create = api_create,
    .attach = api_attach,
    .stop = api_stop,
    .settings = api_settings,
    .destroy = api_destroy,
};
