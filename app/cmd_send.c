#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "app/daemon.h"
#include "app/story.h"
#include "lib/message/date.h"
#include "lib/smtp/client.h"

int cmd_send(int argc, char **argv);

#define MESSAGE_MAX (1u << 30)
#define PATIENCE_S 60
#define LOOK_EVERY_US 50000

/* The daemon's first listener that a local program can use without TLS from the first byte. */
static void find_server(const struct conf *conf, char *host, size_t host_size, char *port)
{
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *l = &conf->listeners[i];
        bool all = slice_eq(slice_of(l->address), SLICE("*"));

        if (l->tls == CONF_TLS_IMPLICIT || l->port == 0 ||
            slice_starts(slice_of(l->address), SLICE("unix:")))
            continue;
        (void)snprintf(host, host_size, "%s", all ? "127.0.0.1" : l->address);
        (void)snprintf(port, 8, "%d", (int)l->port);
        return;
    }
    cli_die("no listener of the settings can be used here; name one with --server HOST:PORT");
}

static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct addrinfo *list, *a;
    int fd = -1, why = getaddrinfo(host, port, &hints, &list), one = 1;

    if (why != 0)
        cli_die("%s: %s", host, gai_strerror(why));
    for (a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            int saved = errno;

            close(fd);
            errno = saved;
            fd = -1;
        }
    }
    if (fd < 0)
        cli_die("%s port %s: %s; is `waybill serve` running?", host, port, strerror(errno));
    freeaddrinfo(list);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void flush(int fd, struct smtp_client *c)
{
    struct slice out = smtp_client_output(c);

    while (out.n > 0) {
        ssize_t n = write(fd, out.p, out.n);

        if (n <= 0) {
            smtp_client_lost(c, "the connection broke");
            return;
        }
        out = slice_from(out, (size_t)n);
        smtp_client_sent(c, (size_t)n);
        out = smtp_client_output(c);
    }
}

static void receive(int fd, struct smtp_client *c)
{
    char room[8192];
    ssize_t n;

    flush(fd, c);
    n = read(fd, room, sizeof room);
    if (n <= 0)
        smtp_client_lost(c, n == 0 ? "the server closed the connection" : "no answer in time");
    else
        smtp_client_recv(c, (struct slice){room, (size_t)n});
}

struct answers {
    struct buf accepted; /* the reply to the final dot, if anybody was accepted */
    struct buf refused;  /* a line for each recipient who was not, or the one reason for all */
};

static void append_response(const struct smtp_response *r, struct buf *out)
{
    if (r->code > 0)
        buf_printf(out, "%u ", r->code);
    if (r->enhanced.n > 0)
        buf_printf(out, "%.*s ", SLICE_ARG(r->enhanced));
    buf_append(out, r->text);
}

/* Some recipients may be taken and others refused. */
static bool take_verdicts(const struct smtp_client *c, const struct smtp_envelope *env,
                          struct answers *a)
{
    bool good = false;

    for (size_t i = 0; i < env->recipient_count; i++) {
        struct smtp_verdict v = smtp_client_verdict(c, i);

        if (v.outcome == SMTP_DELIVERED && !good)
            append_response(&v.response, &a->accepted);
        good = good || v.outcome == SMTP_DELIVERED;
        if (v.outcome == SMTP_DELIVERED)
            continue;
        buf_printf(&a->refused, "%s%.*s: ", a->refused.n > 0 ? "\n" : "",
                   SLICE_ARG(env->recipients[i].path));
        append_response(&v.response, &a->refused);
    }
    return good;
}

/* Runs the conversation; true: somebody was accepted. */
static bool converse(int fd, struct smtp_client *c, const struct smtp_envelope *env,
                     struct slice message, struct answers *a)
{
    bool good = false, begun = false;
    struct err e;

