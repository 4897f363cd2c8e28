/* The input is a zone file. Property: an evaluation against any zone ends, within the limits, and
 * the same question gets the same result. */
#include <assert.h>

#include "lib/dnsmsg/zone.h"
#include "lib/spf/eval.h"

#define QUESTIONS_MAX 500 /* 11 records, 10 terms of 11 questions, names of the client */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum spf_result evaluate(struct spf *s, const struct dns_zone *z, const char *ip)
{
    struct spf_request request = {.helo = SLICE_INIT("mail.a.b"), .mail_from = SLICE_INIT("u@a.b")};
    unsigned questions = 0;

    request.trace = ip[0] == ':';
    assert(ip_address_parse(slice_of(ip), &request.client));
    for (enum step step = spf_start(s, &request); step == STEP_WAIT;) {
        struct dns_answer a;
        assert(++questions < QUESTIONS_MAX);
        dns_zone_answer(z, spf_question(s), &a);
        step = spf_answer(s, &a);
    }
    const struct spf_outcome *o = spf_outcome(s);
    assert(o->lookups <= SPF_LOOKUPS_MAX + 1 && o->void_lookups <= SPF_VOIDS_MAX + 1);
    assert(o->explanation.n == 0 || o->result == SPF_FAIL);
    assert(o->reason.n > 0 || (o->result != SPF_TEMPERROR && o->result != SPF_PERMERROR));
    return o->result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    struct dns_zone *z = dns_zone_create((struct slice){(const char *)data, size}, &e);
    struct spf *s = spf_create();

    if (z) {
        enum spf_result first = evaluate(s, z, "1.2.3.4");
        (void)evaluate(s, z, "::1");
        assert(evaluate(s, z, "1.2.3.4") == first);
    }
    spf_destroy(&s);
    dns_zone_destroy(&z);
    return 0;
}
