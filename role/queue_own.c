/* The queue role writes mail itself: reports of failure, reports about others. It is stored at once
 * in the open group, due in a while; the keys role is asked for signatures meanwhile, and when they
 * come the signed bytes take the place of the others and it is due. Without an answer it leaves
 * unsigned: what we promised to tell is told. */
#include "lib/addr/domain.h"
#include "lib/dkim/sign.h"
#include "role/known_keys.h"
#include "role/queue_in.h"

#define QUEUE_LANE (ID_LANES - 1) /* of ids; the inbound processes count from 0 */
#define PATIENCE_MS 5000          /* then it leaves unsigned */
#define WAITING_MAX 1000
#define WAITING_BYTES_MAX ((size_t)64 << 20)

/* A message whose digests the keys role has. */
struct waiting {
    struct list link; /* oldest first */
    uint64_t txn;
    struct id id;
    int64_t until_ms;
    struct dkim_signer *signer;
    struct dkim_sign_spec specs[DKIM_SIGNER_SIGNATURES_MAX];
    size_t spec_n;
    struct arena *arena;
    struct slice head, body, site;
};

struct queue_own {
    struct queue *queue;
    struct bus *keys;
    struct known_keys known;
    struct map *by_txn;
    struct list waiting;
    size_t waiting_bytes;
    uint64_t next_txn;
    struct id_maker ids;
};

/* --- who waits --- */

static void forget(struct queue_own *own, struct waiting *w)
{
    (void)map_remove(own->by_txn, map_key_u64(&w->txn));
    list_remove(&w->link);
    own->waiting_bytes -= w->head.n + w->body.n;
    dkim_signer_destroy(&w->signer);
    arena_destroy(&w->arena);
    free(w);
}

static void forget_late(struct queue_own *own, int64_t now_ms)
{
    LIST_EACH(&own->waiting, link)
    {
        struct waiting *w = CONTAINER_OF(link, struct waiting, link);

        if (w->until_ms > now_ms)
            return;
        forget(own, w);
    }
}

/* --- keys --- */

static void learn_keys(struct queue_own *own, struct slice payload)
{
    struct msg_keys_known m;

    if (msg_keys_known_decode(payload, own->queue->arena, &m))
        known_keys_learn(&own->known, &m);
}

/* All keys of the domain nearest to the author's: relaxed alignment holds with one above it. */
static void choose_keys(const struct queue_own *own, struct slice author, struct waiting *w)
{
    struct slice name = domain_of_address(author);
    size_t nearest = 0;

    for (size_t i = 0; i < own->known.n; i++) {
        struct slice domain = own->known.list[i].domain;

        if (domain_is_within(name, domain) && domain.n > nearest)
            nearest = domain.n;
    }
    for (size_t i = 0; i < own->known.n && w->spec_n < COUNT(w->specs); i++) {
        const struct known_key *key = &own->known.list[i];

        if (key->domain.n == nearest && domain_is_within(name, key->domain))
            w->specs[w->spec_n++] = known_key_spec(key, w->arena);
    }
}

/* --- signatures --- */

static void ask_keys(struct queue_own *own, struct waiting *w)
{
    struct msg_sign_request requests[DKIM_SIGNER_SIGNATURES_MAX];
    const struct msg_sign out = {.txn = w->txn, .requests = requests, .requests_n = w->spec_n};

    for (size_t i = 0; i < w->spec_n; i++)
        requests[i] = (struct msg_sign_request){.domain = w->specs[i].domain,
                                                .selector = w->specs[i].selector,
                                                .digest = dkim_signer_digest(w->signer, i)};
    msg_sign_encode(&out, bus_begin(own->keys, MSG_SIGN));
    bus_end(own->keys);
}

/* False: it leaves unsigned. */
static bool begin_signing(struct queue_own *own, const struct own_mail *m, struct slice site)
{
    struct queue *q = own->queue;
    int64_t now_ms = loop_now_ms(q->env.loop);
    size_t bytes = m->head.n + m->body.n;
    struct waiting *w;
    struct err e;

    forget_late(own, now_ms);
    if (own->keys == NULL || own->known.n == 0 || map_count(own->by_txn) >= WAITING_MAX ||
        bytes > WAITING_BYTES_MAX - own->waiting_bytes)
        return false;
    w = mem_alloc(sizeof *w);
    w->arena = arena_create(bytes + 65536);
    choose_keys(own, m->author, w);
    w->signer = dkim_signer_create();
    const struct dkim_sign_options options = {
        .specs = w->specs, .spec_count = w->spec_n, .signed_at_s = loop_unix_s(q->env.loop)};
    if (w->spec_n == 0 || dkim_signer_begin(w->signer, &options, m->head, &e) < 0) {
        if (w->spec_n > 0)
            log_warn(q->env.log, "queue.sign", LOG_ERR(&e));
        dkim_signer_destroy(&w->signer);
        arena_destroy(&w->arena);
        free(w);
        return false;
    }
    dkim_signer_body(w->signer, m->body);
    dkim_signer_finish(w->signer);
    w->id = m->id;
    w->txn = own->next_txn++;
    w->until_ms = now_ms + PATIENCE_MS;
    w->head = arena_copy(w->arena, m->head);
    w->body = arena_copy(w->arena, m->body);
    w->site = arena_copy(w->arena, site);
    own->waiting_bytes += bytes;
    list_append(&own->waiting, &w->link);
    (void)map_put(own->by_txn, map_key_u64(&w->txn), w);
    ask_keys(own, w);
    return true;
}

static int stage(struct queue *q, struct id id, struct slice head, struct slice body,
                 struct spool_place *place_out, struct err *e)
{
    struct spool_writer *w = spool_stage_begin(q->spool, id, body.n);

