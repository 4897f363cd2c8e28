/* What is sent when: the ledger and the deliveries are played, time is a number. */
#include "base/test.h"

#include "mta/schedule/schedule.h"

struct played_unit {
    struct schedule_unit unit;
    int number;
};

struct played {
    struct schedule *schedule;
    struct played_unit units[64];
    char log[512];     /* what the schedule asked for */
    int in_ledger[64]; /* numbers of units that load() may hand out */
    size_t ledger_n;
    int64_t later_due_ms; /* what load() returns when it has no more due now */
    unsigned limit;
};

static void note(struct played *p, const char *what, int number)
{
    size_t n = strlen(p->log);

    (void)snprintf(p->log + n, sizeof p->log - n, "%s%d ", what, number);
}

static void dispatch(void *ctx, struct schedule_unit *unit)
{
    note(ctx, "go", CONTAINER_OF(unit, struct played_unit, unit)->number);
}

static void drop(void *ctx, struct schedule_unit *unit)
{
    struct played *p = ctx;
    int number = CONTAINER_OF(unit, struct played_unit, unit)->number;

    note(p, "drop", number);
    p->in_ledger[p->ledger_n++] = number;
}

static int64_t load(void *ctx, struct slice site, int64_t now_ms, size_t room)
{
    struct played *p = ctx;
    (void)now_ms;

    while (room > 0 && p->ledger_n > 0) {
        int number = p->in_ledger[0];

        memmove(p->in_ledger, p->in_ledger + 1, --p->ledger_n * sizeof *p->in_ledger);
        schedule_loaded(p->schedule, site, &p->units[number].unit);
        room--;
    }
    return p->ledger_n > 0 ? 0 : p->later_due_ms;
}

static unsigned limit(void *ctx, struct slice site)
{
    (void)site;
    return ((struct played *)ctx)->limit;
}

static int set_up(void **state)
{
    struct played *p = mem_alloc(sizeof *p);
    const struct schedule_ports ports = {p, dispatch, drop, load, limit};
    const struct schedule_settings settings = {.ready_max = 3,
                                               .in_flight_max = 4,
                                               .load_batch = 2,
                                               .rest_first_ms = 1000,
                                               .rest_max_ms = 3000};

    p->limit = 2;
    p->later_due_ms = INT64_MAX;
    for (int i = 0; i < 64; i++)
        p->units[i].number = i;
    p->schedule = schedule_create(&settings, &ports);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct played *p = *state;

    schedule_destroy(&p->schedule);
    free(p);
    return 0;
}

static void fresh(struct played *p, const char *site, int number)
{
    schedule_fresh(p->schedule, slice_of(site), &p->units[number].unit);
}

static void done(struct played *p, int number, bool down, int64_t now_ms)
{
    schedule_done(p->schedule, &p->units[number].unit, down, now_ms, 0);
}

static void a_site_gets_its_limit_and_sites_take_turns(void **state)
{
    struct played *p = *state;

    fresh(p, "a", 1);
    fresh(p, "a", 2);
    fresh(p, "b", 3);
    schedule_run(p->schedule, 0);
    assert_string_equal(p->log, "go1 go3 go2 ");
    fresh(p, "a", 4);
    schedule_run(p->schedule, 0);
    assert_string_equal(p->log, "go1 go3 go2 ");
    done(p, 1, false, 5);
    schedule_run(p->schedule, 5);
    assert_string_equal(p->log, "go1 go3 go2 go4 ");
}

static void what_memory_cannot_hold_comes_back_from_the_ledger(void **state)
{
    struct played *p = *state;

    for (int i = 1; i <= 5; i++)
        fresh(p, "a", i);
    assert_string_equal(p->log, "drop4 drop5 ");
    schedule_run(p->schedule, 0);
    for (int i = 1; i <= 5; i++) {
        done(p, i, false, i);
        schedule_run(p->schedule, i);
    }
    assert_string_equal(p->log, "drop4 drop5 go1 go2 go3 go4 go5 ");
    assert_int_equal(schedule_counters(p->schedule).sites, 0);
}

static void a_limit_of_none_keeps_the_work_until_there_is_one(void **state)
{
    struct played *p = *state;

    p->limit = 0;
    fresh(p, "a", 1);
    assert_int_equal(schedule_run(p->schedule, 5000), 6000);
    assert_string_equal(p->log, "");
    p->limit = 1;
    schedule_run(p->schedule, 6000);
    assert_string_equal(p->log, "go1 ");
}

static void a_site_that_is_down_rests_longer_each_time(void **state)
{
    struct played *p = *state;

    fresh(p, "a", 1);
    fresh(p, "a", 2);
    fresh(p, "a", 3);
    schedule_run(p->schedule, 0);
    done(p, 1, true, 10);
    done(p, 2, true, 11); /* the same outage: no longer rest for it */
    assert_int_equal(schedule_run(p->schedule, 12), 1010);
    assert_string_equal(p->log, "go1 go2 drop3 ");
    assert_int_equal(schedule_rests_until(p->schedule, SLICE("a")), 1010);
    p->in_ledger[p->ledger_n++] = 1;
    assert_int_equal(schedule_run(p->schedule, 1009), 1010);
    schedule_run(p->schedule, 1010); /* one goes ahead */
    assert_string_equal(p->log, "go1 go2 drop3 go3 ");
    done(p, 3, true, 1020);
    assert_int_equal(schedule_run(p->schedule, 1020), 3020);
    schedule_wake(p->schedule, SLICE("a"));
    schedule_run(p->schedule, 1030);
    assert_string_equal(p->log, "go1 go2 drop3 go3 drop1 go1 ");
    done(p, 1, false, 1040);
    assert_int_equal(schedule_run(p->schedule, 1040), 3020); /* an old alarm, harmless */
    assert_int_equal(schedule_run(p->schedule, 3020), INT64_MAX);
}

static void work_that_is_due_later_sets_the_alarm(void **state)
{
    struct played *p = *state;

    schedule_expect(p->schedule, SLICE("a"), 500);
    assert_int_equal(schedule_run(p->schedule, 0), 500);
    assert_string_equal(p->log, "");
    p->in_ledger[p->ledger_n++] = 7;
    p->later_due_ms = 900;
    assert_int_equal(schedule_run(p->schedule, 500), 900);
    assert_string_equal(p->log, "go7 ");
}

static void backoff_follows_the_steps_with_a_spread(void **state)
{
    const uint32_t steps[] = {60, 600};
    (void)state;

    assert_int_equal(schedule_backoff_ms(steps, 2, 1, 20, 0), 48000);
    assert_int_equal(schedule_backoff_ms(steps, 2, 1, 20, 24000), 72000);
    assert_int_equal(schedule_backoff_ms(steps, 2, 2, 20, 120000), 600000);
    assert_int_equal(schedule_backoff_ms(steps, 2, 99, 20, 120000), 600000);
    assert_int_equal(schedule_backoff_ms(steps, 2, 1, 0, 77), 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_site_gets_its_limit_and_sites_take_turns, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_memory_cannot_hold_comes_back_from_the_ledger, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limit_of_none_keeps_the_work_until_there_is_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_site_that_is_down_rests_longer_each_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(work_that_is_due_later_sets_the_alarm, set_up, tear_down),
        cmocka_unit_test(backoff_follows_the_steps_with_a_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
