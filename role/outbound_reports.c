#include "role/outbound_reports.h"

#include "base/arena.h"
#include "base/list.h"
#include "lib/dmarc/destination.h"
#include "role/messages.h"

#define CHECKS_MAX 16 /* the queue asks about one policy after the other */
#define ARENA_MAX (1u << 20)

struct rua_check {
    struct list link;
    struct rua_checks *checks;
    struct bus *queue;
    struct arena *arena;
    struct dmarc_destination *destination;
    struct dns_ask *ask;
    uint64_t request;
    struct slice domain, rua; /* what is left of it */
    struct msg_rua_place places[RUA_PLACES_MAX];
    size_t place_n;
};

struct rua_checks {
    struct dns_resolver *dns;
    struct list all;
    size_t count;
};

struct rua_checks *rua_checks_create(struct dns_resolver *dns)
{
    struct rua_checks *c = mem_alloc(sizeof *c);

    c->dns = dns;
    list_init(&c->all);
    return c;
}

static void end(struct rua_check *check)
{
    dns_cancel(&check->ask);
    list_remove(&check->link);
    check->checks->count--;
    dmarc_destination_destroy(&check->destination);
    arena_destroy(&check->arena);
    free(check);
}

void rua_checks_forget(struct rua_checks *c)
{
    if (c == NULL)
        return;
    LIST_EACH(&c->all, link)
    end(CONTAINER_OF(link, struct rua_check, link));
}

void rua_checks_destroy(struct rua_checks **c)
{
    if (*c == NULL)
        return;
    rua_checks_forget(*c);
    free(*c);
    *c = NULL;
}

static void answer(struct rua_check *check)
{
    const struct msg_rua_answer m = {
        .request = check->request, .places = check->places, .places_n = check->place_n};

    msg_rua_answer_encode(&m, bus_begin(check->queue, MSG_RUA_ANSWER));
    bus_end(check->queue);
    end(check);
}

static void keep_outcome(struct rua_check *check)
{
    const struct dmarc_destination_outcome *o = dmarc_destination_outcome(check->destination);

    check->places[check->place_n++] =
        (struct msg_rua_place){.consent = (uint8_t)o->consent, /* few */
                               .address = arena_copy(check->arena, o->address),
                               .reason = arena_copy(check->arena, o->reason)};
}

static void go_on(struct rua_check *check, enum step step);

static void on_answer(void *ctx, const struct dns_answer *answer)
{
    struct rua_check *check = ctx;

    check->ask = NULL;
    go_on(check, dmarc_destination_answer(check->destination, answer));
}

/* After an answer: to the next question, the next URI, or the end. */
static void go_on(struct rua_check *check, enum step step)
{
    struct slice uri;

    for (;;) {
        if (step == STEP_WAIT) {
            struct dns_question question = dmarc_destination_question(check->destination);

            check->ask = dns_ask(check->checks->dns, &question, on_answer, check);
            return;
        }
        if (step == STEP_DONE)
            keep_outcome(check);
        if (check->place_n == RUA_PLACES_MAX || !dmarc_uri_next(&check->rua, &uri)) {
            answer(check);
            return;
        }
        step = dmarc_destination_start(check->destination, check->domain, uri);
    }
}

void rua_checks_take(struct rua_checks *c, struct bus *queue, struct slice payload)
{
    struct arena *arena = arena_create(ARENA_MAX);
    struct msg_rua_question m;
    struct rua_check *check;

    if (c->count == CHECKS_MAX || !msg_rua_question_decode(payload, arena, &m)) {
        arena_destroy(&arena);
        return; /* the queue's patience ends */
    }
    check = mem_alloc(sizeof *check);
    *check = (struct rua_check){.checks = c, .queue = queue, .arena = arena, .request = m.request};
    check->domain = arena_copy(arena, m.domain);
    check->rua = arena_copy(arena, m.rua);
    check->destination = dmarc_destination_create();
    list_append(&c->all, &check->link);
    c->count++;
    go_on(check, STEP_NEXT);
}
