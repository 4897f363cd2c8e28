#include "store/ledger/fsck.h"

#include <stdarg.h>
#include <unistd.h>

#include "store/ledger/reader.h"
#include "store/spool/spool.h"

#define PIECE_BYTES 65536

struct segment_count {
    uint64_t segment, live_bytes, live_count;
};

struct fsck {
    const struct fsck_settings *settings;
    struct fsck_report *report;
    struct ledger_reader *reader;
    struct segment_count *segments; /* by number: what the messages come to */
    size_t segment_n, segment_cap;
    struct ledger_stored *live; /* all unfinished messages */
    size_t live_n, live_cap;
    struct id *bodiless; /* messages whose body is not there */
    size_t bodiless_n, bodiless_cap;
    uint64_t open_segment, newest;
    int fd; /* of open_segment, or -1 */
    char *piece;
    struct err err;
    bool failed;
};

static const char *const names[FSCK_FAULT_COUNT] = {
    [FSCK_DATABASE] = "database",
    [FSCK_BODY] = "body",
    [FSCK_LOST_RECIPIENTS] = "lost-recipients",
    [FSCK_STRAY_UNITS] = "stray-units",
    [FSCK_COUNTERS] = "counters",
    [FSCK_UNKNOWN_SEGMENT] = "unknown-segment",
};

const char *fsck_fault_name(enum fsck_fault fault)
{
    return names[fault];
}

