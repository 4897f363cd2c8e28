/* The queue role and DMARC's aggregate reports: what is seen is counted, and once a day told to
 * those who ask for it; what others tell about us is kept.
 *
 *     dmarc_seen --> counted in memory --with the next group--> ledger
 *     a day is over --> next period --rua_question--> outbound --rua_answer--> mail, period closed
 *     dmarc_piece --> ledger
 *
 * A run goes through the periods one by one, one turn each, so that no mail waits for it. */
#include "lib/dmarc/destination.h"
#include "lib/dmarc/mail.h"
#include "lib/dmarc/tally.h"
#include "role/queue_in.h"
#include "role/report_making.h"
#include "store/ledger/dmarc.h"

#define DAY_S 86400
#define COUNTED_MAX 4096  /* different rows in memory, until the next group */
#define FIRST_RUN_MS 3000 /* after the start */
#define AGAIN_MS 3600000
#define JITTER_MS 3600000
#define ANSWER_PATIENCE_MS 120000
#define LOOK_BACK_DAYS 7 /* older days are not reported any more */
#define TRY_DAYS 3       /* so long it is tried again when DNS did not answer */
#define NOTE_MAX 2000
#define MAIL_HEAD_MAX 16384
/* of a report: rows in memory, its XML (an entity takes six bytes for one), and what is packed */
#define MEMORY_MAX (REPORT_MAKING_BYTES + (1u << 20))

_Static_assert(DMARC_TALLY_LINE_MAX <= LEDGER_DMARC_LINE_MAX, "the ledger has room for a row");
_Static_assert(DMARC_TALLY_POLICY_MAX <= LEDGER_DMARC_TEXT_MAX, "and for a policy");
_Static_assert(DMARC_TALLY_REPORT_ROWS <= LEDGER_DMARC_RECEIVED_ROWS_MAX, "and for a report");

struct counted {
    struct slice domain, policy, rua, row;
    int64_t now_s;
    uint64_t count;   /* not written yet */
    uint64_t written; /* in the group that is open */
};

struct queue_reports {
    struct queue *queue;
    struct map *counted;
    struct arena *texts; /* of `counted` */
    uint64_t request;    /* that is answered next */
    struct loop_timer timer, patience;
    struct loop_deferred step;

    bool is_running;
    int64_t first_day, last_day, after;
    struct arena *arena; /* of the period in hand */
    struct ledger_dmarc_period period;
    bool is_asked;    /* outbound has a question about it */
    bool has_unknown; /* DNS did not answer about some, or the disk failed: come again */
    bool is_manual;   /* a person asked for this run */
};

/* --- counting --- */

static void count_seen(struct queue_reports *r, const struct msg_dmarc_seen *m)
{
    int64_t now_s = loop_unix_s(r->queue->env.loop);
    struct buf key;
    struct counted *c;

    buf_init(&key, 65536);
    buf_printf(&key, "%lld ", (long long)(now_s / DAY_S));
    buf_append(&key, m->domain);
    buf_append_char(&key, '\t');
    buf_append(&key, m->row);
    c = map_get(r->counted, buf_slice(&key));
    if (c == NULL && map_count(r->counted) < COUNTED_MAX && !key.full) {
        c = arena_alloc(r->texts, sizeof *c);
        if (c != NULL) {
            *c = (struct counted){.domain = arena_copy(r->texts, m->domain),
                                  .policy = arena_copy(r->texts, m->policy),
                                  .rua = arena_copy(r->texts, m->rua),
                                  .row = arena_copy(r->texts, m->row),
                                  .now_s = now_s};
            if (c->row.p == NULL || c->rua.p == NULL)
                c = NULL;
            else
                (void)map_put(r->counted, buf_slice(&key), c);
        }
    }
    if (c != NULL)
        c->count++;
    metric_add(r->queue->env.metrics,
               c != NULL ? METRIC_dmarc_counted_total : METRIC_dmarc_left_out_total, 1);
    buf_finish(&key);
}

void queue_take_dmarc_seen(struct queue *q, struct slice payload)
{
    struct msg_dmarc_seen m;

    arena_reset(q->arena);
    if (msg_dmarc_seen_decode(payload, q->arena, &m))
        count_seen(q->reports, &m);
}

