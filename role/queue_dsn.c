/* The queue role reports to senders: failures, delays, and success where nobody else will. */
#include <unistd.h>

#include "lib/bounce/dsn.h"
#include "mta/event/options.h"
#include "role/queue_bounce_in.h"

#define REPORT_HEADER_MAX 65536
/* With RET=FULL; of larger ones the header is returned, and of those that each of many recipients
 * could return. */
#define REPORT_MESSAGE_MAX (1u << 20)
#define REPORT_MESSAGES_MAX (64u << 20)

const struct ledger_recipient *queue_recipient_of(const struct loaded *l, uint32_t number)
{
    size_t at = 0;

    for (size_t i = 0; i < l->work->recipients.n; i++) {
        struct range r = l->work->recipients.p[i];
        if (number >= r.first && number <= r.last)
            return at + number - r.first < l->n ? &l->recipients[at + number - r.first] : NULL;
        at += r.last - r.first + 1;
    }
    return NULL;
}

/* The stream's policy is for our own clients. A stranger's server handed its sender's mail over and
 * cannot know more, so the sender is told (RFC 5321 6.1) unless it may be forged. */
static bool wants_report(const struct queue *q, const struct loaded *l,
                         const struct ledger_recipient *to, enum dsn_action action,
                         struct smtp_recipient *asked_out)
{
    static const unsigned wishes[] = {[DSN_FAILED] = SMTP_NOTIFY_FAILURE,
                                      [DSN_DELAYED] = SMTP_NOTIFY_DELAY,
                                      [DSN_DELIVERED] = SMTP_NOTIFY_SUCCESS,
                                      [DSN_RELAYED] = SMTP_NOTIFY_SUCCESS};
    const struct conf_stream *s = conf_find_stream(q->conf, l->message.stream);
    unsigned policy = s == NULL ? CONF_FAILURES_ASKED : s->failures;
    enum options_origin origin = options_read_origin(l->message.options);

    *asked_out = (struct smtp_recipient){0};
    options_read_recipient(to->options, asked_out);
    if (policy == CONF_FAILURES_EVENTS || origin == OPTIONS_UNPROVEN)
        return false;
    bool asks = (asked_out->notify & wishes[action]) != 0;
    bool unasked = (action == DSN_FAILED || action == DSN_DELAYED) && policy == CONF_FAILURES_MAIL;

    unasked = unasked || (action == DSN_FAILED && origin == OPTIONS_PROVEN);
    return dsn_is_wanted(l->message.sender, asked_out->notify != 0 && !asks, asks,
                         unasked && asked_out->notify == 0);
}

static struct slice header_of(struct queue *q, const struct loaded *l)
{
    struct buf head;
    struct slice kept = SLICE("");
    struct err e;
    int fd;

    if (spool_open_read(q->spool_dir, l->message.place.segment, &fd, &e) < 0)
        return kept;
    buf_init(&head, (size_t)l->message.place.head_n + 1);
    if (spool_read_head(fd, l->message.id, &l->message.place, &head, &e) == 0) {
        struct slice all = slice_sub(buf_slice(&head), 0, REPORT_HEADER_MAX);
        size_t end = slice_search(all, SLICE("\r\n\r\n"));
        kept = arena_copy(q->arena, slice_sub(all, 0, end == SLICE_NONE ? all.n : end + 2));
    }
    buf_finish(&head);
    close(fd);
    return kept;
}

/* The message as it stands in the spool; empty: it is too large to be returned, or not there. */
static void read_whole(struct queue *q, const struct loaded *l, struct buf *out)
{
    const struct spool_place *place = &l->message.place;
    struct spool_reader reader;
    char room[16384];
    size_t n = 0;
    struct err e;
    int fd;

    if (place->body_n > REPORT_MESSAGE_MAX || place->head_n > REPORT_MESSAGE_MAX - place->body_n ||
        (place->head_n + place->body_n) * l->message.recipient_count > REPORT_MESSAGES_MAX ||
        spool_open_read(q->spool_dir, place->segment, &fd, &e) < 0)
        return;
    int result = spool_reader_init(&reader, fd, l->message.id, place, &e);
    while (result == 0 && (result = spool_reader_read(&reader, room, sizeof room, &n, &e)) == 0 &&
           n > 0)
        buf_append(out, (struct slice){room, n});
    if (result < 0)
        buf_clear(out);
    close(fd);
}

static int store_report(struct queue *q, const struct dsn *d, struct id id, const struct loaded *l,
                        struct err *e)
{
    struct own_mail m = {.id = id,
                         .to = d->to,
                         .to_options = SLICE("NOTIFY=NEVER"),
                         .stream = l->message.stream,
                         .options = dsn_is_utf8(d) ? SLICE("BODY=8BITMIME SMTPUTF8")
                                                   : SLICE("BODY=8BITMIME"),
                         .author = arena_printf(q->arena, "MAILER-DAEMON@%s", q->conf->hostname),
                         .subject = slice_of(dsn_subject(d->recipients[0].action))};
    struct buf head, body;

    buf_init(&head, 65536);
    buf_init(&body, REPORT_MESSAGE_MAX + (1u << 20));
    dsn_write(d, &head, &body);
    m.head = buf_slice(&head);
    m.body = buf_slice(&body);
    int result = queue_own_send(q, &m, e);
    buf_finish(&head);
    buf_finish(&body);
    return result;
}

