/* Mail to bounce addresses: who may send it, what it says. And: who is suppressed? */
#include "lib/addr/domain.h"
#include "lib/addr/srs.h"
#include "lib/addr/verp.h"
#include "lib/bounce/report.h"
#include "role/bounce_rules.h"
#include "role/hint.h"
#include "role/inbound_in.h"

#define REPORT_MAX (1024u * 1024u) /* of a report; what lies beyond is not read */

struct inbound_return {
    struct map *hints;  /* of addresses that may be suppressed */
    struct map *checks; /* number -> client whose recipient is being asked about */
    struct map *forged; /* network -> how many in this minute */
    int64_t forged_minute;
    struct bounce_rules *rules;
    struct bounce_reader *reader; /* NULL: no return path domain */
};

static int read_rules(struct inbound *in, struct err *e)
{
    struct inbound_return *r = in->returns;
    struct bounce_rules *rules;

    if (in->conf->return_path_domain[0] == '\0')
        return 0;
    rules = bounce_rules_load(in->conf->bounce_rules, e);
    if (rules == NULL)
        return -1;
    bounce_reader_destroy(&r->reader);
    bounce_rules_destroy(&r->rules);
    r->rules = rules;
    r->reader = bounce_reader_create(rules);
    return 0;
}

void inbound_return_reload(struct inbound *in)
{
    struct err e;

    if (read_rules(in, &e) < 0)
        log_error(in->env.log, "inbound.bounce_rules", LOG_ERR(&e));
}

int inbound_return_create(struct inbound *in, struct err *e)
{
    struct inbound_return *r = mem_alloc(sizeof *r);

    in->returns = r;
    r->hints = map_create(7);
    r->checks = map_create(8);
    r->forged = map_create((uintptr_t)r);
    return read_rules(in, e);
}

void inbound_return_destroy(struct inbound *in)
{
    struct inbound_return *r = in->returns;

    if (r == NULL)
        return;
    bounce_reader_destroy(&r->reader);
    bounce_rules_destroy(&r->rules);
    map_destroy(&r->hints);
    map_destroy(&r->checks);
    map_destroy(&r->forged);
    free(r);
    in->returns = NULL;
}

void inbound_return_hints(struct inbound *in, const struct msg_suppressed_hint *m)
{
    struct inbound_return *r = in->returns;

    if (m->anew) {
        map_destroy(&r->hints);
        r->hints = map_create(7);
    }
    for (size_t at = 0; at + sizeof(uint64_t) <= m->hashes.n; at += sizeof(uint64_t)) {
        uint64_t hint;

        memcpy(&hint, m->hashes.p + at, sizeof hint);
        hint_add(r->hints, hint);
    }
}

/* --- who may be written to --- */

bool inbound_return_is_on(const struct inbound *in)
{
    return in->returns->reader != NULL;
}

static bool is_return_path(const struct inbound *in, struct slice address)
{
    return inbound_return_is_on(in) &&
           slice_eq_nocase(domain_of_address(address), slice_of(in->conf->return_path_domain));
}

/* "feedback@return.example.com": where providers send complaints. Which bounce address one is about
 * stands in the mail that is complained about. */
static bool is_feedback(const struct inbound *in, struct slice address)
{
    return is_return_path(in, address) && slice_starts_nocase(address, SLICE("feedback@"));
}

static uintptr_t forged_of(struct inbound *in, const struct client *c)
{
    struct inbound_return *r = in->returns;
    int64_t minute = loop_unix_s(in->env.loop) / 60;

    if (minute != r->forged_minute) {
        map_destroy(&r->forged);
        r->forged = map_create((uintptr_t)r);
        r->forged_minute = minute;
    }
    return (uintptr_t)map_get(r->forged, slice_of(c->network));
}

void return_count_refused(struct inbound *in, const struct client *c)
{
    uintptr_t count = forged_of(in, c);

    (void)map_put(in->returns->forged, slice_of(c->network), (void *)(count + 1));
}

