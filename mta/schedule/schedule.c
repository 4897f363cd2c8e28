#include "mta/schedule/schedule.h"

#include <assert.h>

#include "base/map.h"

#define LIMIT_AGAIN_MS 1000 /* a site that may have nothing in flight is looked at again */

struct site {
    struct list turn;  /* in schedule.turns while it has something that may go now */
    struct list ready; /* of schedule_unit */
    size_t ready_n, in_flight;
    int64_t next_due_ms;    /* of its work in the ledger; INT64_MAX: none */
    int64_t rests_until_ms; /* 0: it does not rest */
    unsigned failures;      /* rests in a row */
    size_t name_n;
    char name[];
};

struct schedule {
    struct schedule_settings settings;
    struct schedule_ports ports;
    struct map *sites;
    struct list turns;
    size_t ready_n, in_flight;
    int64_t wake_ms; /* the earliest time at which a site outside `turns` may go */
};

struct schedule *schedule_create(const struct schedule_settings *settings,
                                 const struct schedule_ports *ports)
{
    struct schedule *s = mem_alloc(sizeof *s);

    s->settings = *settings;
    s->ports = *ports;
    s->sites = map_create(settings->seed);
    list_init(&s->turns);
    s->wake_ms = INT64_MAX;
    return s;
}

static struct slice site_name(const struct site *site)
{
    return (struct slice){site->name, site->name_n};
}

static struct site *site_of(struct schedule *s, struct slice name)
{
    struct site *site = map_get(s->sites, name);

    if (site != NULL)
        return site;
    site = mem_alloc(sizeof *site + name.n);
    list_init(&site->turn);
    list_init(&site->ready);
    site->next_due_ms = INT64_MAX;
    site->name_n = name.n;
    memcpy(site->name, name.p, name.n);
    (void)map_put(s->sites, name, site);
    return site;
}

static void site_forget(struct schedule *s, struct site *site)
{
    (void)map_remove(s->sites, site_name(site));
    list_remove(&site->turn);
    free(site);
}

static void give_turn(struct schedule *s, struct site *site)
{
    if (list_is_empty(&site->turn))
        list_append(&s->turns, &site->turn);
}

static void note_wake(struct schedule *s, int64_t at_ms)
{
    if (at_ms < s->wake_ms)
        s->wake_ms = at_ms;
}

void schedule_destroy(struct schedule **s)
{
    size_t cursor = 0;
    struct slice name;
    void *value;

    if (*s == NULL)
        return;
    while (map_next((*s)->sites, &cursor, &name, &value)) {
        struct site *site = value;
        struct list *link;

        while ((link = list_take_first(&site->ready)) != NULL)
            (*s)->ports.drop((*s)->ports.ctx, CONTAINER_OF(link, struct schedule_unit, link));
        free(site);
    }
    map_destroy(&(*s)->sites);
    free(*s);
    *s = NULL;
}

static void take_in(struct schedule *s, struct site *site, struct schedule_unit *unit)
{
    unit->site = site;
    list_append(&site->ready, &unit->link);
    site->ready_n++;
    s->ready_n++;
}

void schedule_fresh(struct schedule *s, struct slice name, struct schedule_unit *unit)
{
    struct site *site = site_of(s, name);
    bool ledger_has_older = site->next_due_ms != INT64_MAX;

    if (s->ready_n >= s->settings.ready_max || ledger_has_older || site->rests_until_ms != 0) {
        site->next_due_ms = 0; /* due since always: it queues behind what the ledger has */
        s->ports.drop(s->ports.ctx, unit);
    } else {
        take_in(s, site, unit);
    }
    give_turn(s, site);
}

void schedule_loaded(struct schedule *s, struct slice name, struct schedule_unit *unit)
{
    take_in(s, site_of(s, name), unit);
}

void schedule_expect(struct schedule *s, struct slice name, int64_t due_ms)
{
    struct site *site = site_of(s, name);

    if (due_ms < site->next_due_ms)
        site->next_due_ms = due_ms;
    give_turn(s, site);
}

void schedule_done(struct schedule *s, struct schedule_unit *unit, bool site_down, int64_t now_ms,
                   uint64_t random)
{
    struct site *site = unit->site;

    assert(site->in_flight > 0 && s->in_flight > 0);
    site->in_flight--;
    s->in_flight--;
    unit->site = NULL;
    if (!site_down) {
        site->failures = 0;
    } else if (site->rests_until_ms <= now_ms) {
        int64_t rest = s->settings.rest_first_ms;

        for (unsigned i = 0; i < site->failures && rest < s->settings.rest_max_ms; i++)
            rest *= 2;
        if (rest > s->settings.rest_max_ms)
            rest = s->settings.rest_max_ms;
        rest += (int64_t)(random % (uint64_t)(rest / 8 + 1));
        site->failures++;
        site->rests_until_ms = now_ms + rest;
    }
    give_turn(s, site);
}