    for (;;) {
        switch (smtp_client_want(c)) {
        case SMTP_WANT_BYTES:
            receive(fd, c);
            break;
        case SMTP_WANT_TLS:
            smtp_client_lost(c, "TLS is not used here");
            break;
        case SMTP_WANT_TRANSACTION:
            if (begun) {
                smtp_client_quit(c);
            } else if (smtp_client_begin(c, env, &e) < 0) {
                buf_append_text(&a->refused, e.text);
                return false;
            }
            begun = true;
            break;
        case SMTP_WANT_BODY:
            while (message.n > 0 && smtp_client_want(c) == SMTP_WANT_BODY) {
                message = slice_from(message, smtp_client_body(c, message));
                flush(fd, c);
            }
            if (smtp_client_want(c) == SMTP_WANT_BODY)
                smtp_client_body_end(c);
            break;
        case SMTP_WANT_DOT:
            smtp_client_send_dot(c);
            break;
        case SMTP_WANT_RESULT_TAKEN:
            good = take_verdicts(c, env, a);
            smtp_client_done(c);
            break;
        case SMTP_WANT_CLOSE:
            flush(fd, c);
            if (a->accepted.n == 0 && a->refused.n == 0)
                buf_append(&a->refused, smtp_client_failure(c).response.text);
            return good;
        }
    }
}

struct draft {
    const char *from, *subject, *body, *file, *stream, *tag;
    struct cli_list to;
};

