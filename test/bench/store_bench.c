/* store_bench -- what a message costs in spool and ledger: CPU, syncs, bytes, memory, start time.
 *
 *     store_bench DIR [MESSAGES] [GROUP] [BODY_BYTES] [RECIPIENTS] [BACKLOG]
 *
 * Each group accepts GROUP messages, records the dots of the group before, and the deliveries of
 * the one before that, as the queue role's turns do. With BACKLOG, that many messages for other
 * sites are queued first, and the ledger is closed and opened again. Not a test: nothing here is
 * compared with a limit. */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "store/ledger/ledger.h"
#include "store/spool/spool.h"

#define GROUP_MAX 1000
#define START_MS INT64_C(1795000000000)

static struct spool *spool;
static struct ledger *ledger;
static struct id_maker maker;
static int64_t now_ms = START_MS;
static char path[400], spool_dir[400];
static char *body;
static size_t body_n = 10240, recipients_n = 1;
static uint64_t counter;

static void check(int result, const struct err *e)
{
    if (result == 0)
        return;
    fprintf(stderr, "store_bench: %s\n", e->text);
    exit(2);
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t proc_number(const char *file, const char *key)
{
    FILE *f = fopen(file, "r");
    char line[200];
    unsigned long long value = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            sscanf(line + strlen(key), " %llu", &value);
    if (f != NULL)
        fclose(f);
    return value;
}

/* Bytes that this process wrote to the device as a whole machine sees it, when it is quiet. (The
 * process's own write_bytes counts whole folios.) */
static uint64_t written(void)
{
    FILE *f = fopen("/proc/diskstats", "r");
    char line[300], name[64];
    unsigned long long sectors, sum = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%*u %*u %63s %*u %*u %*u %*u %*u %*u %llu", name, &sectors) == 2 &&
            strncmp(name, "loop", 4) != 0)
            sum += sectors;
    if (f != NULL)
        fclose(f);
    return sum * 512;
}

static void open_both(void)
{
    struct ledger_settings ls = {.path = path, .now_ms = now_ms};
    struct err e;

    check(ledger_open(&ls, &ledger, &e), &e);
    struct spool_settings ss = {.dir = spool_dir, .last_segment = ledger_last_segment(ledger)};
    check(spool_open(&ss, &spool, NULL, &e), &e);
    maker.last_hi = ledger_last_id(ledger).hi;
}

struct flying {
    struct id id;
    uint32_t part;
};

static struct flying accept_one(const char *site_name, bool take)
{
    struct ledger_recipient recipients[1000];
    char addresses[1000][40], message_id[80], subject[60];
    struct ledger_units units;
    struct err e;
    uint32_t site;

    struct ledger_message m = {.id = id_make(&maker, now_ms, counter * 0x9e3779b97f4a7c15),
                               .received_ms = now_ms,
                               .client = SLICE("app1"),
                               .client_ip = SLICE("192.0.2.17"),
                               .helo = SLICE("app1.example.com"),
                               .login = SLICE("app1"),
                               .tls = SLICE("TLSv1.3 TLS_AES_256_GCM_SHA384"),
                               .sender = SLICE("bounces@example.com"),
                               .stream = SLICE("transactional"),
                               .tag = SLICE("welcome"),
                               .options = SLICE("BODY=8BITMIME"),
                               .from = SLICE("Example <hello@example.com>"),
                               .has_digest = true,
                               .size_bytes = body_n};
    for (size_t i = 0; i < LEDGER_DIGEST_BYTES; i++)
        m.digest[i] = (unsigned char)(hash_bytes(counter, (struct slice){"abc", 3}) >> (i % 8 * 8));
    snprintf(message_id, sizeof message_id, "<%llu.abcdef0123456789@app1.example.com>",
             (unsigned long long)counter);
    snprintf(subject, sizeof subject, "Welcome, customer number %llu", (unsigned long long)counter);
    m.message_id = slice_of(message_id);
    m.subject = slice_of(subject);
    struct spool_writer *w = spool_stage_begin(spool, m.id, body_n);
    check(spool_writer_append(w, (struct slice){body, body_n}, &e), &e);
    check(spool_writer_finish(&w,
                              SLICE("Received: from app1.example.com (192.0.2.17)\r\n\tby "
                                    "mx.example.com with ESMTPSA\r\n"),
                              &m.place, &e),
          &e);
    check(ledger_site(ledger, slice_of(site_name), &site, &e), &e);
    for (size_t i = 0; i < recipients_n; i++) {
        snprintf(addresses[i], sizeof addresses[i], "user%llu-%zu@example.net",
                 (unsigned long long)counter, i);
        recipients[i] = (struct ledger_recipient){.address = slice_of(addresses[i]), .site = site};
    }
    counter++;
    struct id ignored;
    if (ledger_find_duplicate(ledger, m.digest, now_ms, &ignored))
        exit(3);
    check(ledger_add_message(ledger, &m, recipients, recipients_n, now_ms, take, &units, &e), &e);
    return (struct flying){m.id, 1};
}

