/* The control socket: what people ask of the queue while it runs. A client is a bus; each request
 * is done in the group that is open, and answered when that is safe. */
#include <unistd.h>

#include <sys/socket.h>

#include "role/queue_in.h"

#define CLIENTS_MAX 64
#define ANSWERS_MAX 256

struct control_client {
    struct list link;
    struct control *control;
    struct bus *bus;
};

struct pending_answer {
    struct control_client *client;
    struct msg_control_answer answer;
    char text[256];
};

struct control {
    struct queue *queue;
    int fd;
    struct loop_watch *watch;
    struct list clients;
    size_t client_n;
    struct pending_answer answers[ANSWERS_MAX];
    size_t answer_n;
};

static void client_gone(struct control_client *client)
{
    struct control *c = client->control;

    for (size_t i = 0; i < c->answer_n; i++)
        if (c->answers[i].client == client)
            c->answers[i].client = NULL;
    bus_close(&client->bus);
    list_remove(&client->link);
    c->client_n--;
    free(client);
}

/* --- the verbs --- */

typedef int change_fn(struct ledger *l, struct id id, int64_t now_ms, uint32_t *changed_out,
                      uint32_t *busy_out, struct err *e);

static const struct {
    struct slice verb;
    change_fn *change;
} changes[] = {
    {SLICE_INIT("retry"), ledger_retry},
    {SLICE_INIT("hold"), ledger_hold},
    {SLICE_INIT("release"), ledger_release},
    {SLICE_INIT("drop"), ledger_drop},
};

static int retry_everything(struct queue *q, uint64_t *count_out, struct err *e)
{
    int64_t now_ms = loop_unix_ms(q->env.loop), due_ms;
    uint32_t site = 0;
    struct buf name;
    int failed = 0;

    *count_out = 0;
    buf_init(&name, 1024);
    while (failed == 0) {
        uint64_t changed = 0;

        failed = ledger_next_site(q->ledger, site, &site, &due_ms, e);
        if (failed != 0 || site == 0)
            break;
        buf_clear(&name);
        failed = ledger_retry_site(q->ledger, site, now_ms, &changed, e) < 0 ||
                 ledger_site_name(q->ledger, site, &name, e) < 0;
        if (failed == 0) {
            *count_out += changed;
            schedule_expect(q->schedule, buf_slice(&name), now_ms);
        }
    }
    buf_finish(&name);
    schedule_wake(q->schedule, SLICE(""));
    return failed != 0 ? -1 : 0;
}

/* After a change the message's sites may have something to do now. */
static void expect_all_sites(struct queue *q)
{
    uint32_t site = 0;
    int64_t due_ms;
    struct buf name;
    struct err e;

    buf_init(&name, 1024);
    while (ledger_next_site(q->ledger, site, &site, &due_ms, &e) == 0 && site != 0) {
        buf_clear(&name);
        if (due_ms != LEDGER_NEVER && ledger_site_name(q->ledger, site, &name, &e) == 0)
            schedule_expect(q->schedule, buf_slice(&name), due_ms);
    }
    buf_finish(&name);
}

static void change_message(struct queue *q, change_fn *change, struct slice argument,
                           struct pending_answer *p)
{
    uint32_t changed = 0, busy = 0;
    struct id id;
    struct err e;

    if (!id_decode(argument, &id)) {
        (void)snprintf(p->text, sizeof p->text, "%.*s is no message id (26 letters and digits)",
                       SLICE_ARG(slice_sub(argument, 0, 60)));
        return;
    }
    if (change(q->ledger, id, loop_unix_ms(q->env.loop), &changed, &busy, &e) < 0) {
        (void)snprintf(p->text, sizeof p->text, "%s", e.text);
        if (e.code != ERR_FOUND)
            q->spoiled = true;
        return;
    }
    p->answer.ok = 1;
    p->answer.count = changed;
    if (busy > 0)
        (void)snprintf(p->text, sizeof p->text, "%u recipients are being attempted right now",
                       busy);
    expect_all_sites(q);
}

/* "suppress" and "unsuppress"; false: another verb. */
static bool change_suppression(struct queue *q, const struct msg_control_request *m,
                               struct pending_answer *p)
{
    struct err e = {ERR_NONE, ""};
    int result;

    if (slice_eq(m->verb, SLICE("suppress")))
        result = queue_suppress_lines(q, m->argument, &p->answer.count, &e);
    else if (slice_eq(m->verb, SLICE("unsuppress")))
        result = queue_unsuppress(q, m->argument, &p->answer.count, &e);
    else
        return false;
    p->answer.ok = result == 0;
    if (result != 0) {
        (void)snprintf(p->text, sizeof p->text, "%s", e.text);
        q->spoiled = true; /* all of it, or nothing */
    }
    return true;
}

