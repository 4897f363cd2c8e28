#include "store/ledger/reader.h"

#include "store/ledger/reader_in.h"

#define HOUR_MS 3600000
#define STATES_UNFINISHED (1u << LEDGER_QUEUED | 1u << LEDGER_HELD | 1u << LEDGER_UNKNOWN_HELD)
#define STORY_EVENTS_MAX 100000u

int ledger_reader_open(const char *path, struct ledger_reader **reader_out, struct err *e)
{
    struct ledger_reader *r = mem_alloc(sizeof *r);
    struct db_options options = {.path = path, .read_only = true, .cache_kib = 8192};
    int64_t version;

    if (db_open(&r->db, &options, e) != 0 ||
        db_pragma_int(&r->db, "PRAGMA user_version", &version, e) != 0)
        goto bad;
    if (version != SCHEMA_VERSION) {
        err_set(e, ERR_SYNTAX, "%s has schema %lld, this program needs %d", path,
                (long long)version, SCHEMA_VERSION);
        goto bad;
    }
    if (db_prepare(&r->db, reader_sql, READ_COUNT, e) != 0)
        goto bad;
    *reader_out = r;
    return 0;
bad:
    ledger_reader_close(&r);
    return -1;
}

void ledger_reader_close(struct ledger_reader **reader)
{
    if (*reader == NULL)
        return;
    db_close(&(*reader)->db);
    free(*reader);
    *reader = NULL;
}

int reader_begin(struct ledger_reader *r, struct err *e)
{
    return db_run(&r->db, READ_BEGIN, e);
}

int reader_end(struct ledger_reader *r, int result)
{
    struct err ignored;

    return db_run(&r->db, READ_END, &ignored) == 0 ? result : -1;
}

/* --- the queue --- */

static bool is_in_domain(struct slice address, struct slice domain)
{
    size_t at = slice_find_last(address, '@');

    return at != SLICE_NONE && slice_eq_nocase(slice_from(address, at + 1), domain);
}

static bool fits(const struct ledger_filter *f, const struct ledger_row *row)
{
    return (f->domain.n == 0 || is_in_domain(row->address, f->domain)) &&
           (f->site.n == 0 || slice_eq_nocase(row->site, f->site)) &&
           (f->stream.n == 0 || slice_eq(row->stream, f->stream)) &&
           (f->tag.n == 0 || slice_eq(row->tag, f->tag)) &&
           (f->sender.n == 0 || slice_eq_nocase(row->sender, f->sender)) &&
           (f->recipient.n == 0 || slice_eq_nocase(row->address, f->recipient)) &&
           (id_is_none(f->id) || id_eq(row->id, f->id));
}

static struct ledger_row read_row(const struct db *db)
{
    return (struct ledger_row){
        .id = {(uint64_t)db_int(db, READ_ROWS, 0), (uint64_t)db_int(db, READ_ROWS, 1)},
        .n = (uint32_t)db_int(db, READ_ROWS, 2), /* stored as one */
        .received_ms = db_int(db, READ_ROWS, 3),
        .due_ms = db_int(db, READ_ROWS, 4),
        .sender = db_text(db, READ_ROWS, 5),
        .address = db_text(db, READ_ROWS, 6),
        .site = db_text(db, READ_ROWS, 7),
        .stream = db_text(db, READ_ROWS, 8),
        .tag = db_text(db, READ_ROWS, 9),
        .subject = db_text(db, READ_ROWS, 10),
        .size_bytes = (uint64_t)db_int(db, READ_ROWS, 11),
        .state = (enum ledger_state)db_int(db, READ_ROWS, 12), /* stored as one */
        .attempts = (uint32_t)db_int(db, READ_ROWS, 13),       /* stored as one */
        .in_flight = db_int(db, READ_ROWS, 14) != 0,
        .reply_code = (uint32_t)db_int(db, READ_ROWS, 15), /* stored as one */
        .reply_text = db_text(db, READ_ROWS, 16),
    };
}

