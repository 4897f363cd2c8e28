#include "store/ledger/sources_in.h"

#include "base/ascii.h"
#include "store/ledger/ledger_in.h"

#define DAY_MS INT64_C(86400000)
#define OTHERS SLICE("(other)")
#define KEY_MAX (3 * SOURCE_NAME_MAX)

struct source_entry {
    int64_t day, first_ms, last_ms;
    uint64_t messages;
    char text[KEY_MAX]; /* the key: domain NUL address NUL via */
    size_t n, domain_n, address_n;
};

void sources_init(struct sources *s)
{
    *s = (struct sources){.day = -1};
    s->entries = mem_alloc(SOURCES_ENTRIES * sizeof *s->entries);
    s->known = map_create((uintptr_t)s);
}

void sources_finish(struct sources *s)
{
    free(s->entries);
    if (s->known != NULL)
        map_destroy(&s->known);
    *s = (struct sources){0};
}

void sources_forget(struct sources *s)
{
    s->n = s->last = 0;
    s->day = -1; /* what was taken for known may have been rolled back */
}

static size_t put(char *room, size_t at, struct slice text)
{
    struct slice kept = slice_sub(text, 0, SOURCE_NAME_MAX - 1);

    for (size_t i = 0; i < kept.n; i++)
        room[at++] = ascii_lower(kept.p[i]);
    room[at++] = '\0';
    return at;
}

static void make_entry(struct source_entry *out, struct slice domain, struct slice address,
                       struct slice via, int64_t now_ms)
{
    out->day = now_ms / DAY_MS;
    out->first_ms = out->last_ms = now_ms;
    out->messages = 0;
    out->domain_n = put(out->text, 0, domain) - 1;
    out->address_n = put(out->text, out->domain_n + 1, address) - out->domain_n - 2;
    out->n = put(out->text, out->domain_n + out->address_n + 2, via);
}

static struct slice key_of(const struct source_entry *entry)
{
    return (struct slice){entry->text, entry->n};
}

/* Reads which rows the day has already, so that a restart does not lift the ceiling. */
static int learn_day(struct sources *s, struct db *db, int64_t day, struct err *e)
{
    struct source_entry row;
    enum db_answer answer;

    map_destroy(&s->known);
    s->known = map_create((uintptr_t)s);
    db_bind(db, SQL_SOURCES_OF_DAY, "i", day);
    while ((answer = db_step(db, SQL_SOURCES_OF_DAY, e)) == DB_ROW) {
        make_entry(&row, db_text(db, SQL_SOURCES_OF_DAY, 0), db_text(db, SQL_SOURCES_OF_DAY, 1),
                   db_text(db, SQL_SOURCES_OF_DAY, 2), 0);
        map_put(s->known, key_of(&row), s);
    }
    s->day = day;
    return answer == DB_DONE ? 0 : -1;
}

static struct source_entry *find_entry(struct sources *s, const struct source_entry *like)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t at = (s->last + i) % s->n;
        struct source_entry *entry = &s->entries[at];

        if (entry->day == like->day && slice_eq(key_of(entry), key_of(like))) {
            s->last = at;
            return entry;
        }
    }
    return NULL;
}

static void count(struct source_entry *entry, int64_t now_ms)
{
    if (now_ms > entry->last_ms)
        entry->last_ms = now_ms;
    entry->messages++;
}

int sources_add(struct sources *s, struct db *db, const struct ledger_source *source,
                int64_t now_ms, struct err *e)
{
    struct source_entry fresh, *entry;

    make_entry(&fresh, source->domain, source->address, source->via, now_ms);
    if ((entry = find_entry(s, &fresh)) != NULL) {
        count(entry, now_ms);
        return 0;
    }
    if (s->day != fresh.day && learn_day(s, db, fresh.day, e) != 0)
        return -1;
    if (map_get(s->known, key_of(&fresh)) == NULL && map_count(s->known) >= SOURCES_PER_DAY_MAX) {
        make_entry(&fresh, OTHERS, source->address, source->via, now_ms);
        if ((entry = find_entry(s, &fresh)) != NULL) {
            count(entry, now_ms);
            return 0;
        }
    } else {
        map_put(s->known, key_of(&fresh), s);
    }
    if (s->n == SOURCES_ENTRIES && sources_store(s, db, e) != 0)
        return -1;
    s->last = s->n++;
    s->entries[s->last] = fresh;
    count(&s->entries[s->last], now_ms);
    return 0;
}

int sources_store(struct sources *s, struct db *db, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct source_entry *entry = &s->entries[i];
        struct slice all = key_of(entry);
        struct slice domain = slice_cut(&all, '\0'), address = slice_cut(&all, '\0'),
                     via = slice_cut(&all, '\0');

        db_bind(db, SQL_ADD_SOURCE, "itttiii", entry->day, domain, address, via, entry->first_ms,
                entry->last_ms, (int64_t)entry->messages);
        if (db_run(db, SQL_ADD_SOURCE, e) != 0)
            return -1;
    }
    s->n = s->last = 0;
    return 0;
}

int ledger_add_source(struct ledger *l, const struct ledger_source *source, int64_t now_ms,
                      struct err *e)
{
    if (ledger_expect_group(l, e) != 0)
        return -1;
    return sources_add(&l->sources, &l->db, source, now_ms, e);
}

struct ledger_source source_of_row(const struct db *db, int statement)
{
    return (struct ledger_source){
        .domain = db_text(db, statement, 0),
        .address = db_text(db, statement, 1),
        .via = db_text(db, statement, 2),
        .first_ms = db_int(db, statement, 3),
        .last_ms = db_int(db, statement, 4),
        .messages = (uint64_t)db_int(db, statement, 5), /* a count */
    };
}

int ledger_sources(struct ledger *l, bool (*each)(void *ctx, const struct ledger_source *source),
                   void *ctx, struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    while ((answer = db_step(db, SQL_ALL_SOURCES, e)) == DB_ROW) {
        const struct ledger_source source = source_of_row(db, SQL_ALL_SOURCES);

        if (!each(ctx, &source)) {
            db_reset(db, SQL_ALL_SOURCES);
            return 0;
        }
    }
    return answer == DB_DONE ? 0 : -1;
}
