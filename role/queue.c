/* The queue role: opens spool and ledger, forms groups, commits them, answers. */
#include "role/queue_in.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/crypt/hash.h"
#include "store/ledger/dmarc.h"

#define ARENA_MAX (64u << 20)
#define FACTS_MAX (256u << 20)
#define READY_MAX 2000
#define IN_FLIGHT_MAX 4000
#define LOAD_BATCH 500
#define REST_FIRST_MS 30000
#define REST_MAX_MS (15 * 60 * 1000)
#define HOUSE_EVERY_MS 5000
#define OUTCOMES_WAIT_MS 4
#define OUTCOMES_WAIT_MAX 64
#define FAILURES_KEPT_MS (INT64_C(3650) * 86400000) /* longer than any threshold looks back */
#define DMARC_PERIODS_KEPT_MS (INT64_C(30) * 86400000)
#define FACTS_AGAIN_MS 1000

uint64_t queue_random(struct queue *q)
{
    /* xorshift64*: for spreading retries, not for secrets */
    q->random_state ^= q->random_state >> 12;
    q->random_state ^= q->random_state << 25;
    q->random_state ^= q->random_state >> 27;
    return q->random_state * UINT64_C(0x2545f4914f6cdd1d);
}

void queue_grow(void *array, size_t *cap, size_t need, size_t size)
{
    void **p = array;

    if (need <= *cap)
        return;
    *cap = *cap == 0 ? 64 : *cap * 2;
    if (*cap < need)
        *cap = need;
    *p = mem_resize(*p, *cap * size);
}

void queue_open_group(struct queue *q)
{
    struct err e;

    if (q->in_group)
        return;
    q->in_group = true;
    q->spoiled = false;
    if (ledger_begin(q->ledger, &e) < 0) {
        log_error(q->env.log, "ledger.begin", LOG_ERR(&e));
        q->spoiled = true;
    }
}

/* --- after the group --- */

static void answer_accepts(struct queue *q, bool good, bool full)
{
    for (size_t i = 0; i < q->accept_n; i++) {
        const struct pending_accept *p = &q->accepts[i];
        struct bus *bus = q->inbound[p->link].bus;
        struct msg_accepted m = {.txn = p->txn, .id = p->id, .duplicate = p->duplicate};

        m.code = good ? 250 : full ? 452 : 451;
        if (!good)
            m.text = full ? SLICE("The disk is full here; try again later")
                          : SLICE("The message could not be stored; try again later");
        if (!p->is_report)
            metric_add(q->env.metrics,
                       !good          ? METRIC_messages_tempfailed_total
                       : p->duplicate ? METRIC_messages_duplicate_total
                                      : METRIC_messages_accepted_total,
                       1);
        if (good && !p->duplicate && !p->is_report) {
            metric_add(q->env.metrics, METRIC_recipients_accepted_total, p->recipients);
            metric_add(q->env.metrics, METRIC_bytes_accepted_total, p->bytes);
        }
        if (bus == NULL)
            continue;
        msg_accepted_encode(&m, bus_begin(bus, MSG_ACCEPTED));
        bus_end(bus);
    }
    metric_observe(q->env.metrics, METRIC_group_size, q->accept_n);
    q->accept_n = 0;
}

static void answer_dots(struct queue *q, bool good)
{
    for (size_t i = 0; i < q->dot_n; i++) {
        struct bus *bus = q->outbound[q->dots[i].link].bus;
        const struct msg_dot_granted m = {.attempt = q->dots[i].attempt, .granted = good};

        struct job *job = map_get(q->attempts, map_key_u64(&m.attempt));

        if (job != NULL)
            job->dot_granted = good;
        if (bus == NULL)
            continue;
        msg_dot_granted_encode(&m, bus_begin(bus, MSG_DOT_GRANTED));
        bus_end(bus);
    }
    q->dot_n = 0;
}

static void schedule_committed(struct queue *q)
{
    int64_t now_ms = loop_unix_ms(q->env.loop);

    for (size_t i = 0; i < q->fresh_n; i++) {
        struct job *job = q->fresh[i];

        schedule_fresh(q->schedule, (struct slice){job->site, job->site_n}, &job->unit);
    }
    for (size_t i = 0; i < q->done_n; i++) {
        struct pending_done *d = &q->dones[i];
        struct slice site = {d->job->site, d->job->site_n};

        if (d->due_ms != LEDGER_NEVER)
            schedule_expect(q->schedule, site, d->due_ms);
        schedule_done(q->schedule, &d->job->unit, d->site_down, now_ms, queue_random(q));
        (void)map_remove(q->attempts, map_key_u64(&d->job->attempt));
        queue_free_job(&d->job);
    }
    q->fresh_n = q->done_n = 0;
    buf_clear(&q->facts);
}