static int write_counted(struct queue *q, struct counted *c, struct err *e)
{
    const struct ledger_dmarc_count count = {.now_s = c->now_s,
                                             .domain = c->domain,
                                             .policy = c->policy,
                                             .rua = c->rua,
                                             .row = c->row,
                                             .count = c->count};
    bool kept;

    if (c->count == 0)
        return 0;
    if (ledger_dmarc_count(q->ledger, &count, &kept, e) < 0)
        return -1;
    if (!kept)
        metric_add(q->env.metrics, METRIC_dmarc_left_out_total, c->count);
    c->written += c->count;
    c->count = 0;
    return 0;
}

void queue_reports_write(struct queue *q)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    struct err e;

    while (!q->spoiled && map_next(q->reports->counted, &cursor, &key, &value))
        if (write_counted(q, value, &e) < 0) {
            log_error(q->env.log, "ledger.dmarc", LOG_ERR(&e));
            q->spoiled = true;
        }
}

void queue_reports_committed(struct queue *q, bool good)
{
    struct queue_reports *r = q->reports;
    size_t cursor = 0;
    struct slice key;
    void *value;

    if (!good && r->is_running)
        r->has_unknown = true; /* what was closed is open again: come again for it */
    if (map_count(r->counted) == 0)
        return;
    if (good) { /* all of it was written: queue_reports_write() comes before each commit */
        map_destroy(&r->counted);
        r->counted = map_create(r->queue->random_state);
        arena_reset(r->texts);
        return;
    }
    while (map_next(r->counted, &cursor, &key, &value)) {
        struct counted *c = value;

        c->count += c->written;
        c->written = 0;
    }
}

bool queue_reports_has_counted(const struct queue *q)
{
    return map_count(q->reports->counted) > 0;
}

/* --- a run --- */

static void sleep_until_tomorrow(struct queue_reports *r)
{
    int64_t now_s = loop_unix_s(r->queue->env.loop);
    int64_t wait_ms = (DAY_S - now_s % DAY_S) * 1000;

    loop_timer_set(&r->timer, r->has_unknown && wait_ms > AGAIN_MS
                                  ? AGAIN_MS
                                  : wait_ms + (int64_t)(queue_random(r->queue) % JITTER_MS));
}

static void end_run(struct queue_reports *r)
{
    r->is_running = false;
    loop_timer_stop(&r->patience);
    if (r->is_manual)
        loop_timer_set(&r->timer, FIRST_RUN_MS); /* what else may be due */
    else
        sleep_until_tomorrow(r);
}

static struct bus *find_outbound(struct queue *q)
{
    for (unsigned i = 0; i < q->outbound_n; i++)
        if (q->outbound[i].bus != NULL && !q->outbound[i].stopping)
            return q->outbound[i].bus;
    return NULL;
}

/* The next period: who may be told about it? */
static void ask_next(void *ctx)
{
    struct queue_reports *r = ctx;
    struct queue *q = r->queue;
    struct bus *bus = find_outbound(q);
    struct err e;
    bool found;

    if (!r->is_running || q->stopping)
        return;
    if (bus == NULL) { /* it is being started again */
        loop_timer_set(&r->patience, 1000);
        return;
    }
    arena_reset(r->arena);
    if (ledger_dmarc_next(q->ledger, r->after, r->first_day, r->last_day, r->arena, &found,
                          &r->period, &e) < 0) {
        log_error(q->env.log, "ledger.dmarc", LOG_ERR(&e));
        found = false;
    }
    if (!found) {
        end_run(r);
        return;
    }
    r->after = r->period.id;
    const struct msg_rua_question m = {
        .request = ++r->request, .domain = r->period.domain, .rua = r->period.rua};
    msg_rua_question_encode(&m, bus_begin(bus, MSG_RUA_QUESTION));
    bus_end(bus);
    r->is_asked = true;
    loop_timer_set(&r->patience, ANSWER_PATIENCE_MS);
}