static void make_message(const struct draft *d, struct buf *out)
{
    if (d->stream != NULL)
        buf_printf(out, "X-Waybill-Stream: %s\r\n", d->stream);
    if (d->tag != NULL)
        buf_printf(out, "X-Waybill-Tag: %s\r\n", d->tag);
    if (d->file != NULL) {
        struct cli_file file = cli_file_need(d->file, MESSAGE_MAX);
        struct slice rest = file.data;

        while (rest.n > 0) {
            buf_append(out, slice_line(&rest));
            buf_append_text(out, "\r\n");
        }
        cli_file_close(&file);
        return;
    }
    buf_printf(out, "From: %s\r\nTo: ", d->from);
    for (size_t i = 0; i < d->to.count; i++)
        buf_printf(out, "%s%s", i > 0 ? ",\r\n " : "", d->to.items[i]);
    buf_printf(out, "\r\nSubject: %s\r\nDate: ", d->subject);
    date_format((int64_t)time(NULL), 0, out);
    buf_append_text(out, "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         "Content-Transfer-Encoding: 8bit\r\n\r\n");
    struct slice rest = slice_of(d->body);
    while (rest.n > 0) {
        buf_append(out, slice_line(&rest));
        buf_append_text(out, "\r\n");
    }
}

/* The id in "Ok: queued as ID". */
static bool find_id(struct slice text, struct id *id_out)
{
    size_t at = slice_search(text, SLICE("queued as "));

    return at != SLICE_NONE && id_decode(slice_sub(text, at + 10, ID_TEXT_N), id_out);
}

/* Shows the waybill once the message is finished, or after `wait_s`. */
static int follow(const struct conf *conf, struct id id, int64_t wait_s, bool as_json)
{
    struct ledger_reader *reader = daemon_ledger(conf);
    struct arena *arena = arena_create(64u << 20);
    int64_t rounds = wait_s * 1000000 / LOOK_EVERY_US;
    struct ledger_story story;
    struct buf out;
    struct json j;
    struct err e;

    buf_init(&out, 64u << 20);
    for (int64_t i = 0;; i++) {
        arena_reset(arena);
        if (ledger_show(reader, id, arena, &story, &e) < 0)
            cli_die("%s", e.text);
        if (story_is_finished(&story) || i >= rounds)
            break;
        (void)usleep(LOOK_EVERY_US);
    }
    if (as_json) {
        json_begin(&j, &out);
        story_json(&j, &story);
        buf_append_char(&out, '\n');
    } else {
        story_append(&out, &story, (int64_t)time(NULL) * 1000);
    }
    cli_write(&out);
    bool finished = story_is_finished(&story);
    buf_finish(&out);
    arena_destroy(&arena);
    ledger_reader_close(&reader);
    return finished ? CLI_GOOD : CLI_BAD_ANSWER;
}

/* "accepted by HOST port PORT: REPLY", and the same for those who were not. */
static void append_answer(bool good, const char *host, const char *port, struct slice text,
                          struct buf *out)
{
    while (text.n > 0) {
        buf_printf(out, "%s%s%s by %s port %s: ", cli_style(good ? CLI_GREEN : CLI_RED),
                   good ? "accepted" : "not accepted", cli_style(CLI_PLAIN), host, port);
        cli_append_safe(out, slice_cut(&text, '\n'));
        buf_append_char(out, '\n');
    }
}

static int send_draft(const struct conf *conf, const struct draft *d, const char *server,
                      int64_t wait_s, bool json)
{
    const struct smtp_client_settings settings = {.helo_name = "waybill-send.localhost",
                                                  .tls = SMTP_TLS_NEVER};
    struct smtp_client *client = smtp_client_create(&settings);
    struct smtp_recipient to[CLI_LIST_MAX] = {0};
    struct smtp_envelope env = {.recipients = to, .recipient_count = d->to.count};
    char host[256], port[8] = "25";
    struct buf message, line;
    struct answers answers;
    struct id id;
    int fd;
    bool good;

    if (server != NULL) {
        const char *colon = strrchr(server, ':');

        (void)snprintf(host, sizeof host, "%.*s",
                       colon != NULL ? (int)(colon - server) : (int)strlen(server), server);
        if (colon != NULL)
            (void)snprintf(port, sizeof port, "%.5s", colon + 1);
    } else {
        find_server(conf, host, sizeof host, port);
    }
    env.sender.path = slice_of(d->from);
    env.sender.body = SMTP_BODY_8BITMIME;
    for (size_t i = 0; i < d->to.count; i++)
        to[i].path = slice_of(d->to.items[i]);
    buf_init(&message, MESSAGE_MAX);
    buf_init(&answers.accepted, 65536);
    buf_init(&answers.refused, 1u << 20);
    buf_init(&line, 2u << 20);
    make_message(d, &message);
    fd = connect_to(host, port);
    good = converse(fd, client, &env, buf_slice(&message), &answers);
    close(fd);
    smtp_client_destroy(&client);
    struct slice accepted = buf_slice(&answers.accepted), refused = buf_slice(&answers.refused);
    if (!json)
        append_answer(true, host, port, accepted, &line);
    append_answer(false, host, port, refused, &line);
    if (good && !json)
        buf_append_char(&line, '\n');
    if (json && good && line.n > 0)
        cli_warn("%.*s", SLICE_ARG(slice_trim(buf_slice(&line))));
    else
        cli_write(&line);
    int status = good ? CLI_GOOD : CLI_BAD_ANSWER;
    if (good && wait_s > 0 && find_id(accepted, &id))
        status = follow(conf, id, wait_s, json);
    if (refused.n > 0)
        status = CLI_BAD_ANSWER;
    buf_finish(&message);
    buf_finish(&line);
    buf_finish(&answers.accepted);
    buf_finish(&answers.refused);
    return status;
}

int cmd_send(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "", "sends one message through the daemon, and shows its waybill", NULL};
    struct draft d = {.from = "postmaster@localhost",
                      .subject = "A message from waybill send",
                      .body = "Hello.\n"};
    const char *config = NULL, *server = NULL;
    bool json = false;
    int64_t wait_s = 10;
    const struct cli_option options[] = {
        CLI_CONFIG(&config),
        CLI_JSON(&json),
        CLI_TEXT("from", &d.from, "ADDRESS", "the sender"),
        CLI_LIST("to", &d.to, "ADDRESS", "a recipient; may be given many times"),
        CLI_TEXT("subject", &d.subject, "TEXT", "the subject"),
        CLI_TEXT("body", &d.body, "TEXT", "the text"),
        CLI_TEXT("file", &d.file, "FILE",
                 "a whole message instead of subject and body; - is stdin"),
        CLI_TEXT("stream", &d.stream, "NAME", "the stream"),
        CLI_TEXT("tag", &d.tag, "NAME", "the tag"),
        CLI_TEXT("server", &server, "HOST:PORT", "where to [the settings' first listener]"),
        CLI_NUMBER("wait", &wait_s, "SECONDS", "wait so long for the outcome; 0 does not [10]"),
    };
    struct conf *conf;
    int status;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 0)
        cli_die("takes no file; use --file FILE");
    if (d.to.count == 0)
        cli_die("to whom? Give --to ADDRESS");
    conf = daemon_conf(config, NULL);
    status = send_draft(conf, &d, server, wait_s, json);
    conf_destroy(&conf);
    return status;
}