/* The rows of one message. *left: how many more are wanted; 0 ends the listing. */
static int list_message(struct ledger_reader *r, int64_t id, const struct ledger_filter *f,
                        uint64_t *left, bool (*row)(void *ctx, const struct ledger_row *row),
                        void *ctx, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer = DB_DONE;

    db_bind(db, READ_ROWS, "ii", id, (int64_t)(f->states != 0 ? f->states : STATES_UNFINISHED));
    while (*left > 0 && (answer = db_step(db, READ_ROWS, e)) == DB_ROW) {
        struct ledger_row found = read_row(db);
        if (!fits(f, &found))
            continue;
        *left = row(ctx, &found) ? *left - 1 : 0;
    }
    if (answer == DB_FAILED)
        return -1;
    db_reset(db, READ_ROWS);
    return 0;
}

int ledger_list(struct ledger_reader *r, const struct ledger_filter *f,
                bool (*row)(void *ctx, const struct ledger_row *row), void *ctx, struct err *e)
{
    struct db *db = &r->db;
    uint64_t left = f->limit > 0 ? f->limit : 100;
    unsigned states = f->states != 0 ? f->states : STATES_UNFINISHED;
    int walk = (states & ~STATES_UNFINISHED) != 0 ? READ_ALL : READ_WAITING;
    enum db_answer answer = DB_DONE;
    int result = 0;

    if (reader_begin(r, e) != 0)
        return -1;
    if (!id_is_none(f->id)) /* no walk is needed */
        return reader_end(r, list_message(r, (int64_t)f->id.hi, f, &left, row, ctx, e));
    while (left > 0 && result == 0 && (answer = db_step(db, walk, e)) == DB_ROW)
        result = list_message(r, db_int(db, walk, 0), f, &left, row, ctx, e);
    if (answer == DB_FAILED)
        return reader_end(r, -1);
    db_reset(db, walk);
    return reader_end(r, result);
}

/* --- one message --- */

struct ledger_event reader_event(const struct db *db, int statement, int64_t *prev_out)
{
    int64_t time_ms = db_int(db, statement, 1);
    int64_t took = db_int(db, statement, 10), waited = db_int(db, statement, 11);

    if (prev_out != NULL)
        *prev_out = db_int(db, statement, 12);
    return (struct ledger_event){
        .seq = (uint64_t)db_int(db, statement, 0),
        .time_ms = time_ms,
        .id.hi = (uint64_t)db_int(db, statement, 2),
        .kind = (enum ledger_kind)db_int(db, statement, 3), /* stored as one */
        .recipients = db_text(db, statement, 4),
        .host = db_text(db, statement, 5),
        .ip = db_text(db, statement, 6),
        .reply_code = (uint32_t)db_int(db, statement, 7), /* stored as one */
        .enhanced = db_text(db, statement, 8),
        .text = db_text(db, statement, 9),
        .category = db_text(db, statement, 13),
        .start_ms = took >= 0 ? time_ms - took : 0,
        .dot_ms = waited >= 0 ? time_ms - waited : 0,
    };
}

/* The numbers of events still to be read, and those that were. */
struct trail {
    struct map *seen;
    uint64_t *p;
    size_t n, cap;
};

static void trail_add(struct trail *t, int64_t seq)
{
    uint64_t key = (uint64_t)seq;

    if (seq <= 0 || t->n >= STORY_EVENTS_MAX || map_put(t->seen, map_key_u64(&key), t) != NULL)
        return;
    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 16 : 2 * t->cap;
        t->p = mem_resize(t->p, t->cap * sizeof *t->p);
    }
    t->p[t->n++] = key;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int copy_texts(struct arena *arena, struct slice *const *texts, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        *texts[i] = arena_copy(arena, *texts[i]);
        if (texts[i]->p == NULL)
            return err_set(e, ERR_LIMIT, "no room for the message's texts");
    }
    return 0;
}

/* Follows the events back to where each unit began, then reads them in order. */
static int read_trail(struct ledger_reader *r, struct trail *t, struct arena *arena,
                      struct ledger_story *story, struct err *e)
{
    struct db *db = &r->db;

