/* One message on its way in: header, digest, signature, hand-over to the queue. */
#include <stdarg.h>

#include "lib/addr/mailbox.h"
#include "mta/event/options.h"
#include "role/inbound_in.h"

#define ARENA_MAX (4u << 20)
#define PIECE_BYTES (192u * 1024u) /* a body up to this size travels with its envelope */
#define BODY_MAX (1024u * 1024u)
/* A message's frame holds its recipients (ENVELOPE_MAX_BYTES), its header with what we add, and
 * the rest: From, Subject and other lines of the ledger, each cut. The body only if it fits too. */
#define HEAD_MAX (448u * 1024u)
#define REST_MAX (64u * 1024u)
_Static_assert(ENVELOPE_MAX_BYTES + HEAD_MAX + REST_MAX <= BUS_FRAME_MAX, "it is one frame");

/* The signature's own bytes are in the buffers already; this only finds who signs. */
static void give_signer_back(struct message *m)
{
    if (m->signer != NULL)
        list_append(&m->inbound->idle_signers, &m->signer->link);
    m->signer = NULL;
}

static struct signer_link *take_signer(struct inbound *in)
{
    struct list *link = list_take_first(&in->idle_signers);
    struct signer_link *s;

    if (link != NULL)
        return CONTAINER_OF(link, struct signer_link, link);
    s = mem_alloc(sizeof *s);
    list_init(&s->link);
    s->signer = dkim_signer_create();
    return s;
}

