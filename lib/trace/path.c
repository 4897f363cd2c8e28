#include "lib/trace/path.h"

#include <stdarg.h>

#include "base/ascii.h"
#include "lib/addr/domain.h"
#include "lib/text/encoded_word.h"
#include "lib/text/psl.h"

#define SKEW_S 3  /* smaller steps backwards are rounding */
#define SLOW_S 30 /* shorter delays are nobody's trouble */
#define GREYLIST_STEP_S 300
#define DATE_GAP_S 86400
#define INLINE_LOOK 65536 /* bytes of the body in which a forwarded message is looked for */

struct tracing {
    struct trace *t;
    struct arena *a;
    struct slice *warnings;
};

__attribute__((format(printf, 2, 3))) static void warn(struct tracing *w, const char *fmt, ...)
{
    char text[600];
    va_list args;

    if (w->t->warning_count == TRACE_WARNINGS_MAX)
        return;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    size_t length = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    w->warnings[w->t->warning_count++] = arena_copy(w->a, (struct slice){text, length});
}

void duration_append(int64_t seconds, struct buf *out)
{
    uint64_t s = seconds < 0 ? (uint64_t)-seconds : (uint64_t)seconds;
    unsigned long long d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60, r = s % 60;

    if (seconds < 0)
        buf_append_char(out, '-');
    if (d > 0)
        buf_printf(out, h > 0 ? "%llu d %llu h" : "%llu d", d, h);
    else if (h > 0)
        buf_printf(out, m > 0 ? "%llu h %llu min" : "%llu h", h, m);
    else if (m > 0)
        buf_printf(out, r > 0 ? "%llu min %llu s" : "%llu min", m, r);
    else
        buf_printf(out, "%llu s", r);
}

/* The duration as a C string for a sentence; `text` holds 40 bytes. */
static const char *duration(int64_t seconds, char *text)
{
    struct buf b;

    buf_init(&b, 39);
    duration_append(seconds, &b);
    memcpy(text, b.n > 0 ? b.p : "", b.n);
    text[b.n] = '\0';
    buf_finish(&b);
    return text;
}

static struct slice bare_host(struct slice s)
{
    if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = slice_sub(s, 1, s.n - 2);
    if (slice_starts_nocase(s, SLICE("IPv6:")))
        s = slice_from(s, 5);
    return s;
}

bool host_same(struct slice a, struct slice b)
{
    struct ip_address x, y;

    a = bare_host(a);
    b = bare_host(b);
    if (a.n == 0 || b.n == 0)
        return false;
    if (ip_address_parse(a, &x) && ip_address_parse(b, &y))
        return ip_address_equal(&x, &y);
    return domain_equal(a, b);
}

struct slice hop_client(const struct hop *h, struct arena *a)
{
    const struct received *r = &h->received;
    char text[IP_TEXT_MAX];

    if (r->rdns.n > 0)
        return r->rdns;
    if (r->helo.n > 0 && !slice_eq_nocase(r->helo, SLICE("unknown")) &&
        slice_find(r->helo, '.') != SLICE_NONE)
        return r->helo;
    if (r->ip.family != IP_NONE) {
        ip_address_format(&r->ip, text);
        return arena_copy(a, slice_of(text));
    }
    return r->helo;
}

/* --- the header's own words --- */

static struct slice shown(const struct header *h, const char *name, struct arena *a)
{
    struct slice value = header_value(h, name), result;
    struct buf out;

    buf_init(&out, 65536);
    encoded_word_decode(value, &out);
    result = arena_copy(a, buf_slice(&out));
    buf_finish(&out);
    return result;
}

