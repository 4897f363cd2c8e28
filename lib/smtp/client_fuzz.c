/* Whatever a server says, cut anywhere: the client says the same, wants something that it can be
 * given, and in the end every recipient has a verdict, which is `delivered` only after the dot. */
#include <assert.h>

#include "lib/smtp/client.h"

struct course {
    struct buf said; /* what the client sent, and its verdicts */
    unsigned messages;
};

static const struct smtp_recipient recipients[] = {{.path = {"a@x", 3}}, {.path = {"b@x", 3}}};
static const struct smtp_envelope envelope = {.sender = {.path = {"s@x", 3}, .size_bytes = 9},
                                              .recipients = recipients,
                                              .recipient_count = 2};

static void note_verdicts(struct smtp_client *c, struct course *course)
{
    for (size_t i = 0; i < envelope.recipient_count; i++) {
        struct smtp_verdict v = smtp_client_verdict(c, i);

        assert(v.outcome != SMTP_DELIVERED || (v.dot_sent && v.response.code / 100 == 2));
        assert(v.outcome != SMTP_UNKNOWN || v.dot_sent);
        assert(v.response.code == 0 || (v.response.code >= 200 && v.response.code < 600));
        buf_printf(&course->said, "[%d %d %u %.*s %.*s]", (int)v.outcome, (int)v.phase,
                   v.response.code, SLICE_ARG(v.response.enhanced), SLICE_ARG(v.response.text));
    }
    smtp_client_done(c);
}

/* Gives the client what it wants. False: it waits for bytes, or is done. */
static bool please(struct smtp_client *c, struct course *course)
{
    struct err e;

    switch (smtp_client_want(c)) {
    case SMTP_WANT_BYTES:
    case SMTP_WANT_CLOSE:
        return false;
    case SMTP_WANT_TLS:
        smtp_client_tls_started(c);
        return true;
    case SMTP_WANT_TRANSACTION:
        if (course->messages == 0)
            return false;
        course->messages--;
        assert(smtp_client_begin(c, &envelope, &e) == 0);
        return true;
    case SMTP_WANT_BODY:
        assert(smtp_client_body(c, SLICE("hi\r\n.\r\n")) == 7);
        smtp_client_body_end(c);
        return true;
    case SMTP_WANT_DOT:
        smtp_client_send_dot(c);
        return true;
    case SMTP_WANT_RESULT_TAKEN:
        note_verdicts(c, course);
        return true;
    }
    return false;
}

static void run(const struct smtp_client_settings *settings, struct slice in, uint32_t cut,
                struct course *course)
{
    struct smtp_client *c = smtp_client_create(settings);

    buf_init(&course->said, 1u << 22);
    course->messages = 3;
    while (in.n > 0) {
        /* A line at a time, so that the deeds between replies do not depend on the cuts. */
        size_t lf = slice_find(in, '\n');
        struct slice line = slice_sub(in, 0, lf == SLICE_NONE ? in.n : lf + 1);

        in = slice_from(in, line.n);
        while (line.n > 0) {
            size_t piece = cut == 0 ? line.n : 1 + (cut >> 24) % 5;

            smtp_client_recv(c, slice_sub(line, 0, piece));
            line = slice_from(line, piece);
            cut = cut * 1664525 + (cut != 0) * 1013904223;
        }
        while (please(c, course))
            ;
        buf_append(&course->said, smtp_client_output(c));
        smtp_client_sent(c, smtp_client_output(c).n);
    }
    smtp_client_lost(c, "the end");
    while (please(c, course))
        ;
    assert(smtp_client_want(c) == SMTP_WANT_CLOSE);
    smtp_client_destroy(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct smtp_client_settings settings[] = {
        {.helo_name = "c"},
        {.helo_name = "c", .use_chunking = true, .tls = SMTP_TLS_IF_OFFERED},
        {.helo_name = "c", .lmtp = true},
        {.helo_name = "c", .no_pipelining = true, .tls = SMTP_TLS_REQUIRED},
        {.helo_name = "c", .user = "u", .password = "p", .auth_in_clear = true},
    };
    struct course whole, cut;

    if (size < 5)
        return 0;
    const struct smtp_client_settings *set = &settings[data[0] % COUNT(settings)];
    uint32_t seed = (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | data[3] | 1;
    struct slice in = slice_from((struct slice){(const char *)data, size}, 4);

    run(set, in, 0, &whole);
    run(set, in, seed, &cut);
    assert(slice_eq(buf_slice(&whole.said), buf_slice(&cut.said)));
    buf_finish(&whole.said);
    buf_finish(&cut.said);
    return 0;
}
