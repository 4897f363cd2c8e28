/* Where mail for a domain goes: the DNS is played from a zone file. */
#include "base/test.h"

#include "lib/dnsmsg/zone.h"
#include "mta/route/hosts.h"

static const char zone_text[] =
    "two.example. MX 20 b.example.\ntwo.example. MX 10 a.example.\n"
    "a.example. A 192.0.2.1\na.example. AAAA 2001:db8::1\n"
    "b.example. A 192.0.2.2\n"
    "bare.example. A 192.0.2.3\n"
    "null.example. MX 0 .\n"
    "loop.example. MX 10 us.example.\nloop.example. MX 20 a.example.\n"
    "backup.example. MX 5 a.example.\nbackup.example. MX 10 us.example.\n"
    "backup.example. MX 20 b.example.\n"
    "nohost.example. MX 10 gone.example.\n"
    "txt.example. TXT \"x\"\n"
    ";!servfail broken.example\n;!timeout slow.example\n"
    "half.example. MX 10 slow.example.\nhalf.example. MX 20 b.example.\n";

struct route_case {
    const char *name, *domain, *fixed;
    enum hosts_verdict verdict;
    const char *found;
};

static const struct route_case cases[] = {
    {"exchanges are tried by preference, IPv4 first", "two.example", NULL, HOSTS_FOUND,
     "192.0.2.1:25 2001:db8::1:25 192.0.2.2:25 "},
    {"without MX the domain itself is the host", "bare.example", NULL, HOSTS_FOUND,
     "192.0.2.3:25 "},
    {"a null MX takes no mail", "null.example", NULL, HOSTS_NO_MAIL, ""},
    {"a domain that does not exist", "nothere.example", NULL, HOSTS_UNKNOWN, ""},
    {"a domain with neither MX nor address", "txt.example", NULL, HOSTS_UNKNOWN, ""},
    {"an exchange without address", "nohost.example", NULL, HOSTS_UNKNOWN, ""},
    {"we are the best host", "loop.example", NULL, HOSTS_LOOP, ""},
    {"only hosts better than ourselves are tried", "backup.example", NULL, HOSTS_FOUND,
     "192.0.2.1:25 2001:db8::1:25 "},
    {"SERVFAIL for MX means later", "broken.example", NULL, HOSTS_LATER, ""},
    {"one exchange that cannot be looked up does not stop the other", "half.example", NULL,
     HOSTS_FOUND, "192.0.2.2:25 "},
    {"an address literal is its own host", "[192.0.2.9]", NULL, HOSTS_FOUND, "192.0.2.9:25 "},
    {"fixed next hops keep their order and ports", NULL,
     "b.example:2525 [2001:db8::7]:26 192.0.2.8", HOSTS_FOUND,
     "192.0.2.2:2525 2001:db8::7:26 192.0.2.8:25 "},
};

static void run_case(void **state)
{
    const struct route_case *c = *state;
    struct dns_zone *zone;
    struct buf found;
    struct err e;

    zone = dns_zone_create(slice_of(zone_text), &e);
    assert_non_null(zone);
    struct hosts *h = c->fixed != NULL ? hosts_create_fixed(slice_of(c->fixed), 7)
                                       : hosts_create(slice_of(c->domain), SLICE("us.example"), 7);
    for (int steps = 0; hosts_step(h) == STEP_WAIT; steps++) {
        struct dns_answer answer;

        assert_true(steps < 100);
        dns_zone_answer(zone, hosts_question(h), &answer);
        hosts_answer(h, &answer);
    }
    buf_init(&found, 10000);
    for (size_t i = 0; i < hosts_count(h); i++) {
        char text[IP_TEXT_MAX];

        ip_address_format(&hosts_at(h, i)->address, text);
        buf_printf(&found, "%s:%u ", text, hosts_at(h, i)->port);
    }
    assert_int_equal(hosts_verdict(h), c->verdict);
    assert_true(slice_eq(buf_slice(&found), slice_of(c->found)));
    buf_finish(&found);
    hosts_destroy(&h);
    dns_zone_destroy(&zone);
}

int main(void)
{
    RUN_TABLE(cases, run_case);
}
