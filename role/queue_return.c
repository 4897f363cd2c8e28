/* The queue role and bounce addresses: made when mail leaves, read when mail comes back; and what
 * the inbound role asks about a recipient. */
#include "lib/addr/domain.h"
#include "lib/addr/srs.h"
#include "lib/crypt/hash.h"
#include "mta/event/options.h"
#include "role/queue_bounce_in.h"
#include "role/secret.h"
#include "store/ledger/suppression.h"

#define DAY_MS INT64_C(86400000)

int queue_return_key(const struct queue *q, unsigned char key_out[VERP_KEY_BYTES], struct err *e)
{
    unsigned char fresh[VERP_KEY_BYTES];
    char room[VERP_KEY_BYTES + 1];
    size_t n = 0;
    int result;

    crypt_random(fresh, sizeof fresh);
    result =
        secret_file(q->conf->data_dir, "return-path.key",
                    (struct slice){(const char *)fresh, sizeof fresh}, room, sizeof room, &n, e);
    if (result == 0 && n != VERP_KEY_BYTES)
        result = err_set(e, ERR_SYNTAX, "%s/return-path.key is not a key of %d bytes",
                         q->conf->data_dir, VERP_KEY_BYTES);
    if (result == 0)
        memcpy(key_out, room, VERP_KEY_BYTES);
    crypt_wipe(fresh, sizeof fresh);
    crypt_wipe(room, sizeof room);
    return result;
}

/* --- bounce addresses --- */

bool queue_is_local(const struct queue *q, struct slice address)
{
    return conf_local_route(q->conf, domain_of_address(address)) != NULL;
}

static bool is_signed(const struct queue *q, struct slice stream, struct slice sender)
{
    const struct conf_stream *s = conf_find_stream(q->conf, stream);

    if (q->conf->return_path_domain[0] == '\0' || sender.n == 0)
        return false;
    /* The stream of our own reports needs no section. */
    return s != NULL ? s->return_path == CONF_RETURN_PATH_SIGNED
                     : slice_eq(stream, SLICE(QUEUE_REPORTS_STREAM));
}

/* What takes the place of an address of ours has a setting of its own: without a path of ours SPF
 * fails at the next host, whatever the stream's mail leaves with. */
static unsigned forward_path(const struct queue *q, struct slice sender)
{
    return q->conf->return_path_domain[0] == '\0' || sender.n == 0 ? CONF_FORWARD_ORIGINAL
                                                                   : q->conf->forward_return_path;
}

bool queue_parts_recipients(const struct queue *q, const struct msg_submit *m)
{
    if (is_signed(q, m->stream, m->sender))
        return true;
    for (size_t i = 0; i < m->recipients_n; i++)
        if (options_is_forwarded(m->recipients[i].options))
            return forward_path(q, m->sender) != CONF_FORWARD_ORIGINAL;
    return false;
}

struct slice queue_return_path(struct queue *q, const struct ledger_message *message,
                               const struct msg_envelope_recipient *to, struct buf *out)
{
    int64_t end_ms = message->received_ms + q->conf->return_path_valid_ms;
    const struct verp v = {.id = message->id, .n = to->n, .expires_day = end_ms / DAY_MS};
    bool forwarded = options_is_forwarded(to->options);
    unsigned path = forward_path(q, message->sender);

    if (forwarded ? path == CONF_FORWARD_ORIGINAL : !is_signed(q, message->stream, message->sender))
        return message->sender;
    if (forwarded && path == CONF_FORWARD_SRS) {
        if (queue_is_local(q, message->sender))
            return message->sender; /* SPF of our own domain is ours to get right */
        if (queue_srs_path(q, message, out))
            return buf_slice(out);
    }
    if (to->n > VERP_RECIPIENT_MAX)
        return message->sender;
    buf_clear(out);
    verp_write(&v, (struct slice){(const char *)q->bounce->key, VERP_KEY_BYTES},
               slice_of(q->conf->return_path_domain), out);
    return buf_slice(out);
}

/* Whose address it is. */
enum verp_verdict queue_read_return_path(struct queue *q, struct slice address,
                                         struct verp *verp_out,
                                         struct ledger_addressee *addressee_out)
{
    enum verp_verdict verdict = verp_read(
        address, (struct slice){(const char *)q->bounce->key, VERP_KEY_BYTES},
        slice_of(q->conf->return_path_domain), loop_unix_ms(q->env.loop) / 1000, verp_out);
    struct err e;

    if (verdict != VERP_GOOD)
        return verdict;
    if (ledger_find_addressee(q->ledger, verp_out->id, verp_out->n, q->arena, addressee_out, &e) <
        0)
        return VERP_EXPIRED; /* ours once, but the ledger has forgotten the message */
    return VERP_GOOD;
}

/* --- questions of the inbound role --- */

static void answer_check(struct queue_link *from, const struct msg_checked *m)
{
    if (from->bus == NULL)
        return;
    msg_checked_encode(m, bus_begin(from->bus, MSG_CHECKED));
    bus_end(from->bus);
}

static void check_return_path(struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    struct ledger_addressee addressee;
    struct verp verp;

    switch (queue_read_return_path(q, m->address, &verp, &addressee)) {
    case VERP_GOOD:
        return;
    case VERP_EXPIRED:
        out->text = SLICE("This bounce address has expired");
        break;
    case VERP_FORGED:
    case VERP_NOT_ONE:
        out->text = SLICE("There is no such bounce address here");
        break;
    }
    out->code = 550;
    out->enhanced = SLICE("5.1.1");
    out->forged = 1;
}

static void check_suppression(struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    const struct conf_stream *s = conf_find_stream(q->conf, m->stream);
    struct ledger_suppression found;
    bool is_found;
    struct err e;

    if (s == NULL || s->suppressed == CONF_SUPPRESSED_ACCEPT)
        return;
    if (queue_find_suppression(q, m->address, slice_of(s->title), &is_found, &found, &e) < 0) {
        log_error(q->env.log, "ledger.suppression", LOG_ERR(&e));
        *out = (struct msg_checked){.client = m->client, .code = 451, .enhanced = SLICE("4.3.0")};
        out->text = SLICE("The suppression list cannot be read; try again later");
        return;
    }
    if (!is_found)
        return;
    out->code = 550;
    out->enhanced = SLICE("5.7.1");
    out->text = arena_printf(q->arena, "suppressed: %.*s", SLICE_ARG(found.reason));
}

static void check_mailbox(const struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    if (!queue_maildir_lacks(q, m->address))
        return;
    out->code = 550;
    out->enhanced = SLICE("5.1.1");
    out->text = SLICE("There is no such mailbox here");
    out->unknown = 1;
}

void queue_take_check(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_checked out = {.code = 250, .enhanced = SLICE("2.1.5"), .text = SLICE("Ok")};
    struct msg_check m;

    arena_reset(q->arena);
    if (!msg_check_decode(payload, q->arena, &m))
        return;
    out.client = m.client;
    if (q->conf->return_path_domain[0] != '\0' &&
        slice_eq_nocase(domain_of_address(m.address), slice_of(q->conf->return_path_domain)))
        (srs_is_one(m.address) ? queue_srs_check : check_return_path)(q, &m, &out);
    else
        check_suppression(q, &m, &out);
    if (out.code == 250 && m.mailbox)
        check_mailbox(q, &m, &out);
    answer_check(from, &out);
}