void schedule_wake(struct schedule *s, struct slice name)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(s->sites, &cursor, &key, &value)) {
        struct site *site = value;

        if (name.n > 0 && !slice_eq(key, name))
            continue;
        site->rests_until_ms = 0;
        site->failures = 0;
        give_turn(s, site);
    }
}

/* A resting site keeps nothing in memory: what it had goes back to the ledger's care. */
static void empty_ready(struct schedule *s, struct site *site)
{
    struct list *link;

    while ((link = list_take_first(&site->ready)) != NULL) {
        s->ready_n--;
        site->next_due_ms = 0;
        s->ports.drop(s->ports.ctx, CONTAINER_OF(link, struct schedule_unit, link));
    }
    site->ready_n = 0;
}

static void load(struct schedule *s, struct site *site, int64_t now_ms)
{
    size_t room = s->settings.ready_max > s->ready_n ? s->settings.ready_max - s->ready_n : 1;

    if (room > s->settings.load_batch)
        room = s->settings.load_batch;
    site->next_due_ms = s->ports.load(s->ports.ctx, site_name(site), now_ms, room);
}

/* Sends off what this site may have in flight. Returns false when the site has no more to do now,
 * so that it leaves the circle. */
static bool run_site(struct schedule *s, struct site *site, int64_t now_ms)
{
    unsigned limit = s->ports.limit(s->ports.ctx, site_name(site));

    if (site->rests_until_ms > now_ms) {
        empty_ready(s, site);
        note_wake(s, site->rests_until_ms);
        return false;
    }
    site->rests_until_ms = 0;
    if (limit == 0) {
        note_wake(s, now_ms + LIMIT_AGAIN_MS);
        return false;
    }
    if (site->failures > 0 && limit > 1)
        limit = 1; /* after a rest one unit goes ahead and sees whether the site is back */
    if (site->in_flight >= limit || s->in_flight >= s->settings.in_flight_max)
        return false; /* schedule_done() brings it back */
    if (site->ready_n == 0 && site->next_due_ms <= now_ms)
        load(s, site, now_ms);
    struct list *link = list_take_first(&site->ready);
    if (link == NULL) {
        note_wake(s, site->next_due_ms);
        return false;
    }
    site->ready_n--;
    s->ready_n--;
    site->in_flight++;
    s->in_flight++;
    s->ports.dispatch(s->ports.ctx, CONTAINER_OF(link, struct schedule_unit, link));
    return true;
}

/* Sites that wait for a time come back into the circle. */
static void wake_due(struct schedule *s, int64_t now_ms)
{
    size_t cursor = 0;
    struct slice name;
    void *value;

    if (s->wake_ms > now_ms)
        return;
    s->wake_ms = INT64_MAX;
    while (map_next(s->sites, &cursor, &name, &value)) {
        struct site *site = value;
        int64_t at_ms = site->rests_until_ms != 0 ? site->rests_until_ms : site->next_due_ms;

        if (at_ms <= now_ms || (site->ready_n > 0 && site->rests_until_ms == 0))
            give_turn(s, site);
        else
            note_wake(s, at_ms);
    }
}

int64_t schedule_run(struct schedule *s, int64_t now_ms)
{
    struct list *link;

    wake_due(s, now_ms);
    while (s->in_flight < s->settings.in_flight_max &&
           (link = list_take_first(&s->turns)) != NULL) {
        struct site *site = CONTAINER_OF(link, struct site, turn);

        if (run_site(s, site, now_ms))
            give_turn(s, site);
        else if (site->in_flight == 0 && site->ready_n == 0 && site->next_due_ms == INT64_MAX &&
                 site->rests_until_ms == 0 && site->failures == 0)
            site_forget(s, site);
    }
    return s->wake_ms;
}

bool schedule_has_room(const struct schedule *s, size_t more)
{
    return s->ready_n + more < s->settings.ready_max;
}

struct schedule_counters schedule_counters(const struct schedule *s)
{
    struct schedule_counters c = {map_count(s->sites), s->ready_n, s->in_flight, 0};
    size_t cursor = 0;
    struct slice name;
    void *value;

    while (map_next(s->sites, &cursor, &name, &value))
        c.resting += ((const struct site *)value)->rests_until_ms != 0;
    return c;
}

int64_t schedule_rests_until(const struct schedule *s, struct slice name)
{
    const struct site *site = map_get(s->sites, name);

    return site == NULL ? 0 : site->rests_until_ms;
}

int64_t schedule_backoff_ms(const uint32_t *steps_s, size_t step_count, unsigned attempts,
                            unsigned jitter_percent, uint64_t random)
{
    size_t step = attempts == 0 ? 0 : attempts - 1;

    assert(step_count > 0);
    if (step >= step_count)
        step = step_count - 1;
    int64_t base_ms = (int64_t)steps_s[step] * 1000;
    int64_t most = base_ms / 100 * (jitter_percent > 100 ? 100 : jitter_percent);
    return base_ms - most + (int64_t)(random % (uint64_t)(2 * most + 1));
}
