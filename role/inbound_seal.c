/* ARC sets (RFC 8617) on mail that goes on to somebody else: what we found out about it, sealed by
 * a key of the domain that it was written to. One message has one header, so all who get it see it.
 *
 *     header: seal_begin()   body: seal_body()   proofs: seal_end() --> keys --> seal_signature()
 *                                                twice: the message, then the chain */
#include "role/inbound_in.h"

#ifdef WAYBILL_ARC
#include "lib/addr/domain.h"
#include "lib/dkim/arc.h"
#include "lib/verdict/verdict.h"

#define RESULTS_NAME "Authentication-Results: "
#define RESULTS_MAX 65536

struct seal {
    struct list link; /* among the idle ones */
    struct arc_sealer *sealer;
    struct slice domain, selector; /* of the key, in the message's arena */
    enum dkim_algorithm algorithm;
    struct buf fields; /* what stands below our Received */
};

void seal_close(struct inbound *in)
{
    struct list *link;

    while ((link = list_take_first(&in->idle_seals)) != NULL) {
        struct seal *s = CONTAINER_OF(link, struct seal, link);

        arc_sealer_destroy(&s->sealer);
        buf_finish(&s->fields);
        free(s);
    }
}

/* The key of the domain itself before one of a domain above it, RSA before Ed25519: not everybody
 * who reads chains knows the latter. */
static const struct known_key *choose_key(const struct inbound *in, struct slice domain)
{
    const struct known_key *best = NULL;

    for (size_t i = 0; i < in->known.n; i++) {
        const struct known_key *k = &in->known.list[i];
        size_t n = k->domain.n, best_n = best == NULL ? 0 : best->domain.n;

        if (!domain_is_within(domain, k->domain))
            continue;
        if (n > best_n ||
            (n == best_n && k->algorithm == DKIM_RSA_SHA256 && best->algorithm != DKIM_RSA_SHA256))
            best = k;
    }
    return best;
}

void seal_begin(struct message *m)
{
    struct inbound *in = m->inbound;
    struct slice domain = m->client->forward_domain;
    const struct known_key *key;
    struct list *link;

    if (domain.n == 0 || m->proof == NULL || !in->conf->arc_seal)
        return;
    key = choose_key(in, domain);
    if (key == NULL) {
        if (!in->told_no_seal)
            log_warn(in->env.log, "inbound.no_seal", LOG_TEXT("domain", domain),
                     LOG_STRING("why", "forwarded mail gets no ARC seal: no key of this domain"));
        in->told_no_seal = true;
        return;
    }
    link = list_take_first(&in->idle_seals);
    if (link != NULL) {
        m->seal = CONTAINER_OF(link, struct seal, link);
    } else {
        m->seal = mem_alloc(sizeof *m->seal);
        m->seal->sealer = arc_sealer_create();
        buf_init(&m->seal->fields, RESULTS_MAX);
    }
    list_init(&m->seal->link);
    m->seal->domain = arena_copy(m->arena, key->domain);
    m->seal->selector = arena_copy(m->arena, key->selector);
    m->seal->algorithm = key->algorithm;
    arc_sealer_begin(m->seal->sealer);
}

void seal_body(struct message *m, struct slice bytes)
{
    if (m->seal != NULL)
        arc_sealer_body(m->seal->sealer, bytes);
}

void seal_give_back(struct message *m)
{
    if (m->seal != NULL)
        list_append(&m->inbound->idle_seals, &m->seal->link);
    m->seal = NULL;
}

static void ask_keys(struct message *m)
{
    const struct seal *s = m->seal;
    const struct msg_sign_request request = {
        .domain = s->domain, .selector = s->selector, .digest = arc_sealer_digest(s->sealer)};
    const struct msg_sign out = {.txn = m->txn, .requests = &request, .requests_n = 1};

    msg_sign_encode(&out, bus_begin(m->inbound->keys, MSG_SIGN));
    bus_end(m->inbound->keys);
}

/* The chain as the sealer wants it. */
static struct arc_verdict chain_of(const struct verdict_arc *a)
{
    bool passed = strcmp(a->result, arc_result_name(ARC_PASS)) == 0;

