#include "mta/deliver/deliver_in.h"

#include <assert.h>

#define PIECE_BYTES 65536
#define HELD_BACK_MAX (256u * 1024u) /* beyond this the body waits for the connection */
#define ONE_WRITE_MAX 65536          /* a body up to this size leaves together with its dot */

static const char *const state_names[] = {
    [SESSION_CONNECT] = "connecting",
    [SESSION_TLS] = "TLS handshake",
    [SESSION_TALK] = "talking",
    [SESSION_DRAIN] = "sending the message body: waiting for the connection",
    [SESSION_DOT] = "writing down that the final dot leaves",
    [SESSION_IDLE] = "idle",
    [SESSION_OVER] = "over",
};

static void go_on(struct session *s);

const char *session_state(const struct session *s)
{
    return s->state == SESSION_TALK ? smtp_client_state_name(s->client) : state_names[s->state];
}

void *session_handle(const struct session *s)
{
    return s->handle;
}

unsigned session_messages(const struct session *s)
{
    return s->messages;
}

struct destination *session_destination(const struct session *s)
{
    return s->destination;
}

const struct host_address *session_host(const struct session *s)
{
    return &s->destination->hosts[s->host];
}

static const struct deliver_ports *ports(const struct session *s)
{
    return s->destination->ports;
}

static void patience(struct session *s, unsigned seconds)
{
    ports(s)->set_patience(ports(s)->ctx, s->handle, seconds);
}

static void connect_host(struct session *s)
{
    struct smtp_client_settings settings = s->destination->settings.client;

    if (s->no_tls && settings.tls == SMTP_TLS_IF_OFFERED)
        settings.tls = SMTP_TLS_NEVER;
    smtp_client_destroy(&s->client);
    s->client = smtp_client_create(&settings);
    s->state = SESSION_CONNECT;
    s->was_ready = false;
    s->messages = 0;
    s->handle = ports(s)->connect(ports(s)->ctx, s, session_host(s));
}

struct session *session_open(struct destination *d)
{
    struct session *s = mem_alloc(sizeof *s);

    s->destination = d;
    s->host = d->good_host;
    list_append(&d->sessions, &s->link);
    d->session_n++;
    connect_host(s);
    return s;
}

static void hang_up(struct session *s)
{
    if (s->handle != NULL)
        ports(s)->close(ports(s)->ctx, s, s->handle);
    s->handle = NULL;
}

void session_destroy(struct session **s)
{
    hang_up(*s);
    list_remove(&(*s)->link);
    smtp_client_destroy(&(*s)->client);
    free(*s);
    *s = NULL;
}

/* Hands everything that the engine wrote to the connection; returns what that holds back. */
static size_t flush(struct session *s)
{
    struct slice out = smtp_client_output(s->client);
    size_t held = 0;

    if (out.n > 0 && s->handle != NULL) {
        held = ports(s)->write(ports(s)->ctx, s->handle, out);
        smtp_client_sent(s->client, out.n);
    }
    return held;
}

/* This host did not get us to a transaction: the same host in clear, or the next one. */
static void try_next(struct session *s, const char *why, bool in_tls)
{
    struct destination *d = s->destination;

    hang_up(s);
    if (in_tls && !s->no_tls && d->settings.client.tls == SMTP_TLS_IF_OFFERED) {
        s->no_tls = true;
        connect_host(s);
        return;
    }
    s->no_tls = false;
    if (s->host + 1 < d->host_n && !d->stopping) {
        s->host++;
        connect_host(s);
        return;
    }
    destination_session_failed(d, s, why);
    destination_run(d);
}

static void end_job(struct session *s)
{
    struct deliver_report report = {.state = session_state(s), .talk = s->client};
    struct deliver_job *job = s->job;

    s->job = NULL;
    job->session = NULL;
    destination_end_job(s->destination, s, job, &report);
}

static void over(struct session *s)
{
    struct destination *d = s->destination;

    hang_up(s);
    destination_session_over(d, s);
    destination_run(d);
}

