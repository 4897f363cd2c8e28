/* Mail from strangers to local domains: SPF, DKIM, ARC and DMARC while it is received, then what
 * its sender's domain and our settings ask for. */
#include "lib/addr/domain.h"
#include "lib/authres/authres.h"
#include "lib/verdict/verdict.h"
#include "role/inbound_in.h"
#include "rt/dns/dns.h"

#define ARENA_MAX (8u << 20)
#define FIELDS_MAX 65536
/* One question, with all its tries, is over before the client's patience is (ack_budget). */
#define DNS_TIMEOUT_MS 1200
#define DNS_TRIES 3

struct question {
    struct list link;
    struct proof *proof;
    struct dns_ask *ask;
    uint64_t id;
};

struct proof {
    struct list link; /* among the idle ones */
    struct message *message;
    struct inbound *inbound;
    struct verdict *verdict;
    struct list questions;
    struct buf header;        /* without what claims to be ours */
    struct loop_timer budget; /* for DNS, after the final dot */
    bool is_ended;            /* the body is there, and nothing is concluded yet */
};

/* --- local domains --- */

static const struct conf_route *local_route(const struct inbound *in, struct slice address)
{
    return conf_local_route(in->conf, domain_of_address(address));
}

const struct conf_route *proof_local_route(const struct inbound *in, struct slice address)
{
    return in->dns != NULL ? local_route(in, address) : NULL;
}

bool proof_is_local(const struct inbound *in, struct slice address)
{
    return proof_local_route(in, address) != NULL;
}

bool proof_is_on(const struct inbound *in)
{
    return in->dns != NULL;
}

int proof_open(struct inbound *in, struct err *e)
{
    const struct dns_options options = {
        .servers = in->conf->dns, .timeout_ms = DNS_TIMEOUT_MS, .tries = DNS_TRIES};
    bool any = false;

    for (size_t i = 0; i < in->conf->route_count; i++)
        any = any || in->conf->routes[i].local;
    if (!any)
        return 0;
    in->dns = dns_create(in->env.loop, &options, e);
    return in->dns == NULL ? -1 : 0;
}

static void destroy(struct proof *p)
{
    loop_timer_finish(&p->budget);
    verdict_destroy(&p->verdict);
    buf_finish(&p->header);
    free(p);
}

void proof_close(struct inbound *in)
{
    struct list *link;

    while ((link = list_take_first(&in->idle_proofs)) != NULL)
        destroy(CONTAINER_OF(link, struct proof, link));
    dns_destroy(&in->dns);
}

/* --- questions --- */

static void forget_questions(struct proof *p)
{
    struct list *link;

    while ((link = list_take_first(&p->questions)) != NULL) {
        struct question *q = CONTAINER_OF(link, struct question, link);

        dns_cancel(&q->ask);
        free(q);
    }
}

static void go_on(struct proof *p);

static void on_answer(void *ctx, const struct dns_answer *answer)
{
    struct question *q = ctx;
    struct proof *p = q->proof;
    uint64_t id = q->id;

    list_remove(&q->link);
    free(q);
    verdict_answer(p->verdict, id, answer);
    go_on(p);
}

static void ask_all(struct proof *p)
{
    struct dns_question question;
    uint64_t id;

    while (verdict_question(p->verdict, &id, &question)) {
        struct question *q = mem_alloc(sizeof *q);

        *q = (struct question){.proof = p, .id = id};
        list_append(&p->questions, &q->link);
        q->ask = dns_ask(p->inbound->dns, &question, on_answer, q);
    }
}

/* DNS took too long: what is still open counts as not answered, and is temperror. */
static void budget_over(void *ctx)
{
    struct proof *p = ctx;
    const struct dns_answer silence = {.status = DNS_TIMEOUT};
    struct dns_question question;
    struct list *link;
    uint64_t id;

    while ((link = list_take_first(&p->questions)) != NULL) {
        struct question *q = CONTAINER_OF(link, struct question, link);

        dns_cancel(&q->ask);
        verdict_answer(p->verdict, q->id, &silence);
        free(q);
    }
    while (verdict_question(p->verdict, &id, &question))
        verdict_answer(p->verdict, id, &silence);
    go_on(p);
}

/* --- a message --- */

int proof_begin(struct message *m, struct slice *header, struct err *e)
{
    struct inbound *in = m->inbound;
    struct client *c = m->client;
    struct list *link = list_take_first(&in->idle_proofs);
    struct proof *p;
    struct header fields;
    struct arena *arena;
    struct verdict_request request = {.helo = smtp_server_helo(c->server),
                                      .mail_from = c->sender_path,
                                      .receiver = slice_of(in->hostname),
                                      .unix_s = loop_unix_s(in->env.loop)};

    if (link != NULL) {
        p = CONTAINER_OF(link, struct proof, link);
    } else {
        p = mem_alloc(sizeof *p);
        p->inbound = in;
        p->verdict = verdict_create(NULL);
        list_init(&p->questions);
        loop_timer_init(&p->budget, in->env.loop, budget_over, p);
        buf_init(&p->header, (size_t)in->conf->header_size_max + 2);
    }
    list_init(&p->link);
    p->message = m;
    p->is_ended = false;
    m->proof = p;
    if (!ip_address_parse(slice_of(c->ip), &request.client))
        request.client.family = IP_NONE; /* SPF is none */
    if (verdict_begin(p->verdict, &request, *header, e) < 0)
        return -1;
    arena = arena_create(ARENA_MAX);
    buf_clear(&p->header);
    int bad = header_parse(*header, NULL, arena, &fields, e);
    if (bad == 0) {
        (void)authres_strip(&fields, request.receiver, &p->header);
        *header = buf_slice(&p->header);
        ask_all(p);
    }
    arena_destroy(&arena);
    return bad;
}