static void end_expiries(struct queue *q, bool good)
{
    int64_t again_ms = loop_unix_ms(q->env.loop) + FACTS_AGAIN_MS;

    for (size_t i = 0; i < q->expiry_n; i++) {
        struct pending_expiry *x = &q->expiries[i];

        if (!good) { /* it is as old the next time */
            ledger_give_back(q->ledger, x->work);
            schedule_expect(q->schedule, slice_of(x->site), again_ms);
        }
        free(x->site);
    }
    q->expiry_n = 0;
}

/* Nothing of the group happened. Mail was refused; facts stay to be written again. */
static void undo_group(struct queue *q)
{
    for (size_t i = 0; i < q->fresh_n; i++)
        queue_free_job(&q->fresh[i]);
    for (size_t i = 0; i < q->done_n; i++)
        q->dones[i].job->settled = false;
    q->fresh_n = q->done_n = 0;
    buf_append(&q->facts_owed, buf_slice(&q->facts));
    buf_clear(&q->facts);
    loop_timer_set(&q->wake, FACTS_AGAIN_MS);
}

static bool commit_stores(struct queue *q, bool *full_out)
{
    struct spool_counters before = spool_counters(q->spool);
    struct err e;

    *full_out = q->spoiled && (spool_is_full(q->spool) || ledger_is_full(q->ledger));
    if (!q->spoiled && spool_has_staged(q->spool) && spool_commit(q->spool, &e) < 0) {
        log_error(q->env.log, "spool.commit", LOG_ERR(&e));
        *full_out = spool_is_full(q->spool);
        q->spoiled = true;
    }
    if (q->spoiled) {
        spool_rollback(q->spool);
        ledger_rollback(q->ledger);
        return false;
    }
    if (ledger_commit(q->ledger, &e) < 0) {
        log_error(q->env.log, "ledger.commit", LOG_ERR(&e));
        *full_out = ledger_is_full(q->ledger);
        return false;
    }
    struct spool_counters after = spool_counters(q->spool);
    metric_add(q->env.metrics, METRIC_fsyncs_total, after.syncs - before.syncs + 1);
    metric_add(q->env.metrics, METRIC_spool_bytes_written_total, after.bytes - before.bytes);
    return true;
}

/* Facts that an earlier group could not write down. */
static void write_facts_again(struct queue *q)
{
    struct buf facts = q->facts_owed;
    struct slice rest = buf_slice(&facts);

    buf_init(&q->facts_owed, FACTS_MAX);
    while (rest.n >= sizeof(uint32_t)) {
        uint32_t n;

        memcpy(&n, rest.p, sizeof n);
        queue_take_outcome(q, slice_sub(rest, sizeof n, n));
        rest = slice_from(rest, sizeof n + n);
    }
    buf_finish(&facts);
}

/* Nobody waits for outcomes alone: for a moment they stay open, so that the sync of the next mail
 * or dot covers them too. */
static bool can_wait(struct queue *q)
{
    int64_t now_ms = loop_now_ms(q->env.loop);

    if (q->accept_n > 0 || q->dot_n > 0 || q->done_n == 0 || q->done_n >= OUTCOMES_WAIT_MAX ||
        q->fresh_n > 0 || q->spoiled || q->stopping)
        return false;
    if (q->outcomes_since_ms == 0)
        q->outcomes_since_ms = now_ms;
    if (now_ms - q->outcomes_since_ms >= OUTCOMES_WAIT_MS)
        return false;
    loop_timer_set(&q->wake, 1);
    return true;
}

static void commit_group(void *ctx)
{
    struct queue *q = ctx;
    int64_t start_us;
    bool good, full;
    struct err e;

    if (q->in_group && can_wait(q))
        return;
    if (q->in_group) {
        start_us = loop_clock_us();
        queue_reports_write(q);
        good = commit_stores(q, &full);
        q->in_group = false;
        q->outcomes_since_ms = 0;
        metric_observe(q->env.metrics, METRIC_group_seconds,
                       (uint64_t)(loop_clock_us() - start_us));
        answer_accepts(q, good, full);
        answer_dots(q, good);
        if (good)
            schedule_committed(q);
        else
            undo_group(q);
        end_expiries(q, good);
        queue_reports_committed(q, good);
        queue_control_committed(q->control, good);
        if (good && ledger_checkpoint_if_due(q->ledger, &e) < 0)
            log_warn(q->env.log, "ledger.checkpoint", LOG_ERR(&e));
    }
    queue_run_schedule(q);
}

