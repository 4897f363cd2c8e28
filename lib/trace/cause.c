#include "lib/trace/cause.h"

#include "base/ascii.h"
#include "lib/trace/path.h"

#define RERUN_FROM_S                                                                               \
    780 /* longer gaps than any usual wait for the reply to the dot (10 minutes)                   \
         */
#define RETRY_FROM_S 10
#define SAME_HOP_S 86400

const char *compare_verdict_name(enum compare_verdict v)
{
    switch (v) {
    case COMPARE_SINGLE:
        return "single";
    case COMPARE_DUPLICATED:
        return "duplicated";
    case COMPARE_IDENTICAL_CHAINS:
        return "identical_chains";
    case COMPARE_SEPARATE_SENDS:
        return "separate_sends";
    }
    return "";
}

const char *compare_cause_name(enum compare_cause c)
{
    switch (c) {
    case CAUSE_UNKNOWN:
        return "unknown";
    case CAUSE_RETRY_AFTER_LOST_REPLY:
        return "retry_after_lost_reply";
    case CAUSE_QUEUE_RERUN:
        return "queue_rerun";
    case CAUSE_LIST_EXPANSION:
        return "list_expansion";
    case CAUSE_FORWARDING:
        return "forwarding";
    case CAUSE_TWO_NEXT_HOPS:
        return "two_next_hops";
    case CAUSE_SENT_TWICE:
        return "sent_twice";
    case CAUSE_DELIVERED_TWICE:
        return "delivered_twice";
    }
    return "";
}

/* A queue id, not the version of a server ("15.20.1234.5") or a counter that starts anew. */
static bool is_queue_id(struct slice id)
{
    bool letter = false, dot = false;

    for (size_t i = 0; i < id.n; i++) {
        letter = letter || ascii_is_alpha(id.p[i]);
        dot = dot || id.p[i] == '.';
    }
    return id.n >= 5 && (letter || (!dot && id.n >= 7));
}

static int64_t distance(const struct received *a, const struct received *b)
{
    int64_t gap = a->date.unix_s - b->date.unix_s;

    return gap < 0 ? -gap : gap;
}

bool hop_equal(const struct received *a, const struct received *b)
{
    if (slice_eq(a->value, b->value))
        return true;
    if (!host_same(a->by, b->by) || !is_queue_id(a->id) || !slice_eq(a->id, b->id))
        return false;
    return !a->has_date || !b->has_date || distance(a, b) < SAME_HOP_S;
}

/* --- what two hops have in common --- */

static bool same_writer(const struct received *a, const struct received *b)
{
    return host_same(a->by, b->by) || (a->by.n == 0 && b->by.n == 0);
}

static bool has_client(const struct received *r)
{
    return r->helo.n > 0 || r->rdns.n > 0 || r->ip.family != IP_NONE;
}

static bool same_client(const struct received *a, const struct received *b)
{
    if (!has_client(a) && !has_client(b))
        return true;
    if (a->ip.family != IP_NONE && b->ip.family != IP_NONE && ip_address_equal(&a->ip, &b->ip))
        return true;
    return host_same(a->helo, b->helo) || host_same(a->rdns, b->rdns);
}

/* The same client in every word. */
static bool one_client(const struct received *a, const struct received *b)
{
    return slice_eq_nocase(a->helo, b->helo) && slice_eq_nocase(a->rdns, b->rdns) &&
           ip_address_equal(&a->ip, &b->ip);
}

static bool same_recipient(const struct received *a, const struct received *b)
{
    return a->for_address.n == 0 || b->for_address.n == 0 ||
           slice_eq_nocase(a->for_address, b->for_address);
}

/* Written by the host that held the single copy, for a message that it took from itself. */
static bool is_reinjected(const struct received *r, const struct received *last)
{
    struct slice host = received_host(last);
    bool local = (r->ip.family != IP_NONE && ip_address_is_loopback(&r->ip)) ||
                 host_same(r->helo, host) || host_same(r->rdns, host) ||
                 slice_eq_nocase(r->helo, SLICE("localhost")) || !has_client(r) || r->via.n > 0;

    return local && (host_same(received_host(r), host) || host_same(r->by, last->by));
}

