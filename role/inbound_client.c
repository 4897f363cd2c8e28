/* One client connection: bytes to the SMTP engine, its questions to policy, its replies back. */
#include "role/inbound_in.h"

#define QUEUE_PENDING_MAX (8u << 20) /* beyond this, bodies wait in the kernel */

static void expect_commands(struct client *c)
{
    stream_set_deadline(c->stream, 0);
    stream_set_idle(c->stream, c->inbound->conf->inbound_command_timeout_ms);
}

static void forget_envelope(struct client *c)
{
    if (c->message != NULL) {
        message_abandon(c->message);
        expect_commands(c);
    }
    c->message = NULL;
    arena_destroy(&c->envelope);
    free(c->recipients);
    c->recipients = NULL;
    c->recipient_n = c->recipient_cap = c->envelope_bytes = c->address_n = 0;
    c->sender_path = c->forward_domain = c->only_address = SLICE("");
    c->sender = (struct smtp_sender){0};
    c->is_return = c->is_single = c->is_report = false;
    c->unproven = CONF_UNPROVEN_OBEY;
}

void client_destroy(struct client *c)
{
    struct inbound *in = c->inbound;
    uintptr_t count;

    forget_envelope(c);
    return_forget(c);
    count = (uintptr_t)map_get(in->per_address, slice_of(c->network));
    if (count > 1)
        (void)map_put(in->per_address, slice_of(c->network), (void *)(count - 1));
    else
        (void)map_remove(in->per_address, slice_of(c->network));
    list_remove(&c->link);
    in->client_n--;
    metric_change(in->env.metrics, METRIC_connections_open, -1);
    smtp_server_destroy(&c->server);
    stream_close(&c->stream);
    free(c);
}

static void flush(struct client *c)
{
    struct slice out = smtp_server_output(c->server);

    if (out.n == 0)
        return;
    stream_write(c->stream, out);
    smtp_server_sent(c->server, out.n);
}

static void say(struct client *c, unsigned code, const char *enhanced, const char *text)
{
    smtp_server_answer(c->server, (struct smtp_reply){code, enhanced, text});
}

/* --- questions --- */

static void on_login(struct client *c, const struct smtp_login *login)
{
    struct slice stream;

    if (logins_check(c->inbound->logins, login->user, login->password, &stream)) {
        c->may_relay = true;
        say(c, 235, "2.7.0", "Welcome");
    } else {
        log_info(c->inbound->env.log, "inbound.login_failed", LOG_STRING("client", c->ip),
                 LOG_TEXT("login", slice_sub(login->user, 0, 100)));
        say(c, 535, "5.7.8", "Name or password is wrong");
    }
}

static void on_sender(struct client *c, const struct smtp_sender *sender)
{
    const struct inbound *in = c->inbound;

    forget_envelope(c);
    if (in->queue == NULL) {
        say(c, 451, "4.3.0", "The queue is restarting; try again later");
        return;
    }
    if (!c->may_relay && !inbound_return_is_on(in) && !proof_is_on(in) && !reports_are_on(in)) {
        say(c, 550, "5.7.1", "Relaying denied: log in first, or send from an allowed network");
        return;
    }
    c->envelope = arena_create(ENVELOPE_MAX_BYTES + 4096);
    c->sender = *sender;
    c->sender_path = arena_copy(c->envelope, sender->path);
    c->sender.path = c->sender_path;
    c->sender.envelope_id = arena_copy(c->envelope, sender->envelope_id);
    c->sender.auth = SLICE("");
    say(c, 250, "2.1.0", "Ok");
}

/* Returns false when the queue has to be asked first. */
static bool on_recipient(struct client *c, const struct smtp_recipient *r)
{
    struct slice address = recipient_address(c, r);
    struct smtp_reply reply;

    if (address.n == 0) {
        say(c, 550, "5.1.3", "An address needs a domain here");
        return true;
    }
    switch (return_check(c, address, &reply)) {
    case RETURN_TAKE:
        smtp_server_answer(c->server, recipient_take(c, r, SLICE("")));
        return true;
    case RETURN_WAIT:
        return false;
    case RETURN_REPLY:
        smtp_server_answer(c->server, reply);
        return true;
    }
    return true;
}

static void on_data(struct client *c)
{
    if (c->inbound->queue == NULL) {
        say(c, 451, "4.3.0", "The queue is restarting; try again later");
        return;
    }
    c->message = message_begin(c);
    stream_set_deadline(c->stream, c->inbound->conf->inbound_message_timeout_ms);
    stream_set_idle(c->stream, c->inbound->conf->inbound_data_timeout_ms);
    say(c, 354, NULL, "Go ahead, end with a dot on a line by itself");
}

