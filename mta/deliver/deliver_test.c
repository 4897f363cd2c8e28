/* Deliveries in a played world: the hosts are a list, the server's words are in the story, and what
 * the machine did is written down and compared. */
#include "base/test.h"

#include "mta/deliver/deliver.h"

struct act {
    enum { RESOLVED, CONNECTED, SERVER, DOT, NO_DOT, LOST, TLS_LOST, TLS_OK, TIMEOUT, ADD } what;
    const char *words;
};

struct story {
    const char *name;
    const char *deeds;
    struct act acts[16];
    const char *hosts;
    bool no_idle, require_tls;
};

struct world {
    struct destination *destination;
    struct session *session; /* the one that acted last */
    struct deliver_job jobs[4];
    struct smtp_recipient recipient;
    size_t job_n, body_at[4];
    char deeds[2048];
};

static void note(struct world *w, const char *what)
{
    size_t n = strlen(w->deeds);

    (void)snprintf(w->deeds + n, sizeof w->deeds - n, "%s ", what);
}

static void resolve(void *ctx, struct destination *d)
{
    (void)d;
    note(ctx, "resolve");
}

static void *connect_to(void *ctx, struct session *s, const struct host_address *to)
{
    struct world *w = ctx;
    char text[IP_TEXT_MAX + 16] = "connect:";

    ip_address_format(&to->address, text + 8);
    note(w, text);
    w->session = s;
    return s;
}

static void hang_up(void *ctx, struct session *s, void *handle)
{
    (void)s;
    (void)handle;
    note(ctx, "close");
}

static void start_tls(void *ctx, struct session *s, void *handle)
{
    (void)s;
    (void)handle;
    note(ctx, "tls");
}

/* Notes the first word of each line that leaves. */
static size_t write_out(void *ctx, void *handle, struct slice bytes)
{
    (void)handle;
    while (bytes.n > 0) {
        struct slice line = slice_line(&bytes), word = slice_cut(&line, ' ');
        char text[64];

        (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(slice_sub(word, 0, 60)));
        note(ctx, text);
    }
    return 0;
}

static ssize_t read_body(void *ctx, struct deliver_job *job, char *room, size_t cap)
{
    static const struct slice body = SLICE_INIT("Subject:x\r\n\r\nbody\r\n");
    struct world *w = ctx;
    size_t *at = &w->body_at[job - w->jobs];
    struct slice piece = slice_sub(slice_from(body, *at), 0, cap);

    memcpy(room, piece.p, piece.n);
    *at += piece.n;
    return (ssize_t)piece.n;
}

static void want_dot(void *ctx, struct deliver_job *job)
{
    (void)job;
    note(ctx, "dot?");
}

static void report(void *ctx, struct deliver_job *job, const struct deliver_report *r)
{
    static const char *const names[] = {"delivered", "deferred", "refused", "unknown"};
    struct world *w = ctx;
    struct smtp_verdict v = deliver_verdict(r, 0);
    char text[64];

    (void)snprintf(text, sizeof text, "=%zu:%s:%u%s", (size_t)(job - w->jobs), names[v.outcome],
                   v.response.code, r->site_down ? ":down" : "");
    note(w, text);
}

static void set_patience(void *ctx, void *handle, unsigned seconds)
{
    (void)ctx;
    (void)handle;
    (void)seconds;
}

static void resolved(struct world *w, const struct story *s)
{
    struct hosts *h = hosts_create_fixed(slice_of(s->hosts != NULL ? s->hosts : "192.0.2.1"), 1);

    while (hosts_step(h) == STEP_WAIT)
        hosts_answer(h, &(struct dns_answer){.status = DNS_SERVFAIL});
    destination_resolved(w->destination, h);
    hosts_destroy(&h);
}

