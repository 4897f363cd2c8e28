/* waybill bench spf: evaluations of a record with two includes, from answers that are there. */
#include <time.h>

#include "app/bench.h"
#include "app/cli.h"
#include "base/json.h"
#include "lib/dnsmsg/zone.h"
#include "lib/spf/eval.h"

#define ROUNDS 20
#define ROUND_NS 100000000 /* of CPU time */

/* The client stands at the end of the second include: the whole record is walked. */
static const char zone_text[] =
    "bench.example. TXT \"v=spf1 ip4:198.51.100.0/24 include:_spf.one.example "
    "include:_spf.two.example -all\"\n"
    "_spf.one.example. TXT \"v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/26 ip6:2001:db8::/32 "
    "~all\"\n"
    "_spf.two.example. TXT \"v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/26 ip4:192.0.2.192/26 "
    "~all\"\n";

static int64_t cpu_ns(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        cli_die("this system does not measure CPU time");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void evaluate(struct spf *spf, const struct spf_request *request,
                     const struct dns_zone *zone)
{
    for (enum step step = spf_start(spf, request); step == STEP_WAIT;) {
        struct dns_answer answer;

        dns_zone_answer(zone, spf_question(spf), &answer);
        step = spf_answer(spf, &answer);
    }
    if (spf_outcome(spf)->result != SPF_PASS)
        cli_die("the record does not pass: %.*s", SLICE_ARG(spf_outcome(spf)->reason));
}

int bench_spf(bool json)
{
    struct spf_request request = {.helo = SLICE("mail.bench.example"),
                                  .mail_from = SLICE("bounce@bench.example"),
                                  .receiver = SLICE("mx.example.net")};
    struct spf *spf = spf_create();
    struct err e;
    struct buf out;
    struct json j;
    int64_t spent = 0, count = 0;

    struct dns_zone *zone = dns_zone_create(slice_of(zone_text), &e);
    if (!zone || !ip_address_parse(SLICE("192.0.2.200"), &request.client))
        cli_die("the bench's own zone cannot be read");
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t start = cpu_ns(), now = start;

        for (; now - start < ROUND_NS; now = cpu_ns(), count += 256)
            for (unsigned k = 0; k < 256; k++)
                evaluate(spf, &request, zone);
        spent += now - start;
    }
    double rate = (double)count * 1e9 / (double)spent;
    buf_init(&out, 4096);
    if (json) {
        json_begin(&j, &out);
        json_object(&j);
        json_key(&j, "evaluations_per_s");
        json_double(&j, rate, 0);
        json_end(&j);
        buf_append_char(&out, '\n');
    } else {
        buf_printf(&out,
                   "One thread, a record with two includes, answers cached.\n"
                   "%.0f evaluations/s (%.2f us each)\n",
                   rate, 1e6 / rate);
    }
    cli_write(&out);
    buf_finish(&out);
    spf_destroy(&spf);
    dns_zone_destroy(&zone);
    return CLI_GOOD;
}