/* Returns false when the body has to wait: the queue does not keep up. */
static bool on_body(struct client *c, struct slice bytes)
{
    const struct inbound *in = c->inbound;

    if (in->queue != NULL && bus_pending(in->queue) > QUEUE_PENDING_MAX) {
        c->waits_for_queue = true;
        return false;
    }
    if (c->message != NULL)
        message_body(c->message, bytes);
    smtp_server_body_taken(c->server);
    return true;
}

static void on_end(struct client *c)
{
    expect_commands(c);
    if (c->message == NULL) {
        say(c, 451, "4.3.0", "The queue is restarting; try again later");
        return;
    }
    message_end(c->message);
}

/* Answers what can be answered now. False: a question stands, nothing more may be read. */
static bool serve_questions(struct client *c)
{
    struct smtp_ask ask = smtp_server_ask(c->server);

    switch (ask.kind) {
    case SMTP_ASK_NOTHING:
        return true;
    case SMTP_ASK_HELO:
        say(c, 250, NULL, "");
        return true;
    case SMTP_ASK_TLS:
        flush(c);
        stream_start_tls_server(c->stream, c->inbound->tls, 0);
        return false;
    case SMTP_ASK_AUTH:
        on_login(c, ask.login);
        return true;
    case SMTP_ASK_SENDER:
        on_sender(c, ask.sender);
        return true;
    case SMTP_ASK_RECIPIENT:
        return on_recipient(c, ask.recipient);
    case SMTP_ASK_DATA:
        on_data(c);
        return true;
    case SMTP_ASK_BODY:
        return on_body(c, ask.value);
    case SMTP_ASK_END:
        if (c->message == NULL || c->message->received_us == 0)
            on_end(c);
        return smtp_server_ask(c->server).kind == SMTP_ASK_NOTHING;
    }
    return true;
}

/* --- the stream --- */

/* A command that comes byte by byte is no sign of life: its time runs from the line before it. */
static bool command_takes_too_long(struct client *c)
{
    int64_t now_ms = loop_now_ms(c->inbound->env.loop);

    if (c->message != NULL || smtp_server_lines(c->server) != c->lines) {
        c->lines = smtp_server_lines(c->server);
        c->line_ms = now_ms;
    }
    return now_ms - c->line_ms > c->inbound->conf->inbound_command_timeout_ms;
}

static size_t on_bytes(void *ctx, struct slice in)
{
    struct client *c = ctx;
    size_t all = in.n;

    c->in_on_bytes = true;
    while (serve_questions(c)) {
        if (c->message != NULL && !smtp_server_in_transaction(c->server))
            forget_envelope(c); /* RSET, EHLO, too large, a bare line end */
        if (smtp_server_is_closed(c->server))
            break;
        if (smtp_server_ask(c->server).kind != SMTP_ASK_NOTHING)
            continue; /* an answer may raise the next question */
        if (in.n == 0)
            break;
        in = slice_from(in, smtp_server_recv(c->server, in));
    }
    c->in_on_bytes = false;
    if (command_takes_too_long(c))
        smtp_server_timeout(c->server);
    flush(c);
    if (smtp_server_is_closed(c->server)) {
        client_destroy(c);
        return all;
    }
    return all - in.n;
}

/* The peer says nothing more; a message that is complete is still answered. */
static void on_end_of_bytes(void *ctx)
{
    struct client *c = ctx;

    if (smtp_server_ask(c->server).kind == SMTP_ASK_END)
        c->peer_ended = true;
    else
        client_destroy(c);
}

static void on_drained(void *ctx)
{
    (void)ctx; /* replies wait in the stream; its ceiling ends a client that never reads */
}

static void on_tls(void *ctx)
{
    struct client *c = ctx;

    smtp_server_tls_started(c->server);
    flush(c);
    stream_resume(c->stream);
}

static bool recognize(struct client *c);

/* The PROXY header came: only now is it known who speaks. */
static void on_open(void *ctx)
{
    struct client *c = ctx;

    if (recognize(c))
        flush(c);
}

static void on_timeout(void *ctx)
{
    struct client *c = ctx;

    smtp_server_timeout(c->server);
    flush(c);
    client_destroy(c);
}

static void on_closed(void *ctx, enum stream_end end, const struct err *why)
{
    struct client *c = ctx;

    log_debug(c->inbound->env.log, "inbound.closed", LOG_STRING("client", c->ip),
              LOG_STRING("end", stream_end_name(end)), LOG_ERR(why));
    client_destroy(c);
}