static void commit(void)
{
    struct err e;

    check(spool_commit(spool, &e), &e);
    check(ledger_commit(ledger, &e), &e);
    check(ledger_checkpoint_if_due(ledger, &e), &e);
}

static void dot(struct flying f)
{
    const struct ledger_unit *unit = ledger_find_unit(ledger, f.id, f.part);
    struct err e;

    check(ledger_dot_sent(ledger, unit, unit->recipients, SLICE("mx1.example.net"),
                          SLICE("198.51.100.25"), now_ms, &e),
          &e);
}

static void delivered(struct flying f)
{
    const struct ledger_unit *unit = ledger_find_unit(ledger, f.id, f.part);
    struct err e;
    struct ledger_result result = {.kind = LEDGER_EV_DELIVERED,
                                   .state = LEDGER_DELIVERED,
                                   .recipients = unit->recipients,
                                   .host = SLICE("mx1.example.net"),
                                   .ip = SLICE("198.51.100.25"),
                                   .reply_code = 250,
                                   .enhanced = SLICE("2.0.0"),
                                   .text = SLICE("Ok: queued as 4FzQ2h3x7Yz1B"),
                                   .start_ms = now_ms - 3,
                                   .dot_ms = now_ms - 1};
    check(ledger_outcome(ledger, unit, &result, 1, 0, now_ms, &e), &e);
}

/* Gives back segments at once, as a retention of zero would, so that their files are used again. */
static void sweep(void)
{
    struct ledger_segment idle[8];
    size_t n = ledger_idle_segments(ledger, now_ms, idle, 8);
    struct err e;

    if (n == 0)
        return;
    check(ledger_begin(ledger, &e), &e);
    for (size_t i = 0; i < n; i++)
        if (spool_remove_segment(spool, idle[i].segment, &e) == 0)
            check(ledger_forget_segment(ledger, idle[i].segment, &e), &e);
    check(ledger_commit(ledger, &e), &e);
}

