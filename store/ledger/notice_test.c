/* Findings are compared with those before: what is news, what is not, and where it is read. */
#include "store/ledger/notice.h"

#include "store/ledger/house_test.h"

#define T0 INT64_C(1795000000000)

static int set_up(void **state)
{
    (void)state;
    return house_set_up((struct ledger_settings){.now_ms = T0});
}

/* "AREA RULE DETAIL" of a finding; the rule's first letter is its severity (g, h, w, e), a '?' ends
 * that of a temporary one. */
static size_t read_findings(const char *text, struct ledger_finding *out)
{
    struct slice rest = slice_of(text);
    size_t n = 0;

    while (rest.n > 0) {
        struct slice line = slice_cut(&rest, ',');
        struct ledger_finding f = {.area = slice_cut(&line, ' '), .name = SLICE("a.test")};

        f.rule = slice_cut(&line, ' ');
        f.detail = line;
        f.temporary = slice_ends(f.rule, SLICE("?"));
        f.text = f.rule;
        f.severity = f.rule.p[0] == 'g'   ? LEDGER_GOOD
                     : f.rule.p[0] == 'h' ? LEDGER_HINT
                     : f.rule.p[0] == 'w' ? LEDGER_WARNING
                                          : LEDGER_ERROR;
        out[n++] = f;
    }
    return n;
}

static void hear(void *ctx, const struct ledger_notice *n)
{
    buf_printf(ctx, "%s %.*s,", ledger_notice_name(n->kind), SLICE_ARG(n->rule));
}

static const struct story {
    const char *name;
    struct {
        const char *found, *heard;
    } runs[4];
} stories[] = {
    {"what is wrong at the first look is news", {{"spf g-spf,dkim e-key", "drift e-key,"}}},
    {"the same again is none", {{"dkim e-key", "drift e-key,"}, {"dkim e-key", ""}}},
    {"it is mended",
     {{"dkim e-key", "drift e-key,"}, {"dkim g-dkim", "mended e-key,"}, {"dkim g-dkim", ""}}},
    {"hints and good news are no events", {{"sts h-missing", ""}, {"sts g-sts", ""}}},
    {"another address is another finding",
     {{"spf e-addr 192.0.2.1", "drift e-addr,"},
      {"spf e-addr 192.0.2.2", "drift e-addr,mended e-addr,"}}},
    {"a name server that is silent changes nothing",
     {{"spf e-addr", "drift e-addr,"},
      {"spf w-dns?", ""},
      {"spf e-addr", ""},
      {"spf g-spf", "mended e-addr,"}}},
    {"silence in one area does not hide another",
     {{"spf e-addr,dkim e-key", "drift e-addr,drift e-key,"},
      {"spf w-dns?,dkim g-dkim", "mended e-key,"}}},
    {"said twice is once", {{"spf e-addr,spf e-addr", "drift e-addr,"}}},
};

static void run_story(void **state)
{
    const struct story *s = *state;
    struct ledger_finding findings[8];
    struct buf heard;

    assert_int_equal(set_up(NULL), 0);
    for (size_t i = 0; i < COUNT(s->runs) && s->runs[i].found != NULL; i++) {
        size_t n = read_findings(s->runs[i].found, findings);

        buf_init(&heard, 4096);
        OK(ledger_begin(l, &e));
        OK(ledger_compare_findings(l, SLICE("a.test"), findings, n, T0 + (int64_t)i, hear, &heard,
                                   &e));
        OK(ledger_commit(l, &e));
        buf_append_char(&heard, '\0');
        assert_string_equal(heard.p, s->runs[i].heard);
        buf_finish(&heard);
    }
    assert_int_equal(tear_down(NULL), 0);
}

/* --- how it is read --- */

struct seen {
    char text[400];
    uint64_t last;
};

static bool see_event(void *ctx, const struct ledger_event *ev)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);

    assert_true(ev->seq > s->last);
    s->last = ev->seq;
    snprintf(s->text + n, sizeof s->text - n, "%s ", ledger_kind_name(ev->kind));
    return true;
}

static bool see_notice(void *ctx, const struct ledger_notice *notice)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);

    assert_true(notice->seq > s->last);
    s->last = notice->seq;
    snprintf(s->text + n, sizeof s->text - n, "%s ", ledger_notice_name(notice->kind));
    return true;
}

static void note(struct id id)
{
    const struct ledger_event_note n = {.kind = LEDGER_EV_NOTE, .text = SLICE("x")};

    OK(ledger_add_event(l, id, &n, T0, &e));
}

