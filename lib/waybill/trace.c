#include <assert.h>

#include "lib/trace/compare.h"
#include "lib/trace/path.h"
#include "lib/waybill/share_in.h"
#include <waybill/trace.h>

#define TRACE_BYTES ((size_t)256 << 20)

static struct waybill_received received_of(const struct received *r, struct arena *a)
{
    char ip[IP_TEXT_MAX];

    if (r == NULL)
        return (struct waybill_received){.has_date = false};
    ip_address_format(&r->ip, ip);
    return (struct waybill_received){
        .value = waybill_text_of(r->value),
        .helo = waybill_text_of(r->helo),
        .rdns = waybill_text_of(r->rdns),
        .ip = waybill_text_of(arena_copy(a, slice_of(ip))),
        .by = waybill_text_of(r->by),
        .via = waybill_text_of(r->via),
        .with = waybill_text_of(r->with),
        .id = waybill_text_of(r->id),
        .for_address = waybill_text_of(r->for_address),
        .tls = waybill_text_of(r->tls_version),
        .unix_time = r->has_date ? r->date.unix_s : 0,
        .zone_minutes = r->has_date ? r->date.zone_minutes : 0,
        .has_date = r->has_date,
    };
}

/* --- one message --- */

struct waybill_trace {
    struct arena *arena;
    struct trace trace;
    struct waybill_hop *hops;
};

struct waybill_trace *waybill_trace_create(const char *message, size_t size, const char *our_domain,
                                           struct waybill_error *error)
{
    struct waybill_trace *t = mem_alloc(sizeof *t);
    struct err e = {0};

    t->arena = arena_create(TRACE_BYTES);
    if (trace_message((struct slice){message, size}, slice_of(our_domain), t->arena, &t->trace,
                      &e) != 0)
        goto bad;
    t->hops = arena_array(t->arena, t->trace.count, sizeof *t->hops);
    if (t->hops == NULL) {
        err_set(&e, ERR_LIMIT, "no memory for %zu hops", t->trace.count);
        goto bad;
    }
    for (size_t i = 0; i < t->trace.count; i++) {
        const struct hop *h = &t->trace.hops[i];
        t->hops[i] = (struct waybill_hop){
            .received = received_of(&h->received, t->arena),
            .delay_s = h->delay_s,
            .has_delay = h->has_delay,
            .is_ours = h->is_ours,
            .is_inside = h->is_inside,
            .is_slow = h->is_slow,
            .is_skewed = h->is_skewed,
        };
    }
    return t;
bad:
    (void)waybill_fail(error, e.text);
    waybill_trace_destroy(&t);
    return NULL;
}

void waybill_trace_destroy(struct waybill_trace **t)
{
    if (*t == NULL)
        return;
    arena_destroy(&(*t)->arena);
    free(*t);
    *t = NULL;
}

size_t waybill_trace_hops(const struct waybill_trace *t)
{
    return t->trace.count;
}

const struct waybill_hop *waybill_trace_hop(const struct waybill_trace *t, size_t i)
{
    assert(i < t->trace.count);
    return &t->hops[i];
}

bool waybill_trace_total(const struct waybill_trace *t, int64_t *seconds_out)
{
    *seconds_out = t->trace.has_total ? t->trace.total_s : 0;
    return t->trace.has_total;
}

struct waybill_text waybill_trace_message_id(const struct waybill_trace *t)
{
    return waybill_text_of(t->trace.message_id);
}

struct waybill_text waybill_trace_return_path(const struct waybill_trace *t)
{
    return waybill_text_of(t->trace.return_path);
}

size_t waybill_trace_warnings(const struct waybill_trace *t)
{
    return t->trace.warning_count;
}

struct waybill_text waybill_trace_warning(const struct waybill_trace *t, size_t i)
{
    assert(i < t->trace.warning_count);
    return waybill_text_of(t->trace.warnings[i]);
}

/* --- Message-ID --- */

int waybill_msgid_check(const char *value, size_t size, const char **reason_out)
{
    struct msgid_check check = msgid_check((struct slice){value, size});

    if (reason_out != NULL)
        *reason_out = check.reason;
    switch (check.verdict) {
    case MSGID_GOOD:
        return 0;
    case MSGID_ODD:
        return 1;
    case MSGID_BAD:
        break;
    }
    return 2;
}

/* --- several messages --- */

struct waybill_compare {
    struct compare *compare;
    struct arena *arena; /* for the texts of addresses */
    const struct compare_group *groups;
    size_t count;
};

struct waybill_compare *waybill_compare_create(size_t memory_max)
{
    struct waybill_compare *c = mem_alloc(sizeof *c);

    *c = (struct waybill_compare){.compare = compare_create(memory_max),
                                  .arena = arena_create(memory_max)};
    return c;
}

void waybill_compare_destroy(struct waybill_compare **c)
{
    if (*c == NULL)
        return;
    compare_destroy(&(*c)->compare);
    arena_destroy(&(*c)->arena);
    free(*c);
    *c = NULL;
}

int waybill_compare_add(struct waybill_compare *c, const char *name, const char *message,
                        size_t size, struct waybill_error *error)
{
    struct err e = {0};

    if (compare_add(c->compare, slice_of(name), (struct slice){message, size}, &e) != 0)
        return waybill_fail(error, e.text);
    return 0;
}

int waybill_compare_finish(struct waybill_compare *c, size_t *groups_out,
                           struct waybill_error *error)
{
    struct err e = {0};

    if (compare_finish(c->compare, &c->groups, &c->count, &e) != 0)
        return waybill_fail(error, e.text);
    *groups_out = c->count;
    return 0;
}

const struct waybill_group *waybill_compare_group(const struct waybill_compare *c, size_t i)
{
    assert(i < c->count);
    const struct compare_group *g = &c->groups[i];
    struct waybill_group *group = arena_alloc(c->arena, sizeof *group);

    if (group == NULL)
        return NULL;
    *group = (struct waybill_group){
        .message_id = waybill_text_of(g->message_id),
        .copies = g->count,
        .verdict = compare_verdict_name(g->verdict),
        .cause = compare_cause_name(g->cause),
        .common_hops = g->common_hops,
        .last_common = received_of(g->last_common, c->arena),
        .culprit = waybill_text_of(g->culprit),
        .evidence = waybill_text_of(g->evidence),
        .advice = waybill_text_of(g->advice),
        .is_collision = g->is_collision,
    };
    return group;
}

const struct waybill_copy *waybill_compare_copy(const struct waybill_compare *c, size_t group,
                                                size_t i)
{
    assert(group < c->count && i < c->groups[group].count);
    const struct aligned_copy *copy = &c->groups[group].copies[i];
    struct waybill_copy *made = arena_alloc(c->arena, sizeof *made);

    if (made == NULL)
        return NULL;
    *made = (struct waybill_copy){
        .name = waybill_text_of(copy->copy->name),
        .hops = copy->copy->received_count,
        .diverge = received_of(copy->diverge, c->arena),
        .changes = waybill_text_of(copy->changes),
    };
    return made;
}
