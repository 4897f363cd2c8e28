/* The queue role takes mail in: pieces of bodies, then the message, into the group that is open. */
#include "lib/addr/domain.h"
#include "role/queue_in.h"

static struct slice txn_key(const uint64_t *txn)
{
    return map_key_u64(txn);
}

static struct spool_writer *writer_of(struct queue_link *link, uint64_t txn)
{
    return link->writers == NULL ? NULL : map_get(link->writers, txn_key(&txn));
}

void queue_forget_pieces(struct queue_link *link)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    if (link->writers == NULL)
        return;
    while (map_next(link->writers, &cursor, &key, &value)) {
        struct spool_writer *w = value;

        spool_writer_abort(&w);
    }
    map_destroy(&link->writers);
}

void queue_take_piece(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_body_piece m;
    struct spool_writer *w;
    struct err e;

    arena_reset(q->arena);
    if (!msg_body_piece_decode(payload, q->arena, &m))
        return;
    w = writer_of(from, m.txn);
    if (w == NULL) {
        w = spool_stage_begin(q->spool, m.id, 0);
        if (from->writers == NULL)
            from->writers = map_create(1);
        (void)map_put(from->writers, txn_key(&m.txn), w);
    }
    if (spool_writer_append(w, m.bytes, &e) < 0)
        log_warn(q->env.log, "spool.append", LOG_ERR(&e)); /* finish() will say it again */
}

static void forget_body(struct queue_link *from, uint64_t txn)
{
    struct spool_writer *w =
        from->writers == NULL ? NULL : map_remove(from->writers, txn_key(&txn));

    if (w != NULL)
        spool_writer_abort(&w);
}

void queue_take_abandon(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_abandon m;

    arena_reset(q->arena);
    if (msg_abandon_decode(payload, q->arena, &m))
        forget_body(from, m.txn);
}

static struct pending_accept *add_accept(struct queue *q, const struct queue_link *from,
                                         const struct msg_submit *m)
{
    struct pending_accept *p;

    queue_grow(&q->accepts, &q->accept_cap, q->accept_n + 1, sizeof *q->accepts);
    p = &q->accepts[q->accept_n++];
    *p = (struct pending_accept){
        .link = from->index, .txn = m->txn, .id = m->id, .received_us = m->received_us};
    p->recipients = m->recipients_n;
    return p;
}

void queue_add_report_answer(struct queue *q, const struct queue_link *from, uint64_t txn,
                             struct id id)
{
    const struct msg_submit m = {.txn = txn, .id = id};

    add_accept(q, from, &m)->is_report = true;
}

/* The same transaction was stored before: its id is the answer, and nothing new is delivered. */
static bool answer_duplicate(struct queue *q, const struct msg_submit *m, struct pending_accept *p)
{
    int64_t now_ms = loop_unix_ms(q->env.loop);
    struct id first;
    struct err e;

    if (m->digest.n != LEDGER_DIGEST_BYTES || q->conf->idempotency_window_ms == 0)
        return false;
    if (!ledger_find_duplicate(q->ledger, (const unsigned char *)m->digest.p, now_ms, &first))
        return false;
    p->id = first;
    p->duplicate = true;
    if (ledger_add_duplicate(q->ledger, first, m->client_ip, now_ms, &e) < 0) {
        log_error(q->env.log, "ledger.duplicate", LOG_ERR(&e));
        q->spoiled = true;
    }
    return true;
}

static int store_body(struct queue *q, struct queue_link *from, const struct msg_submit *m,
                      struct spool_place *place_out, struct err *e)
{
    struct spool_writer *w =
        from->writers == NULL ? NULL : map_remove(from->writers, txn_key(&m->txn));

    if (w == NULL)
        w = spool_stage_begin(q->spool, m->id, m->body.n);
    if (spool_writer_append(w, m->body, e) == 0 &&
        spool_writer_finish(&w, m->head, place_out, e) == 0)
        return 0;
    spool_writer_abort(&w);
    return -1;
}

