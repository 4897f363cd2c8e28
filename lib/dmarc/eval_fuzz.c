/* The input is a zone file. Property: against any zone the evaluation ends within its questions, an
 * aligned identifier is what a pass means, and a message that passes is not acted upon. */
#include <assert.h>

#include "lib/dmarc/eval.h"
#include "lib/dnsmsg/zone.h"

#define QUESTIONS_MAX 40 /* three walks and the existence of the author's domain */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    struct dns_zone *z = dns_zone_create((struct slice){(const char *)data, size}, &e);
    struct dmarc *d = dmarc_create();
    struct slice dkim = SLICE("x.a.b"), spf = SLICE("y.a.b");
    struct dmarc_request request = {.author_domain = SLICE("m.a.b"),
                                    .dkim = &dkim,
                                    .dkim_count = 1,
                                    .spf = &spf,
                                    .spf_count = 1,
                                    .dkim_open = &spf,
                                    .dkim_open_count = size % 2};
    unsigned questions = 0;

    if (z) {
        for (enum step step = dmarc_start(d, &request); step == STEP_WAIT;) {
            struct dns_answer a;
            assert(++questions < QUESTIONS_MAX);
            dns_zone_answer(z, dmarc_question(d), &a);
            step = dmarc_answer(d, &a);
        }
        const struct dmarc_outcome *o = dmarc_outcome(d);
        assert((o->result == DMARC_PASS) == (o->dkim_aligned || o->spf_aligned));
        assert(o->disposition == (o->result == DMARC_FAIL ? o->policy : DMARC_POLICY_NONE));
        assert(o->organizational_domain.n > 0 && o->reason.n > 0);
    }
    dmarc_destroy(&d);
    dns_zone_destroy(&z);
    return 0;
}