static void read_list_signs(struct tracing *w, const struct header *h)
{
    static const char *const names[] = {"List-Id", "List-Post", "Mailing-List", "X-Mailing-List",
                                        "X-BeenThere"};

    for (size_t i = 0; i < COUNT(names) && w->t->list.n == 0; i++)
        w->t->list = shown(h, names[i], w->a);
    struct slice precedence = header_value(h, "Precedence");
    if (w->t->list.n == 0 &&
        (slice_eq_nocase(precedence, SLICE("list")) || slice_eq_nocase(precedence, SLICE("bulk"))))
        w->t->list = precedence;
}

static void read_auth(struct tracing *w, const struct header *h)
{
    size_t count = header_count(h, "Authentication-Results"), i = 0;
    struct slice *auth = arena_array(w->a, count, sizeof *auth);
    const struct field *f = NULL;

    if (auth == NULL)
        return;
    while (i < count && (f = header_next(h, "Authentication-Results", f)) != NULL) {
        struct received squeezed; /* only for its one line */
        received_parse(f->value, w->a, &squeezed);
        auth[i++] = squeezed.value;
    }
    w->t->auth = auth;
    w->t->auth_count = i;
}

static void read_message_id(struct tracing *w, const struct header *h)
{
    static const char *const originals[] = {"X-Google-Original-Message-ID",
                                            "X-Microsoft-Original-Message-ID",
                                            "X-Original-Message-ID", "Original-Message-ID"};
    struct trace *t = w->t;
    const struct field *f = header_first(h, "Message-ID");

    t->message_id = f != NULL ? msgid_find(header_unfolded(f->value, w->a)) : (struct slice){0};
    if (f == NULL) {
        warn(w,
             "There is no Message-ID: copies of this message can only be told by their content.");
        return;
    }
    t->message_id_check = msgid_check(f->value);
    if (t->message_id_check.verdict == MSGID_BAD)
        warn(w, "The Message-ID is not valid, and some programs will replace it: %s",
             t->message_id_check.reason);
    if (header_count(h, "Message-ID") > 1)
        warn(w, "There are %zu Message-ID fields; only one is allowed.",
             header_count(h, "Message-ID"));
    for (size_t i = 0; i < COUNT(originals) && t->original_message_id.n == 0; i++)
        t->original_message_id = msgid_find(header_value(h, originals[i]));
    if (t->original_message_id.n > 0)
        warn(w, "A service replaced the Message-ID; it was %.*s.",
             SLICE_ARG(slice_sub(t->original_message_id, 0, 200)));
}