static void add_job(struct world *w)
{
    struct deliver_job *job = &w->jobs[w->job_n++];

    list_init(&job->link);
    job->envelope = (struct smtp_envelope){.recipients = &w->recipient, .recipient_count = 1};
    job->envelope.sender.path = SLICE("a@x.example");
    deliver_add(w->destination, job);
}

static void play_act(struct world *w, const struct story *s, const struct act *a)
{
    switch (a->what) {
    case RESOLVED:
        resolved(w, s);
        break;
    case CONNECTED:
        session_connected(w->session);
        break;
    case SERVER:
        (void)session_data(w->session, slice_of(a->words));
        break;
    case DOT:
    case NO_DOT:
        deliver_dot(&w->jobs[a->words[0] - '0'], a->what == DOT);
        break;
    case LOST:
    case TLS_LOST:
        session_lost(w->session, a->words, a->what == TLS_LOST);
        break;
    case TLS_OK:
        session_tls_started(w->session);
        break;
    case TIMEOUT:
        session_timed_out(w->session);
        break;
    case ADD:
        add_job(w);
        break;
    }
}

static void play(void **state)
{
    const struct story *s = *state;
    struct world w = {.recipient = {.path = SLICE_INIT("b@y.example")}};
    const struct deliver_ports ports = {&w,       resolve,   NULL,        connect_to,
                                        hang_up,  start_tls, write_out,   read_body,
                                        want_dot, report,    set_patience};
    const struct deliver_settings settings = {
        .client = {.helo_name = "us.example",
                   .tls = s->require_tls ? SMTP_TLS_REQUIRED : SMTP_TLS_IF_OFFERED},
        .connections_max = 1,
        .messages_max = 10,
        .idle_s = s->no_idle ? 0 : 5,
    };

    w.destination = destination_create(&settings, &ports, NULL);
    add_job(&w);
    for (size_t i = 0; i < COUNT(s->acts) && (i == 0 || s->acts[i].what != RESOLVED); i++)
        play_act(&w, s, &s->acts[i]);
    assert_string_equal(w.deeds, s->deeds);
    destination_destroy(&w.destination);
}

#define HELLO                                                                                      \
    {SERVER, "220 mx\r\n"},                                                                        \
    {                                                                                              \
        SERVER, "250-mx\r\n250 PIPELINING\r\n"                                                     \
    }
#define TAKE                                                                                       \
    {                                                                                              \
        SERVER, "250 ok\r\n250 ok\r\n354 go\r\n"                                                   \
    }
#define SENT "MAIL RCPT DATA dot? Subject:x  body . "