/* "dmarc-send", "dmarc-running" and "dmarc-store"; false: another verb. */
static bool serve_reports(struct queue *q, const struct msg_control_request *m,
                          struct pending_answer *p)
{
    struct err e = {ERR_NONE, ""};
    int result = 0;

    if (slice_eq(m->verb, SLICE("dmarc-send")))
        result = queue_reports_run(q, m->argument, &p->answer.count, &e);
    else if (slice_eq(m->verb, SLICE("dmarc-running")))
        p->answer.count = queue_reports_are_running(q);
    else if (slice_eq(m->verb, SLICE("dmarc-store")))
        result = queue_reports_store(q, m->argument, &e);
    else
        return false;
    p->answer.ok = result == 0;
    if (result != 0)
        (void)snprintf(p->text, sizeof p->text, "%s", e.text);
    return true;
}

static void run_verb(struct control *c, const struct msg_control_request *m,
                     struct pending_answer *p)
{
    struct queue *q = c->queue;
    struct err e;

    if (slice_eq(m->verb, SLICE("ping"))) {
        p->answer.ok = 1;
        return;
    }
    queue_open_group(q);
    if (q->spoiled)
        return;
    if (slice_eq(m->verb, SLICE("retry")) && slice_eq(m->argument, SLICE("all"))) {
        p->answer.ok = retry_everything(q, &p->answer.count, &e) == 0;
        if (!p->answer.ok)
            q->spoiled = true;
        return;
    }
    if (change_suppression(q, m, p) || serve_reports(q, m, p))
        return;
    for (size_t i = 0; i < COUNT(changes); i++)
        if (slice_eq(m->verb, changes[i].verb)) {
            change_message(q, changes[i].change, m->argument, p);
            return;
        }
    (void)snprintf(p->text, sizeof p->text, "unknown verb");
}

static void send_answer(struct pending_answer *p)
{
    if (p->client == NULL)
        return;
    p->answer.text = slice_of(p->text);
    msg_control_answer_encode(&p->answer, bus_begin(p->client->bus, MSG_CONTROL_ANSWER));
    bus_end(p->client->bus);
}

void queue_control_committed(struct control *c, bool good)
{
    for (size_t i = 0; c != NULL && i < c->answer_n; i++) {
        if (!good && c->answers[i].answer.ok) { /* else it says itself what was wrong */
            c->answers[i].answer.ok = 0;
            (void)snprintf(c->answers[i].text, sizeof c->answers[i].text,
                           "the ledger could not be written; nothing was changed");
        }
        send_answer(&c->answers[i]);
    }
    if (c != NULL)
        c->answer_n = 0;
}

static void on_request(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct control_client *client = ctx;
    struct control *c = client->control;
    struct msg_control_request m;
    struct pending_answer *p;

    if (fd >= 0)
        close(fd);
    arena_reset(c->queue->arena);
    if (type != MSG_CONTROL_REQUEST || !msg_control_request_decode(payload, c->queue->arena, &m) ||
        c->answer_n == ANSWERS_MAX) {
        client_gone(client);
        return;
    }
    p = &c->answers[c->answer_n++];
    *p = (struct pending_answer){.client = client, .answer = {.request = m.request}};
    run_verb(c, &m, p);
    if (!c->queue->in_group) { /* nothing to commit: the answer is true already */
        send_answer(p);
        c->answer_n--;
    }
}

static void on_gone(void *ctx, const struct err *why)
{
    (void)why;
    client_gone(ctx);
}

static const struct bus_handlers client_handlers = {on_request, NULL, on_gone};

static void on_connection(void *ctx, unsigned events)
{
    struct control *c = ctx;
    struct control_client *client;
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    (void)events;

    if (fd < 0)
        return;
    if (c->client_n >= CLIENTS_MAX) {
        close(fd);
        return;
    }
    client = mem_alloc(sizeof *client);
    client->control = c;
    client->bus = bus_open(c->queue->env.loop, fd, &client_handlers, client);
    list_append(&c->clients, &client->link);
    c->client_n++;
}

struct control *queue_control_create(struct queue *q, int fd)
{
    struct control *c = mem_alloc(sizeof *c);

    c->queue = q;
    c->fd = fd;
    list_init(&c->clients);
    c->watch = loop_watch_create(q->env.loop, fd, on_connection, c);
    loop_watch_want(c->watch, LOOP_READ);
    return c;
}

void queue_control_destroy(struct control **c)
{
    if (*c == NULL)
        return;
    LIST_EACH(&(*c)->clients, link)
    client_gone(CONTAINER_OF(link, struct control_client, link));
    loop_watch_destroy(&(*c)->watch);
    free(*c);
    *c = NULL;
}