/* Which site each recipient belongs to. */
static int find_sites(struct queue *q, const struct msg_submit *m, struct ledger_recipient *out,
                      struct err *e)
{
    struct slice last_domain = {NULL, 0};
    uint32_t last_site = 0;
    struct buf scratch;

    buf_init(&scratch, 1024);
    for (size_t i = 0; i < m->recipients_n; i++) {
        struct slice domain = domain_of_address(m->recipients[i].address);

        if (last_site == 0 || !slice_eq(domain, last_domain)) {
            last_site = queue_site_number(q, queue_site_of(q, domain, &scratch), e);
            last_domain = domain;
        }
        out[i] = (struct ledger_recipient){.address = m->recipients[i].address,
                                           .options = m->recipients[i].options,
                                           .site = last_site};
        if (last_site == 0)
            break;
    }
    buf_finish(&scratch);
    return last_site == 0 ? -1 : 0;
}

/* Marks those who get no mail any more; *n_out of them. */
static int find_suppressed(struct queue *q, const struct msg_submit *m,
                           struct ledger_recipient *recipients, size_t *n_out, struct err *e)
{
    struct ledger_suppression s;

    *n_out = 0;
    for (size_t i = 0; i < m->recipients_n; i++) {
        if (queue_find_suppression(q, recipients[i].address, m->stream,
                                   &recipients[i].is_suppressed, &s, e) < 0)
            return -1;
        *n_out += recipients[i].is_suppressed;
    }
    return 0;
}

/* Everybody is suppressed, and the stream wants to hear so. Nothing is stored. */
static bool refuse_suppressed(struct queue *q, struct queue_link *from, const struct msg_submit *m)
{
    const struct conf_stream *stream = conf_find_stream(q->conf, m->stream);
    struct msg_accepted no = {.txn = m->txn, .id = m->id, .code = 550};
    struct ledger_suppression s;
    bool found = stream != NULL && stream->suppressed == CONF_SUPPRESSED_REFUSE;
    struct err e;

    for (size_t i = 0; i < m->recipients_n && found; i++)
        if (queue_find_suppression(q, m->recipients[i].address, m->stream, &found, &s, &e) < 0)
            return false; /* storing will meet it again */
    if (!found || m->recipients_n == 0)
        return false;
    no.text = arena_printf(q->arena, "suppressed: %.*s", SLICE_ARG(s.reason));
    forget_body(from, m->txn);
    msg_accepted_encode(&no, bus_begin(from->bus, MSG_ACCEPTED));
    bus_end(from->bus);
    return true;
}

static int note_suppressed(struct queue *q, const struct msg_submit *m,
                           const struct ledger_recipient *recipients, struct err *e)
{
    struct range_list list = {0};
    int result;

    for (size_t i = 0; i < m->recipients_n; i++)
        if (recipients[i].is_suppressed)
            range_list_add(&list, (uint32_t)i + 1, (uint32_t)i + 1); /* at most 10^6 */
    const struct ledger_event_note note = {.kind = LEDGER_EV_SUPPRESSED,
                                           .recipients = range_list_view(&list),
                                           .text = SLICE("on the suppression list: not tried")};
    result = ledger_add_event(q->ledger, m->id, &note, loop_unix_ms(q->env.loop), e);
    range_list_finish(&list);
    return result;
}

static void keep_fresh(struct queue *q, const struct ledger_message *message,
                       const struct ledger_recipient *recipients, struct ledger_units units)
{
    struct buf name;
    struct err e;

    buf_init(&name, 1024);
    queue_grow(&q->fresh, &q->fresh_cap, q->fresh_n + units.n, sizeof *q->fresh);
    for (size_t i = 0; i < units.n; i++) {
        buf_clear(&name);
        if (ledger_site_name(q->ledger, units.p[i]->site, &name, &e) < 0)
            continue; /* it was just made; cannot be */
        q->fresh[q->fresh_n++] = queue_make_job(q, units.p[i], message, recipients,
                                                message->recipient_count, buf_slice(&name));
    }
    buf_finish(&name);
}