static const struct story stories[] = {
    {"a message is delivered, and the connection waits for the next one",
     "resolve connect:192.0.2.1 EHLO " SENT "=0:delivered:250 " SENT "=1:delivered:250 QUIT close ",
     {{RESOLVED, ""},
      {CONNECTED, ""},
      HELLO,
      TAKE,
      {DOT, "0"},
      {SERVER, "250 taken\r\n"},
      {ADD, ""},
      TAKE,
      {DOT, "1"},
      {SERVER, "250 taken\r\n"},
      {TIMEOUT, ""}},
     NULL,
     false,
     false},
    {"the second host takes it when the first refuses connections",
     "resolve connect:192.0.2.1 close connect:192.0.2.2 EHLO " SENT "=0:delivered:250 ",
     {{RESOLVED, ""},
      {LOST, "refused"},
      {CONNECTED, ""},
      HELLO,
      TAKE,
      {DOT, "0"},
      {SERVER, "250 taken\r\n"}},
     "192.0.2.1 192.0.2.2",
     false,
     false},
    {"a site where nobody answers is down",
     "resolve connect:192.0.2.1 close connect:192.0.2.2 close =0:deferred:0:down ",
     {{RESOLVED, ""}, {LOST, "refused"}, {LOST, "refused"}},
     "192.0.2.1 192.0.2.2",
     false,
     false},
    {"a greeting of 554 sends us to the next host",
     "resolve connect:192.0.2.1 QUIT close connect:192.0.2.2 ",
     {{RESOLVED, ""}, {CONNECTED, ""}, {SERVER, "554 go away\r\n"}},
     "192.0.2.1 192.0.2.2",
     false,
     false},
    {"a connection lost after the dot leaves the outcome unknown",
     "resolve connect:192.0.2.1 EHLO " SENT "close =0:unknown:0 ",
     {{RESOLVED, ""}, {CONNECTED, ""}, HELLO, TAKE, {DOT, "0"}, {LOST, "reset"}},
     NULL,
     false,
     false},
    {"a time-out after the dot leaves the outcome unknown",
     "resolve connect:192.0.2.1 EHLO " SENT "close =0:unknown:0 ",
     {{RESOLVED, ""}, {CONNECTED, ""}, HELLO, TAKE, {DOT, "0"}, {TIMEOUT, ""}},
     NULL,
     false,
     false},
    {"without a grant no dot leaves",
     "resolve connect:192.0.2.1 EHLO MAIL RCPT DATA dot? =0:deferred:0 close ",
     {{RESOLVED, ""}, {CONNECTED, ""}, HELLO, TAKE, {NO_DOT, "0"}},
     NULL,
     false,
     false},
    {"a connection lost while the dot is written down: no dot leaves",
     "resolve connect:192.0.2.1 EHLO MAIL RCPT DATA dot? close =0:deferred:0 ",
     {{RESOLVED, ""}, {CONNECTED, ""}, HELLO, TAKE, {LOST, "reset"}, {DOT, "0"}},
     NULL,
     false,
     false},
    {"a refused recipient is refused",
     "resolve connect:192.0.2.1 EHLO MAIL RCPT DATA =0:refused:550 RSET ",
     {{RESOLVED, ""},
      {CONNECTED, ""},
      HELLO,
      {SERVER, "250 ok\r\n550 5.1.1 nobody\r\n503 no recipients\r\n"}},
     NULL,
     false,
     false},
    {"a failed handshake is tried again in clear",
     "resolve connect:192.0.2.1 EHLO STARTTLS tls close connect:192.0.2.1 EHLO MAIL RCPT DATA ",
     {{RESOLVED, ""},
      {CONNECTED, ""},
      {SERVER, "220 mx\r\n"},
      {SERVER, "250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n"},
      {SERVER, "220 go\r\n"},
      {TLS_LOST, "bad certificate"},
      {CONNECTED, ""},
      {SERVER, "220 mx\r\n"},
      {SERVER, "250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n"}},
     NULL,
     false,
     false},
    {"where TLS is required, nothing is sent in clear",
     "resolve connect:192.0.2.1 EHLO STARTTLS tls close =0:deferred:0:down ",
     {{RESOLVED, ""},
      {CONNECTED, ""},
      {SERVER, "220 mx\r\n"},
      {SERVER, "250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n"},
      {SERVER, "220 go\r\n"},
      {TLS_LOST, "bad certificate"}},
     NULL,
     false,
     true},
    {"a message that meets a connection which died while idle goes over another one",
     "resolve connect:192.0.2.1 EHLO " SENT "=0:delivered:250 MAIL RCPT DATA close "
     "connect:192.0.2.1 ",
     {{RESOLVED, ""},
      {CONNECTED, ""},
      HELLO,
      TAKE,
      {DOT, "0"},
      {SERVER, "250 taken\r\n"},
      {ADD, ""},
      {LOST, "reset"}},
     NULL,
     false,
     false},
    {"without idle time the connection is closed at once",
     "resolve connect:192.0.2.1 EHLO " SENT "=0:delivered:250 QUIT close ",
     {{RESOLVED, ""}, {CONNECTED, ""}, HELLO, TAKE, {DOT, "0"}, {SERVER, "250 taken\r\n"}},
     NULL,
     true,
     false},
};

int main(void)
{
    RUN_TABLE(stories, play);
}
