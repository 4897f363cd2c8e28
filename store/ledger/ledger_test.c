/* What is written is there, for the writer, for readers, and after everything went wrong. */

#include "store/ledger/house_test.h"

#define T0 INT64_C(1795000000000)
#define DAY_MS_TEST INT64_C(86400000)

static struct id_maker maker;

static const struct ledger_settings few_a_unit = {.now_ms = T0, .unit_recipients = 3};

static void open_ledger(void)
{
    house_open(few_a_unit);
    maker.last_hi = ledger_last_id(l).hi;
}

static int set_up(void **state)
{
    (void)state;
    (void)house_set_up(few_a_unit);
    maker = (struct id_maker){.last_hi = ledger_last_id(l).hi};
    return 0;
}

static void reopen(void)
{
    ledger_close(&l);
    open_ledger();
}

/* A message for `n` recipients at sites named by the digits of `sites`. */
static struct id add(const char *sites, int64_t now_ms, bool take, struct ledger_units *units)
{
    struct ledger_recipient recipients[20];
    char addresses[20][40], site[20];
    size_t n = strlen(sites);

    for (size_t i = 0; i < n; i++) {
        snprintf(site, sizeof site, "site%c.example", sites[i]);
        snprintf(addresses[i], sizeof addresses[i], "user%zu@%s", i + 1, site);
        recipients[i] = (struct ledger_recipient){.address = slice_of(addresses[i]),
                                                  .options = SLICE("NOTIFY=NEVER")};
        OK(ledger_site(l, slice_of(site), &recipients[i].site, &e));
    }
    struct ledger_message m = {.id = id_make(&maker, now_ms, 77),
                               .received_ms = now_ms,
                               .client = SLICE("app"),
                               .client_ip = SLICE("192.0.2.1"),
                               .sender = SLICE("news@example.com"),
                               .stream = SLICE("news"),
                               .tag = SLICE("spring"),
                               .subject = SLICE("Hello"),
                               .message_id = SLICE("<a@example.com>"),
                               .size_bytes = 1000,
                               .place = {.segment = 1, .offset = 0, .body_n = 1000, .head_n = 36},
                               .has_digest = true};
    m.digest[0] = (unsigned char)(m.id.hi >> 16);
    m.digest[9] = (unsigned char)(m.id.hi >> 24);
    OK(ledger_add_message(l, &m, recipients, n, now_ms, take, units, &e));
    return m.id;
}

static struct id add_one(const char *sites, int64_t now_ms, bool take, struct ledger_units *units)
{
    OK(ledger_begin(l, &e));
    struct id id = add(sites, now_ms, take, units);
    OK(ledger_commit(l, &e));
    return id;
}

static struct ledger_result result_of(enum ledger_kind kind, enum ledger_state state,
                                      struct ranges recipients)
{
    return (struct ledger_result){.kind = kind,
                                  .state = state,
                                  .recipients = recipients,
                                  .host = SLICE("mx.example"),
                                  .ip = SLICE("198.51.100.1"),
                                  .reply_code = 250,
                                  .enhanced = SLICE("2.0.0"),
                                  .text = SLICE("thanks"),
                                  .start_ms = T0 + 1,
                                  .dot_ms = T0 + 2};
}

static void outcome(struct id id, uint32_t part, enum ledger_kind kind, enum ledger_state state,
                    int64_t due_ms, int64_t now_ms)
{
    const struct ledger_unit *unit = ledger_find_unit(l, id, part);

    assert_non_null(unit);
    struct ledger_result r = result_of(kind, state, unit->recipients);
    OK(ledger_begin(l, &e));
    OK(ledger_outcome(l, unit, &r, 1, due_ms, now_ms, &e));
    OK(ledger_commit(l, &e));
}

static size_t count_due(int64_t now_ms)
{
    struct ledger_units units;
    uint32_t site = 0;
    size_t n = 0;
    int64_t due_ms;

    for (;;) {
        OK(ledger_next_site(l, site, &site, &due_ms, &e));
        if (site == 0)
            return n;
        OK(ledger_take_due(l, site, now_ms, 1000, &units, &e));
        assert_int_equal(units.n > 0, due_ms <= now_ms);
        n += units.n;
        struct id ids[100];
        uint32_t parts[100];
        for (size_t i = 0; i < units.n; i++) {
            ids[i] = units.p[i]->id;
            parts[i] = units.p[i]->part;
        }
        for (size_t i = 0, count = units.n; i < count; i++)
            ledger_give_back(l, ledger_find_unit(l, ids[i], parts[i]));
    }
}