static void run(uint64_t messages, size_t group)
{
    static struct flying ring[3][GROUP_MAX];
    uint64_t groups = messages / group;
    struct err e;
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t bytes = written();
    uint64_t syncs = spool_counters(spool).syncs, checkpoints = ledger_counters(ledger).checkpoints;

    for (uint64_t g = 0; g < groups + 2; g++) {
        now_ms += 2;
        check(ledger_begin(ledger, &e), &e);
        for (size_t i = 0; i < group && g < groups; i++)
            ring[g % 3][i] = accept_one("example.net", true);
        for (size_t i = 0; i < group && g >= 1 && g <= groups; i++)
            dot(ring[(g - 1) % 3][i]);
        for (size_t i = 0; i < group && g >= 2; i++)
            delivered(ring[(g - 2) % 3][i]);
        commit();
        if (g % 100 == 0)
            sweep();
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    bytes = written() - bytes;
    checkpoints = ledger_counters(ledger).checkpoints - checkpoints;
    syncs = spool_counters(spool).syncs - syncs + groups + 2 + 2 * checkpoints;
    double n = (double)(groups * group);
    printf("%llu messages in groups of %zu: %.1f us CPU a message, %.0f/s, %.3f syncs a message, "
           "%.0f bytes a message (%.2f x), %llu checkpoints\n",
           (unsigned long long)(groups * group), group, cpu / n * 1e6, n / wall, (double)syncs / n,
           (double)bytes / n, (double)bytes / n / (double)body_n, (unsigned long long)checkpoints);
}

static void queue_backlog(uint64_t messages)
{
    struct err e;
    char site[40];
    uint64_t before = proc_number("/proc/self/status", "VmRSS:");
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

    for (uint64_t i = 0; i < messages; i += 500) {
        now_ms += 50;
        check(ledger_begin(ledger, &e), &e);
        for (int k = 0; k < 500; k++) {
            snprintf(site, sizeof site, "site%llu.example", (unsigned long long)(counter % 1000));
            accept_one(site, false);
        }
        commit();
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    uint64_t after = proc_number("/proc/self/status", "VmRSS:");
    printf("backlog of %llu: %.1f us CPU a message, memory %llu -> %llu KiB\n",
           (unsigned long long)messages, cpu / (double)messages * 1e6, (unsigned long long)before,
           (unsigned long long)after);
    spool_close(&spool);
    ledger_close(&ledger);
    double wall = seconds(CLOCK_MONOTONIC);
    open_both();
    uint32_t site_number = 0, sites = 0;
    int64_t due_ms;
    do {
        check(ledger_next_site(ledger, site_number, &site_number, &due_ms, &e), &e);
        sites++;
    } while (site_number != 0);
    printf("opened again in %.2f s with %llu units for %u sites, memory %llu KiB\n",
           seconds(CLOCK_MONOTONIC) - wall, (unsigned long long)ledger_counters(ledger).units,
           sites - 1, (unsigned long long)proc_number("/proc/self/status", "VmRSS:"));
}

static void drain(uint64_t most)
{
    struct ledger_units units;
    struct err e;
    uint64_t done = 0;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);

    for (uint32_t site = 2; done < most && site < 1000; site++) {
        do {
            struct flying flying[100];
            now_ms += 5;
            check(ledger_take_due(ledger, site, now_ms, 100, &units, &e), &e);
            size_t n = units.n;
            for (size_t i = 0; i < n; i++)
                flying[i] = (struct flying){units.p[i]->id, units.p[i]->part};
            if (n == 0)
                break;
            check(ledger_begin(ledger, &e), &e);
            for (size_t i = 0; i < n; i++)
                dot(flying[i]);
            commit();
            check(ledger_begin(ledger, &e), &e);
            for (size_t i = 0; i < n; i++)
                delivered(flying[i]);
            commit();
            done += n;
        } while (done < most);
    }
    if (done > 0)
        printf("drained %llu: %.1f us CPU a message, %.0f/s\n", (unsigned long long)done,
               (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)done * 1e6,
               (double)done / (seconds(CLOCK_MONOTONIC) - wall));
}

static uint64_t argument(char **argv, int argc, int i, uint64_t otherwise)
{
    uint64_t value;

    return i < argc && slice_to_u64(slice_of(argv[i]), &value) ? value : otherwise;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: store_bench DIR [MESSAGES] [GROUP] [BODY_BYTES] [RECIPIENTS] "
                        "[BACKLOG]\n");
        return 2;
    }
    uint64_t messages = argument(argv, argc, 2, 20000), backlog = argument(argv, argc, 6, 0);
    size_t group = (size_t)argument(argv, argc, 3, 10);
    body_n = (size_t)argument(argv, argc, 4, 10240);
    recipients_n = (size_t)argument(argv, argc, 5, 1);
    if (group == 0 || group > GROUP_MAX || recipients_n == 0 || recipients_n > 1000)
        return 2;
    snprintf(path, sizeof path, "%s/ledger.sqlite", argv[1]);
    snprintf(spool_dir, sizeof spool_dir, "%s/spool", argv[1]);
    body = mem_alloc(body_n);
    memset(body, 'x', body_n);
    open_both();
    struct err e;
    bool more;
    do
        check(spool_prepare_step(spool, &more, &e), &e);
    while (more);
    run(messages, group); /* the log grows to its size: twice, to see the cost from then on */
    run(messages, group);
    if (backlog > 0) {
        size_t body_before = body_n;
        body_n = 300;
        queue_backlog(backlog);
        body_n = body_before;
        run(messages, group);
        drain(20000);
    }
    spool_close(&spool);
    ledger_close(&ledger);
    return 0;
}