    for (size_t i = 0; i < t->n; i++) {
        int64_t prev = 0;
        db_bind(db, READ_EVENT, "i", (int64_t)t->p[i]);
        enum db_answer answer = db_step(db, READ_EVENT, e);
        if (answer == DB_FAILED)
            return -1;
        if (answer == DB_ROW)
            reader_event(db, READ_EVENT, &prev);
        db_reset(db, READ_EVENT);
        trail_add(t, prev);
    }
    if (t->n > 0)
        qsort(t->p, t->n, sizeof *t->p, compare_u64);
    struct ledger_event *events = arena_array(arena, t->n + 1, sizeof *events);
    if (events == NULL)
        return err_set(e, ERR_LIMIT, "no room for %zu events", t->n);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        db_bind(db, READ_EVENT, "i", (int64_t)t->p[i]);
        enum db_answer answer = db_step(db, READ_EVENT, e);
        if (answer != DB_ROW) /* forgotten: older than the retention */
            continue;
        struct ledger_event *event = &events[n++];
        *event = reader_event(db, READ_EVENT, NULL);
        event->id = story->message.id;
        event->stream = story->message.stream;
        event->tag = story->message.tag;
        struct slice *texts[] = {&event->recipients, &event->host, &event->ip,
                                 &event->enhanced,   &event->text, &event->category};
        int result = copy_texts(arena, texts, COUNT(texts), e);
        db_reset(db, READ_EVENT);
        if (result != 0)
            return -1;
    }
    story->events = events;
    story->event_count = n;
    return 0;
}

static int read_recipients(struct ledger_reader *r, int64_t first, struct trail *t,
                           struct arena *arena, struct ledger_story *story, struct err *e)
{
    struct db *db = &r->db;
    size_t count = story->message.recipient_count, n = 0;
    struct ledger_recipient_view *views = arena_array(arena, count, sizeof *views);
    enum db_answer answer;

    if (views == NULL)
        return err_set(e, ERR_LIMIT, "no room for %zu recipients", count);
    db_bind(db, READ_RECIPIENTS, "ii", first, first + (int64_t)count - 1);
    while ((answer = db_step(db, READ_RECIPIENTS, e)) == DB_ROW) {
        if (n == count)
            continue;
        struct ledger_recipient_view *view = &views[n++];
        *view = (struct ledger_recipient_view){
            .address = db_text(db, READ_RECIPIENTS, 0),
            .options = db_text(db, READ_RECIPIENTS, 1),
            .site = db_text(db, READ_RECIPIENTS, 2),
            .state = (enum ledger_state)db_int(db, READ_RECIPIENTS, 3), /* stored as one */
            .attempts = (uint32_t)db_int(db, READ_RECIPIENTS, 4),       /* stored as one */
            .due_ms = db_int(db, READ_RECIPIENTS, 5),
            .last_event = (uint64_t)db_int(db, READ_RECIPIENTS, 6),
        };
        if (!ledger_state_is_final(view->state))
            view->dot_ms = db_int(db, READ_RECIPIENTS, 7);
        struct slice *texts[] = {&view->address, &view->options, &view->site};
        if (copy_texts(arena, texts, COUNT(texts), e) != 0) {
            db_reset(db, READ_RECIPIENTS);
            return -1;
        }
        trail_add(t, (int64_t)view->last_event);
    }
    story->recipients = views;
    return answer == DB_DONE ? 0 : -1;
}

static int read_aside(struct ledger_reader *r, struct id id, struct trail *t, struct err *e)
{
    enum db_answer answer;

    db_bind(&r->db, READ_ASIDE, "i", (int64_t)id.hi);
    while ((answer = db_step(&r->db, READ_ASIDE, e)) == DB_ROW)
        trail_add(t, db_int(&r->db, READ_ASIDE, 0));
    return answer == DB_DONE ? 0 : -1;
}

static int read_head(struct ledger_reader *r, struct id id, struct arena *arena,
                     struct ledger_story *story, int64_t *first_out, struct err *e)
{
    struct db *db = &r->db;
    char text[ID_TEXT_N + 1];

