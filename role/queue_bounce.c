/* The queue role and what fails: verdicts, suppression, bounce addresses, reports in and out. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/addr/srs.h"
#include "lib/addr/verp.h"
#include "lib/bounce/classify.h"
#include "lib/bounce/dsn.h"
#include "lib/crypt/hash.h"
#include "mta/bounce/policy.h"
#include "mta/event/options.h"
#include "role/bounce_rules.h"
#include "role/hint.h"
#include "role/queue_in.h"
#include "store/ledger/suppression.h"

#define DAY_MS INT64_C(86400000)
#define HINTS_A_FRAME 8192
#define REPORT_HEADER_MAX 65536
/* With RET=FULL; of larger ones the header is returned, and of those that each of many recipients
 * could return. */
#define REPORT_MESSAGE_MAX (1u << 20)
#define REPORT_MESSAGES_MAX (64u << 20)

struct queue_bounce {
    unsigned char key[VERP_KEY_BYTES];
    struct bounce_rules *rules;
    struct bounce_policy policy;
    struct buf scratch;
    struct map *hints;
};

/* --- life --- */

/* The secret of our bounce addresses: made at the first start, and then kept. */
static int load_key(struct queue *q, unsigned char key[VERP_KEY_BYTES], struct err *e)
{
    char path[560];
    int fd, result = 0;

    (void)snprintf(path, sizeof path, "%.540s/return-path.key", q->conf->data_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, key, VERP_KEY_BYTES) != VERP_KEY_BYTES)
            result = err_set(e, ERR_SYNTAX, "%s is not a key of %d bytes", path, VERP_KEY_BYTES);
        close(fd);
        return result;
    }
    if (errno != ENOENT)
        return err_system(e, errno, "%s cannot be read", path);
    crypt_random(key, VERP_KEY_BYTES);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_system(e, errno, "%s cannot be made", path);
    if (write(fd, key, VERP_KEY_BYTES) != VERP_KEY_BYTES || fsync(fd) < 0)
        result = err_system(e, errno, "%s cannot be written", path);
    close(fd);
    return result;
}

static int read_policy(const struct conf *conf, struct bounce_policy *p, struct err *e)
{
    bounce_policy_init(p);
    for (size_t i = 0; i < conf->suppress.count; i++)
        if (bounce_policy_set(p, slice_of(conf->suppress.items[i]), e) < 0)
            return -1;
    return 0;
}

static void add_hint(void *ctx, struct slice address)
{
    hint_add(ctx, hint_of(address));
}

int queue_bounce_create(struct queue *q, struct err *e)
{
    struct queue_bounce *b = mem_alloc(sizeof *b);

    q->bounce = b;
    b->hints = map_create(q->random_state);
    buf_init(&b->scratch, 2 * BOUNCE_TEXT_MAX);
    b->rules = bounce_rules_load(q->conf->bounce_rules, e);
    if (b->rules == NULL || load_key(q, b->key, e) < 0 || read_policy(q->conf, &b->policy, e) < 0)
        return -1;
    return ledger_each_suppressed(q->ledger, add_hint, b->hints, e);
}

void queue_bounce_destroy(struct queue *q)
{
    struct queue_bounce *b = q->bounce;

    if (b == NULL)
        return;
    crypt_wipe(b->key, sizeof b->key);
    bounce_rules_destroy(&b->rules);
    buf_finish(&b->scratch);
    map_destroy(&b->hints);
    free(b);
    q->bounce = NULL;
}

void queue_bounce_settings(struct queue *q)
{
    struct bounce_rules *rules;
    struct bounce_policy policy;
    struct err e;

    /* What cannot be read leaves the old in place. */
    if (read_policy(q->conf, &policy, &e) < 0)
        log_error(q->env.log, "queue.suppress", LOG_ERR(&e));
    else
        q->bounce->policy = policy;
    rules = bounce_rules_load(q->conf->bounce_rules, &e);
    if (rules == NULL) {
        log_error(q->env.log, "queue.bounce_rules", LOG_ERR(&e));
        return;
    }
    bounce_rules_destroy(&q->bounce->rules);
    q->bounce->rules = rules;
    log_info(q->env.log, "queue.rules_read", LOG_STRING("directory", q->conf->bounce_rules));
}

