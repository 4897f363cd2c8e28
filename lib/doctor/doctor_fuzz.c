/* The input is a zone file. Property: against any zone the examination ends within its ceilings,
 * every finding can be shown, and every record to publish is one that a zone file can hold. */
#include <assert.h>

#include "lib/dnsmsg/zone.h"
#include "lib/doctor/doctor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct doctor_finding *f)
{
    struct err e;

    assert(f->rule && f->rule[0] != '\0' && f->name.n > 0 && f->text.n > 0 && f->area.n > 0);
    if (f->publish.n == 0)
        return;
    struct dns_zone *z = dns_zone_create(f->publish, &e);
    assert(z);
    dns_zone_destroy(&z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct doctor_subject s;
    struct err e;
    struct dns_zone *z = dns_zone_create((struct slice){(const char *)data, size}, &e);
    struct doctor_address a = {.origin = DOCTOR_FROM_OPTION};
    unsigned rounds = 0;
    size_t asked = 0;

    if (!z)
        return 0;
    s = (struct doctor_subject){.parts = DOCTOR_PART_ALL,
                                .domain = SLICE("a.b"),
                                .return_path = SLICE("r.a.b"),
                                .hostname = SLICE("m.a.b")};
    assert(ip_address_parse(SLICE("192.0.2.1"), &a.ip) && doctor_add_address(&s, &a) &&
           doctor_add_receiver(&s, s.return_path));
    s.signers[s.signer_count++] =
        (struct doctor_signer){s.domain, SLICE("s"),
                               SLICE("v=DKIM1; k=ed25519; "
                                     "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")};
    struct doctor *d = doctor_create(&s);
    while (doctor_step(d) == STEP_WAIT) {
        struct dns_question q;
        struct dns_answer answer;
        size_t n, before = asked;

        assert(++rounds <= DOCTOR_ROUNDS_MAX + 1);
        while (doctor_question(d, &q, &n)) {
            assert(++asked <= DOCTOR_QUESTIONS_MAX);
            dns_zone_answer(z, q, &answer);
            doctor_answer(d, n, &answer);
        }
        assert(asked > before);
    }
    assert(doctor_findings(d));
    for (const struct doctor_finding *f = doctor_findings(d); f; f = f->next)
        check(f);
    doctor_destroy(&d);
    dns_zone_destroy(&z);
    return 0;
}
