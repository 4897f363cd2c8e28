/* Which local addresses mail left from: counted in memory, written once a group, kept a while. */

#include "store/ledger/house_test.h"

#define T0 INT64_C(1795000000000)
#define DAY INT64_C(86400000)

static int set_up(void **state)
{
    (void)state;
    return house_set_up((struct ledger_settings){.now_ms = T0});
}

static void add(const char *domain, const char *address, const char *via, int64_t now_ms)
{
    const struct ledger_source s = {
        .domain = slice_of(domain), .address = slice_of(address), .via = slice_of(via)};

    OK(ledger_add_source(l, &s, now_ms, &e));
}

static bool see(void *ctx, const struct ledger_source *s)
{
    buf_printf(ctx, "%.*s %.*s %.*s %lld %lld %llu\n", SLICE_ARG(s->domain), SLICE_ARG(s->address),
               SLICE_ARG(s->via), (long long)(s->first_ms - T0), (long long)(s->last_ms - T0),
               (unsigned long long)s->messages);
    return true;
}

/* Writer and reader say the same. */
static void expect(const char *wanted)
{
    struct buf seen, written;

    buf_init(&seen, 1u << 20);
    buf_init(&written, 1u << 20);
    OK(ledger_each_source(reader, see, &seen, &e));
    OK(ledger_sources(l, see, &written, &e));
    buf_append_char(&seen, '\0');
    buf_append_char(&written, '\0');
    assert_string_equal(seen.p, written.p);
    if (wanted != NULL)
        assert_string_equal(seen.p, wanted);
    buf_finish(&seen);
    buf_finish(&written);
}

static void addresses_are_counted(void **state)
{
    (void)state;
    OK(ledger_begin(l, &e));
    for (int i = 0; i < 100; i++)
        add("Example.com", "192.0.2.1", "", T0 + i);
    add("example.com", "2001:db8::1", "", T0);
    add("example.com", "10.0.0.1", "relay.example:587", T0);
    add("", "192.0.2.1", "", T0);
    OK(ledger_commit(l, &e));
    OK(ledger_begin(l, &e));
    add("example.com", "192.0.2.1", "", T0 + 500); /* another group, and */
    add("example.com", "192.0.2.1", "", T0 + DAY); /* another day */
    OK(ledger_commit(l, &e));
    expect(" 192.0.2.1  0 0 1\n"
           "example.com 192.0.2.1  0 86400000 102\n"
           "example.com 2001:db8::1  0 0 1\n"
           "example.com 10.0.0.1 relay.example:587 0 0 1\n");
}

static void a_group_that_failed_counts_nothing(void **state)
{
    (void)state;
    OK(ledger_begin(l, &e));
    add("example.com", "192.0.2.1", "", T0);
    ledger_rollback(l);
    OK(ledger_begin(l, &e));
    add("other.test", "192.0.2.1", "", T0);
    OK(ledger_commit(l, &e));
    expect("other.test 192.0.2.1  0 0 1\n");
}

static void old_days_are_forgotten(void **state)
{
    bool more;
    (void)state;

    OK(ledger_begin(l, &e));
    add("old.test", "192.0.2.1", "", T0);
    add("new.test", "192.0.2.1", "", T0 + 2 * DAY);
    OK(ledger_commit(l, &e));
    OK(ledger_begin(l, &e));
    OK(ledger_forget(l, T0 + DAY, 100, &more, &e));
    OK(ledger_commit(l, &e));
    expect("new.test 192.0.2.1  172800000 172800000 1\n");
}

static bool count(void *ctx, const struct ledger_source *s)
{
    unsigned *n = ctx;

    n[0]++;
    n[1] += slice_eq(s->domain, SLICE("(other)")) ? (unsigned)s->messages : 0;
    return true;
}

/* A client that makes up sender domains fills no disk, across groups and restarts. */
static void a_day_has_a_ceiling(void **state)
{
    char domain[40];
    unsigned n[2] = {0, 0};
    (void)state;

    for (unsigned i = 0; i < 1500; i++) {
        if (i % 300 == 0)
            OK(ledger_begin(l, &e));
        snprintf(domain, sizeof domain, "d%u.test", i);
        add(domain, "192.0.2.1", "", T0);
        if (i % 300 == 299)
            OK(ledger_commit(l, &e));
        if (i == 899) {
            ledger_close(&l);
            house_open((struct ledger_settings){.now_ms = T0});
        }
    }
    OK(ledger_each_source(reader, count, n, &e));
    assert_int_equal(n[0], 1001);
    assert_int_equal(n[1], 500);
}

int main(void)
{
#define CASE(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, tear_down, NULL                                                         \
    }
    static const struct CMUnitTest tests[] = {
        CASE("addresses are counted", addresses_are_counted),
        CASE("a group that failed counts nothing", a_group_that_failed_counts_nothing),
        CASE("old days are forgotten", old_days_are_forgotten),
        CASE("a day has a ceiling", a_day_has_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