static void compare(const char *found, int64_t now_ms)
{
    struct ledger_finding findings[8];
    size_t n = read_findings(found, findings);

    OK(ledger_compare_findings(l, SLICE("a.test"), findings, n, now_ms, NULL, NULL, &e));
}

/* Events and notices share their numbers, whatever the limit cuts, and across a restart. */
static void notices_stand_among_events(void **state)
{
    static const struct ledger_log_handlers handlers = {see_event, see_notice};
    const struct ledger_recipient to = {.address = SLICE("b@b.test"), .site = 1};
    struct ledger_message m = {.id = {5, 5}, .received_ms = T0, .stream = SLICE("s")};
    uint64_t last;
    (void)state;

    OK(ledger_begin(l, &e));
    OK(ledger_add_message(l, &m, &to, 1, T0, false, NULL, &e));
    compare("dkim e-key", T0);
    note(m.id);
    note(m.id);
    compare("dkim g-dkim", T0);
    OK(ledger_commit(l, &e));
    ledger_close(&l);
    house_open((struct ledger_settings){.now_ms = T0});
    OK(ledger_begin(l, &e));
    compare("dkim e-key", T0 + 1);
    note(m.id);
    OK(ledger_commit(l, &e));
    for (uint64_t limit = 1; limit < 9; limit++) {
        struct seen s = {.text = ""};

        do {
            last = s.last;
            OK(ledger_log(reader, last, limit, &handlers, &s, &e));
        } while (s.last != last);
        assert_string_equal(s.text, "accepted drift note note mended drift note ");
    }
    OK(ledger_last_seq(reader, &last, &e));
    assert_int_equal(last, 7);
}

static bool see_checkup(void *ctx, const struct ledger_checkup *c)
{
    buf_printf(ctx, "[%.*s %lld]", SLICE_ARG(c->domain), (long long)(c->time_ms - T0));
    return true;
}

static bool see_finding(void *ctx, const struct ledger_finding *f)
{
    buf_printf(ctx, " %.*s since %lld", SLICE_ARG(f->rule), (long long)(f->since_ms - T0));
    return true;
}

static void expect_checkups(const char *domain, const char *wanted)
{
    struct buf out;

    buf_init(&out, 4096);
    OK(ledger_each_checkup(reader, slice_of(domain), see_checkup, see_finding, &out, &e));
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, wanted);
    buf_finish(&out);
}

static void the_last_look_is_kept(void **state)
{
    const struct slice kept = SLICE("b.test");
    uint64_t counts[LEDGER_ERROR + 1];
    struct ledger_finding f[8];
    bool more;
    (void)state;

    OK(ledger_begin(l, &e));
    compare("spf g-spf,dkim e-key", T0);
    compare("dkim e-key,spf w-dns?,mx w-mx", T0 + 5);
    OK(ledger_compare_findings(l, kept, f, read_findings("spf e-no", f), T0, NULL, NULL, &e));
    OK(ledger_count_findings(l, counts, &e));
    assert_int_equal(counts[LEDGER_WARNING], 1);
    assert_int_equal(counts[LEDGER_ERROR], 2);
    OK(ledger_commit(l, &e));
    expect_checkups("",
                    "[a.test 5] e-key since 0 w-dns? since 5 w-mx since 5[b.test 0] e-no since 0");
    expect_checkups("B.test", "[b.test 0] e-no since 0");
    OK(ledger_begin(l, &e));
    OK(ledger_keep_findings(l, &kept, 1, &e));
    OK(ledger_forget(l, T0 + 1000, 10, &more, &e));
    OK(ledger_commit(l, &e));
    expect_checkups("", "[b.test 0] e-no since 0");
    struct seen s = {.text = ""};
    static const struct ledger_log_handlers handlers = {see_event, see_notice};
    OK(ledger_log(reader, 0, 100, &handlers, &s, &e));
    assert_string_equal(s.text, "drift "); /* the newest stays: its number must not come again */
}

int main(void)
{
    struct CMUnitTest tests[COUNT(stories) + 2];
    size_t n = 0;

    for (; n < COUNT(stories); n++)
        tests[n] = (struct CMUnitTest){stories[n].name, run_story, NULL, NULL,
                                       (void *)(uintptr_t)&stories[n]};
    tests[n++] = (struct CMUnitTest){"notices stand among events", notices_stand_among_events,
                                     set_up, tear_down, NULL};
    tests[n++] = (struct CMUnitTest){"the last look is kept", the_last_look_is_kept, set_up,
                                     tear_down, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