static struct slice client_of(const struct received *r, struct arena *a)
{
    struct hop h = {.received = *r};

    return hop_client(&h, a);
}

static bool is_list_agent(const struct received *r)
{
    return slice_search_nocase(r->via, SLICE("list")) != SLICE_NONE ||
           slice_search_nocase(r->with, SLICE("list")) != SLICE_NONE;
}

/* --- the rules --- */

struct pair {
    const struct compare_group *g;
    const struct aligned_copy *x, *y; /* x took its own way first */
    const struct received *a, *b;     /* the hops behind the common ones; NULL: it ends there */
    const struct received *last;
    int64_t gap; /* between a and b, if both are dated */
    struct arena *arena;
};

/* The first recipient named behind the common hops; empty if none is. */
static struct slice next_recipient(const struct aligned_copy *c)
{
    for (const struct received *r = c->diverge; r < c->hops + c->count; r++)
        if (r->for_address.n > 0)
            return r->for_address;
    return (struct slice){NULL, 0};
}

/* No reply is lost and waited for in that time: the host made several messages itself. */
static bool is_split_inside(const struct pair *p)
{
    struct slice x = next_recipient(p->x), y = next_recipient(p->y);
    bool dated = p->a->has_date && p->b->has_date;

    if (!dated || p->gap >= RETRY_FROM_S)
        return false;
    return !has_client(p->a) || (x.n > 0 && y.n > 0 && !slice_eq_nocase(x, y));
}

static enum compare_cause rule_same_hop(const struct pair *p)
{
    if (!same_recipient(p->a, p->b) || is_split_inside(p))
        return CAUSE_LIST_EXPANSION;
    return p->gap >= RERUN_FROM_S ? CAUSE_QUEUE_RERUN : CAUSE_RETRY_AFTER_LOST_REPLY;
}

static enum compare_cause rule_one_goes_on(const struct pair *p)
{
    const struct received *next = p->a != NULL ? p->a : p->b;
    const struct aligned_copy *longer = p->a != NULL ? p->x : p->y;
    const struct aligned_copy *shorter = p->a != NULL ? p->y : p->x;

    if (is_list_agent(next) || (p->last != NULL && is_reinjected(next, p->last)) ||
        (longer->copy->is_from_list && !shorter->copy->is_from_list))
        return CAUSE_LIST_EXPANSION;
    return CAUSE_FORWARDING;
}

static enum compare_cause find_cause(const struct pair *p)
{
    if (p->a == NULL && p->b == NULL)
        return CAUSE_DELIVERED_TWICE;
    if (p->last == NULL)
        return CAUSE_SENT_TWICE;
    if (p->a == NULL || p->b == NULL)
        return rule_one_goes_on(p);
    if (same_writer(p->a, p->b) && same_client(p->a, p->b))
        return rule_same_hop(p);
    if (has_client(p->a) && one_client(p->a, p->b) && !same_writer(p->a, p->b))
        return CAUSE_TWO_NEXT_HOPS;
    if (is_list_agent(p->a) || is_list_agent(p->b) || is_reinjected(p->a, p->last) ||
        is_reinjected(p->b, p->last) || p->x->copy->is_from_list != p->y->copy->is_from_list)
        return CAUSE_LIST_EXPANSION;
    if (same_client(p->a, p->b) || host_same(client_of(p->a, p->arena), received_host(p->last)) ||
        host_same(client_of(p->b, p->arena), received_host(p->last)))
        return CAUSE_TWO_NEXT_HOPS;
    return CAUSE_UNKNOWN;
}

/* --- the words --- */

static struct slice words(struct arena *a, struct buf *b)
{
    struct slice s = arena_copy(a, buf_slice(b));

    buf_clear(b);
    return s;
}

static struct slice or_unknown(struct slice s)
{
    return s.n > 0 ? s : SLICE("an unnamed host");
}

/* The hops at the parting that the same client made at the same host, by time. */
#define REPEATS_MAX 32
struct repeats {
    const struct received *hops[REPEATS_MAX];
    size_t count;
};