    id_encode(id, text);
    db_bind(db, READ_MESSAGE, "i", (int64_t)id.hi);
    enum db_answer answer = db_step(db, READ_MESSAGE, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_DONE)
        return err_set(e, ERR_FOUND, "there is no message %s", text);
    int result = read_message(db, READ_MESSAGE, arena, &story->message, first_out, e);
    struct slice digest = db_text(db, READ_MESSAGE, 21);
    story->message.has_digest = digest.n == LEDGER_DIGEST_BYTES;
    if (story->message.has_digest)
        memcpy(story->message.digest, digest.p, digest.n);
    db_reset(db, READ_MESSAGE);
    if (result == 0 && story->message.id.lo != id.lo)
        return err_set(e, ERR_FOUND, "there is no message %s", text);
    story->message.id = id;
    return result;
}

int ledger_show(struct ledger_reader *r, struct id id, struct arena *arena,
                struct ledger_story *story_out, struct err *e)
{
    struct trail trail = {.seen = map_create(0)};
    int64_t first;
    int result = -1;

    *story_out = (struct ledger_story){0};
    if (reader_begin(r, e) != 0)
        goto out;
    if (read_head(r, id, arena, story_out, &first, e) == 0 &&
        read_recipients(r, first, &trail, arena, story_out, e) == 0 &&
        read_aside(r, id, &trail, e) == 0 && read_trail(r, &trail, arena, story_out, e) == 0)
        result = 0;
    result = reader_end(r, result);
out:
    map_destroy(&trail.seen);
    free(trail.p);
    return result;
}

int ledger_find_message_id(struct ledger_reader *r, struct slice message_id, size_t depth,
                           struct id *out, size_t limit, size_t *n_out, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer = DB_DONE;

    *n_out = 0;
    db_bind(db, READ_NEWEST, "i", (int64_t)depth);
    while (*n_out < limit && (answer = db_step(db, READ_NEWEST, e)) == DB_ROW)
        if (slice_eq(slice_trim(db_text(db, READ_NEWEST, 2)), slice_trim(message_id)))
            out[(*n_out)++] = (struct id){(uint64_t)db_int(db, READ_NEWEST, 0),
                                          (uint64_t)db_int(db, READ_NEWEST, 1)};
    if (answer == DB_FAILED)
        return -1;
    db_reset(db, READ_NEWEST);
    return 0;
}

/* --- streams --- */

static int read_latencies(struct ledger_reader *r, int64_t from, int64_t to, bool by_tag,
                          struct ledger_stream_row *row, struct err *e)
{
    struct db *db = &r->db;
    int64_t counts[LATENCY_BUCKETS] = {0}, total = 0;
    enum db_answer answer;

