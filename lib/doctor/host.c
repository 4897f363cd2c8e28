/* The return path's MX, and the names of the addresses that mail leaves from. */
#include "lib/dnsmsg/name.h"
#include "lib/doctor/doctor_in.h"

/* The MX hosts' addresses; *usable_out: all have one, or might. False: not all are known yet. */
static bool examine_mx_hosts(struct doctor *d, struct slice domain, const struct dns_answer *mx,
                             bool *usable_out)
{
    bool complete = true;

    *usable_out = true;

    for (size_t i = 0; i < mx->count; i++) {
        struct slice host = mx->records[i].name;
        int has = doctor_has_address(d, host);

        complete = complete && has != -1;
        if (has == -2)
            doctor_find_silence(d, host, SLICE("DNS does not answer for the addresses of this MX"));
        *usable_out = *usable_out && has != 0;
        if (has == 0)
            doctor_find(d, DOCTOR_ERROR, "mx-without-address", domain,
                        arena_printf(d->words, "the MX %.*s has no address", SLICE_ARG(host)))
                ->detail = arena_copy(d->words, host);
    }
    return complete;
}

void doctor_examine_mx(struct doctor *d, struct slice domain)
{
    const struct dns_answer *answer = doctor_ask(d, domain, DNS_MX);
    struct slice hostname = d->subject->hostname;
    bool leads_here = hostname.n == 0, usable;
    struct doctor_finding *f;

    if (!answer)
        return;
    doctor_begin(d, "mx", domain);
    if (doctor_is_silent(d, answer, domain))
        return;
    if (answer->status != DNS_OK || answer->records[0].name.n == 0) {
        f = doctor_find(
            d, DOCTOR_ERROR, "return-path-mx", domain,
            SLICE("the return path has no MX: bounces are lost, and receivers that look refuse "
                  "the mail"));
        if (hostname.n > 0)
            f->publish = arena_printf(d->words, "%.*s. 3600 IN MX 10 %.*s.", SLICE_ARG(domain),
                                      SLICE_ARG(hostname));
        return;
    }
    if (!examine_mx_hosts(d, domain, answer, &usable))
        return;
    for (size_t i = 0; i < answer->count; i++)
        leads_here = leads_here || dns_name_equal(answer->records[i].name, hostname);
    if (leads_here && usable)
        doctor_find(d, DOCTOR_GOOD, "mx", domain, SLICE("bounces find their way back"));
    else if (!leads_here)
        doctor_find(d, DOCTOR_WARNING, "mx-elsewhere", domain,
                    arena_printf(d->words,
                                 "the MX of the return path is not %.*s: is it another server "
                                 "that reads the bounces?",
                                 SLICE_ARG(hostname)));
}

/* --- addresses --- */

/* Whether the name leads to the address: 1, 0; -1: not known yet, -2: DNS does not answer. */
static int leads_to(struct doctor *d, struct slice name, const struct ip_address *a)
{
    const struct dns_answer *answer = doctor_ask(d, name, a->family == IP_V4 ? DNS_A : DNS_AAAA);

    if (!answer)
        return -1;
    if (dns_status_is_failure(answer->status))
        return -2;
    for (size_t i = 0; answer->status == DNS_OK && i < answer->count; i++)
        if (ip_address_equal(&answer->records[i].address, a))
            return 1;
    return 0;
}

/* The PTR name to judge the address by: our own if it is among them, else one that leads back, else
 * the first. *back_out as leads_to() says. */
static struct slice choose_name(struct doctor *d, const struct dns_answer *ptr,
                                const struct ip_address *a, int *back_out)
{
    struct slice chosen = ptr->records[0].name;
    bool is_open = false, is_silent = false;

    *back_out = 0;
    for (size_t i = 0; i < ptr->count; i++) {
        struct slice name = ptr->records[i].name;
        int back = leads_to(d, name, a);

        is_open = is_open || back == -1;
        is_silent = is_silent || back == -2;
        if (back == 1 && (*back_out != 1 || dns_name_equal(name, d->subject->hostname))) {
            chosen = name;
            *back_out = 1;
        }
    }
    if (is_open || (*back_out == 0 && is_silent))
        *back_out = is_open ? -1 : -2;
    return chosen;
}

/* `what`: the rest of a sentence that begins with the address. */
static struct doctor_finding *find_bad_name(struct doctor *d, enum doctor_severity severity,
                                            const char *rule, struct slice name, struct slice what)
{
    struct doctor_finding *f = doctor_find(d, severity, rule, name, what);

    if (d->subject->hostname.n > 0)
        f->publish = arena_printf(d->words, "%.*s. 3600 IN PTR %.*s.", SLICE_ARG(name),
                                  SLICE_ARG(d->subject->hostname));
    return f;
}