static struct repeats find_repeats(const struct pair *p)
{
    struct repeats r = {.count = 0};

    for (size_t i = 0; i < p->g->count && r.count < REPEATS_MAX; i++) {
        const struct received *hop = p->g->copies[i].diverge;
        if (hop == NULL || !same_writer(hop, p->a) || !same_client(hop, p->a))
            continue;
        size_t at = r.count++;
        for (; at > 0 && hop->date.unix_s < r.hops[at - 1]->date.unix_s; at--)
            r.hops[at] = r.hops[at - 1];
        r.hops[at] = hop;
    }
    return r;
}

static void say_repeats(const struct repeats *r, struct buf *b)
{
    buf_printf(b, "%zu times", r->count);
    for (size_t i = 1; i < r->count; i++) {
        if (!r->hops[i]->has_date || !r->hops[i - 1]->has_date)
            continue;
        buf_append_text(b, i == 1 ? ", again after " : i + 1 == r->count ? " and " : ", ");
        duration_append(distance(r->hops[i], r->hops[i - 1]), b);
    }
    for (size_t i = 0; i < r->count; i++)
        if (r->hops[i]->id.n > 0)
            buf_printf(b, "%s%.*s",
                       i == 0              ? ", as "
                       : i + 1 == r->count ? " and "
                                           : ", ",
                       SLICE_ARG(r->hops[i]->id));
}

static void say_gap(const struct pair *p, struct buf *b)
{
    if (p->a == NULL || p->b == NULL || !p->a->has_date || !p->b->has_date)
        return;
    buf_append_text(b, p->gap == 0 ? ", in the same second" : ", ");
    if (p->gap > 0) {
        duration_append(p->gap, b);
        buf_append_text(b, " apart");
    }
}

static void say_ids(const struct pair *p, struct buf *b)
{
    if (p->a->id.n > 0 && p->b->id.n > 0)
        buf_printf(b, ", as %.*s and %.*s", SLICE_ARG(p->a->id), SLICE_ARG(p->b->id));
}

static void say_times(const struct pair *p, struct buf *b)
{
    struct repeats r = find_repeats(p);

    if (r.count > 2) {
        say_repeats(&r, b);
        return;
    }
    buf_append_text(b, "twice");
    say_gap(p, b);
    say_ids(p, b);
}

/* How long the receiver kept the first copy before it passed it on: a stall shows here. */
static void say_stall(const struct pair *p, struct buf *b)
{
    const struct received *next = p->a + 1;

    if (next >= p->x->hops + p->x->count || !next->has_date || !p->a->has_date)
        return;
    int64_t kept = next->date.unix_s - p->a->date.unix_s;
    if (kept < RETRY_FROM_S || p->gap < RETRY_FROM_S)
        return;
    buf_printf(b, " %.*s kept the first for ", SLICE_ARG(or_unknown(received_host(p->a))));
    duration_append(kept, b);
    buf_append_text(b, kept >= p->gap ? ", and was still busy with it when the second came."
                                      : " before it passed it on.");
}