struct seen {
    size_t n;
    char text[4000];
};

static bool see_event(void *ctx, const struct ledger_event *event)
{
    struct seen *seen = ctx;
    size_t at = strlen(seen->text);

    seen->n++;
    snprintf(seen->text + at, sizeof seen->text - at, "%s[%.*s] ", ledger_kind_name(event->kind),
             SLICE_ARG(event->recipients));
    return true;
}

static const char *story_of(struct id id)
{
    static struct seen seen;
    struct arena *arena = arena_create(1 << 20);
    struct ledger_story story;

    seen = (struct seen){0};
    OK(ledger_show(reader, id, arena, &story, &e));
    for (size_t i = 0; i < story.event_count; i++)
        see_event(&seen, &story.events[i]);
    for (uint32_t i = 0; i < story.message.recipient_count; i++) {
        size_t at = strlen(seen.text);
        snprintf(seen.text + at, sizeof seen.text - at, "%s ",
                 ledger_state_name(story.recipients[i].state));
    }
    arena_destroy(&arena);
    return seen.text;
}

static bool count_row(void *ctx, const struct ledger_row *row)
{
    size_t *n = ctx;

    assert_true(row->id.hi > 0);
    (*n)++;
    return true;
}

static size_t listed(struct ledger_filter filter)
{
    size_t n = 0;

    OK(ledger_list(reader, &filter, count_row, &n, &e));
    return n;
}

/* --- the cases --- */

static void a_mail_is_delivered(void **state)
{
    struct ledger_units units;
    struct id id = add_one("1", T0, true, &units);

    (void)state;
    assert_int_equal(count_due(T0), 0); /* it is taken */
    const struct ledger_unit *unit = ledger_find_unit(l, id, 1);
    assert_non_null(unit);
    assert_true(slice_eq(unit->stream, SLICE("news")));
    OK(ledger_begin(l, &e));
    OK(ledger_dot_sent(l, unit, unit->recipients, SLICE("mx"), SLICE("ip"), T0 + 5, &e));
    OK(ledger_commit(l, &e));
    outcome(id, 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 10);
    assert_null(ledger_find_unit(l, id, 1));
    assert_string_equal(story_of(id), "accepted[] delivered[] delivered ");
    assert_int_equal(listed((struct ledger_filter){0}), 0);
    assert_int_equal(listed((struct ledger_filter){.states = 1u << LEDGER_DELIVERED}), 1);
    assert_int_equal(ledger_counters(l).units, 0);
    reopen();
    assert_int_equal(count_due(T0 + DAY_MS_TEST), 0);
}

