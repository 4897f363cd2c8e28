/* lib/smtp/talk_in.h -- for the tests: a client and a server of ours that talk over memory, cut
 * into pieces, and what each of them made of one message. */
#ifndef LIB_SMTP_TALK_IN_H
#define LIB_SMTP_TALK_IN_H

#include <assert.h>

#include "lib/smtp/client.h"
#include "lib/smtp/server.h"

struct talk {
    struct smtp_client *client;
    struct smtp_server *server;
    const struct smtp_envelope *envelope;
    struct slice body; /* what is left to give to the client */
    size_t piece;      /* at most so many bytes are passed on at once */
    bool has_begun, is_over;

    /* what arrived */
    struct buf sender, recipients, message; /* recipients: each one ended by LF */
    bool has_ended;
    struct smtp_verdict verdict; /* of the first recipient; its slices are not valid */
};

/* Answers what the server asks. Recipients that begin with '!' are refused. */
static inline void talk_decide(struct talk *t)
{
    struct smtp_ask ask = smtp_server_ask(t->server);
    struct smtp_reply reply = {250, NULL, "ok"};

    switch (ask.kind) {
    case SMTP_ASK_NOTHING:
    case SMTP_ASK_HELO:
    case SMTP_ASK_AUTH:
        break;
    case SMTP_ASK_TLS:
        smtp_server_tls_started(t->server);
        return;
    case SMTP_ASK_SENDER:
        buf_clear(&t->sender);
        buf_clear(&t->recipients);
        buf_clear(&t->message);
        buf_append(&t->sender, ask.sender->path);
        break;
    case SMTP_ASK_RECIPIENT:
        if (ask.recipient->path.p[0] == '!') {
            reply = (struct smtp_reply){550, "5.1.1", "nobody"};
            break;
        }
        buf_append(&t->recipients, ask.recipient->path);
        buf_append_char(&t->recipients, '\n');
        break;
    case SMTP_ASK_DATA:
        reply.code = 354;
        break;
    case SMTP_ASK_BODY:
        buf_append(&t->message, ask.value);
        smtp_server_body_taken(t->server);
        return;
    case SMTP_ASK_END:
        assert(ask.size_bytes == t->message.n && !t->has_ended);
        t->has_ended = true;
        break;
    }
    smtp_server_answer(t->server, reply);
}

static inline void talk_to_server(struct talk *t)
{
    struct slice out = slice_sub(smtp_client_output(t->client), 0, t->piece);
    size_t used = 0;

    while (used < out.n && !smtp_server_is_closed(t->server)) {
        used += smtp_server_recv(t->server, slice_from(out, used));
        while (smtp_server_ask(t->server).kind != SMTP_ASK_NOTHING)
            talk_decide(t);
    }
    smtp_client_sent(t->client, used);
}

static inline void talk_to_client(struct talk *t)
{
    struct slice out = slice_sub(smtp_server_output(t->server), 0, t->piece);

    smtp_client_recv(t->client, out);
    smtp_server_sent(t->server, out.n);
}

/* Does what the client wants. False: it waits for the server. */
static inline bool talk_please(struct talk *t)
{
    struct err e;
    size_t used;

    switch (smtp_client_want(t->client)) {
    case SMTP_WANT_BYTES:
        return false;
    case SMTP_WANT_TLS:
        smtp_client_tls_started(t->client);
        return true;
    case SMTP_WANT_TRANSACTION:
        if (t->has_begun || smtp_client_begin(t->client, t->envelope, &e) < 0)
            t->is_over = true;
        t->has_begun = true;
        return true;
    case SMTP_WANT_BODY:
        used = smtp_client_body(t->client, slice_sub(t->body, 0, t->piece));
        t->body = slice_from(t->body, used);
        if (t->body.n == 0)
            smtp_client_body_end(t->client);
        return used > 0 || t->body.n == 0;
    case SMTP_WANT_DOT:
        smtp_client_send_dot(t->client);
        return true;
    case SMTP_WANT_RESULT_TAKEN:
        t->verdict = smtp_client_verdict(t->client, 0);
        smtp_client_done(t->client);
        return true;
    case SMTP_WANT_CLOSE:
        t->is_over = true;
        return true;
    }
    return false;
}

/* Talks until the message is settled. */
static inline void talk_run(struct talk *t, const struct smtp_client_settings *client,
                            const struct smtp_server_settings *server,
                            const struct smtp_envelope *envelope, struct slice body, size_t piece)
{
    *t = (struct talk){.client = smtp_client_create(client),
                       .server = smtp_server_create(server),
                       .envelope = envelope,
                       .body = body,
                       .piece = piece};
    buf_init(&t->sender, 1000);
    buf_init(&t->recipients, 1u << 24);
    buf_init(&t->message, 1u << 24);
    while (!t->is_over) {
        bool progress = smtp_client_output(t->client).n > 0 || smtp_server_output(t->server).n > 0;

        talk_to_server(t);
        talk_to_client(t);
        progress = talk_please(t) || progress;
        assert(progress); /* neither of them waits for ever */
    }
}

static inline void talk_finish(struct talk *t)
{
    smtp_client_destroy(&t->client);
    smtp_server_destroy(&t->server);
    buf_finish(&t->sender);
    buf_finish(&t->recipients);
    buf_finish(&t->message);
}

/* What a message must be when it arrives: every line end is CR LF, also the last one. */
static inline void talk_normalise(struct slice body, struct buf *out)
{
    for (size_t i = 0; i < body.n; i++) {
        char c = body.p[i];

        if (c == '\n' || (c == '\r' && (i + 1 == body.n || body.p[i + 1] != '\n')))
            buf_append(out, SLICE("\r\n"));
        else if (c != '\r')
            buf_append_char(out, c);
    }
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        buf_append(out, SLICE("\r\n"));
}

#endif
