/* The queue role and what fails: verdicts by rules, mail that came to a bounce address, our own
 * attempts. */
#include "lib/crypt/hash.h"
#include "role/bounce_rules.h"
#include "role/hint.h"
#include "role/queue_bounce_in.h"
#include "store/ledger/suppression.h"

/* --- life --- */

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
    if (b->rules == NULL || queue_return_key(q, b->key, e) < 0 ||
        read_policy(q->conf, &b->policy, e) < 0)
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

static int record_report(struct queue *q, const struct msg_report *m, const struct verp *verp,
                         const struct ledger_addressee *to, struct err *e)
{
    enum bounce_event event =
        m->event < BOUNCE_EVENTS ? (enum bounce_event)m->event : BOUNCE_NOT_A_BOUNCE;
    bool counts = is_failure(event) || is_complaint(event);
    struct bounce_verdict verdict;
    bool kept;
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

    if (ledger_add_report(q->ledger, verp->id, verp->n, &report, loop_unix_ms(q->env.loop), &kept,
                          e) < 0)
        return -1;
    if (!kept)
        return 0;
    if (is_failure(event) && queue_dsn_forwarded(q, m, verp->id, to, e) < 0)
        return -1;
    if (!counts || !read_verdict(m, &verdict))
        return 0;
    const struct failure f = {.address = to->address,
                              .stream = to->stream,
                              .source = is_complaint(event) ? SLICE("complaint") : SLICE("report"),
                              .evidence = report.text,
                              .id = verp->id,
                              .verdict = &verdict};
    return queue_count_failure(q, &f, e);
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
    if (queue_read_return_path(q, m.address, &verp, &addressee) != VERP_GOOD) {
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

static int each_recipient(struct queue *q, const struct loaded *l, const struct ledger_result *r,
                          int (*fn)(struct queue *q, const struct loaded *l,
                                    const struct ledger_recipient *to,
                                    const struct ledger_result *r,
                                    const struct bounce_verdict *verdict, struct err *e),
                          const struct bounce_verdict *verdict, struct err *e)
{
    for (size_t i = 0; i < r->recipients.n; i++)
        for (uint32_t k = r->recipients.p[i].first; k <= r->recipients.p[i].last; k++) {
            const struct ledger_recipient *to = queue_recipient_of(l, k);
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
    return queue_is_local(q, to->address) ? 0 : queue_count_failure(q, &f, e);
}

static int clear_recipient(struct queue *q, const struct loaded *l,
                           const struct ledger_recipient *to, const struct ledger_result *r,
                           const struct bounce_verdict *verdict, struct err *e)
{
    (void)r, (void)verdict;
    return ledger_clear_failures(q->ledger, to->address, l->message.stream, e);
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
    return queue_dsn_results(q, &l, results, n, success, e);
}