static void evidence(const struct pair *p, struct compare_group *g, struct arena *a, struct buf *b)
{
    struct slice from = or_unknown(g->culprit);
    struct slice to_a = p->a != NULL ? or_unknown(received_host(p->a)) : (struct slice){NULL, 0};
    struct slice to_b = p->b != NULL ? or_unknown(received_host(p->b)) : (struct slice){NULL, 0};

    switch (g->cause) {
    case CAUSE_RETRY_AFTER_LOST_REPLY:
    case CAUSE_QUEUE_RERUN:
        buf_printf(b, "%.*s took one message from %.*s ", SLICE_ARG(to_a), SLICE_ARG(from));
        say_times(p, b);
        buf_append_text(b, g->cause == CAUSE_QUEUE_RERUN
                               ? ": too late for one connection, so the queue was run again with a "
                                 "message that had been taken already."
                               : ": the answer was lost or came too late, so it was sent "
                                 "again.");
        say_stall(p, b);
        break;
    case CAUSE_LIST_EXPANSION:
        buf_printf(b, "%.*s made several messages of one: a list or an alias with several members",
                   SLICE_ARG(from));
        buf_append_text(b, ".");
        break;
    case CAUSE_FORWARDING:
        buf_printf(b,
                   "One copy ends at %.*s; the other went on from there to %.*s: it was kept and "
                   "forwarded.",
                   SLICE_ARG(from), SLICE_ARG(to_a.n > 0 ? to_a : to_b));
        break;
    case CAUSE_TWO_NEXT_HOPS:
        buf_printf(b, "%.*s gave it to two hosts, %.*s and %.*s", SLICE_ARG(from), SLICE_ARG(to_a),
                   SLICE_ARG(to_b));
        say_gap(p, b);
        buf_append_text(b, ".");
        break;
    case CAUSE_SENT_TWICE:
        buf_append_text(b, g->is_by_content
                               ? "The copies have different Message-IDs and no hop in common"
                               : "The copies have one Message-ID and no hop in common");
        buf_append_text(b, ": the sender handed it in more than once");
        say_gap(p, b);
        buf_append_text(b, ".");
        break;
    case CAUSE_DELIVERED_TWICE:
        buf_printf(b,
                   "The copies went the same way to the end (%.*s): there was one message up to "
                   "the mailbox.",
                   SLICE_ARG(from));
        break;
    case CAUSE_UNKNOWN:
        if (p->x->count == 0 || p->y->count == 0) {
            buf_append_text(b, "Not all copies have Received fields, so their paths cannot be "
                               "compared.");
            break;
        }
        buf_printf(b, "After %.*s the copies went different ways, and the headers do not say why.",
                   SLICE_ARG(from));
        break;
    }
    g->evidence = words(a, b);
}

static void advice(const struct pair *p, struct compare_group *g, struct arena *a, struct buf *b)
{
    struct slice from = or_unknown(g->culprit);
    struct slice to = p->a != NULL ? or_unknown(received_host(p->a)) : (struct slice){NULL, 0};

    switch (g->cause) {
    case CAUSE_RETRY_AFTER_LOST_REPLY:
        buf_printf(b,
                   "In the log of %.*s look for %.*s: what did it do between the final dot and its "
                   "250? A content filter that takes longer than %.*s waits is the usual reason. "
                   "Answer first and filter later, or let the sender wait 10 minutes (RFC 5321 "
                   "4.5.3.2.6).",
                   SLICE_ARG(to), SLICE_ARG(p->a->id.n > 0 ? p->a->id : SLICE("the first copy")),
                   SLICE_ARG(from));
        break;
    case CAUSE_QUEUE_RERUN:
        buf_printf(
            b,
            "In the log of %.*s look for the first delivery: was it recorded as done? A crash, "
            "a restored backup or a lost reply makes a queue send again.",
            SLICE_ARG(from));
        break;
    case CAUSE_LIST_EXPANSION:
        buf_printf(b,
                   "Look for the recipient in the lists and aliases of %.*s: it stands there "
                   "twice, or was addressed beside the list.",
                   SLICE_ARG(from));
        break;
    case CAUSE_FORWARDING:
        buf_printf(b,
                   "Look for a forwarding rule at %.*s that keeps a copy and leads back to the "
                   "same reader.",
                   SLICE_ARG(from));
        break;
    case CAUSE_TWO_NEXT_HOPS:
        buf_printf(b,
                   "Two recipients behind two hosts get a copy each, which is right. For one "
                   "recipient look in the log of %.*s: did it turn to the second host while the "
                   "first had already said 250?",
                   SLICE_ARG(from));
        break;
    case CAUSE_SENT_TWICE:
        buf_append_text(b,
                        "Look at the sending application: a repeated click, a job that ran twice, "
                        "or a retry after a time-out without an idempotency key.");
        break;
    case CAUSE_DELIVERED_TWICE:
        buf_printf(b,
                   "Look at the last step: two delivery rules or filters at %.*s, a mailbox "
                   "fetched twice (POP3, IMAP copy), or an import that ran twice.",
                   SLICE_ARG(from));
        break;
    case CAUSE_UNKNOWN:
        if (p->x->count == 0 || p->y->count == 0) {
            buf_append_text(b, "Export the mails as they were received, with all headers.");
            break;
        }
        buf_printf(b, "Ask for the log of %.*s around that time.", SLICE_ARG(from));
        break;
    }
    g->advice = words(a, b);
}

