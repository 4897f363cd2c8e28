/* Whatever message and addresses the client is given: what it sends is legal for the server, and
 * the same message comes out; or the client refuses to begin. */
#include "lib/smtp/talk_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct smtp_server_settings servers[] = {
        {.hostname = "mx", .bare_line_end = SMTP_BARE_NORMALISE},
        {.hostname = "mx", .bare_line_end = SMTP_BARE_NORMALISE, .hide_pipelining = true},
        {.hostname = "mx"},
    };
    struct slice in = {(const char *)data, size};
    struct talk t;
    struct buf expected;

    if (size < 3)
        return 0;
    const struct smtp_client_settings client = {.helo_name = "c", .use_chunking = data[0] & 1};
    const struct smtp_server_settings *server = &servers[(data[0] >> 1) % COUNT(servers)];
    size_t piece = 1 + data[1];
    in = slice_from(in, 2);
    /* The first line is an address, the rest the message. */
    struct slice address = slice_cut(&in, '\n');
    const struct smtp_recipient recipients[] = {{.path = address}, {.path = SLICE("b@y.example")}};
    const struct smtp_envelope envelope = {
        .sender = {.path = SLICE("a@x.example"), .utf8 = (data[0] & 8) != 0, .size_bytes = in.n},
        .recipients = recipients,
        .recipient_count = COUNT(recipients)};

    talk_run(&t, &client, server, &envelope, in, piece);
    buf_init(&expected, 1u << 24);
    talk_normalise(in, &expected);
    /* A NUL is refused by the strict server; everything else must arrive. */
    if (t.has_ended)
        assert(slice_eq(buf_slice(&t.message), buf_slice(&expected)));
    else if (t.verdict.dot_sent)
        assert(memchr(in.p, '\0', in.n) != NULL && t.verdict.response.code == 550);
    if (t.has_ended) /* the good recipient, whatever became of the other one */
        assert(slice_ends(buf_slice(&t.recipients), SLICE("b@y.example\n")));
    buf_finish(&expected);
    talk_finish(&t);
    return 0;
}