static int store_message(struct queue *q, struct queue_link *from, const struct msg_submit *m,
                         struct err *e)
{
    struct ledger_recipient *recipients =
        arena_array(q->arena, m->recipients_n, sizeof *recipients);
    struct ledger_message message = {
        .id = m->id,
        .received_ms = loop_unix_ms(q->env.loop),
        .client = m->client,
        .client_ip = m->client_ip,
        .helo = m->helo,
        .login = m->login,
        .tls = m->tls,
        .sender = m->sender,
        .stream = m->stream,
        .tag = m->tag,
        .options = m->options,
        .message_id = m->message_id,
        .from = m->from,
        .subject = m->subject,
        .has_digest = m->digest.n == LEDGER_DIGEST_BYTES,
        .recipient_count = (uint32_t)m->recipients_n,
        .alone = queue_parts_recipients(q, m),
    };
    size_t suppressed = 0;
    struct ledger_units units = {NULL, 0};
    bool take = schedule_has_room(q->schedule, q->fresh_n) && !q->stopping;

    if (recipients == NULL)
        return err_set(e, ERR_LIMIT, "too many recipients: %zu", m->recipients_n);
    if (message.has_digest)
        memcpy(message.digest, m->digest.p, sizeof message.digest);
    if (store_body(q, from, m, &message.place, e) < 0 || find_sites(q, m, recipients, e) < 0 ||
        find_suppressed(q, m, recipients, &suppressed, e) < 0)
        return -1;
    message.size_bytes = message.place.head_n + message.place.body_n;
    if (ledger_add_message(q->ledger, &message, recipients, m->recipients_n, message.received_ms,
                           take, &units, e) < 0)
        return -1;
    if (suppressed > 0 && note_suppressed(q, m, recipients, e) < 0)
        return -1;
    if (m->signatures.n > 0) {
        const struct ledger_event_note note = {.kind = LEDGER_EV_SIGNED, .text = m->signatures};

        if (ledger_add_event(q->ledger, m->id, &note, message.received_ms, e) < 0)
            return -1;
    }
    if (take) {
        keep_fresh(q, &message, recipients, units);
    } else {
        struct buf scratch;

        buf_init(&scratch, 1024);
        for (size_t i = 0; i < m->recipients_n; i++)
            if (i == 0 || recipients[i].site != recipients[i - 1].site)
                schedule_expect(
                    q->schedule,
                    queue_site_of(q, domain_of_address(recipients[i].address), &scratch),
                    message.received_ms);
        buf_finish(&scratch);
    }
    q->accepts[q->accept_n - 1].bytes = message.size_bytes;
    return 0;
}

void queue_take_submit(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct pending_accept *p;
    struct msg_submit m;
    struct err e;

    arena_reset(q->arena);
    if (!msg_submit_decode(payload, q->arena, &m)) {
        log_error(q->env.log, "queue.bad_submit", LOG_INT("bytes", payload.n));
        return;
    }
    if (q->disk_low) {
        struct msg_accepted no = {.txn = m.txn, .id = m.id, .code = 452};

        forget_body(from, m.txn);
        no.text = SLICE("There is too little disk space here; try again later");
        msg_accepted_encode(&no, bus_begin(from->bus, MSG_ACCEPTED));
        bus_end(from->bus);
        return;
    }
    if (refuse_suppressed(q, from, &m))
        return;
    queue_open_group(q);
    p = add_accept(q, from, &m);
    if (q->spoiled || answer_duplicate(q, &m, p)) {
        forget_body(from, m.txn);
        return;
    }
    if (store_message(q, from, &m, &e) < 0) {
        log_error(q->env.log, "queue.store", LOG_ERR(&e));
        q->spoiled = true;
    }
}