/* --- hints --- */

static void send_hints(struct bus *bus, bool anew, struct slice hashes)
{
    const struct msg_suppressed_hint m = {.anew = anew, .hashes = hashes};

    msg_suppressed_hint_encode(&m, bus_begin(bus, MSG_SUPPRESSED_HINT));
    bus_end(bus);
}

void queue_bounce_attached(struct queue *q, struct bus *bus)
{
    uint64_t hashes[HINTS_A_FRAME];
    size_t cursor = 0, n = 0;
    struct slice key;
    bool anew = true;
    void *value;

    while (map_next(q->bounce->hints, &cursor, &key, &value)) {
        memcpy(&hashes[n++], key.p, sizeof *hashes);
        if (n == HINTS_A_FRAME) {
            send_hints(bus, anew, (struct slice){(const char *)hashes, sizeof hashes});
            anew = false;
            n = 0;
        }
    }
    send_hints(bus, anew, (struct slice){(const char *)hashes, n * sizeof *hashes});
}

static void tell_hint(struct queue *q, struct slice address)
{
    uint64_t hint = hint_of(address);

    hint_add(q->bounce->hints, hint);
    for (unsigned i = 0; i < ROLE_COPIES_MAX; i++)
        if (q->inbound[i].bus != NULL)
            send_hints(q->inbound[i].bus, false, (struct slice){(const char *)&hint, sizeof hint});
}

/* --- suppression --- */

int queue_suppress(struct queue *q, const struct ledger_suppression *s, struct err *e)
{
    if (ledger_suppress(q->ledger, s, e) < 0)
        return -1;
    tell_hint(q, s->address);
    return 0;
}

int queue_find_suppression(struct queue *q, struct slice address, struct slice stream,
                           bool *found_out, struct ledger_suppression *out, struct err *e)
{
    *found_out = false;
    if (!hint_fits(q->bounce->hints, address))
        return 0;
    return ledger_find_suppression(q->ledger, address, stream, loop_unix_ms(q->env.loop), found_out,
                                   out, e);
}

/* Somebody failed. */
struct failure {
    struct slice address, stream, source, evidence;
    struct id id;
    const struct bounce_verdict *verdict;
};

/* Counts it, and suppresses when it is enough; in the group that holds its event. */
static int count_failure(struct queue *q, const struct failure *f, struct err *e)
{
    struct bounce_threshold t = bounce_policy_of(&q->bounce->policy, f->verdict);
    const struct bounce_meaning *m = bounce_meaning(f->verdict->category);
    int64_t now_ms = loop_unix_ms(q->env.loop), first_ms = 0, lasts_ms;
    uint64_t count = 0;
    bool global = bounce_is_global(f->verdict->category);
    struct slice scope = global ? SLICE("") : f->stream;

    if (t.count == 0)
        return 0;
    const struct ledger_failure failure = {.address = f->address,
                                           .scope = scope,
                                           .category = slice_of(m->name),
                                           .time_ms = now_ms,
                                           .message = f->id.hi};
    if (ledger_add_failure(q->ledger, &failure, now_ms - (int64_t)t.days * DAY_MS, &count,
                           &first_ms, e) < 0)
        return -1;
    if (count < t.count)
        return 0;
    lasts_ms = m->hard || f->verdict->category == BOUNCE_CATEGORY_COMPLAINT ||
                       f->verdict->category == BOUNCE_CATEGORY_UNSUBSCRIBE
                   ? q->conf->suppress_expire_ms
                   : q->conf->suppress_soft_expire_ms;
    const struct ledger_suppression s = {.address = f->address,
                                         .scope = scope,
                                         .reason = slice_of(m->name),
                                         .source = f->source,
                                         .evidence = slice_sub(f->evidence, 0, 500),
                                         .message = f->id.hi,
                                         .since_ms = now_ms,
                                         .until_ms = lasts_ms > 0 ? now_ms + lasts_ms : 0};
    log_info(q->env.log, "suppress", LOG_TEXT("address", f->address), LOG_TEXT("scope", scope),
             LOG_STRING("reason", m->name), LOG_INT("failures", count));
    return queue_suppress(q, &s, e);
}