void queue_run_schedule(struct queue *q)
{
    int64_t now_ms = loop_unix_ms(q->env.loop);
    int64_t next_ms = q->stopping ? INT64_MAX : schedule_run(q->schedule, now_ms);

    if (next_ms != INT64_MAX && q->facts_owed.n == 0)
        loop_timer_set(&q->wake, next_ms > now_ms ? next_ms - now_ms : 1);
}

static void woken(void *ctx)
{
    struct queue *q = ctx;

    if (q->facts_owed.n > 0)
        write_facts_again(q);
    /* the turn's end commits and runs the schedule */
}

/* --- keeping house --- */

static void watch_disk(struct queue *q)
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (statvfs(q->spool_dir, &fs) < 0)
        return;
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    bool low = free_bytes < (uint64_t)q->conf->disk_free_min;
    if (low != q->disk_low)
        log_warn(q->env.log, low ? "disk.low" : "disk.enough", LOG_INT("free_bytes", free_bytes),
                 LOG_INT("disk_free_min", q->conf->disk_free_min));
    q->disk_low = low;
}

static void remove_old_segments(struct queue *q, int64_t before_ms)
{
    struct ledger_segment idle[16];
    size_t n = ledger_idle_segments(q->ledger, before_ms, idle, COUNT(idle));
    struct err e;

    for (size_t i = 0; i < n; i++) {
        if (idle[i].segment == spool_current_segment(q->spool))
            continue;
        if (spool_remove_segment(q->spool, idle[i].segment, &e) < 0 ||
            ledger_forget_segment(q->ledger, idle[i].segment, &e) < 0)
            log_warn(q->env.log, "spool.remove", LOG_INT("segment", idle[i].segment), LOG_ERR(&e));
    }
}

static void show_depth(struct queue *q)
{
    struct schedule_counters s = schedule_counters(q->schedule);
    struct metrics *m = q->env.metrics;

    metric_set(m, METRIC_queue_messages, (int64_t)ledger_counters(q->ledger).units);
    metric_set(m, METRIC_queue_in_flight, (int64_t)s.in_flight);
    metric_set(m, METRIC_queue_ready, (int64_t)s.ready);
    metric_set(m, METRIC_queue_sites, (int64_t)s.sites);
    metric_set(m, METRIC_queue_sites_resting, (int64_t)s.resting);
}

static void keep_house(void *ctx)
{
    struct queue *q = ctx;
    int64_t now_ms = loop_unix_ms(q->env.loop);
    int64_t before_ms = now_ms - q->conf->retention_ms;
    bool more = false;
    struct err e;

    watch_disk(q);
    queue_open_group(q);
    if (!q->spoiled) {
        if (ledger_forget(q->ledger, before_ms, 500, &more, &e) < 0 ||
            ledger_forget_failures(q->ledger, now_ms - FAILURES_KEPT_MS, now_ms, &e) < 0 ||
            ledger_dmarc_forget(q->ledger, (now_ms - DMARC_PERIODS_KEPT_MS) / 1000,
                                (now_ms - q->conf->dmarc_keep_ms) / 1000, &e) < 0) {
            log_warn(q->env.log, "ledger.forget", LOG_ERR(&e));
            q->spoiled = true;
        } else {
            remove_old_segments(q, before_ms);
        }
    }
    show_depth(q);
    loop_timer_set(&q->house, more ? 50 : HOUSE_EVERY_MS);
}

/* --- life --- */

static bool segment_is_known(void *ctx, uint64_t segment)
{
    struct queue *q = ctx;

    return ledger_knows_segment(q->ledger, segment);
}

static int open_stores(struct queue *q, struct err *e)
{
    char path[600];
    struct spool_recovery found;
    uint64_t dangling = 0;
    const struct ledger_settings ledger = {
        .path = path,
        .now_ms = loop_unix_ms(q->env.loop),
        .duplicate_window_ms = q->conf->idempotency_window_ms,
    };
    const struct spool_settings spool = {
        .dir = q->spool_dir,
        .segment_bytes = (uint64_t)q->conf->segment_size,
        .is_known = segment_is_known,
        .is_known_ctx = q,
    };

    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", q->conf->data_dir);
    (void)snprintf(q->spool_dir, sizeof q->spool_dir, "%s/spool", q->conf->data_dir);
    if (ledger_open(&ledger, &q->ledger, e) < 0 || spool_open(&spool, &q->spool, &found, e) < 0)
        return -1;
    if (ledger_recover(q->ledger, queue_judge_dangling, q, loop_unix_ms(q->env.loop), &dangling,
                       e) < 0)
        return -1;
    log_info(q->env.log, "queue.open", LOG_INT("segments", found.segments),
             LOG_INT("cut_bytes", found.cut_bytes), LOG_INT("unknown_outcomes", dangling),
             LOG_INT("unfinished", ledger_counters(q->ledger).units));
    return 0;
}

