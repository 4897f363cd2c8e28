/* Any bytes: what is read is legal. Addresses come from the mail, the event fits its recipients, a
 * delay suppresses nobody, and a second reading finds the same. */
#include <assert.h>

#include "lib/bounce/report.h"

static struct bounce_reader *reader;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct bounce_report report;
    struct err e;

    if (reader == NULL) { /* the patterns take long to load */
        struct bounce_rules *rules = bounce_rules_create();
        int made = bounce_rules_add_shipped(rules, &e) | bounce_rules_compile(rules, &e);
        assert(made == 0);
        reader = bounce_reader_create(rules);
    }
    if (bounce_read(reader, in, &report, &e) < 0)
        return 0;
    size_t count = report.count;
    enum bounce_event event = report.event;
    bool failed = false;
    assert(count <= BOUNCE_RECIPIENTS_MAX && event < BOUNCE_EVENTS);
    for (size_t i = 0; i < count; i++) {
        const struct bounce_recipient *r = &report.recipients[i];
        failed = failed || r->event == BOUNCE_FAILED;
        assert(r->event < BOUNCE_EVENTS && r->verdict.category < BOUNCE_CATEGORIES);
        assert(r->event != BOUNCE_DELAYED || r->verdict.suppress.count == 0);
        for (size_t k = 0; k < r->recipient.n; k++)
            assert(r->recipient.p[k] != '\n' && r->recipient.p[k] != '\0');
    }
    assert(!failed || event == BOUNCE_FAILED);
    assert(bounce_read(reader, in, &report, &e) == 0);
    assert(report.count == count && report.event == event);
    return 0;
}
