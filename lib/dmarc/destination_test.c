/* Each case: a policy's domain, a URI of its rua, a zone; then whether it is sent to, and where. */
#include "lib/dmarc/destination.h"

#include "base/arena.h"
#include "base/test.h"
#include "lib/dnsmsg/zone.h"

static const char zone_text[] =
    "_dmarc.blue.example. TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.red.example. TXT \"v=DMARC1; p=none\"\n"
    "blue.example._report._dmarc.red.example. TXT \"v=DMARC1\"\n"
    "blue.example._report._dmarc.moved.example. TXT \"v=DMARC1; rua=mailto:other@moved.example\"\n"
    "blue.example._report._dmarc.away.example. TXT \"v=DMARC1; rua=mailto:x@victim.example\"\n"
    "blue.example._report._dmarc.words.example. TXT \"no record\"\n"
    ";!timeout blue.example._report._dmarc.slow.example.\n"
    ";!timeout _dmarc.dark.example.\n"
    "blue.example._report._dmarc.dark.example. TXT \"v=DMARC1\"\n";

struct destination {
    const char *name, *domain, *uri;
    enum dmarc_consent consent;
    const char *address;
};

static const struct destination destinations[] = {
    {"the policy's own domain", "blue.example", "mailto:d@blue.example", DMARC_CONSENT_GIVEN,
     "d@blue.example"},
    {"a host of the same organization", "blue.example", "mailto:d@mx.blue.example",
     DMARC_CONSENT_GIVEN, "d@mx.blue.example"},
    {"a policy below the destination's organization", "sub.blue.example", "mailto:d@blue.example",
     DMARC_CONSENT_GIVEN, "d@blue.example"},
    {"another organization that agrees", "blue.example", "mailto:d@red.example",
     DMARC_CONSENT_GIVEN, "d@red.example"},
    {"another organization that was not asked", "green.example", "mailto:d@red.example",
     DMARC_CONSENT_MISSING, "d@red.example"},
    {"it names another address of its own", "blue.example", "mailto:d@moved.example",
     DMARC_CONSENT_GIVEN, "other@moved.example"},
    {"it names a victim", "blue.example", "mailto:d@away.example", DMARC_CONSENT_MISSING,
     "d@away.example"},
    {"a TXT record that is none of DMARC's", "blue.example", "mailto:d@words.example",
     DMARC_CONSENT_MISSING, "d@words.example"},
    {"DNS does not answer", "blue.example", "mailto:d@slow.example", DMARC_CONSENT_UNKNOWN,
     "d@slow.example"},
    {"the walk fails, the consent is there", "blue.example", "mailto:d@dark.example",
     DMARC_CONSENT_GIVEN, "d@dark.example"},
    {"percent-encoding and a query", "blue.example", "mailto:d%2Bx@blue.example?subject=a",
     DMARC_CONSENT_GIVEN, "d+x@blue.example"},
    {"https is not sent to", "blue.example", "https://blue.example/d", DMARC_CONSENT_MISSING, ""},
    {"two addresses", "blue.example", "mailto:a@blue.example,b@blue.example", DMARC_CONSENT_MISSING,
     ""},
    {"a line break in the address", "blue.example", "mailto:d%0D%0ABcc:v@blue.example",
     DMARC_CONSENT_MISSING, ""},
    {"a broken escape", "blue.example", "mailto:d%4@blue.example", DMARC_CONSENT_MISSING, ""},
    {"a broken escape behind an address", "blue.example", "mailto:d@blue.example%4",
     DMARC_CONSENT_MISSING, ""},
};

static void run_destination(void **state)
{
    const struct destination *c = *state;
    struct arena *arena = arena_create(1 << 20);
    struct dmarc_destination *d = dmarc_destination_create();
    struct dns_zone *zone;
    struct err e;

    zone = dns_zone_create(SLICE(zone_text), &e);
    if (zone == NULL)
        fail_msg("%s", e.text);
    enum step step = dmarc_destination_start(d, slice_of(c->domain), slice_of(c->uri));
    for (int i = 0; step == STEP_WAIT; i++) {
        struct dns_question question = dmarc_destination_question(d);
        struct dns_answer answer;

        assert_true(i < 20);
        dns_zone_answer(zone, question, &answer);
        step = dmarc_destination_answer(d, &answer);
    }
    const struct dmarc_destination_outcome *o = dmarc_destination_outcome(d);
    assert_int_equal(o->consent, c->consent);
    assert_true(slice_eq(o->address, slice_of(c->address)));
    assert_true(o->reason.n > 0);
    dns_zone_destroy(&zone);
    dmarc_destination_destroy(&d);
    arena_destroy(&arena);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(destinations)];

    for (size_t i = 0; i < COUNT(destinations); i++)
        tests[i] = (struct CMUnitTest){destinations[i].name, run_destination, NULL, NULL,
                                       (void *)(uintptr_t)&destinations[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
