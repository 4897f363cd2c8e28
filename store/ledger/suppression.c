#include "store/ledger/suppression.h"

#include "base/ascii.h"
#include "store/ledger/ledger_in.h"

struct slice ledger_fold(struct slice address, char *room)
{
    size_t n = address.n < LEDGER_ADDRESS_MAX ? address.n : LEDGER_ADDRESS_MAX;

    for (size_t i = 0; i < n; i++)
        room[i] = ascii_lower(address.p[i]);
    return (struct slice){room, n};
}

/* A filter without false negatives: an address that is not in it never failed. */
static uint32_t filter_bit(struct slice folded)
{
    uint32_t h = 2166136261u; /* FNV-1a: collisions cost a lookup, nothing else */

    for (size_t i = 0; i < folded.n; i++)
        h = (h ^ (unsigned char)folded.p[i]) * 16777619u;
    return h % (LEDGER_FILTER_BYTES * 8u);
}

static void filter_add(struct ledger *l, struct slice folded)
{
    uint32_t bit = filter_bit(folded);

    l->failing[bit / 8] = (unsigned char)(l->failing[bit / 8] | 1u << (bit % 8));
    l->has_failures = true;
}

static bool filter_holds(const struct ledger *l, struct slice folded)
{
    uint32_t bit = filter_bit(folded);

    return (l->failing[bit / 8] & 1u << (bit % 8)) != 0;
}

int suppression_load(struct ledger *l, struct err *e)
{
    enum db_answer answer;

    while ((answer = db_step(&l->db, SQL_ALL_FAILING, e)) == DB_ROW)
        filter_add(l, db_text(&l->db, SQL_ALL_FAILING, 0));
    return answer == DB_DONE ? 0 : -1;
}

/* --- suppression --- */

int ledger_suppress(struct ledger *l, const struct ledger_suppression *s, struct err *e)
{
    char room[LEDGER_ADDRESS_MAX];

    if (ledger_expect_group(l, e) != 0)
        return -1;
    db_bind(&l->db, SQL_SUPPRESS, "ttttiiit", ledger_fold(s->address, room), s->scope, s->reason,
            s->source, (int64_t)s->message, s->since_ms, s->until_ms, s->evidence);
    return db_run(&l->db, SQL_SUPPRESS, e);
}

int ledger_unsuppress(struct ledger *l, struct slice address, const struct slice *scope,
                      uint64_t *changed_out, struct err *e)
{
    char room[LEDGER_ADDRESS_MAX];

    if (ledger_expect_group(l, e) != 0)
        return -1;
    db_bind(&l->db, SQL_UNSUPPRESS, "tit", ledger_fold(address, room), (int64_t)(scope == NULL),
            scope != NULL ? *scope : (struct slice){0});
    if (db_run(&l->db, SQL_UNSUPPRESS, e) != 0)
        return -1;
    *changed_out = (uint64_t)db_changes(&l->db); /* a count */
    return 0;
}

int ledger_find_suppression(struct ledger *l, struct slice address, struct slice stream,
                            int64_t now_ms, bool *found_out, struct ledger_suppression *out,
                            struct err *e)
{
    struct db *db = &l->db;
    char room[LEDGER_ADDRESS_MAX];
    int statement = SQL_FIND_SUPPRESSION;

    *found_out = false;
    buf_clear(&l->text);
    db_bind(db, statement, "tti", ledger_fold(address, room), stream, now_ms);
    enum db_answer answer = db_step(db, statement, e);
    if (answer != DB_ROW)
        return answer == DB_DONE ? 0 : -1;
    /* the row ends with the reset: its texts are kept aside */
    struct slice texts[] = {db_text(db, statement, 0), db_text(db, statement, 1),
                            db_text(db, statement, 2), db_text(db, statement, 6)};
    size_t at[sizeof texts / sizeof *texts];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        at[i] = l->text.n;
        buf_append(&l->text, texts[i]);
    }
    struct slice all = buf_slice(&l->text);
    *out = (struct ledger_suppression){
        .address = address,
        .scope = slice_sub(all, at[0], texts[0].n),
        .reason = slice_sub(all, at[1], texts[1].n),
        .source = slice_sub(all, at[2], texts[2].n),
        .evidence = slice_sub(all, at[3], texts[3].n),
        .message = (uint64_t)db_int(db, statement, 3),
        .since_ms = db_int(db, statement, 4),
        .until_ms = db_int(db, statement, 5),
    };
    *found_out = true;
    db_reset(db, statement);
    return 0;
}