/* --- bounce addresses --- */

static bool is_local(const struct queue *q, struct slice address)
{
    const struct conf_route *route =
        conf_find_route(q->conf, slice_from(address, slice_find_last(address, '@') + 1));

    return route != NULL && route->local;
}

static bool is_signed(const struct queue *q, struct slice stream, struct slice sender)
{
    const struct conf_stream *s = conf_find_stream(q->conf, stream);

    if (q->conf->return_path_domain[0] == '\0' || sender.n == 0)
        return false;
    /* The stream of our own reports needs no section. */
    return s != NULL ? s->return_path == CONF_RETURN_PATH_SIGNED
                     : slice_eq(stream, SLICE(QUEUE_REPORTS_STREAM));
}

/* What takes the place of an address of ours has a setting of its own: without a path of ours SPF
 * fails at the next host, whatever the stream's mail leaves with. */
static unsigned forward_path(const struct queue *q, struct slice sender)
{
    return q->conf->return_path_domain[0] == '\0' || sender.n == 0 ? CONF_FORWARD_ORIGINAL
                                                                   : q->conf->forward_return_path;
}

bool queue_parts_recipients(const struct queue *q, const struct msg_submit *m)
{
    if (is_signed(q, m->stream, m->sender))
        return true;
    for (size_t i = 0; i < m->recipients_n; i++)
        if (options_is_forwarded(m->recipients[i].options))
            return forward_path(q, m->sender) != CONF_FORWARD_ORIGINAL;
    return false;
}

struct slice queue_return_path(struct queue *q, const struct ledger_message *message,
                               const struct msg_envelope_recipient *to, struct buf *out)
{
    int64_t end_ms = message->received_ms + q->conf->return_path_valid_ms;
    const struct verp v = {.id = message->id, .n = to->n, .expires_day = end_ms / DAY_MS};
    bool forwarded = options_is_forwarded(to->options);
    unsigned path = forward_path(q, message->sender);

    if (forwarded ? path == CONF_FORWARD_ORIGINAL : !is_signed(q, message->stream, message->sender))
        return message->sender;
    if (forwarded && path == CONF_FORWARD_SRS) {
        if (is_local(q, message->sender))
            return message->sender; /* SPF of our own domain is ours to get right */
        if (queue_srs_path(q, message, out))
            return buf_slice(out);
    }
    if (to->n > VERP_RECIPIENT_MAX)
        return message->sender;
    buf_clear(out);
    verp_write(&v, (struct slice){(const char *)q->bounce->key, VERP_KEY_BYTES},
               slice_of(q->conf->return_path_domain), out);
    return buf_slice(out);
}

/* Whose address it is. */
static enum verp_verdict read_return_path(struct queue *q, struct slice address,
                                          struct verp *verp_out,
                                          struct ledger_addressee *addressee_out)
{
    enum verp_verdict verdict = verp_read(
        address, (struct slice){(const char *)q->bounce->key, VERP_KEY_BYTES},
        slice_of(q->conf->return_path_domain), loop_unix_ms(q->env.loop) / 1000, verp_out);
    struct err e;

    if (verdict != VERP_GOOD)
        return verdict;
    if (ledger_find_addressee(q->ledger, verp_out->id, verp_out->n, q->arena, addressee_out, &e) <
        0)
        return VERP_EXPIRED; /* ours once, but the ledger has forgotten the message */
    return VERP_GOOD;
}

/* --- questions of the inbound role --- */

static void answer_check(struct queue_link *from, const struct msg_checked *m)
{
    if (from->bus == NULL)
        return;
    msg_checked_encode(m, bus_begin(from->bus, MSG_CHECKED));
    bus_end(from->bus);
}

static void check_return_path(struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    struct ledger_addressee addressee;
    struct verp verp;

    switch (read_return_path(q, m->address, &verp, &addressee)) {
    case VERP_GOOD:
        return;
    case VERP_EXPIRED:
        out->text = SLICE("This bounce address has expired");
        break;
    case VERP_FORGED:
    case VERP_NOT_ONE:
        out->text = SLICE("There is no such bounce address here");
        break;
    }
    out->code = 550;
    out->enhanced = SLICE("5.1.1");
    out->forged = 1;
}