    return (struct arc_verdict){.result = a->instances == 0 ? ARC_NONE
                                          : passed          ? ARC_PASS
                                                            : ARC_FAIL,
                                .instances = a->instances,
                                .broken_before = a->closed,
                                .temporary = a->temporary,
                                .sealer = a->sealer,
                                .reason = a->reason};
}

/* "mx.example;\r\n\tspf=pass ...": our results field without its name and last line end. */
static struct slice results_of(struct message *m, struct verdict *v)
{
    struct buf field;
    struct slice text;

    buf_init(&field, RESULTS_MAX);
    verdict_results_field(v, slice_of(m->inbound->hostname), &field);
    text = buf_slice(&field);
    text = slice_starts(text, SLICE(RESULTS_NAME))
               ? arena_copy(m->arena, slice_sub(text, strlen(RESULTS_NAME),
                                                text.n - strlen(RESULTS_NAME) - 2))
               : SLICE("");
    buf_finish(&field);
    return text;
}

bool seal_end(struct message *m, struct verdict *v, struct slice fields)
{
    struct inbound *in = m->inbound;
    struct seal *s = m->seal;
    struct err e;

    if (s == NULL)
        return false;
    const struct arc_seal_options options = {
        .domain = s->domain,
        .selector = s->selector,
        .algorithm = s->algorithm,
        .results = results_of(m, v),
        .signed_at_s = loop_unix_s(in->env.loop),
        .chain = chain_of(verdict_arc(v)),
    };
    if (arc_sealer_finish(s->sealer, &options, buf_slice(&m->head), &e) < 0) {
        /* a closed chain, too many sets, silence of DNS: it goes on without a set of ours */
        log_info(in->env.log, "inbound.unsealed", LOG_ERR(&e));
        return false;
    }
    buf_clear(&s->fields);
    buf_append(&s->fields, fields);
    m->state = MESSAGE_SEALING;
    if (in->keys == NULL)
        message_keys_gone(m);
    else
        ask_keys(m);
    return true;
}

void seal_signature(struct message *m, struct slice signature)
{
    struct seal *s = m->seal;
    struct buf set;
    struct err e;

    buf_init(&set, RESULTS_MAX * 2);
    if (arc_sealer_answer(s->sealer, signature, &e) < 0) {
        log_error(m->inbound->env.log, "inbound.seal", LOG_ERR(&e));
        message_sealed(m, SLICE(""), buf_slice(&s->fields));
    } else if (arc_sealer_digest(s->sealer).n > 0) {
        if (m->inbound->keys == NULL)
            message_keys_gone(m);
        else
            ask_keys(m);
    } else if (arc_sealer_write(s->sealer, &set, &e) < 0) {
        log_error(m->inbound->env.log, "inbound.seal", LOG_ERR(&e));
        message_sealed(m, SLICE(""), buf_slice(&s->fields));
    } else {
        message_sealed(m, buf_slice(&set), buf_slice(&s->fields));
    }
    buf_finish(&set);
}

void seal_name(const struct message *m, struct buf *out)
{
    const struct seal *s = m->seal;

    buf_printf(out, "ARC %.*s/%.*s (%s)", SLICE_ARG(s->domain), SLICE_ARG(s->selector),
               dkim_algorithm_name(s->algorithm));
}

#else /* the build leaves ARC out */

void seal_close(struct inbound *in)
{
    (void)in;
}

void seal_begin(struct message *m)
{
    (void)m;
}

void seal_body(struct message *m, struct slice bytes)
{
    (void)m, (void)bytes;
}

void seal_give_back(struct message *m)
{
    (void)m;
}

bool seal_end(struct message *m, struct verdict *v, struct slice fields)
{
    (void)m, (void)v, (void)fields;
    return false;
}

void seal_signature(struct message *m, struct slice signature)
{
    (void)m, (void)signature;
}

void seal_name(const struct message *m, struct buf *out)
{
    (void)m, (void)out;
}

#endif