/* Tells the schedule which sites have work. */
static int list_sites(struct queue *q, struct err *e)
{
    uint32_t site = 0;
    int64_t due_ms;
    struct buf name;

    buf_init(&name, 1024);
    for (;;) {
        if (ledger_next_site(q->ledger, site, &site, &due_ms, e) < 0)
            return -1;
        if (site == 0)
            break;
        buf_clear(&name);
        if (ledger_site_name(q->ledger, site, &name, e) < 0)
            return -1;
        if (due_ms != LEDGER_NEVER)
            schedule_expect(q->schedule, buf_slice(&name), due_ms);
    }
    buf_finish(&name);
    return 0;
}

/* What is under way finds out from the ledger after the next start; nothing is written any more. */
static void free_jobs(struct queue *q)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(q->attempts, &cursor, &key, &value)) {
        struct job *job = value;

        queue_free_job(&job);
    }
    for (size_t i = 0; i < q->fresh_n; i++)
        queue_free_job(&q->fresh[i]);
    for (size_t i = 0; i < q->expiry_n; i++)
        free(q->expiries[i].site);
}

static void queue_destroy(void *role)
{
    struct queue *q = role;

    queue_control_destroy(&q->control);
    queue_bounce_destroy(q);
    queue_own_destroy(q);
    queue_srs_destroy(q);
    queue_reports_destroy(q);
    queue_doctor_destroy(q);
    queue_maildir_destroy(q);
    loop_hook_remove(&q->commit_hook);
    loop_timer_finish(&q->wake);
    loop_timer_finish(&q->house);
    for (unsigned i = 0; i < ROLE_COPIES_MAX; i++) {
        queue_forget_pieces(&q->inbound[i]);
        bus_close(&q->inbound[i].bus);
        bus_close(&q->outbound[i].bus);
    }
    schedule_destroy(&q->schedule);
    free_jobs(q);
    spool_close(&q->spool);
    ledger_close(&q->ledger);
    map_destroy(&q->attempts);
    arena_destroy(&q->arena);
    if (q->sites != NULL) {
        size_t cursor = 0;
        struct slice key;
        void *value;

        while (map_next(q->sites, &cursor, &key, &value))
            free(value);
        map_destroy(&q->sites);
    }
    buf_finish(&q->facts);
    buf_finish(&q->facts_owed);
    free(q->accepts);
    free(q->dots);
    free(q->dones);
    free(q->expiries);
    free(q->fresh);
    free(q);
}

static void *queue_create(const struct role_env *env, struct err *e)
{
    struct queue *q = mem_alloc(sizeof *q);
    struct schedule_ports ports = queue_schedule_ports;
    const struct schedule_settings settings = {
        .ready_max = READY_MAX,
        .in_flight_max = IN_FLIGHT_MAX,
        .load_batch = LOAD_BATCH,
        .rest_first_ms = REST_FIRST_MS,
        .rest_max_ms = REST_MAX_MS,
    };

    q->env = *env;
    q->conf = env->conf;
    ports.ctx = q;
    crypt_random(&q->random_state, sizeof q->random_state);
    q->random_state |= 1;
    q->arena = arena_create(ARENA_MAX);
    queue_maildir_create(q);
    queue_own_create(q);
    queue_reports_create(q);
    q->sites = map_create(q->random_state);
    q->attempts = map_create(q->random_state);
    q->next_attempt = 1;
    buf_init(&q->facts, FACTS_MAX);
    buf_init(&q->facts_owed, FACTS_MAX);
    loop_timer_init(&q->wake, env->loop, woken, q);
    loop_timer_init(&q->house, env->loop, keep_house, q);
    if (mkdir(q->conf->data_dir, 0750) < 0 && errno != EEXIST) {
        (void)err_system(e, errno, "data_dir %s cannot be made", q->conf->data_dir);
        queue_destroy(q);
        return NULL;
    }
    q->schedule = schedule_create(&settings, &ports);
    if (open_stores(q, e) < 0 || list_sites(q, e) < 0 || queue_bounce_create(q, e) < 0 ||
        queue_srs_create(q, e) < 0) {
        queue_destroy(q);
        return NULL;
    }
    queue_doctor_create(q);
    loop_on_turn_end(env->loop, &q->commit_hook, LOOP_COMMIT, commit_group, q);
    if (env->control >= 0)
        q->control = queue_control_create(q, env->control);
    watch_disk(q);
    loop_timer_set(&q->house, 1000);
    return q;
}

