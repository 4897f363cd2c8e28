#include "lib/trace/own.h"

#include "lib/trace/cause.h"
#include "lib/trace/path.h"

#define WORDS_MAX 8192
#define LOST_SHOWN 5

static struct slice or_unknown(struct slice s)
{
    return s.n > 0 ? s : SLICE("the next host");
}

static void say_host(const struct own_event *ev, struct buf *b)
{
    buf_append(b, or_unknown(ev->host));
    if (ev->ip.n > 0 && !slice_eq(ev->ip, ev->host))
        buf_printf(b, " [%.*s]", SLICE_ARG(ev->ip));
}

static void say_time(int64_t unix_ms, struct buf *b)
{
    date_format_short(unix_ms / 1000, b);
    buf_append_text(b, " UTC");
}

/* The hop where the copies were last one was written by us, for this message. */
static bool is_where_they_part(const struct compare_group *g, const struct own_event *ev)
{
    return g->last_common != NULL && slice_eq_nocase(g->last_common->id, ev->id);
}

static size_t count_kind(const struct compare_group *g, enum own_kind kind, struct slice id)
{
    size_t n = 0;

    for (size_t i = 0; i < g->own_count; i++)
        n += g->own[i].kind == kind && (id.n == 0 || slice_eq(g->own[i].id, id));
    return n;
}

/* What followed the lost reply: the next attempt for the same recipients; NULL if there was none.
 */
static const struct own_event *next_attempt(const struct compare_group *g, size_t lost)
{
    for (size_t i = lost + 1; i < g->own_count; i++) {
        const struct own_event *ev = &g->own[i];
        if (slice_eq(ev->id, g->own[lost].id) &&
            slice_eq(ev->recipients, g->own[lost].recipients) &&
            (ev->kind == OWN_DELIVERED || ev->kind == OWN_LOST || ev->kind == OWN_FAILED))
            return ev;
    }
    return NULL;
}

static void say_lost(const struct compare_group *g, size_t lost, struct buf *b)
{
    const struct own_event *ev = &g->own[lost], *next = next_attempt(g, lost);
    int64_t dot_ms = ev->dot_ms > 0 ? ev->dot_ms : ev->time_ms;

    buf_printf(b, " Our ledger: the final dot of %.*s went to ", SLICE_ARG(ev->id));
    say_host(ev, b);
    buf_append_text(b, " at ");
    say_time(dot_ms, b);
    buf_append_text(b, ", and no reply came");
    if (ev->text.n > 0)
        buf_printf(b, " (%.*s)", SLICE_ARG(ev->text));
    if (next != NULL) {
        int64_t sent_ms = next->dot_ms > 0 ? next->dot_ms : next->time_ms;
        buf_append_text(b, "; ");
        duration_append((sent_ms - dot_ms) / 1000, b);
        buf_append_text(b, " later it was sent again");
        if (next->reply_code > 0) {
            buf_printf(b, " and answered %u by ", next->reply_code);
            say_host(next, b);
        }
    }
    buf_append_char(b, '.');
}

static void say_accepted(const struct compare_group *g, struct buf *b)
{
    size_t taken = count_kind(g, OWN_ACCEPTED, (struct slice){NULL, 0}), said = 0;

    if (taken < 2)
        return;
    buf_printf(b, " Our ledger: it was handed in %zu times", taken);
    for (size_t i = 0; i < g->own_count && said < LOST_SHOWN; i++) {
        const struct own_event *ev = &g->own[i];
        if (ev->kind != OWN_ACCEPTED)
            continue;
        buf_append_text(b, said++ == 0 ? ": at " : ", at ");
        say_time(ev->time_ms, b);
        if (ev->host.n > 0 || ev->ip.n > 0) {
            buf_append_text(b, " by ");
            buf_append(b, ev->host.n > 0 ? ev->host : ev->ip);
        }
        buf_printf(b, " as %.*s", SLICE_ARG(ev->id));
    }
    buf_append_char(b, '.');
}