static void fault(struct fsck *f, enum fsck_fault kind, uint64_t count, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void fault(struct fsck *f, enum fsck_fault kind, uint64_t count, const char *fmt, ...)
{
    char sentence[400];
    va_list args;

    f->report->faults[kind] += count;
    f->report->fault_count += count;
    if (f->settings->found == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    f->settings->found(f->settings->ctx, kind, sentence);
}

static struct segment_count *count_of(struct fsck *f, uint64_t segment)
{
    for (size_t i = f->segment_n; i-- > 0;) /* messages come in the order of segments, nearly */
        if (f->segments[i].segment == segment)
            return &f->segments[i];
    if (f->segment_n == f->segment_cap) {
        f->segment_cap = f->segment_cap == 0 ? 64 : 2 * f->segment_cap;
        f->segments = mem_resize(f->segments, f->segment_cap * sizeof *f->segments);
    }
    f->segments[f->segment_n] = (struct segment_count){.segment = segment};
    return &f->segments[f->segment_n++];
}

/* --- bodies --- */

static int read_whole(struct fsck *f, struct id id, const struct spool_place *place, struct err *e)
{
    struct spool_reader r;
    size_t n;

    if (f->fd < 0 || f->open_segment != place->segment) {
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        if (spool_open_read(f->settings->spool_dir, place->segment, &f->fd, e) != 0) {
            f->fd = -1;
            return -1;
        }
        f->open_segment = place->segment;
    }
    if (spool_reader_init(&r, f->fd, id, place, e) != 0)
        return -1;
    do {
        if (spool_reader_read(&r, f->piece, PIECE_BYTES, &n, e) != 0)
            return -1;
    } while (n > 0);
    f->report->body_bytes += place->body_n + place->head_n;
    return 0;
}

static bool check_stored(void *ctx, struct id id, const struct spool_place *place, bool live)
{
    struct fsck *f = ctx;

    f->report->messages++;
    if (!live)
        return true;
    f->report->unfinished++;
    if (place->segment != 0) {
        struct segment_count *count = count_of(f, place->segment);
        count->live_bytes += spool_place_bytes(place);
        count->live_count++;
    }
    if (f->live_n == f->live_cap) {
        f->live_cap = f->live_cap == 0 ? 1024 : 2 * f->live_cap;
        f->live = mem_resize(f->live, f->live_cap * sizeof *f->live);
    }
    f->live[f->live_n++] = (struct ledger_stored){id, *place};
    return true;
}

static void check_bodies(struct fsck *f)
{
    struct err ignored;

    for (size_t i = 0; i < f->live_n; i++) {
        if (read_whole(f, f->live[i].id, &f->live[i].place, &ignored) == 0)
            continue;
        if (f->bodiless_n == f->bodiless_cap) {
            f->bodiless_cap = f->bodiless_cap == 0 ? 16 : 2 * f->bodiless_cap;
            f->bodiless = mem_resize(f->bodiless, f->bodiless_cap * sizeof *f->bodiless);
        }
        f->bodiless[f->bodiless_n++] = f->live[i].id;
    }
}

/* A second look, by a fresh snapshot: the daemon may have finished or moved it meanwhile. */
static int confirm_bodiless(struct fsck *f, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->bodiless_n; i++) {
        struct id id = f->bodiless[i];
        struct spool_place place;
        struct err why;
        bool found, live;
        char text[ID_TEXT_N + 1];
        if (ledger_find_stored(f->reader, id, &found, &place, &live, e) != 0)
            return -1;
        if (!found || !live || read_whole(f, id, &place, &why) == 0)
            continue;
        id_encode(id, text);
        fault(f, FSCK_BODY, 1, "message %s has no whole body: %.250s", text, why.text);
        f->bodiless[kept++] = id;
    }
    f->bodiless_n = kept;
    return 0;
}

/* --- segments --- */

static bool check_counters(void *ctx, const struct ledger_segment *segment)
{
    struct fsck *f = ctx;
    struct segment_count *count = count_of(f, segment->segment);

    if (count->live_bytes != segment->live_bytes || count->live_count != segment->live_count)
        fault(f, FSCK_COUNTERS, 1,
              "segment %llu: the ledger counts %llu live bytes of %llu messages, they are %llu of "
              "%llu",
              (unsigned long long)segment->segment, (unsigned long long)segment->live_bytes,
              (unsigned long long)segment->live_count, (unsigned long long)count->live_bytes,
              (unsigned long long)count->live_count);
    count->segment = 0; /* seen */
    return true;
}

static bool check_record(void *ctx, struct id id, const struct spool_place *place)
{
    struct fsck *f = ctx;
    struct spool_place stored;
    bool found, live;

    (void)place; /* a survivor that was copied forward is claimed too */
    f->report->records++;
    if (ledger_find_stored(f->reader, id, &found, &stored, &live, &f->err) != 0)
        f->failed = true;
    else
        f->report->unclaimed += !found;
    return !f->failed;
}

struct known_segments {
    uint64_t *p;
    size_t n, cap;
};

static bool note_segment(void *ctx, const struct ledger_segment *segment)
{
    struct known_segments *known = ctx;

    if (known->n == known->cap) {
        known->cap = known->cap == 0 ? 64 : 2 * known->cap;
        known->p = mem_resize(known->p, known->cap * sizeof *known->p);
    }
    known->p[known->n++] = segment->segment;
    return true;
}

static bool is_known(void *ctx, uint64_t segment)
{
    const struct known_segments *known = ctx;

    for (size_t i = 0; i < known->n; i++)
        if (known->p[i] == segment)
            return true;
    return false;
}

struct files {
    struct fsck *fsck;
    struct known_segments *known;
};

static bool check_file(void *ctx, uint64_t segment, uint64_t bytes)
{
    const struct files *files = ctx;
    struct fsck *f = files->fsck;
    uint64_t end;

    (void)bytes; /* mostly room for more */
    f->report->segments++;
    f->newest = segment;
    if (!is_known(files->known, segment)) {
        fault(f, FSCK_UNKNOWN_SEGMENT, 1, "the ledger does not know segment %llu",
              (unsigned long long)segment);
        return true;
    }
    if (spool_each_record(f->settings->spool_dir, segment, check_record, f, &end, &f->err) != 0 &&
        f->err.code != ERR_FOUND)
        f->failed = true;
    if (spool_torn_bytes(f->settings->spool_dir, segment, end) > 0)
        f->report->torn_bytes = spool_torn_bytes(f->settings->spool_dir, segment, end);
    return !f->failed;
}

static int check_files(struct fsck *f, struct known_segments *known, struct err *e)
{
    struct files files = {f, known};

    if (spool_each_segment(f->settings->spool_dir, check_file, &files, e) != 0)
        return -1;
    if (f->failed)
        *e = f->err;
    return f->failed ? -1 : 0;
}

/* --- the whole --- */

static int check_database(struct fsck *f, struct err *e)
{
    struct ledger_check check;

    if (ledger_check(f->reader, &check, e) != 0)
        return -1;
    if (check.damage[0] != '\0')
        fault(f, FSCK_DATABASE, 1, "the database is damaged: %s", check.damage);
    if (check.lost_recipients > 0)
        fault(f, FSCK_LOST_RECIPIENTS, check.lost_recipients,
              "%llu unfinished recipients are in no unit",
              (unsigned long long)check.lost_recipients);
    if (check.stray_units > 0)
        fault(f, FSCK_STRAY_UNITS, check.stray_units, "%llu units have no recipients",
              (unsigned long long)check.stray_units);
    return 0;
}

/* What the ledger says of itself, in one snapshot, so that a running daemon does not matter. */
static int check_ledger(struct fsck *f, struct known_segments *known, struct err *e)
{
    int result = -1;

    if (ledger_reader_hold(f->reader, e) != 0)
        return -1;
    if (check_database(f, e) == 0 && ledger_each_stored(f->reader, check_stored, f, e) == 0 &&
        ledger_each_segment(f->reader, check_counters, f, e) == 0 &&
        ledger_each_segment(f->reader, note_segment, known, e) == 0)
        result = 0;
    ledger_reader_let_go(f->reader);
    for (size_t i = 0; i < f->segment_n; i++)
        if (f->segments[i].segment != 0 && f->segments[i].live_count > 0)
            fault(f, FSCK_COUNTERS, 1, "the ledger keeps no count for segment %llu",
                  (unsigned long long)f->segments[i].segment);
    return result;
}

static int drop_bodiless(struct fsck *f, struct ledger *l, struct err *e)
{
    struct ledger_event_note note = {.kind = LEDGER_EV_NOTE,
                                     .text = SLICE("its body is lost; dropped by waybill fsck")};

    if (f->bodiless_n == 0)
        return 0;
    if (ledger_begin(l, e) != 0)
        return -1;
    for (size_t i = 0; i < f->bodiless_n; i++) {
        uint32_t dropped;
        if (ledger_drop(l, f->bodiless[i], f->settings->now_ms, &dropped, NULL, e) != 0 ||
            ledger_add_event(l, f->bodiless[i], &note, f->settings->now_ms, e) != 0) {
            ledger_rollback(l);
            return -1;
        }
        f->report->repaired++;
    }
    return ledger_commit(l, e);
}

static bool ledger_is_known(void *ctx, uint64_t segment)
{
    return ledger_knows_segment(ctx, segment);
}

static int repair(struct fsck *f, struct err *e)
{
    struct ledger_settings ls = {.path = f->settings->ledger_path, .now_ms = f->settings->now_ms};
    struct ledger *l = NULL;
    struct spool *spool = NULL;
    struct spool_recovery recovery;
    uint64_t changed = 0;
    int result = -1;

    if (ledger_open(&ls, &l, e) != 0)
        return -1;
    struct spool_settings ss = {.dir = f->settings->spool_dir,
                                .is_known = ledger_is_known,
                                .is_known_ctx = l,
                                .last_segment = ledger_last_segment(l)};
    if (ledger_repair(l, &changed, e) == 0 && drop_bodiless(f, l, e) == 0 &&
        spool_open(&ss, &spool, &recovery, e) == 0) {
        f->report->repaired +=
            changed + recovery.removed_segments + (recovery.cut_bytes > 0 ? 1 : 0);
        result = 0;
    }
    spool_close(&spool);
    ledger_close(&l);
    return result;
}

int fsck_run(const struct fsck_settings *settings, struct fsck_report *report_out, struct err *e)
{
    struct fsck f = {.settings = settings, .report = report_out, .fd = -1};
    struct known_segments known = {0};
    int result = -1;

    *report_out = (struct fsck_report){0};
    f.piece = mem_alloc(PIECE_BYTES);
    if (ledger_reader_open(settings->ledger_path, &f.reader, e) == 0 &&
        check_ledger(&f, &known, e) == 0) {
        check_bodies(&f);
        if (confirm_bodiless(&f, e) == 0 && check_files(&f, &known, e) == 0)
            result = 0;
    }
    ledger_reader_close(&f.reader);
    if (result == 0 && settings->repair &&
        (report_out->fault_count > 0 || report_out->torn_bytes > 0))
        result = repair(&f, e);
    if (f.fd >= 0)
        close(f.fd);
    free(f.piece);
    free(f.segments);
    free(f.live);
    free(f.bodiless);
    free(known.p);
    return result;
}