static void count_forged(struct inbound *in, const struct client *c)
{
    return_count_refused(in, c);
    metric_add(in->env.metrics, METRIC_forged_total, 1);
}

/* The stream as far as it is known before the header. */
static struct slice early_stream(const struct client *c)
{
    struct slice user = smtp_server_user(c->server), name = SLICE("");

    if (user.n > 0)
        name = logins_stream(c->inbound->logins, user);
    return name.n > 0 ? name : slice_of(c->door->conf->stream);
}

static void ask_queue(struct client *c, struct slice address, bool mailbox)
{
    struct inbound *in = c->inbound;
    const struct msg_check m = {.client = in->next_txn++,
                                .address = address,
                                .stream = early_stream(c),
                                .mailbox = mailbox};

    c->check = m.client;
    (void)map_put(in->returns->checks, map_key_u64(&m.client), c);
    msg_check_encode(&m, bus_begin(in->queue, MSG_CHECK));
    bus_end(in->queue);
}

/* A return path gets bounces and auto-replies, and those have the null sender (RFC 5321 4.5.5, RFC
 * 3834 3.3). All else would make whoever knows one a relay to its first sender. */
static bool srs_is_welcome(const struct client *c, struct smtp_reply *reply_out)
{
    if (!proof_is_on(c->inbound)) /* nothing is forwarded here, and nobody's mail could be judged */
        *reply_out = (struct smtp_reply){550, "5.1.1", "There is no such bounce address here"};
    else if (c->sender_path.n > 0)
        *reply_out = (struct smtp_reply){550, "5.7.1", "This address takes bounces only"};
    else
        return true;
    return false;
}

enum return_answer return_check(struct client *c, struct slice address,
                                struct smtp_reply *reply_out)
{
    struct inbound *in = c->inbound;
    bool is_report = reports_is_one(in, address);
    bool is_return = is_report || is_return_path(in, address);
    enum recipient_place place;

    if (c->check != 0)
        return RETURN_WAIT;
    if (!is_return && !c->may_relay && !proof_is_local(in, address)) {
        *reply_out = (struct smtp_reply){
            550, "5.7.1", "Relaying denied: log in first, or send from an allowed network"};
        return RETURN_REPLY;
    }
    if (is_return && srs_is_one(address) && !srs_is_welcome(c, reply_out))
        return RETURN_REPLY;
    if (c->recipient_n > 0 && (is_return || c->is_return || c->is_single)) {
        *reply_out = (struct smtp_reply){452, "4.5.3", "One bounce address at a time"};
        return RETURN_REPLY;
    }
    if (is_return && forged_of(in, c) >= (uintptr_t)in->conf->forged_bounces_max) {
        *reply_out = (struct smtp_reply){
            421, "4.7.0", "Too many bounces or reports that are none; try again later"};
        return RETURN_REPLY;
    }
    if (is_report)
        return RETURN_TAKE; /* what it is shows when it has been read */
    if (is_feedback(in, address))
        return RETURN_TAKE; /* what it is about is asked when it has been read */
    place = recipient_find(in, address);
    if (place == RECIPIENT_UNKNOWN) {
        *reply_out = recipient_unknown(c);
        return RETURN_REPLY;
    }
    if (is_return || place == RECIPIENT_ASK || hint_fits(in->returns->hints, address)) {
        if (in->queue == NULL) {
            *reply_out =
                (struct smtp_reply){451, "4.3.0", "The queue is restarting; try again later"};
            return RETURN_REPLY;
        }
        ask_queue(c, address, place == RECIPIENT_ASK);
        return RETURN_WAIT;
    }
    return RETURN_TAKE;
}

struct client *return_checked(struct inbound *in, const struct msg_checked *m)
{
    struct client *c = map_remove(in->returns->checks, map_key_u64(&m->client));