static const struct stream_handlers handlers = {
    .on_open = on_open,
    .on_data = on_bytes,
    .on_drained = on_drained,
    .on_tls = on_tls,
    .on_eof = on_end_of_bytes,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* Whoever has one IPv6 address has the 2^64 of its network, so limits count networks. */
static void name_network(const struct endpoint *peer, const char *ip, char out[IP_TEXT_MAX])
{
    struct ip_address network = ip_address_unmap(peer->ip);

    if (peer->unix_path == NULL && network.family == IP_V6) {
        memset(network.bytes + 8, 0, 8);
        (void)ip_address_format(&network, out);
    } else {
        (void)snprintf(out, IP_TEXT_MAX, "%s", ip);
    }
}

/* May this address relay, and may it connect at all? False: the client is gone. */
static bool recognize(struct client *c)
{
    const struct endpoint *peer = stream_peer(c->stream);
    struct inbound *in = c->inbound;
    const char *refusal = NULL;
    uintptr_t count;

    if (peer->unix_path != NULL)
        (void)snprintf(c->ip, sizeof c->ip, "127.0.0.1");
    else
        (void)ip_address_format(&peer->ip, c->ip);
    name_network(peer, c->ip, c->network);
    c->may_relay =
        peer->unix_path != NULL || conf_networks_hold(&in->conf->relay_networks, &peer->ip);
    count = (uintptr_t)map_get(in->per_address, slice_of(c->network));
    (void)map_put(in->per_address, slice_of(c->network), (void *)(count + 1));
    if (in->client_n > (size_t)in->conf->connections_max)
        refusal = "Too many connections; try again later";
    else if (count + 1 > (uintptr_t)in->conf->connections_per_client_max)
        refusal = "Too many connections from your address; try again later";
    if (refusal == NULL)
        return true;
    metric_add(in->env.metrics, METRIC_connections_refused_total, 1);
    smtp_server_close(c->server, (struct smtp_reply){421, "4.7.0", refusal});
    flush(c);
    client_destroy(c);
    return false;
}

void client_accept(struct door *door, const struct accepted *accepted)
{
    struct inbound *in = door->inbound;
    struct client *c = mem_alloc(sizeof *c);

    c->inbound = in;
    c->door = door;
    c->stream = stream_accept(in->streams, accepted, door->conf->proxy, &handlers, c);
    c->server = smtp_server_create(&door->settings);
    list_append(&in->clients, &c->link);
    in->client_n++;
    metric_add(in->env.metrics, METRIC_connections_total, 1);
    metric_change(in->env.metrics, METRIC_connections_open, 1);
    if (!door->conf->proxy && !recognize(c))
        return;
    stream_set_idle(c->stream, in->conf->inbound_command_timeout_ms);
    c->line_ms = loop_now_ms(in->env.loop);
    if (door->conf->tls == CONF_TLS_IMPLICIT)
        stream_start_tls_server(c->stream, in->tls, 0);
    else if (!door->conf->proxy)
        flush(c);
}

/* --- answers from other roles --- */

static void go_on(struct client *c)
{
    if (c->in_on_bytes)
        return; /* it goes on by itself */
    flush(c);
    if (c->peer_ended || smtp_server_is_closed(c->server)) {
        client_destroy(c);
        return;
    }
    stream_resume(c->stream);
}

void client_checked(struct client *c, const struct msg_checked *m)
{
    struct smtp_ask ask = smtp_server_ask(c->server);
    char text[200], enhanced[16];

    if (ask.kind != SMTP_ASK_RECIPIENT)
        return;
    if (m != NULL && m->code == 250) {
        smtp_server_answer(c->server, recipient_take(c, ask.recipient, m->address));
    } else if (m != NULL && m->unknown) {
        smtp_server_answer(c->server, recipient_unknown(c));
    } else if (m != NULL) {
        (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(slice_sub(m->text, 0, 190)));
        (void)snprintf(enhanced, sizeof enhanced, "%.*s", SLICE_ARG(slice_sub(m->enhanced, 0, 15)));
        say(c, m->code, enhanced, text);
    } else {
        say(c, 451, "4.3.0", "The queue is restarting; try again later");
    }
    go_on(c);
}

void client_answer_end(struct client *c, unsigned code, const char *enhanced, const char *text)
{
    if (smtp_server_ask(c->server).kind != SMTP_ASK_END)
        return;
    say(c, code, enhanced, text);
    forget_envelope(c);
    if (c->inbound->stopping)
        smtp_server_shutdown(c->server);
    go_on(c);
}

void client_resume(struct client *c)
{
    if (!c->waits_for_queue)
        return;
    c->waits_for_queue = false;
    go_on(c);
}

void client_shut(struct client *c, bool patient)
{
    if (c->message != NULL && (patient || c->message->received_us != 0))
        return; /* it is answered first */
    smtp_server_shutdown(c->server);
    flush(c);
    client_destroy(c);
}
