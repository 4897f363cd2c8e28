#include "rt/watch/metrics.h"

#include <errno.h>
#include <sys/mman.h>

#define ROLE_MAX 32
#define BUCKETS 24 /* powers of two; the last one takes the rest */

enum kind { COUNTER, GAUGE, TIME, SIZE };

static const struct {
    const char *name, *help;
    enum kind kind;
} table[METRIC_COUNT] = {
#define METRIC(name, kind, help) [METRIC_##name] = {"waybill_" #name, help, kind},
#include "rt/watch/metrics.def"
#undef METRIC
};

/* A histogram's numbers: bucket i counts values up to 2^i units (TIME: of 64 us; SIZE: of 1). */
struct histogram {
    _Atomic uint64_t buckets[BUCKETS], sum;
};
#define TIME_UNIT_US 64u

struct slot {
    char role[ROLE_MAX];
    _Atomic int64_t values[METRIC_COUNT];
    struct histogram histograms[METRIC_COUNT]; /* only TIME and SIZE use theirs */
};

struct metrics {
    struct slot *slots; /* shared */
    unsigned count;
    struct slot *mine; /* NULL: nowhere */
    bool is_view;
};

struct metrics *metrics_create(unsigned slots, struct err *e)
{
    struct metrics *m = mem_alloc(sizeof *m);

    m->count = slots;
    m->slots = mmap(NULL, slots * sizeof *m->slots, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->slots == MAP_FAILED) {
        err_system(e, errno, "no shared memory for the metrics");
        free(m);
        return NULL;
    }
    return m;
}

void metrics_destroy(struct metrics **m)
{
    if (*m == NULL)
        return;
    if (!(*m)->is_view)
        munmap((*m)->slots, (*m)->count * sizeof *(*m)->slots);
    free(*m);
    *m = NULL;
}

void metrics_use(struct metrics *m, unsigned slot, const char *role)
{
    if (m == NULL || slot >= m->count)
        return;
    m->mine = &m->slots[slot];
    snprintf(m->mine->role, sizeof m->mine->role, "%s", role);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        if (table[i].kind == GAUGE)
            atomic_store_explicit(&m->mine->values[i], 0, memory_order_relaxed);
}

struct metrics *metrics_view(struct metrics *m, unsigned slot, const char *role)
{
    struct metrics *view;

    if (m == NULL)
        return NULL;
    view = mem_alloc(sizeof *view);
    *view = (struct metrics){.slots = m->slots, .count = m->count, .is_view = true};
    metrics_use(view, slot, role);
    return view;
}

/* --- writing: a slot has one writer, so a load and a store are enough --- */

static void add(_Atomic int64_t *value, int64_t by)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

void metric_add(struct metrics *m, enum metric which, uint64_t n)
{
    if (m != NULL && m->mine != NULL)
        add(&m->mine->values[which], (int64_t)n);
}

void metric_change(struct metrics *m, enum metric which, int64_t by)
{
    if (m != NULL && m->mine != NULL)
        add(&m->mine->values[which], by);
}

void metric_set(struct metrics *m, enum metric which, int64_t value)
{
    if (m != NULL && m->mine != NULL)
        atomic_store_explicit(&m->mine->values[which], value, memory_order_relaxed);
}

static void add_unsigned(_Atomic uint64_t *value, uint64_t by)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static unsigned bucket_of(uint64_t units)
{
    unsigned i = units <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(units - 1);

    return i < BUCKETS ? i : BUCKETS - 1;
}

void metric_observe(struct metrics *m, enum metric which, uint64_t value)
{
    uint64_t unit = table[which].kind == TIME ? TIME_UNIT_US : 1;

    if (m == NULL || m->mine == NULL)
        return;
    struct histogram *h = &m->mine->histograms[which];
    add_unsigned(&h->buckets[bucket_of((value + unit - 1) / unit)], 1);
    add_unsigned(&h->sum, value);
    add(&m->mine->values[which], 1);
}

/* --- reading --- */

int64_t metric_total(const struct metrics *m, enum metric which)
{
    int64_t total = 0;

    for (unsigned i = 0; m != NULL && i < m->count; i++)
        total += atomic_load_explicit(&m->slots[i].values[which], memory_order_relaxed);
    return total;
}

static void render_histogram(const struct slot *slot, unsigned which, struct buf *out)
{
    const struct histogram *h = &slot->histograms[which];
    bool is_time = table[which].kind == TIME;
    uint64_t sofar = 0, sum = atomic_load_explicit(&h->sum, memory_order_relaxed);

    for (unsigned i = 0; i < BUCKETS; i++) {
        uint64_t bound = 1ull << i;

        sofar += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{role=\"%s\",le=\"", table[which].name, slot->role);
        if (i == BUCKETS - 1)
            buf_append_text(out, "+Inf");
        else if (is_time)
            buf_printf(out, "%g", (double)(bound * TIME_UNIT_US) / 1e6);
        else
            buf_printf(out, "%llu", (unsigned long long)bound);
        buf_printf(out, "\"} %llu\n", (unsigned long long)sofar);
    }
    if (is_time)
        buf_printf(out, "%s_sum{role=\"%s\"} %.6f\n", table[which].name, slot->role,
                   (double)sum / 1e6);
    else
        buf_printf(out, "%s_sum{role=\"%s\"} %llu\n", table[which].name, slot->role,
                   (unsigned long long)sum);
    buf_printf(out, "%s_count{role=\"%s\"} %llu\n", table[which].name, slot->role,
               (unsigned long long)sofar);
}

/* A role that never touched a metric does not show it, unless nobody did: then zero is an answer.
 */
static bool is_shown(const struct slot *slot, unsigned which)
{
    return slot->role[0] != '\0' &&
           atomic_load_explicit(&slot->values[which], memory_order_relaxed) != 0;
}

void metrics_render(const struct metrics *m, struct buf *out)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [TIME] = "histogram", [SIZE] = "histogram"};

    for (unsigned which = 0; which < METRIC_COUNT; which++) {
        bool is_plain = table[which].kind == COUNTER || table[which].kind == GAUGE;
        unsigned shown = 0;

        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[which].name, table[which].help,
                   table[which].name, types[table[which].kind]);
        for (unsigned i = 0; i < m->count; i++) {
            const struct slot *slot = &m->slots[i];

            if (!is_shown(slot, which))
                continue;
            shown++;
            if (is_plain)
                buf_printf(
                    out, "%s{role=\"%s\"} %lld\n", table[which].name, slot->role,
                    (long long)atomic_load_explicit(&slot->values[which], memory_order_relaxed));
            else
                render_histogram(slot, which, out);
        }
        if (shown == 0 && is_plain)
            buf_printf(out, "%s 0\n", table[which].name);
    }
}