static void check_suppression(struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    const struct conf_stream *s = conf_find_stream(q->conf, m->stream);
    struct ledger_suppression found;
    bool is_found;
    struct err e;

    if (s == NULL || s->suppressed == CONF_SUPPRESSED_ACCEPT)
        return;
    if (queue_find_suppression(q, m->address, slice_of(s->title), &is_found, &found, &e) < 0) {
        log_error(q->env.log, "ledger.suppression", LOG_ERR(&e));
        *out = (struct msg_checked){.client = m->client, .code = 451, .enhanced = SLICE("4.3.0")};
        out->text = SLICE("The suppression list cannot be read; try again later");
        return;
    }
    if (!is_found)
        return;
    out->code = 550;
    out->enhanced = SLICE("5.7.1");
    out->text = arena_printf(q->arena, "suppressed: %.*s", SLICE_ARG(found.reason));
}

static void check_mailbox(const struct queue *q, const struct msg_check *m, struct msg_checked *out)
{
    if (!queue_maildir_lacks(q, m->address))
        return;
    out->code = 550;
    out->enhanced = SLICE("5.1.1");
    out->text = SLICE("There is no such mailbox here");
    out->unknown = 1;
}

void queue_take_check(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_checked out = {.code = 250, .enhanced = SLICE("2.1.5"), .text = SLICE("Ok")};
    struct msg_check m;
    size_t at;

    arena_reset(q->arena);
    if (!msg_check_decode(payload, q->arena, &m))
        return;
    out.client = m.client;
    at = slice_find_last(m.address, '@');
    if (at != SLICE_NONE && q->conf->return_path_domain[0] != '\0' &&
        slice_eq_nocase(slice_from(m.address, at + 1), slice_of(q->conf->return_path_domain)))
        (srs_is_one(m.address) ? queue_srs_check : check_return_path)(q, &m, &out);
    else
        check_suppression(q, &m, &out);
    if (out.code == 250 && m.mailbox)
        check_mailbox(q, &m, &out);
    answer_check(from, &out);
}

/* --- reports that come in --- */

static bool read_verdict(const struct msg_report *m, struct bounce_verdict *verdict_out)
{
    enum bounce_category category;
    char digit = (char)m->class_digit; /* one octet */

    if (!bounce_category_find(m->category, &category))
        return false;
    bounce_verdict_of(category, digit, m->delayed != 0, verdict_out);
    return true;
}

static bool is_failure(enum bounce_event event)
{
    return event == BOUNCE_FAILED;
}

static bool is_complaint(enum bounce_event event)
{
    return event == BOUNCE_COMPLAINT || event == BOUNCE_UNSUBSCRIBE;
}

/* A bounce of what was forwarded came to our address instead of its sender's, who is told. */
static int tell_first_sender(struct queue *q, const struct msg_report *m, struct id id,
                             const struct ledger_addressee *to, struct err *e);

static int record_report(struct queue *q, const struct msg_report *m, const struct verp *verp,
                         const struct ledger_addressee *to, struct err *e)
{
    enum bounce_event event =
        m->event < BOUNCE_EVENTS ? (enum bounce_event)m->event : BOUNCE_NOT_A_BOUNCE;
    bool counts = is_failure(event) || is_complaint(event);
    struct bounce_verdict verdict;
    const struct ledger_report report = {
        .kind = is_failure(event)     ? LEDGER_EV_REPORTED
                : is_complaint(event) ? LEDGER_EV_COMPLAINT
                                      : LEDGER_EV_NOTE,
        .bounced = is_failure(event),
        .host = m->reporter,
        .ip = m->client_ip,
        .enhanced = m->status,
        .text = m->diagnostic.n > 0
                    ? m->diagnostic
                    : arena_printf(q->arena, "a mail came to the bounce address: %s",
                                   bounce_event_name(event)),
        .category = counts ? m->category : SLICE(""),
        .reply_code = m->code,
    };

    if (ledger_add_report(q->ledger, verp->id, verp->n, &report, loop_unix_ms(q->env.loop), e) < 0)
        return -1;
    if (is_failure(event) && tell_first_sender(q, m, verp->id, to, e) < 0)
        return -1;
    if (!counts || !read_verdict(m, &verdict))
        return 0;
    const struct failure f = {.address = to->address,
                              .stream = to->stream,
                              .source = is_complaint(event) ? SLICE("complaint") : SLICE("report"),
                              .evidence = report.text,
                              .id = verp->id,
                              .verdict = &verdict};
    return count_failure(q, &f, e);
}

