#include "lib/dnsmsg/message.h"

#include "base/test.h"

#define QUESTION                                                                                   \
    "\x07"                                                                                         \
    "example"                                                                                      \
    "\x03"                                                                                         \
    "com"                                                                                          \
    "\x00"
#define HEAD(flags, answers, authorities)                                                          \
    "\x12\x34" flags "\x00\x01\x00" answers "\x00" authorities "\x00\x00"
#define ASK(type) QUESTION "\x00" type "\x00\x01"
#define RR(name, type, length) name "\x00" type "\x00\x01\x00\x00\x01\x2c\x00" length
#define SELF "\xc0\x0c"

static const struct wire_case {
    const char *name;
    struct slice wire;
    enum dns_type type;
    int result;
    enum dns_status status;
    size_t count;
    bool secure, unfinished;
    uint32_t ttl_s;
} cases[] = {
    {"an address, validated",
     SLICE_INIT(HEAD("\x81\xa0", "\x01", "\x00") ASK("\x01")
                    RR(SELF, "\x01", "\x04") "\xc0\x00\x02\x01"),
     DNS_A, 0, DNS_OK, 1, true, false, 300},
    {"no such name", SLICE_INIT(HEAD("\x81\x83", "\x00", "\x00") ASK("\x01")), DNS_A, 0,
     DNS_NXDOMAIN, 0, false, false, 0},
    {"refused", SLICE_INIT(HEAD("\x81\x85", "\x00", "\x00") ASK("\x01")), DNS_A, 0, DNS_SERVFAIL, 0,
     false, false, 0},
    {"an alias and its target",
     SLICE_INIT(HEAD("\x81\x80", "\x02", "\x00") ASK("\x10")
                    RR(SELF, "\x05", "\x04") "\x01x\xc0\x14" RR("\xc0\x29", "\x10", "\x06") "\x02"
                                                                                            "ab"
                                                                                            "\x02"
                                                                                            "cd"),
     DNS_TXT, 0, DNS_OK, 1, false, false, 300},
    {"an alias without its target",
     SLICE_INIT(HEAD("\x81\x80", "\x01", "\x00") ASK("\x10")
                    RR(SELF, "\x05", "\x04") "\x01x\xc0\x14"),
     DNS_TXT, 0, DNS_NODATA, 0, false, true, 0},
    {"an alias to itself",
     SLICE_INIT(HEAD("\x81\x80", "\x01", "\x00") ASK("\x10") RR(SELF, "\x05", "\x02") SELF),
     DNS_TXT, 0, DNS_SERVFAIL, 0, false, false, 0},
    {"another question", SLICE_INIT(HEAD("\x81\x80", "\x00", "\x00") ASK("\x02")), DNS_A, -1,
     DNS_SERVFAIL, 0, false, false, 0},
    {"an address of five bytes",
     SLICE_INIT(HEAD("\x81\x80", "\x01", "\x00") ASK("\x01")
                    RR(SELF, "\x01", "\x05") "\xc0\x00\x02\x01\x01"),
     DNS_A, -1, DNS_SERVFAIL, 0, false, false, 0},
    {"a pointer forward",
     SLICE_INIT(HEAD("\x81\x80", "\x01", "\x00") ASK("\x01")
                    RR("\xc0\x2f", "\x01", "\x04") "\xc0\x00\x02\x01"),
     DNS_A, -1, DNS_SERVFAIL, 0, false, false, 0},
    {"cut in the record",
     SLICE_INIT(HEAD("\x81\x80", "\x01", "\x00") ASK("\x01")
                    RR(SELF, "\x01", "\x04") "\xc0\x00\x02"),
     DNS_A, -1, DNS_SERVFAIL, 0, false, false, 0},
    {"a query is no response", SLICE_INIT(HEAD("\x01\x00", "\x00", "\x00") ASK("\x01")), DNS_A, -1,
     DNS_SERVFAIL, 0, false, false, 0},
};

static void run_case(void **state)
{
    const struct wire_case *c = *state;
    struct arena *arena = arena_create(100000);
    struct dns_question q = {SLICE_INIT("Example.com."), c->type};
    struct dns_answer answer;
    bool unfinished;
    struct err e = {.text = ""};
    int result = dns_message_read(c->wire, q, arena, &answer, &unfinished, &e);

    if (result != c->result)
        fail_msg("%d: %s", result, e.text);
    if (result == 0) {
        assert_int_equal(answer.status, c->status);
        assert_int_equal(answer.count, c->count);
        assert_int_equal(answer.secure, c->secure);
        assert_int_equal(unfinished, c->unfinished);
        assert_int_equal(answer.ttl_s, c->ttl_s);
    }
    arena_destroy(&arena);
}

int main(void)
{
    RUN_TABLE(cases, run_case);
}