static void start_run(struct queue_reports *r, int64_t first_day, int64_t last_day, bool is_manual)
{
    r->is_running = true;
    r->is_manual = is_manual;
    r->is_asked = r->has_unknown = false;
    r->first_day = first_day;
    r->last_day = last_day;
    r->after = 0;
    loop_defer(r->queue->env.loop, &r->step);
}

/* The outbound process died, or DNS is stuck: on with the next one; this one comes again. */
static void patience_over(void *ctx)
{
    struct queue_reports *r = ctx;

    r->request++;
    r->has_unknown = r->has_unknown || r->is_asked;
    r->is_asked = false;
    ask_next(r);
}

static void time_to_report(void *ctx)
{
    struct queue_reports *r = ctx;
    int64_t today = loop_unix_s(r->queue->env.loop) / DAY_S;

    if (r->is_running)
        return;
    if (r->queue->conf->dmarc_reports)
        start_run(r, today - LOOK_BACK_DAYS, today - 1, false);
    else
        sleep_until_tomorrow(r);
}

/* --- one report --- */

struct posting {
    struct queue *queue;
    const struct dmarc_report *report;
    struct buf xml, note;
    struct slice from;
    unsigned sent, unknown;
};

static void note_place(struct posting *p, const struct msg_rua_place *place, const char *what)
{
    buf_printf(&p->note, "%snot to %.*s: %s", p->note.n > 0 ? "; " : "",
               SLICE_ARG(slice_sub(place->address, 0, 254)), what);
}

static int post_to(struct posting *p, const struct msg_rua_place *place, struct err *e)
{
    struct queue *q = p->queue;
    char id[ID_TEXT_N + 1];
    struct own_mail m = {
        .id = queue_own_id(q),
        .sender = p->from,
        .to = place->address,
        .to_options = SLICE("NOTIFY=NEVER"),
        .stream = SLICE(QUEUE_REPORTS_STREAM),
        .author = p->from,
        .subject = arena_printf(q->arena, "Report Domain: %.*s", SLICE_ARG(p->report->domain))};
    struct buf head, body;
    int result;

    id_encode(m.id, id);
    const struct dmarc_mail mail = {.from = p->from,
                                    .to = place->address,
                                    .submitter = slice_of(q->conf->hostname),
                                    .id = slice_of(id),
                                    .report = p->report,
                                    .now_s = loop_unix_s(q->env.loop)};
    buf_init(&head, MAIL_HEAD_MAX);
    buf_init(&body, DMARC_MAIL_BYTES_MAX);
    bool fits = dmarc_mail_write(&mail, buf_slice(&p->xml), &head, &body, e) == 0;
    m.head = buf_slice(&head);
    m.body = buf_slice(&body);
    result = fits ? queue_own_send(q, &m, e) : 0;
    buf_finish(&head);
    buf_finish(&body);
    if (!fits)
        note_place(p, place, e->text);
    if (!fits || result < 0)
        return result;
    metric_add(q->env.metrics, METRIC_dmarc_sent_total, 1);
    buf_printf(&p->note, "%sto %.*s as %s", p->note.n > 0 ? "; " : "", SLICE_ARG(place->address),
               id);
    p->sent++;
    return 0;
}

static int post_to_all(struct posting *p, const struct msg_rua_answer *m, struct err *e)
{
    struct ledger_suppression s;
    bool suppressed;

    for (size_t i = 0; i < m->places_n; i++) {
        const struct msg_rua_place *place = &m->places[i];

        if (place->consent != DMARC_CONSENT_GIVEN) {
            char reason[200];

            (void)snprintf(reason, sizeof reason, "%.*s",
                           SLICE_ARG(slice_sub(place->reason, 0, 199)));
            note_place(p, place, reason);
            p->unknown += place->consent == DMARC_CONSENT_UNKNOWN;
            continue;
        }
        if (queue_find_suppression(p->queue, place->address, SLICE(QUEUE_REPORTS_STREAM),
                                   &suppressed, &s, e) < 0)
            return -1;
        if (suppressed)
            note_place(p, place, "suppressed");
        else if (post_to(p, place, e) < 0)
            return -1;
    }
    if (m->places_n == 0)
        buf_append_text(&p->note, "rua names no address");
    return 0;
}