static int send_report(struct queue *q, const struct loaded *l, const struct dsn_recipient *list,
                       size_t count, struct err *e)
{
    char id[ID_TEXT_N + 1], original[ID_TEXT_N + 1];
    struct smtp_sender asked = {0};
    struct id report_id = queue_own_id(q);
    struct buf whole;

    id_encode(report_id, id);
    id_encode(l->message.id, original);
    options_read_sender(l->message.options, &asked);
    buf_init(&whole, REPORT_MESSAGE_MAX);
    if (asked.ret == SMTP_RET_FULL)
        read_whole(q, l, &whole);
    const struct dsn d = {
        .hostname = slice_of(q->conf->hostname),
        .to = l->message.sender,
        .id = slice_of(id),
        .original_id = slice_of(original),
        .envelope_id = asked.envelope_id,
        .subject = l->message.subject,
        .header = header_of(q, l),
        .message = buf_slice(&whole),
        .arrival_s = l->message.received_ms / 1000,
        .now_s = loop_unix_ms(q->env.loop) / 1000,
        .retry_until_s = (l->message.received_ms + queue_expiry_of(q, l->message.stream)) / 1000,
        .recipients = list,
        .count = count};
    int result = store_report(q, &d, report_id, l, e);
    buf_finish(&whole);
    return result;
}

static bool is_about(const struct ledger_result *r, enum dsn_action action)
{
    switch (action) {
    case DSN_FAILED:
        return r->kind == LEDGER_EV_BOUNCED || r->kind == LEDGER_EV_EXPIRED;
    case DSN_DELAYED:
        return r->kind == LEDGER_EV_DEFERRED;
    case DSN_DELIVERED:
    case DSN_RELAYED:
        return r->kind == LEDGER_EV_DELIVERED;
    }
    return false;
}

/* One mail to the sender about all recipients of these results to whom `action` applies. */
static int report(struct queue *q, const struct loaded *l, const struct ledger_result *results,
                  size_t n, enum dsn_action action, struct err *e)
{
    struct dsn_recipient *list = arena_array(q->arena, l->n + 1, sizeof *list);
    size_t count = 0;

    for (size_t i = 0; list != NULL && i < n; i++) {
        const struct ledger_result *r = &results[i];
        if (!is_about(r, action))
            continue;
        for (size_t k = 0; k < r->recipients.n; k++)
            for (uint32_t j = r->recipients.p[k].first; j <= r->recipients.p[k].last; j++) {
                const struct ledger_recipient *to = queue_recipient_of(l, j);
                struct smtp_recipient options;
                if (to == NULL || count == l->n || !wants_report(q, l, to, action, &options))
                    continue;
                list[count++] =
                    (struct dsn_recipient){.address = to->address,
                                           .origin = options.origin,
                                           .action = action,
                                           .status = r->enhanced,
                                           .reply_code = r->reply_code,
                                           .diagnostic = r->text,
                                           .remote_mta = r->ip.n > 0 ? r->host : SLICE("")};
            }
    }
    return count == 0 ? 0 : send_report(q, l, list, count, e);
}

int queue_dsn_forwarded(struct queue *q, const struct msg_report *m, struct id id,
                        const struct ledger_addressee *to, struct err *e)
{
    const struct ledger_recipient recipient = {.address = to->address, .options = to->options};
    struct smtp_recipient options;
    struct loaded l = {.n = 1};

    if (!options_is_forwarded(to->options) ||
        (to->state != LEDGER_DELIVERED && to->state != LEDGER_ASSUMED))
        return 0; /* not forwarded, or told already */
    if (ledger_load_message(q->ledger, id, q->arena, &l.message, e) < 0)
        return -1;
    if (!wants_report(q, &l, &recipient, DSN_FAILED, &options))
        return 0;
    const struct dsn_recipient failed = {
        .address = to->address,
        .origin = options.origin,
        .action = DSN_FAILED,
        .status = m->status,
        .reply_code = m->code,
        .diagnostic =
            m->diagnostic.n > 0 ? m->diagnostic : SLICE("a report of its failure came later"),
        .remote_mta = m->reporter};
    return send_report(q, &l, &failed, 1, e);
}

/* The first attempt that ends after `delay_report` is the one to tell of. */
static int is_late(struct queue *q, const struct ledger_unit *work, bool *late_out, struct err *e)
{
    int64_t from_ms = work->received_ms + q->conf->delay_report_ms, touched_ms;

    *late_out = false;
    if (q->conf->delay_report_ms == 0 || loop_unix_ms(q->env.loop) < from_ms)
        return 0;
    if (ledger_unit_touched(q->ledger, work, &touched_ms, e) < 0)
        return -1;
    *late_out = touched_ms < from_ms;
    return 0;
}

int queue_dsn_results(struct queue *q, const struct loaded *l, const struct ledger_result *results,
                      size_t n, enum queue_success success, struct err *e)
{
    bool late;

    if (report(q, l, results, n, DSN_FAILED, e) < 0 || is_late(q, l->work, &late, e) < 0 ||
        (late && report(q, l, results, n, DSN_DELAYED, e) < 0))
        return -1;
    switch (success) {
    case QUEUE_SUCCESS_UNSAID:
        break;
    case QUEUE_SUCCESS_RELAYED:
        return report(q, l, results, n, DSN_RELAYED, e);
    case QUEUE_SUCCESS_DELIVERED:
        return report(q, l, results, n, DSN_DELIVERED, e);
    }
    return 0;
}