static void recipients_part_ways(void **state)
{
    struct ledger_units units;
    struct range some[] = {{1, 1}, {3, 3}, {4, 4}};

    (void)state;
    OK(ledger_begin(l, &e));
    struct id id = add("12112", T0, true, &units); /* site 1: 1,3,4; site 2: 2,5 */
    assert_int_equal(units.n, 2);
    assert_int_equal(ranges_count(units.p[0]->recipients), 3);
    OK(ledger_commit(l, &e));
    const struct ledger_unit *unit = ledger_find_unit(l, id, 1);
    struct ledger_result r[] = {
        result_of(LEDGER_EV_DELIVERED, LEDGER_DELIVERED, (struct ranges){&some[0], 1}),
        result_of(LEDGER_EV_DEFERRED, LEDGER_QUEUED, (struct ranges){&some[1], 1}),
        result_of(LEDGER_EV_UNKNOWN, LEDGER_UNKNOWN_HELD, (struct ranges){&some[2], 1})};
    OK(ledger_begin(l, &e));
    assert_int_equal(ledger_outcome(l, unit, r, 2, T0 + 900, T0 + 9, &e), -1); /* 4 is missing */
    assert_int_equal(e.code, ERR_SYNTAX);
    r[1].recipients.p = &some[0];
    assert_int_equal(ledger_outcome(l, unit, r, 3, T0 + 900, T0 + 9, &e), -1); /* 1 twice */
    r[1].recipients.p = &some[1];
    OK(ledger_outcome(l, unit, r, 3, T0 + 900, T0 + 9, &e));
    assert_int_equal(ledger_outcome(l, unit, r, 3, T0 + 900, T0 + 9, &e), -1); /* once only */
    OK(ledger_commit(l, &e));
    outcome(id, 2, LEDGER_EV_BOUNCED, LEDGER_BOUNCED, 0, T0 + 10);
    assert_string_equal(story_of(id), "accepted[] delivered[1] deferred[3] unknown[4] bounced[2,5]"
                                      " delivered bounced queued unknown-held bounced ");
    assert_int_equal(ledger_counters(l).units, 2);
    assert_int_equal(count_due(T0 + 899), 0);
    assert_int_equal(count_due(T0 + 900), 1);
    assert_int_equal(listed((struct ledger_filter){.domain = SLICE("SITE1.example")}), 2);
    assert_int_equal(listed((struct ledger_filter){.states = 1u << LEDGER_UNKNOWN_HELD}), 1);
    struct ledger_segment idle;
    assert_int_equal(ledger_idle_segments(l, INT64_MAX, &idle, 1), 0);
    OK(ledger_begin(l, &e));
    uint32_t changed, busy;
    OK(ledger_drop(l, id, T0 + 1000, &changed, &busy, &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(changed, 2);
    assert_int_equal(busy, 0);
    assert_int_equal(ledger_idle_segments(l, INT64_MAX, &idle, 1), 1);
    assert_int_equal(idle.live_bytes, 0);
}

static void the_same_again(void **state)
{
    unsigned char digest[LEDGER_DIGEST_BYTES] = {0};
    struct id found;

    (void)state;
    struct id id = add_one("1", T0, false, NULL);
    digest[0] = (unsigned char)(id.hi >> 16);
    digest[9] = (unsigned char)(id.hi >> 24);
    for (int round = 0; round < 2; round++) {
        assert_true(ledger_find_duplicate(l, digest, T0 + 5, &found));
        assert_true(id_eq(found, id));
        assert_false(ledger_find_duplicate(l, digest, T0 + DAY_MS_TEST + 1, &found));
        digest[15] = 1;
        assert_false(ledger_find_duplicate(l, digest, T0, &found)); /* the first bytes agree */
        digest[15] = 0;
        reopen();
    }
    OK(ledger_begin(l, &e));
    OK(ledger_add_duplicate(l, id, SLICE("192.0.2.1"), T0 + 5, &e));
    OK(ledger_commit(l, &e));
    assert_string_equal(story_of(id), "accepted[] duplicate[] queued ");
}

static void a_failed_group_never_was(void **state)
{
    struct ledger_units units;
    struct id kept = add_one("1", T0, true, &units);
    unsigned char digest[LEDGER_DIGEST_BYTES] = {0};
    struct id found;

    (void)state;
    OK(ledger_begin(l, &e));
    struct id id = add("23", T0 + 1, true, &units);
    const struct ledger_unit *unit = ledger_find_unit(l, kept, 1);
    struct ledger_result r = result_of(LEDGER_EV_DELIVERED, LEDGER_DELIVERED, unit->recipients);
    OK(ledger_outcome(l, unit, &r, 1, 0, T0 + 2, &e));
    struct ledger_result r2 =
        result_of(LEDGER_EV_DELIVERED, LEDGER_DELIVERED, units.p[0]->recipients);
    OK(ledger_outcome(l, ledger_find_unit(l, id, 1), &r2, 1, 0, T0 + 2, &e));
    assert_null(ledger_find_unit(l, kept, 1));
    ledger_rollback(l);
    assert_non_null(ledger_find_unit(l, kept, 1)); /* its outcome is still to come */
    assert_null(ledger_find_unit(l, id, 1));
    assert_null(ledger_find_unit(l, id, 2));
    assert_int_equal(ledger_counters(l).units, 1);
    assert_int_equal(ledger_counters(l).taken, 1);
    assert_int_equal(ledger_show(reader, id, NULL, &(struct ledger_story){0}, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    digest[0] = (unsigned char)(id.hi >> 16);
    digest[9] = (unsigned char)(id.hi >> 24);
    assert_false(ledger_find_duplicate(l, digest, T0 + 5, &found));
    outcome(kept, 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 10);
    struct id again = add_one("23", T0 + 11, false, NULL); /* names and numbers are fine again */
    assert_string_equal(story_of(again), "accepted[] queued queued ");
    assert_string_equal(story_of(kept), "accepted[] delivered[] delivered ");
}

static struct ledger_verdict hold_it(void *ctx, const struct ledger_dangling *d)
{
    size_t *n = ctx;

    assert_true(slice_eq(d->host, SLICE("mx")));
    assert_int_equal(d->dot_ms, T0 + 5);
    assert_true(slice_eq(d->stream, SLICE("news")));
    (*n)++;
    return (struct ledger_verdict){LEDGER_UNKNOWN_HELD, 0};
}

static struct ledger_verdict retry_it(void *ctx, const struct ledger_dangling *d)
{
    (void)ctx, (void)d;
    return (struct ledger_verdict){LEDGER_QUEUED, T0 + 5000};
}

static void a_crash_after_the_dot_is_unknown(void **state)
{
    struct ledger_units units;
    uint64_t count;
    size_t asked = 0;

    (void)state;
    struct id other = add_one("1", T0, true, &units);
    struct id id = add_one("111", T0, true, &units);
    struct range two = {2, 2};
    OK(ledger_begin(l, &e));
    OK(ledger_dot_sent(l, ledger_find_unit(l, id, 1), (struct ranges){&two, 1}, SLICE("mx"),
                       SLICE("ip"), T0 + 5, &e));
    OK(ledger_commit(l, &e));
    reopen();
    OK(ledger_recover(l, hold_it, &asked, T0 + 100, &count, &e));
    assert_int_equal(count, 1);
    assert_int_equal(asked, 1);
    assert_string_equal(story_of(id), "accepted[] unknown[2] queued unknown-held queued ");
    assert_string_equal(story_of(other), "accepted[] queued ");
    OK(ledger_recover(l, hold_it, &asked, T0 + 100, &count, &e));
    assert_int_equal(count, 0);
    assert_int_equal(count_due(T0 + 100), 2);
    OK(ledger_begin(l, &e));
    OK(ledger_release(l, id, T0 + 200, NULL, NULL, &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(count_due(T0 + 200), 3);
    OK(ledger_take_due(l, 1, T0 + 200, 100, &units, &e));
    OK(ledger_begin(l, &e));
    OK(ledger_dot_sent(l, ledger_find_unit(l, other, 1), units.p[0]->recipients, SLICE("mx"),
                       SLICE("ip"), T0 + 205, &e));
    OK(ledger_commit(l, &e));
    reopen();
    OK(ledger_recover(l, retry_it, NULL, T0 + 300, &count, &e));
    assert_int_equal(count_due(T0 + 300), 2);
    assert_int_equal(count_due(T0 + 5000), 3);
}

static void an_operator_wishes(void **state)
{
    uint32_t changed, busy;
    struct ledger_units units;

    (void)state;
    struct id id = add_one("12", T0, false, NULL);
    OK(ledger_take_due(l, 1, T0, 1, &units, &e));
    assert_int_equal(units.n, 1);
    OK(ledger_begin(l, &e));
    OK(ledger_hold(l, id, T0 + 1, &changed, &busy, &e));
    assert_int_equal(changed, 1);
    assert_int_equal(busy, 1);
    assert_int_equal(ledger_hold(l, (struct id){id.hi, 1}, T0, NULL, NULL, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    OK(ledger_commit(l, &e)); /* that alone does not spoil a group */
    assert_int_equal(count_due(T0 + 1000), 0);
    OK(ledger_begin(l, &e));
    OK(ledger_release(l, id, T0 + 2000, &changed, &busy, &e));
    OK(ledger_retry(l, id, T0 + 2001, &changed, NULL, &e));
    assert_int_equal(changed, 1);
    OK(ledger_commit(l, &e));
    assert_int_equal(count_due(T0 + 2000), 0);
    assert_int_equal(count_due(T0 + 2001), 1);
    assert_string_equal(story_of(id), "accepted[] held[2] released[2] retry[2] queued queued ");
}

static void a_taken_unit_is_loaded(void **state)
{
    struct ledger_units units;
    struct ledger_message m;
    const struct ledger_recipient *recipients;
    struct arena *arena = arena_create(100000), *small = arena_create(64);
    size_t n;

    (void)state;
    struct id id = add_one("1211", T0, false, NULL);
    OK(ledger_take_due(l, 1, T0, 10, &units, &e));
    assert_int_equal(units.n, 1);
    OK(ledger_load_unit(l, units.p[0], arena, &m, &recipients, &n, &e));
    assert_int_equal(n, 3);
    assert_true(id_eq(m.id, id));
    assert_true(slice_eq(m.sender, SLICE("news@example.com")));
    assert_true(slice_eq(recipients[1].address, SLICE("user3@site1.example")));
    assert_true(slice_eq(recipients[2].options, SLICE("NOTIFY=NEVER")));
    assert_int_equal(m.place.body_n, 1000);
    assert_int_equal(ledger_load_unit(l, units.p[0], small, &m, &recipients, &n, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    OK(ledger_load_message(l, id, arena, &m, &e));
    assert_true(id_eq(m.id, id) && m.recipient_count > 0);
    const struct id others[] = {{id.hi, id.lo + 1}, {id.hi + 1, id.lo}};
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_int_equal(ledger_load_message(l, others[i], arena, &m, &e), -1);
        assert_int_equal(e.code, ERR_FOUND);
    }
    arena_destroy(&arena);
    arena_destroy(&small);
}

static void only_one_writer(void **state)
{
    struct ledger_settings settings = {.path = path, .now_ms = T0};
    struct ledger *second = NULL;

    (void)state;
    assert_int_equal(ledger_open(&settings, &second, &e), -1);
    assert_int_equal(e.code, ERR_TEMP);
    assert_int_equal(
        ledger_reader_open("/nonexistent/ledger.db", &(struct ledger_reader *){NULL}, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
}

static void old_mail_is_forgotten(void **state)
{
    struct ledger_units units;
    struct id done[5], open_one;
    bool more = true;

    (void)state;
    for (int i = 0; i < 5; i++) {
        done[i] = add_one("12", T0 + i, true, &units);
        outcome(done[i], 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 10);
        outcome(done[i], 2, LEDGER_EV_BOUNCED, LEDGER_BOUNCED, 0, T0 + 10);
    }
    open_one = add_one("1", T0 + 6, false, NULL);
    for (int i = 0; more && i < 20; i++) {
        OK(ledger_begin(l, &e));
        OK(ledger_forget(l, T0 + 100000, 2, &more, &e));
        OK(ledger_commit(l, &e));
    }
    assert_false(more);
    struct ledger_filter all = {.states = ~0u};
    assert_int_equal(listed(all), 1);
    assert_string_equal(story_of(open_one), "accepted[] queued "); /* the newest event stays */
    assert_int_equal(ledger_show(reader, done[0], NULL, &(struct ledger_story){0}, &e), -1);
}

static void segments_are_counted(void **state)
{
    struct ledger_units units;
    struct ledger_segment s[2];
    struct ledger_stored stored[4];
    size_t n;

    (void)state;
    struct id a = add_one("1", T0, true, &units), b = add_one("1", T0 + 1, false, NULL);
    assert_true(ledger_knows_segment(l, 1));
    assert_false(ledger_knows_segment(l, 2));
    assert_int_equal(ledger_last_segment(l), 1);
    outcome(a, 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 10);
    reopen();
    assert_int_equal(ledger_sparse_segments(l, T0 + 11, 2, s, 2), 1);
    assert_int_equal(s[0].live_bytes, 1100);
    assert_int_equal(s[0].total_bytes, 2200);
    OK(ledger_live_in_segment(l, 1, (struct id){0, 0}, stored, 4, &n, &e));
    assert_int_equal(n, 1);
    assert_true(id_eq(stored[0].id, b));
    struct spool_place to = stored[0].place;
    to.segment = 5;
    OK(ledger_begin(l, &e));
    assert_int_equal(ledger_forget_segment(l, 1, &e), -1);
    OK(ledger_move(l, b, &to, &e));
    OK(ledger_forget_segment(l, 1, &e));
    OK(ledger_commit(l, &e));
    assert_false(ledger_knows_segment(l, 1));
    reopen();
    assert_false(ledger_knows_segment(l, 1));
    OK(ledger_live_in_segment(l, 5, (struct id){0, 0}, stored, 4, &n, &e));
    assert_int_equal(n, 1);
    assert_int_equal(ledger_idle_segments(l, INT64_MAX, s, 2), 0);
}

static void our_own_mail_is_signed_later(void **state)
{
    struct ledger_segment kept[2];
    struct ledger_stored stored[2];
    struct spool_place to = {.segment = 2, .offset = 64, .body_n = 1000, .head_n = 536};
    size_t n;

    (void)state;
    struct id id = add_one("1", T0 + 5000, false, NULL); /* unsigned, due in a while */
    assert_int_equal(count_due(T0), 0);
    OK(ledger_begin(l, &e));
    OK(ledger_sign(l, id, &to, SLICE("a.example/s"), T0, &e));
    OK(ledger_commit(l, &e));
    assert_int_equal(count_due(T0), 1);
    reopen();
    OK(ledger_live_in_segment(l, 2, (struct id){0, 0}, stored, 2, &n, &e));
    assert_int_equal(n, 1);
    assert_int_equal(stored[0].place.head_n, 536);
    assert_int_equal(stored[0].place.offset, 64);
    assert_int_equal(ledger_idle_segments(l, INT64_MAX, kept, 2), 1); /* the first bytes' */
    assert_int_equal(kept[0].segment, 1);
    assert_string_equal(story_of(id), "accepted[] signed[1] queued ");
    OK(ledger_begin(l, &e));
    assert_int_equal(ledger_sign(l, (struct id){id.hi + 1, 0}, &to, SLICE("x"), T0, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    OK(ledger_commit(l, &e));
}

static bool see_stream(void *ctx, const struct ledger_stream_row *row)
{
    *(struct ledger_stream_row *)ctx = *row;
    return true;
}

static bool see_address(void *ctx, const struct ledger_event *event)
{
    struct seen *seen = ctx;
    size_t at = strlen(seen->text);

    snprintf(seen->text + at, sizeof seen->text - at, "%s %.*s%s, ", ledger_kind_name(event->kind),
             SLICE_ARG(event->address), event->has_others ? "+" : "");
    return true;
}

static void the_log_names_recipients(void **state)
{
    struct ledger_units units;
    struct seen seen = {0};

    (void)state;
    struct id one = add_one("1", T0, true, &units), id = add_one("1211", T0 + 1, true, &units);
    outcome(one, 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 10);
    outcome(id, 2, LEDGER_EV_BOUNCED, LEDGER_BOUNCED, 0, T0 + 11);
    outcome(id, 1, LEDGER_EV_DELIVERED, LEDGER_DELIVERED, 0, T0 + 12);
    reopen();
    OK(ledger_events(reader, 0, 1000, see_address, &seen, &e));
    assert_string_equal(seen.text, "accepted user1@site1.example, accepted user1@site1.example+, "
                                   "delivered user1@site1.example, bounced user2@site2.example, "
                                   "delivered user1@site1.example+, ");
}

static void streams_are_compared(void **state)
{
    struct ledger_units units;
    struct ledger_stream_row row = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct id id = add_one("1", T0, true, &units);
        outcome(id, 1, i < 90 ? LEDGER_EV_DELIVERED : LEDGER_EV_BOUNCED,
                i < 90 ? LEDGER_DELIVERED : LEDGER_BOUNCED, 0, T0 + 10 + i * 10);
    }
    reopen();
    for (int by_tag = 0; by_tag < 2; by_tag++) {
        OK(ledger_streams(reader, T0, T0 + 1000, by_tag, see_stream, &row, &e));
        assert_int_equal(row.sent, 100);
        assert_int_equal(row.delivered, 90);
        assert_int_equal(row.bounced, 10);
        assert_in_range(row.p50_ms, 410, 500);
        assert_in_range(row.p99_ms, 810, 990);
    }
    struct seen seen = {0};
    OK(ledger_events(reader, 0, 1000, see_event, &seen, &e));
    assert_int_equal(seen.n, 200);
    uint64_t last;
    OK(ledger_last_seq(reader, &last, &e));
    OK(ledger_events(reader, last, 1000, see_event, &seen, &e));
    assert_int_equal(seen.n, 200);
}

int main(void)
{
#define CASE(name, run)                                                                            \
    {                                                                                              \
        name, run, set_up, tear_down, NULL                                                         \
    }
    static const struct CMUnitTest tests[] = {
        CASE("a mail is delivered", a_mail_is_delivered),
        CASE("the recipients of one mail part ways", recipients_part_ways),
        CASE("the same mail again is found", the_same_again),
        CASE("a group that failed never was", a_failed_group_never_was),
        CASE("a crash after the dot leaves an unknown outcome", a_crash_after_the_dot_is_unknown),
        CASE("an operator holds, releases, retries", an_operator_wishes),
        CASE("a taken unit is loaded", a_taken_unit_is_loaded),
        CASE("only one writer", only_one_writer),
        CASE("old mail is forgotten", old_mail_is_forgotten),
        CASE("segments are counted", segments_are_counted),
        CASE("mail of our own is signed later", our_own_mail_is_signed_later),
        CASE("streams are compared", streams_are_compared),
        CASE("the log names recipients", the_log_names_recipients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