void queue_take_report(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct ledger_addressee addressee;
    struct msg_report m;
    struct verp verp;
    struct err e;

    arena_reset(q->arena);
    if (!msg_report_decode(payload, q->arena, &m))
        return;
    if (read_return_path(q, m.address, &verp, &addressee) != VERP_GOOD) {
        const struct msg_accepted no = {.txn = m.txn,
                                        .id = m.id,
                                        .code = 550,
                                        .text = SLICE("There is no such bounce address here")};

        msg_accepted_encode(&no, bus_begin(from->bus, MSG_ACCEPTED));
        bus_end(from->bus);
        return;
    }
    queue_open_group(q);
    queue_add_report_answer(q, from, m.txn, m.id);
    if (!q->spoiled && record_report(q, &m, &verp, &addressee, &e) < 0) {
        log_error(q->env.log, "ledger.report", LOG_ERR(&e));
        q->spoiled = true;
    }
    metric_add(q->env.metrics, METRIC_reports_total, 1);
}

/* --- our own failures --- */

static void judge_reply(struct queue *q, const struct ledger_result *r,
                        struct bounce_verdict *verdict_out)
{
    const struct bounce_reply reply = {.text = r->text,
                                       .host = r->host,
                                       .code = r->reply_code,
                                       .status = r->enhanced,
                                       .is_delayed = r->kind == LEDGER_EV_DEFERRED};

    bounce_classify(q->bounce->rules, &reply, &q->bounce->scratch, verdict_out);
    if (r->kind == LEDGER_EV_EXPIRED && verdict_out->category == BOUNCE_UNDETERMINED)
        bounce_verdict_of(BOUNCE_EXPIRED, '4', false, verdict_out);
}

/* A taken unit with its recipients, for as long as the arena is not reset. */
struct loaded {
    const struct ledger_unit *work;
    struct ledger_message message;
    const struct ledger_recipient *recipients; /* in the order of the unit's ranges */
    size_t n;
};

static const struct ledger_recipient *recipient_of(const struct loaded *l, uint32_t number)
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

static int each_recipient(struct queue *q, const struct loaded *l, const struct ledger_result *r,
                          int (*fn)(struct queue *q, const struct loaded *l,
                                    const struct ledger_recipient *to,
                                    const struct ledger_result *r,
                                    const struct bounce_verdict *verdict, struct err *e),
                          const struct bounce_verdict *verdict, struct err *e)
{
    for (size_t i = 0; i < r->recipients.n; i++)
        for (uint32_t k = r->recipients.p[i].first; k <= r->recipients.p[i].last; k++) {
            const struct ledger_recipient *to = recipient_of(l, k);
            if (to != NULL && fn(q, l, to, r, verdict, e) < 0)
                return -1;
        }
    return 0;
}

static int fail_recipient(struct queue *q, const struct loaded *l,
                          const struct ledger_recipient *to, const struct ledger_result *r,
                          const struct bounce_verdict *verdict, struct err *e)
{
    const struct failure f = {.address = to->address,
                              .stream = l->message.stream,
                              .source = SLICE("bounce"),
                              .evidence = r->reply_code > 0
                                              ? arena_printf(q->arena, "%u %.*s %.*s",
                                                             r->reply_code, SLICE_ARG(r->enhanced),
                                                             SLICE_ARG(slice_sub(r->text, 0, 400)))
                                              : r->text,
                              .id = l->message.id,
                              .verdict = verdict};

    /* One of ours says nothing about others: tomorrow it may have a mailbox. */
    return is_local(q, to->address) ? 0 : count_failure(q, &f, e);
}

static int clear_recipient(struct queue *q, const struct loaded *l,
                           const struct ledger_recipient *to, const struct ledger_result *r,
                           const struct bounce_verdict *verdict, struct err *e)
{
    (void)r, (void)verdict;
    return ledger_clear_failures(q->ledger, to->address, l->message.stream, e);
}

