/* Any bytes, cut anywhere, are answered as the whole is: the same replies, the same messages. And a
 * session never stops half-way: there is progress, or a question, or it is closed. */
#include <assert.h>

#include "lib/smtp/server.h"

struct heard {
    struct buf output, message, messages;
};

static void decide(struct smtp_server *s, struct heard *h)
{
    struct smtp_ask ask = smtp_server_ask(s);
    struct smtp_reply reply = {250, NULL, "ok"};

    switch (ask.kind) {
    case SMTP_ASK_NOTHING:
    case SMTP_ASK_HELO:
        break;
    case SMTP_ASK_TLS:
        smtp_server_tls_started(s);
        return;
    case SMTP_ASK_AUTH:
        buf_append(&h->messages, ask.login->user);
        buf_append(&h->messages, ask.login->password);
        reply.code = ask.login->user.n % 2 == 0 ? 235 : 535;
        break;
    case SMTP_ASK_SENDER:
        buf_clear(&h->message);
        buf_append(&h->messages, ask.sender->path);
        reply.code = ask.sender->path.n % 5 == 4 ? 550 : 250;
        break;
    case SMTP_ASK_RECIPIENT:
        assert(smtp_server_in_transaction(s));
        buf_append(&h->messages, ask.recipient->path);
        buf_append(&h->messages, ask.recipient->origin);
        reply.code = ask.recipient->path.n % 5 == 4 ? 450 : 250;
        break;
    case SMTP_ASK_DATA:
        assert(smtp_server_in_transaction(s));
        reply.code = 354;
        break;
    case SMTP_ASK_BODY:
        assert(ask.value.n > 0 && smtp_server_in_transaction(s));
        buf_append(&h->message, ask.value);
        smtp_server_body_taken(s);
        return;
    case SMTP_ASK_END:
        assert(smtp_server_in_transaction(s));
        assert(ask.size_bytes == h->message.n);
        buf_append(&h->messages, buf_slice(&h->message));
        buf_append_char(&h->messages, '$');
        break;
    }
    smtp_server_answer(s, reply);
}

/* `cut` chooses the pieces; 0: whole. */
static void listen(const struct smtp_server_settings *settings, struct slice in, uint32_t cut,
                   struct heard *h)
{
    struct smtp_server *s = smtp_server_create(settings);

    buf_init(&h->output, 1u << 22);
    buf_init(&h->message, 1u << 22);
    buf_init(&h->messages, 1u << 22);
    while (in.n > 0 && !smtp_server_is_closed(s)) {
        size_t piece = cut == 0 ? in.n : 1 + (cut >> 24) % 9;
        piece = piece < in.n ? piece : in.n;
        size_t used = smtp_server_recv(s, slice_sub(in, 0, piece));

        assert(used == piece || smtp_server_ask(s).kind != SMTP_ASK_NOTHING);
        in = slice_from(in, used);
        while (smtp_server_ask(s).kind != SMTP_ASK_NOTHING)
            decide(s, h);
        buf_append(&h->output, smtp_server_output(s));
        smtp_server_sent(s, smtp_server_output(s).n);
        cut = cut * 1664525 + (cut != 0) * 1013904223;
    }
    /* No message of a session that broke off is left half open for the caller. */
    smtp_server_timeout(s);
    assert(smtp_server_is_closed(s) && !smtp_server_in_transaction(s));
    buf_append(&h->output, smtp_server_output(s));
    buf_finish(&h->message);
    smtp_server_destroy(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct smtp_server_settings settings[] = {
        {.hostname = "mx"},
        {.hostname = "mx", .bare_line_end = SMTP_BARE_NORMALISE},
        {.hostname = "mx", .offer_auth = true, .offer_auth_in_clear = true},
        {.hostname = "mx", .offer_starttls = true, .offer_auth = true},
        {.hostname = "mx",
         .message_max_bytes = 50,
         .body_line_max_bytes = 20,
         .command_max_bytes = 50,
         .recipients_max = 2},
    };
    struct heard whole, cut;

    if (size < 5)
        return 0;
    const struct smtp_server_settings *set = &settings[data[0] % COUNT(settings)];
    uint32_t seed = (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | data[3] | 1;
    struct slice in = slice_from((struct slice){(const char *)data, size}, 4);
    /* What lies behind STARTTLS in one piece is dropped, so there the cut matters: leave it out. */
    if (set->offer_starttls)
        seed = 0;
    listen(set, in, 0, &whole);
    listen(set, in, seed, &cut);
    assert(slice_eq(buf_slice(&whole.output), buf_slice(&cut.output)));
    assert(slice_eq(buf_slice(&whole.messages), buf_slice(&cut.messages)));
    buf_finish(&whole.output);
    buf_finish(&whole.messages);
    buf_finish(&cut.output);
    buf_finish(&cut.messages);
    return 0;
}
