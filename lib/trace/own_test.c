/* Two copies and a ledger: what the ledger changes, and what it leaves alone. */
#include "base/test.h"

#include "lib/trace/own.h"

#define OURS "01KB2M0000000000000000000A"
#define OTHER "01KB2M0000000000000000000B"
#define T0 INT64_C(1795471200000) /* 2026-11-23 22:00:00 UTC */
#define HOP(from, by, id, time)                                                                    \
    "Received: from " from " by " by " with ESMTP id " id "; Mon, 23 Nov 2026 " time " +0000\n"
#define IN(id) HOP("app.a.example ([10.0.0.1])", "out.a.example (Waybill)", id, "22:00:00")
#define OUT "out.a.example (out.a.example [192.0.2.1])"
#define BODY "Message-ID: <1@a.example>\nFrom: s@a.example\nSubject: Hello\n\nhi\n"
#define MX1 SLICE_INIT("mx1.b.example"), SLICE_INIT("192.0.2.11")
#define MX2 SLICE_INIT("mx2.b.example"), SLICE_INIT("192.0.2.12")
#define TOOK(id, at)                                                                               \
    {                                                                                              \
        SLICE_INIT(id), SLICE_INIT("accepted"), T0 + (at)*1000, 0, OWN_ACCEPTED, {NULL, 0},        \
            {NULL, 0}, SLICE_INIT("10.0.0.1"), {NULL, 0}, 0                                        \
    }
#define LOST(who, mx, at)                                                                          \
    {                                                                                              \
        SLICE_INIT(OURS), SLICE_INIT("unknown"), T0 + (at)*1000 + 60000, T0 + (at)*1000, OWN_LOST, \
            SLICE_INIT(who), mx, SLICE_INIT("timed out"), 0                                        \
    }
#define DONE(who, mx, at)                                                                          \
    {                                                                                              \
        SLICE_INIT(OURS), SLICE_INIT("delivered"), T0 + (at)*1000, T0 + (at)*1000, OWN_DELIVERED,  \
            SLICE_INIT(who), mx, SLICE_INIT("2.0.0 queued"), 250                                   \
    }

struct own_case {
    const char *name;
    const char *mails[2];
    struct own_event events[4];
    const char *cause;
    bool is_confirmed;
    const char *evidence; /* is part of it */
};
static const struct own_case cases[] = {
    {"the lost reply is on record",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx1.b.example", "BBBB2", "22:05:04") IN(OURS) BODY},
     {TOOK(OURS, 0), LOST("1", MX1, 2), DONE("1", MX1, 304)},
     "retry_after_lost_reply",
     true,
     "Our ledger: the final dot of " OURS " went to mx1.b.example [192.0.2.11] at 2026-11-23 "
     "22:00:02 UTC, and no reply came (timed out); 5 min 2 s later it was sent again and answered "
     "250 by mx1.b.example [192.0.2.11]."},
    {"a long gap is no rerun when the reply was lost",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx1.b.example", "BBBB2", "22:30:04") IN(OURS) BODY},
     {LOST("1", MX1, 2), DONE("1", MX1, 1804)},
     "retry_after_lost_reply",
     true,
     "One message was sent twice, because"},
    {"the retry went to the second host",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx2.b.example", "CCCC2", "22:05:04") IN(OURS) BODY},
     {LOST("1", MX1, 2), DONE("1", MX2, 304)},
     "retry_after_lost_reply",
     true,
     "by mx2.b.example"},
    {"two recipients behind two hosts are no duplicate, whatever was lost",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx2.b.example", "CCCC2", "22:00:04") IN(OURS) BODY},
     {LOST("1", MX1, 2), DONE("2", MX2, 4), DONE("1", MX1, 304)},
     "two_next_hops",
     false,
     "no reply came"},
    {"one delivery only: it was copied behind us",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx1.b.example", "BBBB2", "22:05:04") IN(OURS) BODY},
     {DONE("1", MX1, 2)},
     "retry_after_lost_reply",
     false,
     "the second copy was made behind us"},
    {"a loss on another way does not explain a copy made later",
     {HOP("x", "box.b.example", "DDDDD1", "22:00:03") HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02")
          IN(OURS) BODY,
      HOP("x", "box.b.example", "DDDDD2", "22:05:03") HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02")
          IN(OURS) BODY},
     {LOST("1", MX1, 2)},
     "retry_after_lost_reply",
     false,
     "no reply came"},
    {"the application handed it in twice",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx1.b.example", "BBBB2", "22:01:02")
          HOP("app.a.example ([10.0.0.1])", "out.a.example (Waybill)", OTHER, "22:01:00") BODY},
     {TOOK(OURS, 0), TOOK(OTHER, 60)},
     "sent_twice",
     false,
     "Our ledger: it was handed in 2 times: at 2026-11-23 22:00:00 UTC by 10.0.0.1 as " OURS},
    {"the ledger knows nothing",
     {HOP(OUT, "mx1.b.example", "BBBB1", "22:00:02") IN(OURS) BODY,
      HOP(OUT, "mx1.b.example", "BBBB2", "22:05:04") IN(OURS) BODY},
     {{.time_ms = 0}},
     "retry_after_lost_reply",
     false,
     "the answer was lost"},
};

static void run(void **state)
{
    const struct own_case *c = *state;
    struct compare *compare = compare_create(16 << 20);
    const struct compare_group *groups;
    size_t count, events = 0;
    struct err e = {0};

    while (events < COUNT(c->events) && c->events[events].time_ms != 0)
        events++;
    for (size_t i = 0; i < COUNT(c->mails); i++)
        assert_int_equal(compare_add(compare, SLICE("x.eml"), slice_of(c->mails[i]), &e), 0);
    assert_int_equal(compare_finish(compare, &groups, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_int_equal(compare_join(compare, 0, c->events, events, &e), 0);
    assert_string_equal(compare_cause_name(groups[0].cause), c->cause);
    assert_int_equal(groups[0].is_confirmed, c->is_confirmed);
    if (slice_search(groups[0].evidence, slice_of(c->evidence)) == SLICE_NONE)
        fail_msg("%.*s", SLICE_ARG(groups[0].evidence));
    compare_destroy(&compare);
}

int main(void)
{
    RUN_TABLE(cases, run);
}