static void read_header(struct tracing *w, const struct header *h)
{
    struct trace *t = w->t;
    const struct field *path = header_first(h, "Return-Path"), *date = header_first(h, "Date");
    struct err e;

    t->has_return_path = path != NULL;
    if (path != NULL) {
        struct slice s = slice_trim(path->value);
        if (s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>')
            s = slice_sub(s, 1, s.n - 2);
        t->return_path = s;
    }
    t->from = shown(h, "From", w->a);
    t->to = shown(h, "To", w->a);
    t->subject = shown(h, "Subject", w->a);
    t->has_date = date != NULL && date_parse(date->value, &t->date, &e) == 0;
    if (date != NULL && !t->has_date)
        warn(w, "The Date field cannot be read: %s.", e.text);
    read_list_signs(w, h);
    read_message_id(w, h);
    read_auth(w, h);
}

/* --- the hops --- */

static int read_hops(struct tracing *w, const struct header *h, struct err *e)
{
    struct trace *t = w->t;
    size_t count = header_count(h, "Received"), i = 0;
    const struct field *f = NULL;

    if (count > TRACE_HOPS_MAX) {
        warn(w, "There are %zu Received fields; only the newest %d are shown. This is a loop.",
             count, TRACE_HOPS_MAX);
        count = TRACE_HOPS_MAX;
    }
    t->hops = arena_array(w->a, count, sizeof *t->hops);
    if (t->hops == NULL)
        return err_set(e, ERR_LIMIT, "no room for %zu Received fields", count);
    t->count = count;
    while (i < count && (f = header_next(h, "Received", f)) != NULL)
        received_parse(f->value, w->a, &t->hops[count - ++i].received);
    return 0;
}

static bool is_from_itself(const struct received *r)
{
    struct slice by = received_host(r);

    return (r->ip.family != IP_NONE && ip_address_is_private(&r->ip)) || host_same(r->helo, by) ||
           host_same(r->rdns, by) || slice_eq_nocase(r->helo, SLICE("localhost")) ||
           (r->ip.family == IP_NONE && r->helo.n == 0 && r->rdns.n == 0);
}

/* Delays between neighbours that have a date, and who is slow. */
static void measure(struct tracing *w)
{
    struct trace *t = w->t;
    const struct hop *last = NULL, *first = NULL;
    struct hop *slowest = NULL;

    for (size_t i = 0; i < t->count; i++) {
        struct hop *h = &t->hops[i];
        h->is_inside = is_from_itself(&h->received);
        if (!h->received.has_date)
            continue;
        if (last != NULL) {
            h->delay_s = h->received.date.unix_s - last->received.date.unix_s;
            h->has_delay = true;
            h->is_skewed = h->delay_s < -SKEW_S;
            if (h->delay_s >= SLOW_S && (slowest == NULL || h->delay_s > slowest->delay_s))
                slowest = h;
        } else {
            first = h;
        }
        last = h;
    }
    if (slowest != NULL)
        slowest->is_slow = true;
    t->has_total = last != NULL && last != first;
    if (t->has_total)
        t->total_s = last->received.date.unix_s - first->received.date.unix_s;
}

static bool is_greylisting(int64_t delay_s)
{
    int64_t off = delay_s % GREYLIST_STEP_S;

    return delay_s >= GREYLIST_STEP_S - 15 && delay_s <= 2 * 3600 &&
           (off <= 45 || off >= GREYLIST_STEP_S - 15);
}

/* The organization of a host name; empty for addresses and local names. */
static struct slice organization(struct slice host)
{
    struct ip_address ip;

    host = bare_host(host);
    if (ip_address_parse(host, &ip) || slice_find(host, '.') == SLICE_NONE)
        return (struct slice){NULL, 0};
    return psl_organizational_domain(host);
}

static void explain_delays(struct tracing *w)
{
    struct trace *t = w->t;
    char text[40];

    for (size_t i = 1; i < t->count; i++) {
        struct hop *h = &t->hops[i];
        struct slice by = received_host(&h->received),
                     before = received_host(&t->hops[i - 1].received);
        if (h->is_skewed) {
            bool hours = (-h->delay_s + 90) % 3600 < 180;
            warn(w, "Hop %zu is dated %s before hop %zu: the clock%s of %.*s or %.*s is wrong.",
                 i + 1, duration(-h->delay_s, text), i, hours ? " (or its time zone)" : "",
                 SLICE_ARG(by), SLICE_ARG(before));
        }
        if (!h->is_slow || h->delay_s < 2 * SLOW_S)
            continue;
        struct slice org = organization(by);
        bool crossed = !h->is_inside && !host_same(by, before) &&
                       !(org.n > 0 && domain_is_within(before, org));
        warn(w, "Held %s at %.*s before %.*s took it%s", duration(h->delay_s, text),
             SLICE_ARG(before), SLICE_ARG(by),
             crossed && is_greylisting(h->delay_s) ? " (greylisting likely: a refusal at first "
                                                     "contact, and a retry in 5-minute steps)."
                                                   : ".");
    }
}

/* From the top down: what our own hosts wrote. The first line of another side ends it. */
static void find_boundary(struct tracing *w, struct slice our_domain)
{
    struct trace *t = w->t;

    t->boundary = t->count;
    for (size_t i = t->count; i > 0 && our_domain.n == 0; i--)
        our_domain = organization(received_host(&t->hops[i - 1].received));
    t->our_domain = our_domain;
    for (size_t i = t->count; i > 0; i--) {
        struct hop *h = &t->hops[i - 1];
        struct slice org = organization(received_host(&h->received));
        if (our_domain.n == 0 ||
            (org.n > 0 && !domain_is_within(received_host(&h->received), our_domain)))
            break;
        if (org.n == 0 && h->received.by.n > 0 && !h->is_inside && t->boundary < t->count)
            break; /* a nameless host that talked to the outside: not provably ours */
        h->is_ours = true;
        t->boundary = i - 1;
    }
}

/* A client that names itself like nobody before it in the chain. */
static void check_chain(struct tracing *w)
{
    struct trace *t = w->t;

    for (size_t i = 0; i < t->count; i++) {
        const struct received *r = &t->hops[i].received;
        if (!r->is_readable)
            warn(w, "Hop %zu cannot be read and is shown as it is.", i + 1);
        else if (!r->has_date)
            warn(w, "Hop %zu has no readable date; its delay is counted with the next hop.", i + 1);
        for (size_t k = 0; k < i; k++) {
            const struct received *earlier = &t->hops[k].received;
            bool again = k + 1 < i && host_same(earlier->by, r->by) && r->for_address.n > 0 &&
                         slice_eq_nocase(earlier->for_address, r->for_address) &&
                         !host_same(r->by, t->hops[i - 1].received.by);
            if (again) {
                warn(w, "%.*s took it twice for %.*s (hops %zu and %zu): a forwarding loop.",
                     SLICE_ARG(r->by), SLICE_ARG(r->for_address), k + 1, i + 1);
                break;
            }
        }
    }
    if (t->count == 0)
        warn(w, "There is no Received field: the path is lost, or the message was never sent.");
}

static void check_date(struct tracing *w)
{
    struct trace *t = w->t;
    char text[40];

    if (!t->has_date || t->count == 0 || !t->hops[0].received.has_date)
        return;
    int64_t gap = t->hops[0].received.date.unix_s - t->date.unix_s;
    if (gap > DATE_GAP_S)
        warn(w, "The Date field is %s older than the first hop: written long before it was sent.",
             duration(gap, text));
    else if (gap < -SLOW_S * 10)
        warn(w, "The Date field is %s in the future of the first hop: the sender's clock is wrong.",
             duration(-gap, text));
}

bool is_forwarded_inline(struct slice body)
{
    static const char *const marks[] = {
        "-- Forwarded message --",  "- Forwarded Message -",        "-----Original Message-----",
        "Begin forwarded message:", "-- Weitergeleitete Nachricht", "-----Urspr",
        "-- Message transf",        "-- Mensaje reenviado",         "-- Messaggio inoltrato",
        "-- Doorgestuurd bericht",
    };

    body = slice_sub(body, 0, INLINE_LOOK);
    for (size_t i = 0; i < COUNT(marks); i++)
        if (slice_search(body, slice_of(marks[i])) != SLICE_NONE)
            return true;
    return false;
}

int trace_message(struct slice message, struct slice our_domain, struct arena *a,
                  struct trace *trace_out, struct err *e)
{
    struct tracing w = {.t = trace_out, .a = a};
    struct header h;
    struct err limit = {0};

    *trace_out = (struct trace){0};
    w.warnings = arena_array(a, TRACE_WARNINGS_MAX, sizeof *w.warnings);
    if (w.warnings == NULL)
        return err_set(e, ERR_LIMIT, "no room to trace a message");
    trace_out->warnings = w.warnings;
    if (header_parse(message, NULL, a, &h, &limit) != 0)
        warn(&w, "The header is read in part: %s.", limit.text);
    read_header(&w, &h);
    if (read_hops(&w, &h, e) != 0)
        return -1;
    measure(&w);
    find_boundary(&w, our_domain);
    explain_delays(&w);
    check_chain(&w);
    check_date(&w);
    trace_out->is_forwarded_inline = is_forwarded_inline(message_split(message).body);
    return 0;
}