    if (c == NULL)
        return NULL;
    c->check = 0;
    if (m->forged)
        count_forged(in, c);
    return c;
}

void return_forget(struct client *c)
{
    if (c->check != 0)
        (void)map_remove(c->inbound->returns->checks, map_key_u64(&c->check));
    c->check = 0;
}

bool return_is_one(const struct client *c, struct slice address)
{
    return is_return_path(c->inbound, address) || reports_is_one(c->inbound, address);
}

/* --- what it says --- */

void return_body(struct message *m, struct slice bytes)
{
    size_t room = m->body.n < REPORT_MAX ? REPORT_MAX - m->body.n : 0;

    buf_append(&m->body, slice_sub(bytes, 0, room));
}

/* The first bounce address of ours in a text, signed or not; empty: none. */
static struct slice find_return_path(const struct inbound *in, struct slice text)
{
    const struct slice prefix = SLICE("bounces+");
    struct slice domain = slice_of(in->conf->return_path_domain);

    for (size_t at; (at = slice_search_nocase(text, prefix)) != SLICE_NONE;
         text = slice_from(text, at + prefix.n)) {
        struct slice rest = slice_sub(slice_from(text, at), 0, VERP_LOCAL_MAX + 1 + domain.n);
        size_t end = slice_find(rest, '@');

        if (end != SLICE_NONE && slice_starts_nocase(slice_from(rest, end + 1), domain))
            return slice_sub(rest, 0, end + 1 + domain.n);
    }
    return SLICE("");
}

/* The entry about one recipient; a report to this address is about one, whomever it names. */
static const struct bounce_recipient *choose(const struct bounce_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->recipients[i].event == report->event)
            return &report->recipients[i];
    return report->count > 0 ? &report->recipients[0] : NULL;
}

void return_answered(struct message *m, const struct msg_accepted *a)
{
    if (a->code == 550 && m->client != NULL && m->client->is_return)
        count_forged(m->inbound, m->client);
}

const char *return_end(struct message *m)
{
    struct inbound *in = m->inbound;
    const struct client *c = m->client;
    const struct bounce_recipient *about = NULL;
    struct bounce_report report = {.event = BOUNCE_NOT_A_BOUNCE};
    struct bounce_verdict verdict;
    struct msg_report out = {.txn = m->txn,
                             .id = m->id,
                             .address = c->recipients[0].address,
                             .client_ip = slice_of(c->ip),
                             .class_digit = '0'};
    struct err e;

    if (bounce_read(in->returns->reader, buf_slice(&m->body), &report, &e) == 0)
        about = choose(&report);
    out.event = (uint8_t)report.event; /* few */
    bounce_verdict_of(BOUNCE_UNDETERMINED, '5', false, &verdict);
    if (about != NULL) {
        verdict = about->verdict;
        out.reporter = about->remote_mta;
        out.status = about->status;
        out.code = (uint16_t)about->reply_code; /* three digits */
        out.diagnostic = slice_sub(about->diagnostic, 0, 1000);
        out.class_digit = about->reply_code >= 400 ? (uint8_t)('0' + about->reply_code / 100)
                          : about->status.n > 0    ? (uint8_t)about->status.p[0]
                                                   : '0';
        out.delayed = about->event == BOUNCE_DELAYED;
    }
    out.category = slice_of(bounce_meaning(verdict.category)->name);
    if (is_feedback(in, out.address)) {
        out.address = find_return_path(in, buf_slice(&m->body));
        if (report.event != BOUNCE_COMPLAINT && report.event != BOUNCE_UNSUBSCRIBE)
            return "Only complaints (RFC 5965) are read here";
        if (out.address.n == 0)
            return "This complaint is about no mail of ours";
    }
    m->state = MESSAGE_STORING;
    msg_report_encode(&out, bus_begin(in->queue, MSG_REPORT));
    bus_end(in->queue);
    buf_clear(&m->body);
    return NULL;
}