static void find_unconfirmed(struct doctor *d, const struct ip_address *a, struct slice ip,
                             struct slice name, struct slice host)
{
    struct slice hostname = d->subject->hostname;
    bool is_ours = hostname.n > 0 && dns_name_equal(host, hostname);
    struct doctor_finding *f = find_bad_name(
        d, DOCTOR_ERROR, "ptr-not-confirmed", name,
        arena_printf(d->words,
                     "%.*s has the name %.*s in DNS, and that name does not lead back: many "
                     "receivers refuse such mail%s",
                     SLICE_ARG(ip), SLICE_ARG(host),
                     is_ours ? "" : "; whoever gave you the address sets its name"));

    if (is_ours) /* the PTR is right: it is the other direction that lacks */
        f->publish = arena_printf(d->words, "%.*s. 3600 IN %s %.*s", SLICE_ARG(hostname),
                                  a->family == IP_V4 ? "A" : "AAAA", SLICE_ARG(ip));
}

static void examine_address(struct doctor *d, const struct ip_address *a)
{
    char text[IP_TEXT_MAX], reverse[IP_REVERSE_MAX];
    struct slice ip = arena_copy(d->words, (struct slice){text, ip_address_format(a, text)});
    struct slice name =
        arena_copy(d->words, (struct slice){reverse, ip_address_reverse(a, reverse)});
    struct slice hostname = d->subject->hostname, host;
    const struct dns_answer *answer = doctor_ask(d, name, DNS_PTR);
    int back;

    if (!answer)
        return;
    doctor_begin(d, "ptr", name);
    if (doctor_is_silent(d, answer, name))
        return;
    if (answer->status != DNS_OK) {
        find_bad_name(d, DOCTOR_ERROR, "ptr-missing", name,
                      arena_printf(d->words,
                                   "%.*s has no name in DNS: many receivers refuse such mail; "
                                   "whoever gave you the address sets it",
                                   SLICE_ARG(ip)));
        return;
    }
    host = choose_name(d, answer, a, &back);
    if (back == -1)
        return;
    if (back == -2)
        doctor_find_silence(d, name,
                            arena_printf(d->words, "DNS does not answer for %.*s, the name of %.*s",
                                         SLICE_ARG(host), SLICE_ARG(ip)));
    else if (back == 0)
        find_unconfirmed(d, a, ip, name, host);
    else if (hostname.n > 0 && !dns_name_equal(host, hostname))
        find_bad_name(d, DOCTOR_WARNING, "ptr-mismatch", name,
                      arena_printf(d->words,
                                   "%.*s has the name %.*s in DNS, another one than we say in "
                                   "EHLO; whoever gave you the address sets it",
                                   SLICE_ARG(ip), SLICE_ARG(host)));
    else
        doctor_find(
            d, DOCTOR_GOOD, "ptr", name,
            arena_printf(d->words, "%.*s is %.*s, and back", SLICE_ARG(ip), SLICE_ARG(host)));
}

/* Behind NAT the world sees another address than the one that we bind. Said once. */
static void examine_private(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;
    const struct doctor_address *hidden = NULL;
    char ip[IP_TEXT_MAX];

    for (size_t i = 0; i < s->address_count; i++) {
        const struct doctor_address *a = &s->addresses[i];

        if (a->via.n > 0)
            continue;
        if (doctor_address_is_seen(a))
            return;
        if (!hidden || doctor_class_of(&hidden->ip) == DOCTOR_IS_LOOPBACK)
            hidden = a;
    }
    if (!hidden)
        return;
    (void)ip_address_format(&hidden->ip, ip);
    doctor_begin(d, "address", slice_of(ip));
    if (doctor_class_of(&hidden->ip) == DOCTOR_IS_LOOPBACK)
        doctor_find(d, DOCTOR_HINT, "loopback-address", slice_of(ip),
                    arena_printf(d->words,
                                 "mail leaves from %s, which only this machine sees: nothing can "
                                 "be said about SPF and names",
                                 ip));
    else
        doctor_find(d, DOCTOR_WARNING, "private-address", slice_of(ip),
                    arena_printf(d->words,
                                 "mail leaves from the private address %s; what the world sees is "
                                 "decided by NAT: say it with --ip, or public_addresses in the "
                                 "settings",
                                 ip));
}

void doctor_examine_addresses(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;
    bool all_relayed = doctor_smart_host(s, s->return_path).n > 0;

    examine_private(d);
    for (size_t i = 0; i < s->address_count; i++) {
        const struct doctor_address *a = &s->addresses[i];
        /* What a smart host's mail comes from, nobody sees but the smart host. */
        bool is_first = a->via.n == 0 && doctor_address_is_seen(a) &&
                        (!all_relayed || a->origin == DOCTOR_FROM_LEDGER);

        for (size_t k = 0; is_first && k < i; k++)
            is_first = s->addresses[k].via.n > 0 || !doctor_address_is_seen(&s->addresses[k]) ||
                       !ip_address_equal(&s->addresses[k].ip, &a->ip);
        if (is_first)
            examine_address(d, &a->ip);
    }
}