/* Mail and closing are one transaction: no crash sends twice, or never. */
static int report_period(struct queue_reports *r, const struct msg_rua_answer *m, struct err *e)
{
    struct queue *q = r->queue;
    int64_t now_s = loop_unix_s(q->env.loop), end_s = report_making_end_of(&r->period, now_s);
    struct posting p = {.queue = q, .from = report_making_from(q->conf, r->arena)};
    struct report_making making;
    bool is_late = r->period.day + TRY_DAYS < now_s / DAY_S;
    int result;

    report_making_begin(&making, q->conf, &r->period, end_s, r->arena);
    result = ledger_dmarc_rows(q->ledger, r->period.id, report_making_row, &making, e);
    report_making_end(&making);
    p.report = &making.report;
    buf_init(&p.xml, REPORT_MAKING_XML_MAX);
    buf_init(&p.note, NOTE_MAX);
    dmarc_report_write(&making.report, &p.xml);
    if (result == 0 && (p.xml.full || making.report.row_count == 0))
        buf_append_text(&p.note, p.xml.full ? "the report is too large" : "there are no rows");
    else if (result == 0)
        result = post_to_all(&p, m, e);
    if (result == 0 && p.sent == 0 && p.unknown > 0 && !is_late)
        r->has_unknown = true; /* it stays open */
    else if (result == 0)
        result = ledger_dmarc_close(q->ledger, r->period.id,
                                    p.sent > 0 ? LEDGER_DMARC_SENT : LEDGER_DMARC_SKIPPED, end_s,
                                    buf_slice(&p.note), e);
    if (result == 0)
        log_info(q->env.log, "dmarc.report", LOG_TEXT("domain", r->period.domain),
                 LOG_INT("rows", making.report.row_count), LOG_INT("messages", r->period.messages),
                 LOG_INT("sent", p.sent), LOG_TEXT("note", buf_slice(&p.note)));
    buf_finish(&p.xml);
    buf_finish(&p.note);
    return result;
}

void queue_take_rua_answer(struct queue *q, struct slice payload)
{
    struct queue_reports *r = q->reports;
    struct msg_rua_answer m;
    struct err e;

    arena_reset(q->arena);
    if (!msg_rua_answer_decode(payload, q->arena, &m) || !r->is_running ||
        m.request != r->request || q->stopping)
        return;
    r->request++; /* answered */
    r->is_asked = false;
    queue_open_group(q);
    if (!q->spoiled && report_period(r, &m, &e) < 0) {
        log_error(q->env.log, "dmarc.report", LOG_TEXT("domain", r->period.domain), LOG_ERR(&e));
        if (ledger_in_group(q->ledger))
            q->spoiled = true;
        r->has_unknown = true;
    }
    loop_timer_stop(&r->patience);
    loop_defer(q->env.loop, &r->step);
}

/* --- what people ask for --- */

int queue_reports_run(struct queue *q, struct slice day, uint64_t *count_out, struct err *e)
{
    int64_t today = loop_unix_s(q->env.loop) / DAY_S, first = 0, last = today - 1, after = 0;
    struct queue_reports *r = q->reports;
    struct arena *arena = arena_create(REPORT_MAKING_BYTES);
    struct ledger_dmarc_period p;
    uint64_t number;
    bool found = true;
    int result = 0;

    *count_out = 0;
    if (r->is_running) {
        result = err_set(e, ERR_TEMP, "reports are being sent right now");
    } else if (day.n > 0 && (!slice_to_u64(day, &number) || number > (uint64_t)today)) {
        result = err_set(e, ERR_SYNTAX, "that day is not there yet");
    } else {
        if (day.n > 0)
            first = last = (int64_t)number; /* not above today */
        queue_reports_write(q);
        while (result == 0 && found) {
            result = ledger_dmarc_next(q->ledger, after, first, last, arena, &found, &p, e);
            after = p.id;
            *count_out += result == 0 && found;
            arena_reset(arena);
        }
        if (result == 0)
            start_run(r, first, last, true);
    }
    arena_destroy(&arena);
    return result;
}