static void say_repeated(const struct compare_group *g, struct buf *b)
{
    size_t repeated = count_kind(g, OWN_REPEATED, (struct slice){NULL, 0});

    if (repeated > 0)
        buf_printf(b,
                   " The client handed it in again (%zu more), was answered from our ledger, and "
                   "nothing was sent for that.",
                   repeated);
}

/* Headers say that we sent it twice; the ledger knows of one attempt. */
static void say_contradiction(const struct compare_group *g, struct buf *b)
{
    for (size_t i = 0; i < g->own_count; i++) {
        const struct own_event *ev = &g->own[i];
        if (ev->kind != OWN_DELIVERED || !is_where_they_part(g, ev) ||
            count_kind(g, OWN_DELIVERED, ev->id) != 1 || count_kind(g, OWN_LOST, ev->id) != 0)
            continue;
        buf_printf(b, " Our ledger has one delivery of %.*s, answered %u by ", SLICE_ARG(ev->id),
                   ev->reply_code);
        say_host(ev, b);
        buf_append_text(b, " at ");
        say_time(ev->time_ms, b);
        buf_append_text(b, ": the second copy was made behind us.");
        return;
    }
}

static void advise(struct compare_group *g, const struct own_event *lost, struct arena *a,
                   struct buf *b)
{
    buf_clear(b);
    buf_append_text(b, "Ask for the log of ");
    say_host(lost, b);
    buf_append_text(b, " at ");
    say_time(lost->dot_ms > 0 ? lost->dot_ms : lost->time_ms, b);
    buf_append_text(b, ": it kept the message, but its 250 did not arrive. A content filter that "
                       "runs before the reply, or a firewall that cuts idle connections, is the "
                       "usual reason. Where a copy does more harm than a loss, set the stream's "
                       "`unknown` to hold or assume-delivered.");
    g->advice = arena_copy(a, buf_slice(b));
}

/* The lost reply number `lost` tells why the paths part here. */
static bool explains(const struct compare_group *g, size_t lost)
{
    const struct own_event *ev = &g->own[lost], *next = next_attempt(g, lost);

    if (ev->kind != OWN_LOST || !is_where_they_part(g, ev))
        return false;
    switch (g->cause) {
    case CAUSE_RETRY_AFTER_LOST_REPLY:
    case CAUSE_QUEUE_RERUN:
    case CAUSE_UNKNOWN:
        return true;
    case CAUSE_TWO_NEXT_HOPS: /* right for two recipients; for one, the retry went to a new host */
        return next != NULL && !host_same(next->host, ev->host);
    case CAUSE_LIST_EXPANSION:
    case CAUSE_FORWARDING:
    case CAUSE_SENT_TWICE:
    case CAUSE_DELIVERED_TWICE:
        break;
    }
    return false;
}

void own_explain(struct compare_group *g, struct arena *a)
{
    const struct own_event *lost = NULL;
    size_t said = 0;
    struct buf b;

    buf_init(&b, WORDS_MAX);
    for (size_t i = 0; i < g->own_count && lost == NULL; i++)
        if (explains(g, i))
            lost = &g->own[i];
    /* What the headers alone made of it stands only if the ledger does not know better. */
    if (lost == NULL || g->cause == CAUSE_RETRY_AFTER_LOST_REPLY)
        buf_append(&b, g->evidence);
    else
        buf_append_text(&b,
                        "One message was sent twice, because the answer to the first was lost.");
    for (size_t i = 0; i < g->own_count && said < LOST_SHOWN; i++)
        if (g->own[i].kind == OWN_LOST) {
            say_lost(g, i, &b);
            said++;
        }
    say_accepted(g, &b);
    say_repeated(g, &b);
    say_contradiction(g, &b);
    g->evidence = arena_copy(a, buf_slice(&b));
    if (lost != NULL) {
        g->cause = CAUSE_RETRY_AFTER_LOST_REPLY;
        g->is_confirmed = true;
        advise(g, lost, a, &b);
    }
    buf_finish(&b);
}