/* Was the connection dead before it heard of this job? Then another one may take it (once). */
static bool died_idle(const struct session *s)
{
    return s->messages > 0 && smtp_client_phase(s->client) == SMTP_PHASE_MAIL && !s->job->requeued;
}

static void give_up(struct session *s, const char *why)
{
    struct destination *d = s->destination;

    if (s->job != NULL && died_idle(s)) {
        s->job->requeued = true;
        s->job->session = NULL;
        destination_put_back(d, s->job);
        s->job = NULL;
    }
    smtp_client_lost(s->client, why);
    if (s->job != NULL && smtp_client_want(s->client) == SMTP_WANT_RESULT_TAKEN)
        end_job(s);
    over(s);
}

static void begin_job(struct session *s)
{
    struct err e;

    s->job->session = s;
    if (smtp_client_begin(s->client, &s->job->envelope, &e) == 0) {
        s->state = SESSION_TALK;
        s->body_done = false;
        s->messages++;
        return;
    }
    struct deliver_report report = {.state = "writing the envelope"};
    struct deliver_job *job = s->job;
    report.all = (struct smtp_verdict){.outcome = SMTP_REFUSED, .phase = SMTP_PHASE_MAIL};
    report.all.response = (struct smtp_response){0, SLICE("5.1.3"), slice_of(e.text)};
    s->job = NULL;
    job->session = NULL;
    destination_end_job(s->destination, s, job, &report);
}

/* Feeds the message until it ends or the connection holds back too much. */
static void send_body(struct session *s)
{
    static const struct slice unreadable = SLICE_INIT("the stored message cannot be read");
    char piece[PIECE_BYTES];

    for (;;) {
        ssize_t n = ports(s)->read_body(ports(s)->ctx, s->job, piece, sizeof piece);

        if (n < 0) {
            smtp_client_abort(s->client, unreadable.p);
            return;
        }
        if (n == 0)
            break;
        struct slice rest = {piece, (size_t)n};
        size_t held = 0;
        while (rest.n > 0 && smtp_client_want(s->client) == SMTP_WANT_BODY) {
            rest = slice_from(rest, smtp_client_body(s->client, rest));
            if (rest.n > 0 || smtp_client_output(s->client).n > ONE_WRITE_MAX)
                held = flush(s);
        }
        if (smtp_client_want(s->client) != SMTP_WANT_BODY)
            return; /* it was told 421, or lost the connection */
        if (held > HELD_BACK_MAX) {
            s->state = SESSION_DRAIN;
            return;
        }
    }
    smtp_client_body_end(s->client);
}

static void ask_for_dot(struct session *s)
{
    s->state = SESSION_DOT;
    if (smtp_client_output(s->client).n > ONE_WRITE_MAX)
        (void)flush(s);
    patience(s, 0);
    ports(s)->want_dot(ports(s)->ctx, s->job);
}

/* Between transactions: the next job, a rest, or the end. Returns false when there is nothing to
 * do now. */
static bool next_job(struct session *s)
{
    struct destination *d = s->destination;

    if (!s->was_ready) {
        s->was_ready = true;
        destination_session_ready(d, s);
    }
    if (s->messages >= d->settings.messages_max) {
        session_quit(s);
        return false;
    }
    if (s->job == NULL)
        s->job = destination_next_job(d);
    if (s->job != NULL) {
        begin_job(s);
        return true;
    }
    if (d->stopping || d->settings.idle_s == 0) {
        session_quit(s);
        return false;
    }
    (void)flush(s); /* RSET, maybe */
    s->state = SESSION_IDLE;
    patience(s, d->settings.idle_s);
    return false;
}

static void talk_ended(struct session *s)
{
    struct smtp_failure failure = smtp_client_failure(s->client);
    char why[300];

    (void)flush(s);
    if (s->was_ready || s->destination->host_n == 0) {
        over(s);
        return;
    }
    (void)snprintf(why, sizeof why, "%s: %s%.*s", session_host(s)->name,
                   failure.response.code > 0 ? "it said " : "",
                   SLICE_ARG(slice_sub(failure.response.text, 0, 200)));
    try_next(s, why, failure.phase == SMTP_PHASE_STARTTLS);
}