bool queue_reports_are_running(const struct queue *q)
{
    return q->reports->is_running;
}

/* --- reports of others --- */

int queue_reports_store(struct queue *q, struct slice text, struct err *e)
{
    struct dmarc_piece piece;
    struct slice rows, line;
    int64_t report;
    uint64_t count;

    if (!dmarc_tally_read_piece(text, &piece, &rows))
        return err_set(e, ERR_SYNTAX, "a piece of a DMARC report cannot be read");
    struct buf policy;
    buf_init(&policy, DMARC_TALLY_POLICY_MAX);
    dmarc_tally_write_policy(&piece.report, &policy);
    const struct ledger_dmarc_received r = {.org = piece.report.org_name,
                                            .report_id = piece.report.report_id,
                                            .domain = piece.report.domain,
                                            .email = piece.report.email,
                                            .policy = buf_slice(&policy),
                                            .begin_s = piece.report.begin_unix_s,
                                            .end_s = piece.report.end_unix_s,
                                            .now_s = loop_unix_s(q->env.loop),
                                            .first = piece.first,
                                            .is_last = piece.is_last};
    int result = ledger_dmarc_store(q->ledger, &r, &report, e);
    buf_finish(&policy);
    for (uint64_t n = piece.first;
         result == 0 && report != 0 && dmarc_tally_next_row(&rows, &line, &count); n++)
        result = ledger_dmarc_add_row(q->ledger, report, n, line, count, e);
    if (result == 0 && report != 0 && piece.is_last)
        metric_add(q->env.metrics, METRIC_dmarc_received_total, 1);
    return result;
}

static void refuse_piece(struct queue_link *from, const struct msg_dmarc_piece *m,
                         const struct err *e)
{
    const struct msg_accepted no = {.txn = m->txn,
                                    .id = m->id,
                                    .code = e->code == ERR_LIMIT ? 452 : 554,
                                    .text = slice_of(e->text)};

    msg_accepted_encode(&no, bus_begin(from->bus, MSG_ACCEPTED));
    bus_end(from->bus);
}

void queue_take_dmarc_piece(struct queue *q, struct queue_link *from, struct slice payload)
{
    struct msg_dmarc_piece m;
    struct err e;

    arena_reset(q->arena);
    if (!msg_dmarc_piece_decode(payload, q->arena, &m))
        return;
    queue_open_group(q);
    if (!q->spoiled && queue_reports_store(q, m.piece, &e) < 0) {
        log_warn(q->env.log, "dmarc.received", LOG_ERR(&e));
        if (e.code != ERR_LIMIT && e.code != ERR_SYNTAX) {
            q->spoiled = true;
        } else if (m.answers) { /* nothing of it was written: no other mail suffers */
            refuse_piece(from, &m, &e);
            return;
        }
    }
    if (m.answers)
        queue_add_report_answer(q, from, m.txn, m.id);
}

/* --- life --- */

void queue_reports_create(struct queue *q)
{
    struct queue_reports *r = mem_alloc(sizeof *r);

    q->reports = r;
    r->queue = q;
    r->counted = map_create(q->random_state);
    r->texts = arena_create((size_t)64 << 20);
    r->arena = arena_create(MEMORY_MAX);
    loop_timer_init(&r->timer, q->env.loop, time_to_report, r);
    loop_timer_init(&r->patience, q->env.loop, patience_over, r);
    loop_deferred_init(&r->step, ask_next, r);
    loop_timer_set(&r->timer, FIRST_RUN_MS);
}

void queue_reports_destroy(struct queue *q)
{
    struct queue_reports *r = q->reports;

    if (r == NULL)
        return;
    loop_timer_finish(&r->timer);
    loop_timer_finish(&r->patience);
    loop_deferred_cancel(&r->step);
    map_destroy(&r->counted);
    arena_destroy(&r->texts);
    arena_destroy(&r->arena);
    free(r);
    q->reports = NULL;
}

void queue_reports_settings(struct queue *q)
{
    if (!q->reports->is_running)
        loop_timer_set(&q->reports->timer, FIRST_RUN_MS);
}
