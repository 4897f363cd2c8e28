#include "lib/doctor/subject.h"

#include <string.h>

#include "lib/dnsmsg/name.h"

#define OTHERS SLICE("*")

const char *doctor_origin_name(enum doctor_origin o)
{
    switch (o) {
    case DOCTOR_FROM_OPTION:
        return "option";
    case DOCTOR_FROM_PUBLIC:
        return "public_addresses";
    case DOCTOR_FROM_SETTING:
        return "source_address";
    case DOCTOR_FROM_HOST:
        return "hostname";
    case DOCTOR_FROM_LEDGER:
        return "ledger";
    }
    return "";
}

const char *doctor_class_name(enum doctor_class c)
{
    switch (c) {
    case DOCTOR_IS_PUBLIC:
        return "public";
    case DOCTOR_IS_PRIVATE:
        return "private";
    case DOCTOR_IS_LOOPBACK:
        return "loopback";
    }
    return "";
}

enum doctor_class doctor_class_of(const struct ip_address *ip)
{
    return ip_address_is_loopback(ip)  ? DOCTOR_IS_LOOPBACK
           : ip_address_is_private(ip) ? DOCTOR_IS_PRIVATE
                                       : DOCTOR_IS_PUBLIC;
}

bool doctor_address_is_seen(const struct doctor_address *a)
{
    return a->origin == DOCTOR_FROM_OPTION || a->origin == DOCTOR_FROM_PUBLIC ||
           doctor_class_of(&a->ip) == DOCTOR_IS_PUBLIC;
}

/* --- gathering --- */

static void join(struct doctor_address *known, const struct doctor_address *more)
{
    if (known->first_ms == 0 || (more->first_ms > 0 && more->first_ms < known->first_ms))
        known->first_ms = more->first_ms;
    if (more->last_ms > known->last_ms)
        known->last_ms = more->last_ms;
    known->messages += more->messages;
}

bool doctor_add_address(struct doctor_subject *s, const struct doctor_address *a)
{
    for (size_t i = 0; i < s->address_count; i++) {
        struct doctor_address *known = &s->addresses[i];

        if (ip_address_equal(&known->ip, &a->ip) && slice_eq_nocase(known->domain, a->domain) &&
            slice_eq_nocase(known->via, a->via)) {
            join(known, a);
            return true;
        }
    }
    if (s->address_count == DOCTOR_ADDRESSES_MAX)
        return false;
    s->addresses[s->address_count++] = *a;
    return true;
}

static bool is_ours(const struct doctor_subject *s, struct slice domain)
{
    return domain.n > 0 &&
           (dns_name_equal(domain, s->domain) || dns_name_equal(domain, s->return_path));
}

bool doctor_add_use(struct doctor_subject *s, const struct doctor_address *use)
{
    struct doctor_address a = *use;

    a.origin = DOCTOR_FROM_LEDGER;
    if (!is_ours(s, a.domain)) {
        /* Its address needs a name all the same; who reads a smart host's mail sees another. */
        if ((s->parts & DOCTOR_PART_HOST) == 0 || a.via.n > 0)
            return true;
        a.domain = OTHERS;
    }
    return doctor_add_address(s, &a);
}

bool doctor_knows_uses(const struct doctor_subject *s)
{
    for (size_t i = 0; i < s->address_count; i++)
        if (s->addresses[i].origin == DOCTOR_FROM_LEDGER)
            return true;
    return false;
}

bool doctor_add_receiver(struct doctor_subject *s, struct slice domain)
{
    for (size_t i = 0; i < s->receiver_count; i++)
        if (dns_name_equal(s->receivers[i], domain))
            return true;
    if (s->receiver_count == DOCTOR_RECEIVERS_MAX)
        return false;
    s->receivers[s->receiver_count++] = domain;
    return true;
}

/* --- what it means for one domain --- */

static bool knows_domain(const struct doctor_subject *s, struct slice domain)
{
    for (size_t i = 0; i < s->address_count; i++)
        if (s->addresses[i].domain.n > 0 && dns_name_equal(s->addresses[i].domain, domain))
            return true;
    return false;
}

static bool is_about(const struct doctor_subject *s, const struct doctor_address *a,
                     struct slice domain)
{
    if (a->domain.n == 0 || dns_name_equal(a->domain, domain))
        return true;
    return !slice_eq(a->domain, OTHERS) && !knows_domain(s, domain);
}

bool doctor_address_counts(const struct doctor_subject *s, const struct doctor_address *a,
                           struct slice domain)
{
    return a->via.n == 0 && doctor_address_is_seen(a) && is_about(s, a, domain);
}

bool doctor_uses_smart_host(const struct doctor_subject *s, struct slice domain)
{
    if (!doctor_knows_uses(s))
        return s->smart_host.n > 0;
    for (size_t i = 0; i < s->address_count; i++)
        if (s->addresses[i].via.n > 0 && is_about(s, &s->addresses[i], domain))
            return true;
    return false;
}

struct slice doctor_smart_host(const struct doctor_subject *s, struct slice domain)
{
    struct slice found = {0};

    /* Who names addresses on the command line knows better. */
    for (size_t i = 0; i < s->address_count; i++) {
        const struct doctor_address *a = &s->addresses[i];

        if (a->origin == DOCTOR_FROM_OPTION)
            return (struct slice){0};
        if (a->origin != DOCTOR_FROM_LEDGER || !is_about(s, a, domain))
            continue;
        if (a->via.n == 0)
            return (struct slice){0};
        found = a->via;
    }
    return doctor_knows_uses(s) ? found : s->smart_host;
}