static void budget_over(void *ctx);
static void refuse(struct message *m, unsigned code, const char *enhanced, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

struct message *message_begin(struct client *c)
{
    struct inbound *in = c->inbound;
    struct message *m = mem_alloc(sizeof *m);
    uint64_t random;

    m->client = c;
    m->inbound = in;
    m->state = c->is_return ? MESSAGE_RETURN : MESSAGE_HEADER;
    m->txn = in->next_txn++;
    crypt_random(&random, sizeof random);
    m->id = id_make(&in->ids, loop_unix_ms(in->env.loop), random);
    m->arena = arena_create(ARENA_MAX);
    m->digest = crypt_hash_create(CRYPT_SHA256);
    buf_init(&m->header, (size_t)in->conf->header_size_max);
    buf_init(&m->head, (size_t)in->conf->header_size_max + 65536);
    buf_init(&m->body, BODY_MAX);
    loop_timer_init(&m->budget, in->env.loop, budget_over, m);
    (void)map_put(in->waiting, map_key_u64(&m->txn), m);
    if (c->is_report && !reports_begin(m))
        refuse(m, 451, "4.3.2", "Too many reports come in at once; try again later");
    return m;
}

void message_destroy(struct message *m)
{
    (void)map_remove(m->inbound->waiting, map_key_u64(&m->txn));
    if (m->client != NULL)
        m->client->message = NULL;
    m->inbound->reports_open -= m->is_report;
    loop_timer_finish(&m->budget);
    give_signer_back(m);
    proof_give_back(m);
    seal_give_back(m);
    crypt_hash_destroy(&m->digest);
    buf_finish(&m->header);
    buf_finish(&m->head);
    buf_finish(&m->body);
    arena_destroy(&m->arena);
    free(m);
}

static void refuse(struct message *m, unsigned code, const char *enhanced, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(m->refusal_text, sizeof m->refusal_text, fmt, args);
    va_end(args);
    m->refusal = (struct smtp_reply){code, enhanced, m->refusal_text};
    m->state = MESSAGE_REFUSED;
    if (smtp_server_in_transaction(m->client->server))
        smtp_server_discard(m->client->server);
}

/* --- stream and keys --- */

/* The stream that the message goes in: its header, its login, its listener, the default. */
static const struct conf_stream *choose_stream(struct message *m)
{
    const struct client *c = m->client;
    const struct conf *conf = m->inbound->conf;
    struct slice user = smtp_server_user(c->server);
    bool is_ours = conf->stream_headers && m->proof == NULL; /* strangers choose nothing */
    struct slice name = is_ours ? m->found.stream : SLICE("");

    if (name.n == 0 && user.n > 0)
        name = logins_stream(m->inbound->logins, user);
    if (name.n == 0)
        name = slice_of(c->door->conf->stream);
    return conf_find_stream(conf, name);
}

static bool key_is_wanted(const struct message *m, const struct conf_stream *stream,
                          const struct known_key *key, struct slice from_domain)
{
    const struct conf *conf = m->inbound->conf;

    if (stream->dkim.count == 0)
        return slice_eq_nocase(key->domain, from_domain);
    for (size_t i = 0; i < stream->dkim.count; i++) {
        const struct conf_key *named = conf_find_key(conf, slice_of(stream->dkim.items[i]));

        if (named != NULL && slice_eq_nocase(slice_of(named->domain), key->domain) &&
            slice_eq_nocase(slice_of(named->selector), key->selector))
            return true;
    }
    return false;
}

static struct slice from_domain(struct message *m)
{
    struct mailbox_list list;
    struct err e;

    if (mailbox_list_parse(m->found.from, 1, m->arena, &list, &e) < 0 || list.count == 0)
        return SLICE("");
    return list.items[0].domain;
}

static int begin_signing(struct message *m, const struct conf_stream *stream)
{
    struct inbound *in = m->inbound;
    struct slice domain;
    struct dkim_sign_options options = {.specs = m->specs,
                                        .signed_at_s = loop_unix_s(in->env.loop)};
    struct slice signed_part = slice_from(buf_slice(&m->head), m->found.received_bytes);
    struct err e;

    if (in->known.n == 0)
        return 0;
    domain = from_domain(m);
    for (size_t i = 0; i < in->known.n && m->spec_n < SIGNERS_MAX; i++) {
        const struct known_key *key = &in->known.list[i];

        if (key_is_wanted(m, stream, key, domain))
            m->specs[m->spec_n++] = known_key_spec(key, m->arena);
    }
    if (m->spec_n == 0)
        return 0;
    options.spec_count = m->spec_n;
    m->signer = take_signer(in);
    if (dkim_signer_begin(m->signer->signer, &options, signed_part, &e) == 0)
        return 0;
    log_warn(in->env.log, "inbound.sign", LOG_ERR(&e));
    refuse(m, 550, "5.6.0", "This message cannot be signed: %s", e.text);
    return -1;
}

/* --- the header --- */

static void name_protocol(const struct client *c, struct buf *out)
{
    if (smtp_server_is_utf8(c->server))
        buf_append_text(out, "UTF8SMTP");
    else
        buf_append_text(out, smtp_server_is_extended(c->server) ? "ESMTP" : "SMTP");
    if (smtp_server_is_tls(c->server))
        buf_append_char(out, 'S');
    if (smtp_server_user(c->server).n > 0)
        buf_append_char(out, 'A');
}

static struct slice tls_words(const struct client *c, struct arena *a)
{
    struct tls_info tls;

    if (!stream_tls_info(c->stream, &tls))
        return SLICE("");
    return arena_printf(a, "%s %s", tls.version, tls.cipher);
}

static void header_complete(struct message *m, struct slice header)
{
    struct client *c = m->client;
    struct inbound *in = m->inbound;
    const struct conf_stream *stream;
    char id[ID_TEXT_N + 1], ip[IP_TEXT_MAX + 8], protocol_room[24];
    struct buf protocol = {
        .p = protocol_room, .cap = sizeof protocol_room, .max = sizeof protocol_room};
    struct err e;

    id_encode(m->id, id);
    name_protocol(c, &protocol);
    (void)snprintf(ip, sizeof ip, "%s%s", strchr(c->ip, ':') != NULL ? "IPv6:" : "", c->ip);
    const struct intake_origin origin = {
        .hostname = slice_of(in->hostname),
        .helo = smtp_server_helo(c->server),
        .client_ip = slice_of(ip),
        .protocol = buf_slice(&protocol),
        .tls = tls_words(c, m->arena),
        .id = slice_of(id),
        .recipient = c->only_address,
        .hide_client =
            in->conf->received_client == CONF_RECEIVED_HIDDEN && smtp_server_user(c->server).n > 0,
        .is_forwarded = c->forward_domain.n > 0,
        .is_stranger = !c->may_relay,
        .unix_s = loop_unix_s(in->env.loop),
    };
    m->state = MESSAGE_BODY;
    if (!c->may_relay && proof_begin(m, &header, &e) < 0) {
        refuse(m, 554, "5.6.0", "%s", e.text);
        return;
    }
    if (intake_header_edit(header, &origin, m->arena, &m->head, &m->found, &e) < 0) {
        refuse(m, 554, m->found.is_loop ? "5.4.6" : "5.3.4", "%s", e.text);
        return;
    }
    stream = choose_stream(m);
    if (stream == NULL) {
        refuse(m, 550, "5.6.0", "There is no stream named %.*s here",
               SLICE_ARG(slice_sub(m->found.stream, 0, 60)));
        return;
    }
    m->stream = arena_copy(m->arena, slice_of(stream->title)); /* settings may change */
    if (m->proof == NULL && stream->unsubscribe[0] != '\0' && !m->found.has_unsubscribe &&
        intake_add_unsubscribe(slice_of(stream->unsubscribe), slice_of(id), &m->head, &e) < 0)
        log_warn(in->env.log, "inbound.unsubscribe", LOG_ERR(&e));
    if (m->proof == NULL) /* we never sign for strangers */
        (void)begin_signing(m, stream);
    else
        seal_begin(m);
}

/* --- the body --- */

static void send_piece(struct message *m)
{
    const struct msg_body_piece piece = {.txn = m->txn, .id = m->id, .bytes = buf_slice(&m->body)};

    if (m->inbound->queue != NULL) {
        msg_body_piece_encode(&piece, bus_begin(m->inbound->queue, MSG_BODY_PIECE));
        bus_end(m->inbound->queue);
    }
    buf_clear(&m->body);
    m->pieces_sent = true;
}

static void take_body(struct message *m, struct slice bytes)
{
    if (m->signer != NULL)
        dkim_signer_body(m->signer->signer, bytes);
    if (m->proof != NULL)
        proof_body(m, bytes);
    seal_body(m, bytes);
    while (bytes.n > 0) {
        struct slice part = slice_sub(bytes, 0, PIECE_BYTES);

        if (m->body.n + part.n > PIECE_BYTES && m->body.n > 0)
            send_piece(m);
        buf_append(&m->body, part);
        bytes = slice_from(bytes, part.n);
    }
}

/* Where the header ends: behind the empty line. SLICE_NONE: not yet. */
static size_t find_header_end(struct slice header, size_t from)
{
    size_t at;

    if (slice_starts(header, SLICE("\r\n")))
        return 2;
    from = from > 3 ? from - 3 : 0;
    at = slice_search(slice_from(header, from), SLICE("\r\n\r\n"));
    return at == SLICE_NONE ? SLICE_NONE : from + at + 4;
}

static void take_header(struct message *m, struct slice bytes)
{
    size_t before = m->header.n, end, used;

    buf_append(&m->header, slice_sub(bytes, 0, m->header.max - m->header.n));
    end = find_header_end(buf_slice(&m->header), before);
    if (end == SLICE_NONE) {
        if (m->header.n == m->header.max)
            refuse(m, 552, "5.3.4", "The header is larger than %zu bytes", m->header.max);
        return;
    }
    header_complete(m, slice_sub(buf_slice(&m->header), 0, end - 2));
    used = end - before; /* of `bytes`; what came before was header already */
    if (m->state == MESSAGE_BODY)
        take_body(m, slice_from(bytes, used));
}

void message_body(struct message *m, struct slice bytes)
{
    crypt_hash_update(m->digest, bytes);
    if (m->state == MESSAGE_HEADER)
        take_header(m, bytes);
    else if (m->state == MESSAGE_BODY)
        take_body(m, bytes);
    else if (m->state == MESSAGE_RETURN && m->is_report)
        reports_body(m, bytes);
    else if (m->state == MESSAGE_RETURN)
        return_body(m, bytes);
}

/* --- the end --- */

static void tell_abandoned(struct message *m)
{
    const struct msg_abandon out = {.txn = m->txn};

    if (!m->pieces_sent || m->inbound->queue == NULL)
        return;
    msg_abandon_encode(&out, bus_begin(m->inbound->queue, MSG_ABANDON));
    bus_end(m->inbound->queue);
}

/* The message is over, one way or the other. */
static void answer(struct message *m, unsigned code, const char *enhanced, const char *text)
{
    struct client *c = m->client;
    char copy[sizeof m->refusal_text];

    (void)snprintf(copy, sizeof copy, "%s", text);
    if (m->state != MESSAGE_STORING)
        tell_abandoned(m);
    message_destroy(m);
    if (c != NULL)
        client_answer_end(c, code, enhanced, copy);
}

static void ask_keys(struct message *m)
{
    struct msg_sign_request requests[SIGNERS_MAX];
    const struct msg_sign out = {.txn = m->txn, .requests = requests, .requests_n = m->spec_n};

    if (m->inbound->keys == NULL) {
        answer(m, 451, "4.3.0", "The signing process is not there; try again later");
        return;
    }
    dkim_signer_finish(m->signer->signer);
    for (size_t i = 0; i < m->spec_n; i++)
        requests[i] = (struct msg_sign_request){.domain = m->specs[i].domain,
                                                .selector = m->specs[i].selector,
                                                .digest = dkim_signer_digest(m->signer->signer, i)};
    m->state = MESSAGE_SIGNING;
    msg_sign_encode(&out, bus_begin(m->inbound->keys, MSG_SIGN));
    bus_end(m->inbound->keys);
}

/* What makes two transactions one: who sends, the envelope, the bytes; or the client's own key. */
static void finish_digest(struct message *m, struct crypt_digest *digest_out)
{
    const struct client *c = m->client;
    struct slice user = smtp_server_user(c->server);

    if (m->found.idempotency_key.n > 0) {
        crypt_hash_reset(m->digest);
        crypt_hash_update(m->digest, SLICE("key\n"));
        crypt_hash_update(m->digest, m->found.idempotency_key);
    }
    crypt_hash_update(m->digest, SLICE("\nclient "));
    crypt_hash_update(m->digest, user.n > 0 ? user : slice_of(c->ip));
    if (m->found.idempotency_key.n == 0) {
        crypt_hash_update(m->digest, SLICE("\nfrom "));
        crypt_hash_update(m->digest, c->sender_path);
        for (size_t i = 0; i < c->recipient_n; i++) {
            crypt_hash_update(m->digest, SLICE("\nto "));
            crypt_hash_update(m->digest, c->recipients[i].address);
        }
    }
    crypt_hash_finish(m->digest, digest_out);
}

static void name_signatures(const struct message *m, struct buf *out)
{
    for (size_t i = 0; i < m->spec_n; i++)
        buf_printf(out, "%s%.*s/%.*s (%s)", i > 0 ? ", " : "", SLICE_ARG(m->specs[i].domain),
                   SLICE_ARG(m->specs[i].selector), dkim_algorithm_name(m->specs[i].algorithm));
}

/* `top` goes above our Received, `fields` below it. */
static void submit(struct message *m, struct slice top, struct slice fields)
{
    struct client *c = m->client;
    struct inbound *in = m->inbound;
    struct slice user = smtp_server_user(c->server);
    struct crypt_digest digest;
    struct buf head, options, signers;

    if (in->queue == NULL) {
        answer(m, 451, "4.3.0", "The queue is not there; try again later");
        return;
    }
    buf_init(&head, HEAD_MAX);
    buf_append(&head, top);
    buf_append(&head, slice_sub(buf_slice(&m->head), 0, m->found.received_bytes));
    buf_append(&head, fields);
    buf_append(&head, slice_from(buf_slice(&m->head), m->found.received_bytes));
    buf_append_text(&head, "\r\n");
    if (head.full) {
        buf_finish(&head);
        answer(m, 552, "5.3.4", "The header, with what is added to it, is too large");
        return;
    }
    if (c->envelope_bytes + head.n + m->body.n + REST_MAX > BUS_FRAME_MAX)
        send_piece(m);
    buf_init(&options, 2048);
    buf_init(&signers, 4096);
    options_write_sender(&c->sender, &options);
    options_write_origin(m->origin, &options);
    name_signatures(m, &signers);
    if (top.n > 0)
        seal_name(m, &signers);
    finish_digest(m, &digest);
    const struct msg_submit out = {
        .txn = m->txn,
        .id = m->id,
        .sender = c->sender_path,
        .options = buf_slice(&options),
        .recipients = c->recipients,
        .recipients_n = c->recipient_n,
        .stream = m->stream,
        .tag = in->conf->stream_headers ? m->found.tag : SLICE(""),
        .client = user.n > 0 ? user : slice_of(c->ip),
        .client_ip = slice_of(c->ip),
        .helo = smtp_server_helo(c->server),
        .login = user,
        .tls = tls_words(c, m->arena),
        .message_id = m->found.message_id,
        .from = m->found.from,
        .subject = m->found.subject,
        .digest = {(const char *)digest.bytes, 16},
        .signatures = buf_slice(&signers),
        .received_us = (uint64_t)m->received_us,
        .head = buf_slice(&head),
        .body = buf_slice(&m->body),
    };
    m->state = MESSAGE_STORING;
    msg_submit_encode(&out, bus_begin(in->queue, MSG_SUBMIT));
    bus_end(in->queue);
    buf_clear(&m->body);
    buf_finish(&head);
    buf_finish(&options);
    buf_finish(&signers);
}

static void end_return(struct message *m)
{
    const char *refusal = return_end(m);

    if (refusal != NULL)
        answer(m, 550, "5.7.1", refusal);
}

static void end_report(struct message *m)
{
    unsigned code;
    struct err e;

    if (!reports_end(m, &code, &e))
        answer(m, code, code == 552 ? "5.3.4" : "5.6.0", e.text);
}

void message_end(struct message *m)
{
    m->received_us = loop_clock_us();
    if (m->state == MESSAGE_HEADER) { /* there was no empty line: all of it is header */
        header_complete(m, buf_slice(&m->header));
    }
    if (m->state == MESSAGE_REFUSED) {
        metric_add(m->inbound->env.metrics, METRIC_messages_rejected_total, 1);
        answer(m, m->refusal.code, m->refusal.enhanced, m->refusal_text);
        return;
    }
    loop_timer_set(&m->budget, m->inbound->conf->ack_budget_ms);
    if (m->state == MESSAGE_RETURN && m->inbound->queue == NULL)
        answer(m, 451, "4.3.0", "The queue is not there; try again later");
    else if (m->state == MESSAGE_RETURN && m->is_report)
        end_report(m);
    else if (m->state == MESSAGE_RETURN)
        end_return(m);
    else if (m->proof != NULL)
        proof_end(m);
    else if (m->spec_n > 0)
        ask_keys(m);
    else
        submit(m, SLICE(""), SLICE(""));
}

void message_proven(struct message *m, struct verdict *v, struct slice fields)
{
    if (!seal_end(m, v, fields))
        submit(m, SLICE(""), fields);
}

void message_sealed(struct message *m, struct slice set, struct slice fields)
{
    submit(m, set, fields);
}

void message_refused(struct message *m, unsigned code, const char *enhanced, const char *text)
{
    metric_add(m->inbound->env.metrics, METRIC_messages_rejected_total, 1);
    answer(m, code, enhanced, text);
}

static void sign(struct message *m, const struct msg_signatures *signatures)
{
    struct dkim_signer *signer = m->signer->signer;
    struct buf fields;
    struct err e = {ERR_NONE, ""};
    int failed = 0;

    buf_init(&fields, 65536);
    for (size_t i = 0; i < signatures->answers_n && i < m->spec_n; i++)
        if (signatures->answers[i].signature.n > 0)
            failed |= dkim_signer_answer(signer, i, signatures->answers[i].signature, &e);
    if (failed != 0 || dkim_signer_write(signer, &fields, &e) < 0) {
        log_error(m->inbound->env.log, "inbound.sign", LOG_ERR(&e));
        answer(m, 451, "4.3.0", "The message could not be signed; try again later");
    } else {
        give_signer_back(m);
        submit(m, SLICE(""), buf_slice(&fields));
    }
    buf_finish(&fields);
}

void message_signatures(struct message *m, const struct msg_signatures *signatures)
{
    if (m->state != MESSAGE_SIGNING && m->state != MESSAGE_SEALING)
        return;
    if (m->client == NULL) { /* it went away; nobody was promised anything */
        tell_abandoned(m);
        message_destroy(m);
    } else if (m->state == MESSAGE_SIGNING) {
        sign(m, signatures);
    } else {
        seal_signature(m,
                       signatures->answers_n == 1 ? signatures->answers[0].signature : SLICE(""));
    }
}

void message_accepted(struct message *m, const struct msg_accepted *a)
{
    char text[120], id[ID_TEXT_N + 1];

    metric_observe(m->inbound->env.metrics, METRIC_ack_seconds,
                   (uint64_t)(loop_clock_us() - m->received_us));
    id_encode(a->id, id);
    return_answered(m, a);
    if (a->code == 250)
        (void)snprintf(text, sizeof text,
                       a->duplicate ? "Ok: already queued as %s" : "Ok: queued as %s", id);
    else
        (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(a->text));
    answer(m, a->code,
           a->code == 250   ? "2.0.0"
           : a->code == 452 ? "4.3.1"
           : a->code == 550 ? "5.7.1"
           : a->code == 554 ? "5.6.0"
                            : "4.3.0",
           text);
}

void message_abandon(struct message *m)
{
    if (m->state == MESSAGE_STORING || m->state == MESSAGE_SIGNING || m->state == MESSAGE_SEALING) {
        m->client->message = NULL;
        m->client = NULL; /* the answer finds nobody; the message stays what it becomes */
        loop_timer_stop(&m->budget);
        return;
    }
    tell_abandoned(m);
    message_destroy(m);
}

/* The time between the dot and our reply is over: the client is told to come again, and if the
 * message is stored after all, it is recognised then. */
static void budget_over(void *ctx)
{
    struct message *m = ctx;
    struct client *c = m->client;

    log_warn(m->inbound->env.log, "inbound.ack_budget", LOG_INT("state", m->state));
    m->client = NULL;
    if (c == NULL)
        return;
    c->message = NULL;
    client_answer_end(c, 451, "4.3.0", "It takes too long to store this message; try again later");
}

void message_keys_gone(struct message *m)
{
    if (m->state == MESSAGE_SIGNING || m->state == MESSAGE_SEALING)
        answer(m, 451, "4.3.0", "The signing process is restarting; try again later");
}

void message_queue_gone(struct message *m)
{
    if (m->state == MESSAGE_STORING || m->pieces_sent)
        answer(m, 451, "4.3.0", "The queue is restarting; try again later");
}