/* Does whatever the engine wants until that is more bytes from the server, or time. */
static void go_on(struct session *s)
{
    s->state = SESSION_TALK;
    for (;;) {
        switch (smtp_client_want(s->client)) {
        case SMTP_WANT_BYTES:
            (void)flush(s);
            patience(s, smtp_client_patience_s(s->client));
            return;
        case SMTP_WANT_TLS:
            (void)flush(s);
            s->state = SESSION_TLS;
            ports(s)->start_tls(ports(s)->ctx, s, s->handle);
            return;
        case SMTP_WANT_TRANSACTION:
            if (!next_job(s))
                return;
            break;
        case SMTP_WANT_BODY:
            send_body(s);
            if (s->state == SESSION_DRAIN)
                return;
            break;
        case SMTP_WANT_DOT:
            ask_for_dot(s);
            return;
        case SMTP_WANT_RESULT_TAKEN:
            end_job(s);
            smtp_client_done(s->client);
            break;
        case SMTP_WANT_CLOSE:
            talk_ended(s);
            return;
        }
    }
}

void session_take_job(struct session *s, struct deliver_job *job)
{
    assert(s->state == SESSION_IDLE && s->job == NULL);
    s->job = job;
    go_on(s);
}

void session_quit(struct session *s)
{
    if (s->client != NULL && smtp_client_want(s->client) == SMTP_WANT_TRANSACTION) {
        smtp_client_quit(s->client);
        (void)flush(s); /* the reply to QUIT tells nothing: the port closes in order */
    }
    over(s);
}

void session_connected(struct session *s)
{
    if (s->state == SESSION_CONNECT)
        go_on(s);
}

void session_tls_started(struct session *s)
{
    smtp_client_tls_started(s->client);
    go_on(s);
}

size_t session_data(struct session *s, struct slice in)
{
    smtp_client_recv(s->client, in);
    switch (s->state) {
    case SESSION_TALK:
        go_on(s);
        break;
    case SESSION_DRAIN:
    case SESSION_DOT: /* a 421, or a lost race: the job's own answer comes later */
        if (smtp_client_want(s->client) == SMTP_WANT_RESULT_TAKEN && s->state == SESSION_DRAIN)
            go_on(s);
        break;
    case SESSION_IDLE:
        if (smtp_client_want(s->client) == SMTP_WANT_CLOSE)
            over(s);
        break;
    case SESSION_CONNECT:
    case SESSION_TLS:
    case SESSION_OVER:
        break;
    }
    return in.n;
}

void session_drained(struct session *s)
{
    if (s->state == SESSION_DRAIN)
        go_on(s);
}

void session_timed_out(struct session *s)
{
    char why[200];

    if (s->state == SESSION_IDLE) {
        session_quit(s);
        return;
    }
    (void)snprintf(why, sizeof why, "time-out while %s", session_state(s));
    session_lost(s, why, s->state == SESSION_TLS);
}

void session_lost(struct session *s, const char *why, bool in_tls)
{
    char text[300];

    hang_up(s);
    if (s->state == SESSION_OVER)
        return;
    if (s->state == SESSION_DOT) {
        /* The dot has not left and will not: deliver_dot() finds no connection and defers. */
        return;
    }
    if (!s->was_ready && s->job == NULL) {
        (void)snprintf(text, sizeof text, "%s: %s", session_host(s)->name, why);
        try_next(s, text, in_tls);
        return;
    }
    give_up(s, why);
}

void deliver_dot(struct deliver_job *job, bool granted)
{
    struct session *s = job->session;

    if (s == NULL || s->state != SESSION_DOT)
        return;
    s->state = SESSION_TALK;
    if (granted && s->handle != NULL && smtp_client_want(s->client) == SMTP_WANT_DOT) {
        smtp_client_send_dot(s->client);
        go_on(s);
        return;
    }
    if (smtp_client_want(s->client) == SMTP_WANT_DOT)
        smtp_client_abort(s->client, granted ? "the connection was lost before the final dot"
                                             : "the ledger could not be written");
    if (smtp_client_want(s->client) == SMTP_WANT_RESULT_TAKEN)
        end_job(s);
    over(s);
}
