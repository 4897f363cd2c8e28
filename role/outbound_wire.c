/* The outbound role's connections: what a session writes goes to a stream, what comes back to it.
 */
#include "role/outbound_in.h"

/* A session's connection. */
struct wire_end {
    struct outbound *outbound;
    struct session *session;
    struct stream *stream;
    struct loop_timer patience;
    char key[320]; /* for TLS resumption */
};

/* --- from the stream --- */

static void wire_open(void *ctx)
{
    struct wire_end *w = ctx;

    metric_add(w->outbound->env.metrics, METRIC_outbound_connections_total, 1);
    session_connected(w->session);
}

static size_t wire_data(void *ctx, struct slice in)
{
    struct wire_end *w = ctx;

    return session_data(w->session, in);
}

static void wire_drained(void *ctx)
{
    session_drained(((struct wire_end *)ctx)->session);
}

static void wire_tls(void *ctx)
{
    session_tls_started(((struct wire_end *)ctx)->session);
}

static void wire_closed(void *ctx, enum stream_end end, const struct err *why)
{
    struct wire_end *w = ctx;

    session_lost(w->session, why->text[0] != '\0' ? why->text : stream_end_name(end),
                 end == STREAM_END_TLS);
}

static const struct stream_handlers wire_handlers = {
    .on_open = wire_open,
    .on_data = wire_data,
    .on_drained = wire_drained,
    .on_tls = wire_tls,
    .on_closed = wire_closed,
};

static void out_of_patience(void *ctx)
{
    session_timed_out(((struct wire_end *)ctx)->session);
}

/* --- from the session --- */

static bool may_connect(void *ctx)
{
    const struct outbound *o = ctx;

    return o->connections < (uint64_t)o->conf->outbound_connections_max;
}

static void *on_connect(void *ctx, struct session *s, const struct host_address *to)
{
    struct outbound *o = ctx;
    struct wire_end *w = mem_alloc(sizeof *w);
    struct stream_target target = {.timeout_ms = o->conf->outbound_connect_timeout_ms};
    struct ip_address source;

    target.to.ip = to->address;
    target.to.port = to->port;
    if (o->conf->source_address[0] != '\0' &&
        ip_address_parse(slice_of(o->conf->source_address), &source))
        target.source = &source;
    w->outbound = o;
    w->session = s;
    loop_timer_init(&w->patience, o->env.loop, out_of_patience, w);
    (void)snprintf(w->key, sizeof w->key, "%s:%u", to->name, to->port);
    w->stream = stream_connect(o->streams, &target, &wire_handlers, w);
    o->connections++;
    metric_change(o->env.metrics, METRIC_outbound_connections_open, 1);
    return w;
}

static void on_close(void *ctx, struct session *s, void *handle)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    (void)s;

    loop_timer_finish(&w->patience);
    stream_close(&w->stream);
    o->connections--;
    metric_change(o->env.metrics, METRIC_outbound_connections_open, -1);
    free(w);
}

static void on_start_tls(void *ctx, struct session *s, void *handle)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    const struct target *t = destination_owner(session_destination(s));
    const struct tls_client client = {
        .context = o->tls,
        .server_name = session_host(s)->name,
        .verify = t->tls == CONF_HOP_TLS_VERIFY,
        .sessions = o->tls_cache,
        .session_key = slice_of(w->key),
    };

    stream_start_tls_client(w->stream, &client, o->conf->outbound_connect_timeout_ms);
}

static size_t on_write(void *ctx, void *handle, struct slice bytes)
{
    struct wire_end *w = handle;
    (void)ctx;

    stream_write(w->stream, bytes);
    return stream_pending(w->stream);
}

static void on_set_patience(void *ctx, void *handle, unsigned seconds)
{
    struct outbound *o = ctx;
    struct wire_end *w = handle;
    int64_t ms = (int64_t)seconds * 1000;

    if (w == NULL)
        return;
    if (seconds == 0) {
        loop_timer_stop(&w->patience);
        return;
    }
    if (seconds == 600 && o->conf->outbound_dot_timeout_ms < ms)
        ms = o->conf->outbound_dot_timeout_ms;
    else if (seconds >= 300 && seconds != 600 && o->conf->outbound_command_timeout_ms < ms)
        ms = o->conf->outbound_command_timeout_ms;
    loop_timer_set(&w->patience, ms);
}

struct slice wire_source(const struct session *s, char room[IP_TEXT_MAX])
{
    const struct wire_end *w = s == NULL ? NULL : session_handle(s);

    if (w == NULL || !stream_is_open(w->stream) || stream_local(w->stream)->unix_path != NULL)
        return (struct slice){0};
    return (struct slice){room, ip_address_format(&stream_local(w->stream)->ip, room)};
}

void wire_fill_ports(struct deliver_ports *ports)
{
    ports->may_connect = may_connect;
    ports->connect = on_connect;
    ports->close = on_close;
    ports->start_tls = on_start_tls;
    ports->write = on_write;
    ports->set_patience = on_set_patience;
}