    db_bind(db, READ_LATENCIES, "iitit", from, to, row->stream, (int64_t)by_tag, row->tag);
    while ((answer = db_step(db, READ_LATENCIES, e)) == DB_ROW) {
        int64_t bucket = db_int(db, READ_LATENCIES, 0), count = db_int(db, READ_LATENCIES, 1);
        if (bucket >= 0 && bucket < LATENCY_BUCKETS) {
            counts[bucket] += count;
            total += count;
        }
    }
    int64_t *percentiles[] = {&row->p50_ms, &row->p90_ms, &row->p99_ms};
    static const int64_t percents[] = {50, 90, 99};
    for (size_t i = 0; i < COUNT(percents); i++) {
        int64_t rank = (total * percents[i] + 99) / 100, sum = 0;
        *percentiles[i] = -1;
        for (unsigned bucket = 0; bucket < LATENCY_BUCKETS && total > 0; bucket++) {
            sum += counts[bucket];
            if (sum >= rank) {
                *percentiles[i] = latency_middle(bucket);
                break;
            }
        }
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_streams(struct ledger_reader *r, int64_t from_ms, int64_t to_ms, bool by_tag,
                   bool (*row)(void *ctx, const struct ledger_stream_row *row), void *ctx,
                   struct err *e)
{
    struct db *db = &r->db;
    int64_t from = from_ms / HOUR_MS, to = to_ms / HOUR_MS;
    enum db_answer answer = DB_DONE;
    bool more = true;
    int result = 0;

    if (reader_begin(r, e) != 0)
        return -1;
    db_bind(db, READ_STATS, "iii", from, to, (int64_t)by_tag);
    while (more && result == 0 && (answer = db_step(db, READ_STATS, e)) == DB_ROW) {
        uint64_t c[STAT_COUNT];
        for (int i = 0; i < STAT_COUNT; i++)
            c[i] = (uint64_t)db_int(db, READ_STATS, 2 + i);
        struct ledger_stream_row found = {.stream = db_text(db, READ_STATS, 0),
                                          .tag = db_text(db, READ_STATS, 1),
                                          .messages = c[STAT_MESSAGES],
                                          .sent = c[STAT_SENT],
                                          .delivered = c[STAT_DELIVERED],
                                          .deferred = c[STAT_DEFERRED],
                                          .bounced = c[STAT_BOUNCED],
                                          .unknown = c[STAT_UNKNOWN],
                                          .expired = c[STAT_EXPIRED],
                                          .duplicates = c[STAT_DUPLICATES]};
        result = read_latencies(r, from, to, by_tag, &found, e);
        if (result == 0)
            more = row(ctx, &found);
    }
    if (answer == DB_FAILED)
        return reader_end(r, -1);
    db_reset(db, READ_STATS);
    return reader_end(r, result);
}

/* --- for fsck --- */

int ledger_reader_hold(struct ledger_reader *r, struct err *e)
{
    return reader_begin(r, e);
}

void ledger_reader_let_go(struct ledger_reader *r)
{
    (void)reader_end(r, 0);
}

int ledger_each_stored(struct ledger_reader *r,
                       bool (*stored)(void *ctx, struct id id, const struct spool_place *place,
                                      bool live),
                       void *ctx, struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;
    bool more = true;

    while ((answer = db_step(db, READ_STORED, e)) == DB_ROW && more) {
        struct id id = {(uint64_t)db_int(db, READ_STORED, 0), (uint64_t)db_int(db, READ_STORED, 1)};
        struct spool_place place = {
            .segment = (uint64_t)db_int(db, READ_STORED, 2),
            .offset = (uint64_t)db_int(db, READ_STORED, 3),
            .body_n = (uint64_t)db_int(db, READ_STORED, 4),
            .head_n = (uint32_t)db_int(db, READ_STORED, 5), /* stored as one */
        };
        more = stored(ctx, id, &place, db_int(db, READ_STORED, 6) != 0);
    }
    if (answer == DB_FAILED)
        return -1;
    db_reset(db, READ_STORED);
    return 0;
}

int ledger_find_stored(struct ledger_reader *r, struct id id, bool *found_out,
                       struct spool_place *place_out, bool *live_out, struct err *e)
{
    struct db *db = &r->db;

    *found_out = false;
    db_bind(db, READ_ONE_STORED, "i", (int64_t)id.hi);
    enum db_answer answer = db_step(db, READ_ONE_STORED, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    *found_out = (uint64_t)db_int(db, READ_ONE_STORED, 0) == id.lo;
    *place_out = (struct spool_place){
        .segment = (uint64_t)db_int(db, READ_ONE_STORED, 1),
        .offset = (uint64_t)db_int(db, READ_ONE_STORED, 2),
        .body_n = (uint64_t)db_int(db, READ_ONE_STORED, 3),
        .head_n = (uint32_t)db_int(db, READ_ONE_STORED, 4), /* stored as one */
    };
    *live_out = db_int(db, READ_ONE_STORED, 5) != 0;
    db_reset(db, READ_ONE_STORED);
    return 0;
}

int ledger_check(struct ledger_reader *r, struct ledger_check *check_out, struct err *e)
{
    struct db *db = &r->db;

    *check_out = (struct ledger_check){0};
    if (db_step(db, READ_QUICK_CHECK, e) != DB_ROW)
        return -1;
    struct slice answer = db_text(db, READ_QUICK_CHECK, 0);
    if (!slice_eq(answer, SLICE("ok")))
        snprintf(check_out->damage, sizeof check_out->damage, "%.*s", SLICE_ARG(answer));
    db_reset(db, READ_QUICK_CHECK);
    if (db_step(db, READ_LOST, e) != DB_ROW)
        return -1;
    check_out->lost_recipients = (uint64_t)db_int(db, READ_LOST, 0);
    db_reset(db, READ_LOST);
    if (db_step(db, READ_STRAY, e) != DB_ROW)
        return -1;
    check_out->stray_units = (uint64_t)db_int(db, READ_STRAY, 0);
    db_reset(db, READ_STRAY);
    return 0;
}

int ledger_each_segment(struct ledger_reader *r,
                        bool (*segment)(void *ctx, const struct ledger_segment *segment), void *ctx,
                        struct err *e)
{
    struct db *db = &r->db;
    enum db_answer answer;
    bool more = true;

    while ((answer = db_step(db, READ_SEGMENTS, e)) == DB_ROW && more) {
        struct ledger_segment found = {
            .segment = (uint64_t)db_int(db, READ_SEGMENTS, 0),
            .total_bytes = (uint64_t)db_int(db, READ_SEGMENTS, 1),
            .live_bytes = (uint64_t)db_int(db, READ_SEGMENTS, 2),
            .live_count = (uint64_t)db_int(db, READ_SEGMENTS, 3),
            .last_ms = db_int(db, READ_SEGMENTS, 4),
        };
        more = segment(ctx, &found);
    }
    if (answer == DB_FAILED)
        return -1;
    db_reset(db, READ_SEGMENTS);
    return 0;
}

/* --- suppression --- */

int ledger_each_suppression(struct ledger_reader *r, struct slice address,
                            const struct slice *scope,
                            bool (*row)(void *ctx, const struct ledger_suppression *row), void *ctx,
                            struct err *e)
{
    struct db *db = &r->db;
    char room[LEDGER_ADDRESS_MAX];
    enum db_answer answer;

    db_bind(db, READ_SUPPRESSIONS, "tit", ledger_fold(address, room), (int64_t)(scope != NULL),
            scope != NULL ? *scope : (struct slice){0});
    while ((answer = db_step(db, READ_SUPPRESSIONS, e)) == DB_ROW) {
        const struct ledger_suppression s = {
            .address = db_text(db, READ_SUPPRESSIONS, 0),
            .scope = db_text(db, READ_SUPPRESSIONS, 1),
            .reason = db_text(db, READ_SUPPRESSIONS, 2),
            .source = db_text(db, READ_SUPPRESSIONS, 3),
            .message = (uint64_t)db_int(db, READ_SUPPRESSIONS, 4),
            .since_ms = db_int(db, READ_SUPPRESSIONS, 5),
            .until_ms = db_int(db, READ_SUPPRESSIONS, 6),
            .evidence = db_text(db, READ_SUPPRESSIONS, 7),
        };
        if (!row(ctx, &s)) {
            db_reset(db, READ_SUPPRESSIONS);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}

int ledger_each_failure(struct ledger_reader *r, struct slice address,
                        bool (*row)(void *ctx, const struct ledger_failure *row), void *ctx,
                        struct err *e)
{
    struct db *db = &r->db;
    char room[LEDGER_ADDRESS_MAX];
    enum db_answer answer;

    db_bind(db, READ_FAILURES, "t", ledger_fold(address, room));
    while ((answer = db_step(db, READ_FAILURES, e)) == DB_ROW) {
        const struct ledger_failure f = {
            .address = db_text(db, READ_FAILURES, 0),
            .scope = db_text(db, READ_FAILURES, 1),
            .category = db_text(db, READ_FAILURES, 2),
            .time_ms = db_int(db, READ_FAILURES, 3),
            .message = (uint64_t)db_int(db, READ_FAILURES, 4),
        };
        if (!row(ctx, &f)) {
            db_reset(db, READ_FAILURES);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}