/* --- the whole --- */

static struct pair make_pair(const struct compare_group *g, size_t i, size_t k, struct arena *a)
{
    struct pair p = {
        .g = g, .x = &g->copies[i], .y = &g->copies[k], .last = g->last_common, .arena = a};

    p.a = p.x->diverge;
    p.b = p.y->diverge;
    bool dated = p.a != NULL && p.b != NULL && p.a->has_date && p.b->has_date;
    if (dated && p.b->date.unix_s < p.a->date.unix_s)
        return make_pair(g, k, i, a);
    p.gap = dated ? distance(p.a, p.b) : 0;
    return p;
}

/* The first two attempts, whatever the order of the files. */
static struct pair earliest_pair(const struct pair *p, struct arena *a)
{
    struct repeats r = find_repeats(p);
    size_t first = SIZE_MAX, second = SIZE_MAX;

    for (size_t i = 0; i < p->g->count && r.count > 2; i++) {
        first = p->g->copies[i].diverge == r.hops[0] ? i : first;
        second = p->g->copies[i].diverge == r.hops[1] ? i : second;
    }
    return first < p->g->count && second < p->g->count ? make_pair(p->g, first, second, a) : *p;
}

static struct slice origin(const struct compare_group *g, struct arena *a)
{
    for (size_t i = 0; i < g->count; i++) {
        if (g->copies[i].count == 0)
            continue;
        struct slice client = client_of(&g->copies[i].hops[0], a);
        return client.n > 0 ? client : received_host(&g->copies[i].hops[0]);
    }
    return (struct slice){NULL, 0};
}

static enum compare_verdict verdict_of(const struct compare_group *g)
{
    bool ends = true, any = false, all = true;

    for (size_t i = 0; i < g->count; i++) {
        all = all && g->copies[i].count > 0;
        ends = ends && g->copies[i].diverge == NULL;
        any = any || g->copies[i].count > 0;
    }
    if (ends && (all || !any))
        return COMPARE_IDENTICAL_CHAINS;
    return g->common_hops == 0 && any ? COMPARE_SEPARATE_SENDS : COMPARE_DUPLICATED;
}

void cause_explain(struct compare_group *g, struct arena *a)
{
    size_t base = 0; /* the first copy that has a path at all */
    struct buf b;

    while (base + 2 < g->count && g->copies[base].count == 0)
        base++;
    struct pair best = make_pair(g, base, base + 1, a);
    g->verdict = verdict_of(g);
    /* The first pair that parts tells the cause; one that says nothing gives way to the next. */
    g->cause = CAUSE_UNKNOWN;
    for (size_t k = base + 1; k < g->count && g->cause == CAUSE_UNKNOWN; k++) {
        struct pair p = make_pair(g, base, k, a);
        bool empty = p.a == NULL && p.b == NULL && g->verdict != COMPARE_IDENTICAL_CHAINS;
        if (empty || p.x->count == 0 || p.y->count == 0)
            continue;
        best = p;
        g->cause = find_cause(&p);
    }
    if (g->last_common != NULL)
        g->culprit = received_host(g->last_common);
    else if (g->cause == CAUSE_SENT_TWICE)
        g->culprit = origin(g, a);
    /* An unnamed host: then the one before it. A copy without a path has no hop to ask. */
    for (size_t i = 0; i < g->count && g->culprit.n == 0 && g->common_hops > 1; i++)
        if (g->copies[i].count >= g->common_hops)
            g->culprit = received_host(&g->copies[i].hops[g->common_hops - 2]);
    if (g->cause == CAUSE_RETRY_AFTER_LOST_REPLY || g->cause == CAUSE_QUEUE_RERUN)
        best = earliest_pair(&best, a);
    buf_init(&b, 16384);
    evidence(&best, g, a, &b);
    advice(&best, g, a, &b);
    buf_finish(&b);
}