int ledger_each_suppressed(struct ledger *l, void (*each)(void *ctx, struct slice address),
                           void *ctx, struct err *e)
{
    enum db_answer answer;

    while ((answer = db_step(&l->db, SQL_ALL_SUPPRESSED, e)) == DB_ROW)
        each(ctx, db_text(&l->db, SQL_ALL_SUPPRESSED, 0));
    return answer == DB_DONE ? 0 : -1;
}

/* --- failures --- */

int ledger_add_failure(struct ledger *l, const struct ledger_failure *f, int64_t since_ms,
                       uint64_t *count_out, int64_t *first_ms_out, struct err *e)
{
    struct db *db = &l->db;
    char room[LEDGER_ADDRESS_MAX];
    struct slice folded = ledger_fold(f->address, room);

    if (ledger_expect_group(l, e) != 0)
        return -1;
    filter_add(l, folded);
    db_bind(db, SQL_ADD_FAILURE, "tttii", folded, f->scope, f->category, f->time_ms,
            (int64_t)f->message);
    if (db_run(db, SQL_ADD_FAILURE, e) != 0)
        return -1;
    db_bind(db, SQL_COUNT_FAILURES, "ttti", folded, f->scope, f->category, since_ms);
    if (db_step(db, SQL_COUNT_FAILURES, e) != DB_ROW)
        return -1;
    *count_out = (uint64_t)db_int(db, SQL_COUNT_FAILURES, 0); /* a count */
    *first_ms_out = db_int(db, SQL_COUNT_FAILURES, 1);
    db_reset(db, SQL_COUNT_FAILURES);
    return 0;
}

bool ledger_has_failures(const struct ledger *l)
{
    return l->has_failures;
}

int ledger_clear_failures(struct ledger *l, struct slice address, struct slice stream,
                          struct err *e)
{
    char room[LEDGER_ADDRESS_MAX];
    struct slice folded = ledger_fold(address, room);

    if (!l->has_failures || !filter_holds(l, folded))
        return 0;
    if (ledger_expect_group(l, e) != 0)
        return -1;
    db_bind(&l->db, SQL_CLEAR_FAILURES, "tt", folded, stream);
    return db_run(&l->db, SQL_CLEAR_FAILURES, e);
}

int ledger_forget_failures(struct ledger *l, int64_t before_ms, int64_t now_ms, struct err *e)
{
    if (ledger_expect_group(l, e) != 0)
        return -1;
    db_bind(&l->db, SQL_REMOVE_EXPIRED, "i", now_ms);
    if (db_run(&l->db, SQL_REMOVE_EXPIRED, e) != 0)
        return -1;
    if (!l->has_failures)
        return 0;
    db_bind(&l->db, SQL_REMOVE_FAILURES, "i", before_ms);
    return db_run(&l->db, SQL_REMOVE_FAILURES, e);
}

/* --- reports --- */

int ledger_find_addressee(struct ledger *l, struct id id, uint32_t n, struct arena *arena,
                          struct ledger_addressee *out, struct err *e)
{
    struct db *db = &l->db;
    int statement = SQL_FIND_RECIPIENT;