/* --- reports that go out --- */

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
                const struct ledger_recipient *to = recipient_of(l, j);
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

static int tell_first_sender(struct queue *q, const struct msg_report *m, struct id id,
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

static int report_all(struct queue *q, const struct loaded *l, const struct ledger_result *results,
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

/* --- the whole --- */

int queue_bounce_results(struct queue *q, const struct ledger_unit *work,
                         struct ledger_result *results, size_t n, enum queue_success success,
                         struct err *e)
{
    struct loaded l = {.work = work};
    bool failed = false, delivered = false, cleared;

    for (size_t i = 0; i < n; i++) {
        failed = failed || results[i].kind == LEDGER_EV_BOUNCED ||
                 results[i].kind == LEDGER_EV_EXPIRED || results[i].kind == LEDGER_EV_DEFERRED;
        delivered = delivered || results[i].kind == LEDGER_EV_DELIVERED;
    }
    cleared = delivered && ledger_has_failures(q->ledger);
    if (!failed && !cleared && (!delivered || success == QUEUE_SUCCESS_UNSAID))
        return 0;
    if (ledger_load_unit(q->ledger, work, q->arena, &l.message, &l.recipients, &l.n, e) < 0)
        return -1;
    l.message.id = work->id;
    for (size_t i = 0; i < n; i++) {
        struct ledger_result *r = &results[i];
        struct bounce_verdict verdict;

        if (r->kind == LEDGER_EV_DELIVERED) {
            if (cleared && each_recipient(q, &l, r, clear_recipient, NULL, e) < 0)
                return -1;
            continue;
        }
        if (r->kind != LEDGER_EV_BOUNCED && r->kind != LEDGER_EV_EXPIRED &&
            r->kind != LEDGER_EV_DEFERRED)
            continue;
        judge_reply(q, r, &verdict);
        r->category = slice_of(bounce_meaning(verdict.category)->name);
        if (r->kind != LEDGER_EV_DEFERRED && l.message.sender.n > 0 &&
            each_recipient(q, &l, r, fail_recipient, &verdict, e) < 0)
            return -1;
    }
    return report_all(q, &l, results, n, success, e);
}

/* --- commands --- */

/* Lines "ADDRESS<TAB>SCOPE<TAB>REASON<TAB>UNTIL_MS<TAB>EVIDENCE". */
int queue_suppress_lines(struct queue *q, struct slice lines, uint64_t *count_out, struct err *e)
{
    *count_out = 0;
    while (lines.n > 0) {
        struct slice line = slice_cut(&lines, '\n');
        struct slice address = slice_cut(&line, '\t'), scope = slice_cut(&line, '\t');
        struct slice reason = slice_cut(&line, '\t'), until = slice_cut(&line, '\t');
        uint64_t until_ms = 0;

        if (slice_find(address, '@') == SLICE_NONE || !slice_to_u64(until, &until_ms))
            return err_set(e, ERR_SYNTAX, "\"%.*s\" is no address",
                           SLICE_ARG(slice_sub(address, 0, 60)));
        const struct ledger_suppression s = {.address = address,
                                             .scope = scope,
                                             .reason = reason,
                                             .source = SLICE("manual"),
                                             .evidence = slice_sub(line, 0, 500),
                                             .since_ms = loop_unix_ms(q->env.loop),
                                             .until_ms = (int64_t)until_ms};
        if (queue_suppress(q, &s, e) < 0)
            return -1;
        ++*count_out;
    }
    return 0;
}

/* "ADDRESS<TAB>SCOPE", or "ADDRESS<TAB>*" for all scopes. */
int queue_unsuppress(struct queue *q, struct slice text, uint64_t *count_out, struct err *e)
{
    struct slice scope = text, address = slice_cut(&scope, '\t');
    bool all = slice_eq(scope, SLICE("*"));

    if (ledger_unsuppress(q->ledger, address, all ? NULL : &scope, count_out, e) < 0)
        return -1;
    return ledger_clear_failures(q->ledger, address, all ? SLICE("") : scope, e);
}