    if (spool_writer_append(w, body, e) == 0 && spool_writer_finish(&w, head, place_out, e) == 0)
        return 0;
    spool_writer_abort(&w);
    return -1;
}

static void name_signatures(const struct waiting *w, struct buf *out)
{
    for (size_t i = 0; i < w->spec_n; i++)
        buf_printf(out, "%s%.*s/%.*s (%s)", i > 0 ? ", " : "", SLICE_ARG(w->specs[i].domain),
                   SLICE_ARG(w->specs[i].selector), dkim_algorithm_name(w->specs[i].algorithm));
}

/* The signed bytes take the place of the others. */
static int replace(struct queue *q, struct waiting *w, struct err *e)
{
    struct spool_place place;
    struct buf head, names;
    int result = -1;

    buf_init(&head, w->head.n + 65536);
    buf_init(&names, 4096);
    name_signatures(w, &names);
    if (dkim_signer_write(w->signer, &head, e) == 0) {
        buf_append(&head, w->head);
        buf_append_text(&head, "\r\n");
        if (stage(q, w->id, buf_slice(&head), w->body, &place, e) == 0)
            result = ledger_sign(q->ledger, w->id, &place, buf_slice(&names),
                                 loop_unix_ms(q->env.loop), e);
    }
    buf_finish(&head);
    buf_finish(&names);
    return result;
}

static void take_signatures(struct queue_own *own, struct slice payload)
{
    struct queue *q = own->queue;
    struct msg_signatures m;
    struct waiting *w;
    struct err e;

    if (!msg_signatures_decode(payload, q->arena, &m) ||
        (w = map_get(own->by_txn, map_key_u64(&m.txn))) == NULL)
        return;
    for (size_t i = 0; i < m.answers_n && i < w->spec_n; i++)
        if (m.answers[i].signature.n > 0 &&
            dkim_signer_answer(w->signer, i, m.answers[i].signature, &e) < 0)
            log_warn(q->env.log, "queue.sign", LOG_ERR(&e));
    queue_open_group(q);
    if (!q->spoiled && ledger_find_unit(q->ledger, w->id, 1) == NULL) { /* it has not left yet */
        if (replace(q, w, &e) == 0)
            schedule_expect(q->schedule, w->site, loop_unix_ms(q->env.loop));
        else
            log_warn(q->env.log, "queue.sign", LOG_ERR(&e));
    }
    forget(own, w);
}

/* --- the bus to the keys role --- */

static void from_keys(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct queue_own *own = ctx;
    (void)fd;

    arena_reset(own->queue->arena);
    if (type == MSG_KEYS_KNOWN)
        learn_keys(own, payload);
    else if (type == MSG_SIGNATURES)
        take_signatures(own, payload);
    else if (type == MSG_KEYS_PUBLIC)
        queue_doctor_take_keys(own->queue, payload);
}

static void keys_gone(void *ctx, const struct err *why)
{
    struct queue_own *own = ctx;

    log_info(own->queue->env.log, "queue.peer_gone", LOG_STRING("peer", "keys"), LOG_ERR(why));
    bus_close(&own->keys);
    forget_late(own, INT64_MAX);
}

static const struct bus_handlers handlers = {from_keys, NULL, keys_gone};

void queue_own_attached(struct queue *q, struct bus *bus)
{
    struct queue_own *own = q->own;

    if (own->keys != NULL)
        keys_gone(own, &(struct err){.text = "replaced"});
    own->keys = bus;
    bus_set_handlers(bus, &handlers, own);
}

/* --- life --- */

void queue_own_create(struct queue *q)
{
    struct queue_own *own = mem_alloc(sizeof *own);

    q->own = own;
    own->queue = q;
    own->by_txn = map_create(q->random_state);
    own->next_txn = 1;
    own->ids.lane = QUEUE_LANE;
    list_init(&own->waiting);
}

void queue_own_destroy(struct queue *q)
{
    struct queue_own *own = q->own;

    if (own == NULL)
        return;
    forget_late(own, INT64_MAX);
    known_keys_forget(&own->known);
    bus_close(&own->keys);
    map_destroy(&own->by_txn);
    free(own);
    q->own = NULL;
}

struct id queue_own_id(struct queue *q)
{
    return id_make(&q->own->ids, loop_unix_ms(q->env.loop), queue_random(q));
}

/* --- sending --- */

int queue_own_send(struct queue *q, const struct own_mail *m, struct err *e)
{
    int64_t now_ms = loop_unix_ms(q->env.loop), due_ms;
    struct ledger_recipient to = {.address = m->to, .options = m->to_options};
    struct ledger_message message = {.id = m->id,
                                     .received_ms = now_ms,
                                     .client = SLICE("waybill"),
                                     .sender = m->sender,
                                     .stream = m->stream,
                                     .options = m->options,
                                     .from = m->author,
                                     .subject = m->subject,
                                     .recipient_count = 1};
    struct buf head, site;
    int result = -1;

    buf_init(&head, m->head.n + 16);
    buf_init(&site, 1024);
    buf_append(&head, m->head);
    buf_append_text(&head, "\r\n");
    struct slice name = queue_site_of(q, domain_of_address(m->to), &site);
    if (stage(q, m->id, buf_slice(&head), m->body, &message.place, e) == 0 &&
        (to.site = queue_site_number(q, name, e)) != 0) {
        due_ms = begin_signing(q->own, m, name) ? now_ms + PATIENCE_MS : now_ms;
        message.size_bytes = message.place.head_n + message.place.body_n;
        result = ledger_add_message(q->ledger, &message, &to, 1, due_ms, false, NULL, e);
        schedule_expect(q->schedule, name, due_ms);
    }
    buf_finish(&head);
    buf_finish(&site);
    return result;
}
