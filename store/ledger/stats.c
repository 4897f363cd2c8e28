#include "store/ledger/stats_in.h"

#include "store/ledger/sql_in.h"

#define HOUR_MS 3600000

struct stats_entry {
    int64_t hour;
    char stream[NAME_BYTES_MAX], tag[NAME_BYTES_MAX];
    size_t stream_n, tag_n;
    uint64_t counts[STAT_COUNT];
    bool has_latency;
    uint32_t latency[LATENCY_BUCKETS];
};

unsigned latency_bucket(int64_t ms)
{
    if (ms < 8)
        return ms < 0 ? 0 : (unsigned)ms; /* 0..7 */
    unsigned power = 63 - (unsigned)__builtin_clzll((unsigned long long)ms);
    unsigned eighth = (unsigned)(ms >> (power - 3)) & 7;
    unsigned bucket = (power - 2) * 8 + eighth;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

int64_t latency_middle(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned power = bucket / 8 + 2;
    int64_t low = (int64_t)(8 + bucket % 8) << (power - 3);
    return low + (((int64_t)1 << (power - 3)) - 1) / 2;
}

void stats_init(struct stats *s, uint32_t tags_max)
{
    *s = (struct stats){.tags_max = tags_max, .hour = -1};
    s->entries = mem_alloc(STATS_ENTRIES * sizeof *s->entries);
    s->known = map_create((uintptr_t)s);
}

void stats_finish(struct stats *s)
{
    free(s->entries);
    if (s->known != NULL)
        map_destroy(&s->known);
    *s = (struct stats){0};
}

void stats_forget(struct stats *s)
{
    s->n = s->last = 0;
    s->hour = -1; /* what was taken for known may have been rolled back */
}

static size_t known_key(char key[2 * NAME_BYTES_MAX], struct slice stream, struct slice tag)
{
    memcpy(key, stream.p, stream.n);
    key[stream.n] = '\0';
    memcpy(key + stream.n + 1, tag.p, tag.n);
    return stream.n + 1 + tag.n;
}

static struct slice clip(struct slice name)
{
    static const struct slice empty = {"", 0};

    return name.n == 0 ? empty : slice_sub(name, 0, NAME_BYTES_MAX - 1);
}

/* Reads which tags the hour has already, so that a restart does not lift the ceiling. */
static int learn_hour(struct stats *s, struct db *db, int64_t hour, struct err *e)
{
    char key[2 * NAME_BYTES_MAX];
    enum db_answer answer;

    map_destroy(&s->known);
    s->known = map_create((uintptr_t)s);
    db_bind(db, SQL_TAGS_OF_HOUR, "i", hour);
    while ((answer = db_step(db, SQL_TAGS_OF_HOUR, e)) == DB_ROW) {
        struct slice stream = clip(db_text(db, SQL_TAGS_OF_HOUR, 0));
        struct slice tag = clip(db_text(db, SQL_TAGS_OF_HOUR, 1));
        size_t n = known_key(key, stream, tag);
        map_put(s->known, (struct slice){key, n}, s);
    }
    s->hour = hour;
    return answer == DB_DONE ? 0 : -1;
}

static bool is_entry(const struct stats_entry *entry, int64_t hour, struct slice stream,
                     struct slice tag)
{
    return entry->hour == hour &&
           slice_eq((struct slice){entry->stream, entry->stream_n}, stream) &&
           slice_eq((struct slice){entry->tag, entry->tag_n}, tag);
}

static struct stats_entry *find_entry(struct stats *s, int64_t hour, struct slice stream,
                                      struct slice tag)
{
    if (s->last < s->n && is_entry(&s->entries[s->last], hour, stream, tag))
        return &s->entries[s->last];
    for (size_t i = 0; i < s->n; i++) {
        if (is_entry(&s->entries[i], hour, stream, tag)) {
            s->last = i;
            return &s->entries[i];
        }
    }
    return NULL;
}

/* The entry to count in; NULL after a failure. */
static struct stats_entry *enter(struct stats *s, struct db *db, struct slice stream,
                                 struct slice tag, int64_t now_ms, struct err *e)
{
    char key[2 * NAME_BYTES_MAX];
    int64_t hour = now_ms / HOUR_MS;

    stream = clip(stream);
    tag = clip(tag);
    struct stats_entry *entry = find_entry(s, hour, stream, tag);
    if (entry != NULL)
        return entry;
    if (s->hour != hour && learn_hour(s, db, hour, e) != 0)
        return NULL;
    size_t n = known_key(key, stream, tag);
    if (map_get(s->known, (struct slice){key, n}) == NULL) {
        if (map_count(s->known) >= s->tags_max) {
            tag = SLICE("(other)");
            entry = find_entry(s, hour, stream, tag);
            if (entry != NULL)
                return entry;
        } else {
            map_put(s->known, (struct slice){key, n}, s);
        }
    }
    if (s->n == STATS_ENTRIES && stats_store(s, db, e) != 0)
        return NULL;
    entry = &s->entries[s->n];
    s->last = s->n++;
    *entry = (struct stats_entry){.hour = hour, .stream_n = stream.n, .tag_n = tag.n};
    memcpy(entry->stream, stream.p, stream.n);
    memcpy(entry->tag, tag.p, tag.n);
    return entry;
}

int stats_add(struct stats *s, struct db *db, struct slice stream, struct slice tag,
              enum counted what, uint64_t count, int64_t now_ms, struct err *e)
{
    struct stats_entry *entry = enter(s, db, stream, tag, now_ms, e);

    if (entry == NULL)
        return -1;
    entry->counts[what] += count;
    return 0;
}

int stats_add_latency(struct stats *s, struct db *db, struct slice stream, struct slice tag,
                      int64_t ms, uint64_t count, int64_t now_ms, struct err *e)
{
    struct stats_entry *entry = enter(s, db, stream, tag, now_ms, e);

    if (entry == NULL)
        return -1;
    entry->latency[latency_bucket(ms)] += (uint32_t)count; /* at most a message's recipients */
    entry->has_latency = true;
    return 0;
}

static int store_entry(const struct stats_entry *entry, struct db *db, struct err *e)
{
    struct slice stream = {entry->stream, entry->stream_n}, tag = {entry->tag, entry->tag_n};
    int64_t c[STAT_COUNT];

    for (int i = 0; i < STAT_COUNT; i++)
        c[i] = (int64_t)entry->counts[i]; /* of one group: small */
    db_bind(db, SQL_ADD_STAT, "ittiiiiiiii", entry->hour, stream, tag, c[0], c[1], c[2], c[3], c[4],
            c[5], c[6], c[7]);
    if (db_run(db, SQL_ADD_STAT, e) != 0)
        return -1;
    for (int i = 0; entry->has_latency && i < LATENCY_BUCKETS; i++) {
        if (entry->latency[i] == 0)
            continue;
        db_bind(db, SQL_ADD_LATENCY, "ittii", entry->hour, stream, tag, (int64_t)i,
                (int64_t)entry->latency[i]);
        if (db_run(db, SQL_ADD_LATENCY, e) != 0)
            return -1;
    }
    return 0;
}

int stats_store(struct stats *s, struct db *db, struct err *e)
{
    for (size_t i = 0; i < s->n; i++)
        if (store_entry(&s->entries[i], db, e) != 0)
            return -1;
    s->n = s->last = 0;
    return 0;
}