    db_bind(db, statement, "ii", (int64_t)id.hi, (int64_t)n);
    enum db_answer answer = db_step(db, statement, e);
    if (answer == DB_FAILED)
        return -1;
    if (answer == DB_DONE)
        return err_set(e, ERR_FOUND, "there is no such message or recipient");
    *out = (struct ledger_addressee){
        .address = arena_copy(arena, db_text(db, statement, 1)),
        .state = (enum ledger_state)db_int(db, statement, 2), /* stored as one */
        .stream = arena_copy(arena, db_text(db, statement, 4)),
        .tag = arena_copy(arena, db_text(db, statement, 5)),
        .received_ms = db_int(db, statement, 6),
        .options = arena_copy(arena, db_text(db, statement, 7)),
    };
    bool same = (uint64_t)db_int(db, statement, 3) == id.lo;
    db_reset(db, statement);
    return same ? 0 : err_set(e, ERR_FOUND, "there is no such message");
}

/* Is there room for one more report of this kind? Each has room of its own: the failure that comes
 * after many delays is still news. */
static int has_room(struct ledger *l, const struct event_row *row, bool *room_out, struct err *e)
{
    struct db *db = &l->db;

    db_bind(db, SQL_COUNT_ASIDE, "itii", (int64_t)row->hi, row->recipients, (int64_t)row->kind,
            (int64_t)LEDGER_REPORTS_MAX);
    if (db_step(db, SQL_COUNT_ASIDE, e) != DB_ROW)
        return -1;
    *room_out = db_int(db, SQL_COUNT_ASIDE, 0) < LEDGER_REPORTS_MAX;
    db_reset(db, SQL_COUNT_ASIDE);
    return 0;
}

/* It was delivered, and now it is not. */
static int turn_to_bounced(struct ledger *l, struct id id, uint32_t n, int64_t now_ms,
                           struct err *e)
{
    struct db *db = &l->db;
    struct err why = {ERR_NONE, ""};
    int result = 0;

    db_bind(db, SQL_FIND_RECIPIENT, "ii", (int64_t)id.hi, (int64_t)n);
    if (db_step(db, SQL_FIND_RECIPIENT, e) != DB_ROW)
        return -1;
    int64_t recipient = db_int(db, SQL_FIND_RECIPIENT, 0);
    int64_t state = db_int(db, SQL_FIND_RECIPIENT, 2);
    if (state == LEDGER_DELIVERED || state == LEDGER_ASSUMED)
        result = stats_add(&l->stats, db, db_text(db, SQL_FIND_RECIPIENT, 4),
                           db_text(db, SQL_FIND_RECIPIENT, 5), STAT_BOUNCED, 1, now_ms, &why);
    db_reset(db, SQL_FIND_RECIPIENT);
    if (result != 0)
        return err_set(e, why.code, "%s", why.text);
    db_bind(db, SQL_RECIPIENT_BOUNCED, "i", recipient);
    return db_run(db, SQL_RECIPIENT_BOUNCED, e);
}

int ledger_add_report(struct ledger *l, struct id id, uint32_t n,
                      const struct ledger_report *report, int64_t now_ms, bool *kept_out,
                      struct err *e)
{
    struct db *db = &l->db;
    const struct range one = {n, n};
    struct event_row row = {.time_ms = now_ms,
                            .hi = id.hi,
                            .kind = report->kind,
                            .recipients = ranges_text(l, (struct ranges){&one, 1}),
                            .host = report->host,
                            .ip = report->ip,
                            .reply_code = report->reply_code,
                            .enhanced = report->enhanced,
                            .text = report->text,
                            .category = report->category};
    int64_t seq;

    if (ledger_expect_group(l, e) != 0 || has_room(l, &row, kept_out, e) != 0)
        return -1;
    if (!*kept_out)
        return 0;
    if (add_event(l, &row, &seq, e) != 0)
        return -1;
    db_bind(db, SQL_ADD_ASIDE, "ii", (int64_t)id.hi, seq);
    if (db_run(db, SQL_ADD_ASIDE, e) != 0 || !report->bounced)
        return db->failed ? -1 : 0;
    return turn_to_bounced(l, id, n, now_ms, e);
}