/* --- the bus --- */

static void from_inbound(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct queue_link *link = ctx;

    (void)fd; /* inbound sends none; the bus closes what nobody takes */
    if (type == MSG_SUBMIT)
        queue_take_submit(link->queue, link, payload);
    else if (type == MSG_BODY_PIECE)
        queue_take_piece(link->queue, link, payload);
    else if (type == MSG_ABANDON)
        queue_take_abandon(link->queue, link, payload);
    else if (type == MSG_CHECK)
        queue_take_check(link->queue, link, payload);
    else if (type == MSG_REPORT)
        queue_take_report(link->queue, link, payload);
    else if (type == MSG_DMARC_SEEN)
        queue_take_dmarc_seen(link->queue, payload);
    else if (type == MSG_DMARC_PIECE)
        queue_take_dmarc_piece(link->queue, link, payload);
}

static void from_outbound(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct queue_link *link = ctx;

    (void)fd;
    if (type == MSG_DOT_WANTED)
        queue_take_dot(link->queue, link, payload);
    else if (type == MSG_OUTCOME)
        queue_take_outcome(link->queue, payload);
    else if (type == MSG_RUA_ANSWER)
        queue_take_rua_answer(link->queue, payload);
    else if (type == MSG_DOCTOR_FOUND && link->index == 0)
        queue_doctor_take_found(link->queue, payload);
}

static void link_closed(void *ctx, const struct err *why)
{
    struct queue_link *link = ctx;

    log_info(link->queue->env.log, "queue.peer_gone",
             LOG_STRING("peer", role_table[link->kind]->name), LOG_INT("index", link->index),
             LOG_ERR(why));
    bus_close(&link->bus);
    queue_forget_pieces(link);
    if (link->kind == ROLE_OUTBOUND)
        queue_lost_outbound(link->queue, link->index);
    if (link->kind == ROLE_OUTBOUND && link->index == 0)
        queue_doctor_lost(link->queue);
}

static const struct bus_handlers inbound_handlers = {from_inbound, NULL, link_closed};
static const struct bus_handlers outbound_handlers = {from_outbound, NULL, link_closed};

static void queue_attach(void *role, enum role_kind peer, unsigned index, struct bus *bus)
{
    struct queue *q = role;
    struct queue_link *link = peer == ROLE_INBOUND ? &q->inbound[index] : &q->outbound[index];

    if (peer == ROLE_KEYS) {
        queue_own_attached(q, bus);
        return;
    }
    if (link->bus != NULL)
        link_closed(link, &(struct err){.text = "replaced"});
    *link = (struct queue_link){.queue = q, .kind = peer, .index = index, .bus = bus};
    bus_set_handlers(bus, peer == ROLE_INBOUND ? &inbound_handlers : &outbound_handlers, link);
    if (peer == ROLE_INBOUND)
        queue_bounce_attached(q, bus);
    if (peer == ROLE_OUTBOUND && index >= q->outbound_n)
        q->outbound_n = index + 1;
    loop_timer_set(&q->wake, 0);
}

static void queue_stop(void *role)
{
    struct queue *q = role;

    if (queue_reports_has_counted(q))
        queue_open_group(q);
    q->stopping = true; /* dispatches nothing more; what is open commits at the turn's end */
    if (q->env.stopped != NULL)
        q->env.stopped(q->env.stopped_ctx);
}

static void queue_settings(void *role, const struct conf *conf)
{
    struct queue *q = role;

    q->conf = conf;
    queue_bounce_settings(q);
    queue_reports_settings(q);
    queue_doctor_settings(q);
    schedule_wake(q->schedule, SLICE(""));
}

const struct role_ops queue_role = {
    .name = "queue",
    .jail = PROC_JAIL_QUEUE,
    .create = queue_create,
    .attach = queue_attach,
    .stop = queue_stop,
    .settings = queue_settings,
    .destroy = queue_destroy,
    .sees = {[ROLE_INBOUND] = true, [ROLE_OUTBOUND] = true, [ROLE_KEYS] = true},
};