void proof_body(struct message *m, struct slice bytes)
{
    verdict_body(m->proof->verdict, bytes);
}

void proof_give_back(struct message *m)
{
    struct proof *p = m->proof;

    if (p == NULL)
        return;
    forget_questions(p);
    loop_timer_stop(&p->budget);
    p->message = NULL;
    list_append(&m->inbound->idle_proofs, &p->link);
    m->proof = NULL;
}

/* --- what follows --- */

/* The mildest of what the recipients' domains are set to decides: the message has one answer. */
void proof_note_recipient(struct client *c, struct slice address)
{
    const struct conf_route *r = local_route(c->inbound, address);

    if (r != NULL && r->unproven > c->unproven)
        c->unproven = r->unproven;
}

/* Somebody wrote in the name of the envelope sender who may, so a report to it hits nobody else
 * (RFC 3834 4, RFC 5321 6.2): SPF passed for it, or DKIM for the same domain. */
static bool sender_is_proven(const struct proof *p)
{
    struct slice sender = p->message->client->sender_path;
    struct slice domain = domain_of_address(sender);

    if (sender.n == 0)
        return false; /* SPF spoke about HELO */
    return verdict_spf(p->verdict)->result == SPF_PASS ||
           (verdict_dmarc(p->verdict)->result == DMARC_PASS &&
            slice_eq_nocase(domain, verdict_author(p->verdict)));
}

/* What DMARC asks us to do, as far as the settings let it. */
static enum dmarc_policy treatment(const struct proof *p)
{
    const struct client *c = p->message->client;
    const struct dmarc_outcome *d = verdict_dmarc(p->verdict);
    enum dmarc_policy asked = d->result == DMARC_FAIL ? d->disposition : DMARC_POLICY_NONE;

    /* Without one author there is no policy to obey, which is what forgers want (RFC 9989 11.5);
     * but reports of failure have odd From fields. */
    if (d->result == DMARC_PERMERROR)
        asked = c->sender_path.n > 0 ? DMARC_POLICY_REJECT : DMARC_POLICY_QUARANTINE;
    if (asked == DMARC_POLICY_NONE || c->unproven == CONF_UNPROVEN_ACCEPT)
        return DMARC_POLICY_NONE;
    return c->unproven == CONF_UNPROVEN_TAG ? DMARC_POLICY_QUARANTINE : asked;
}

static void conclude(struct proof *p)
{
    struct message *m = p->message;
    struct inbound *in = p->inbound;
    const struct dmarc_outcome *d = verdict_dmarc(p->verdict);
    bool nobodys = d->result == DMARC_PERMERROR;
    enum dmarc_policy applied = treatment(p);
    struct buf fields;
    char text[200];

    log_info(in->env.log, "inbound.proof", LOG_TEXT("from", verdict_author(p->verdict)),
             LOG_STRING("spf", spf_result_text(verdict_spf(p->verdict)->result)),
             LOG_STRING("dmarc", dmarc_result_text(d->result)),
             LOG_STRING("asked", dmarc_policy_text(d->disposition)));
    reports_seen(m, p->verdict, applied);
    if (applied == DMARC_POLICY_REJECT && nobodys) {
        message_refused(m, 550, "5.7.1",
                        "From has to name one author, or authors of one domain (RFC 5322 3.6.2)");
        return;
    }
    if (applied == DMARC_POLICY_REJECT) {
        (void)snprintf(text, sizeof text,
                       "%.*s asks to refuse mail in its name that neither SPF nor DKIM proves",
                       SLICE_ARG(slice_sub(d->author_domain, 0, 100)));
        message_refused(m, 550, "5.7.26", text);
        return;
    }
    m->origin = sender_is_proven(p) ? OPTIONS_PROVEN : OPTIONS_UNPROVEN;
    buf_init(&fields, FIELDS_MAX);
    verdict_results_field(p->verdict, slice_of(in->hostname), &fields);
    verdict_received_spf(p->verdict, &fields);
    if (applied == DMARC_POLICY_QUARANTINE)
        buf_printf(&fields, "X-Waybill-Quarantine: dmarc=%s policy=%s\r\n",
                   dmarc_result_text(d->result), dmarc_policy_text(d->disposition));
    message_proven(m, p->verdict, buf_slice(&fields));
    buf_finish(&fields);
}

/* After an answer, or the end of the body. */
static void go_on(struct proof *p)
{
    ask_all(p);
    if (!p->is_ended || verdict_step(p->verdict) != STEP_DONE)
        return;
    p->is_ended = false; /* once */
    loop_timer_stop(&p->budget);
    conclude(p);
}

void proof_end(struct message *m)
{
    struct proof *p = m->proof;

    m->state = MESSAGE_PROVING;
    p->is_ended = true;
    verdict_finish(p->verdict);
    loop_timer_set(&p->budget, m->inbound->conf->ack_budget_ms * 3 / 4);
    go_on(p);
}
