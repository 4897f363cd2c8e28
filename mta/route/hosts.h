/* mta/route/hosts.h -- from a domain to the addresses that take its mail, in the order to try
 * (RFC 5321 5.1, RFC 7505).
 *
 *     MX of the domain --> each exchange, by preference --> its A and AAAA --> addresses
 *
 * A step machine: it shows a question, the caller answers it with dns answers and steps again. No
 * MX record means the domain's own address; the null MX and a domain that does not exist are
 * verdicts. Hosts of our own name, and all that are not preferred to them, are left out (loops). */
#ifndef MTA_ROUTE_HOSTS_H
#define MTA_ROUTE_HOSTS_H

#include "base/base.h"
#include "lib/dnsmsg/record.h"

#define HOSTS_EXCHANGES_MAX 16 /* of one domain; the least preferred beyond are not tried */
#define HOSTS_ADDRESSES_MAX 32

struct host_address {
    char name[256]; /* for EHLO's sake and the log; an address literal for itself */
    struct ip_address address;
    uint16_t port;
};

enum hosts_verdict {
    HOSTS_FOUND,
    HOSTS_LATER,   /* the DNS did not answer: try again */
    HOSTS_NO_MAIL, /* null MX: this domain takes no mail (5.1.10) */
    HOSTS_UNKNOWN, /* no such domain, or nothing there that takes mail (5.1.2, 5.4.4) */
    HOSTS_LOOP,    /* we are the best host ourselves (5.4.6) */
};

struct hosts; /* opaque */

/* `domain` as an A-label name or an address literal with brackets; `own_name` is ours; `random`
 * orders exchanges of equal preference. */
struct hosts *hosts_create(struct slice domain, struct slice own_name, uint64_t random);
/* Fixed next hops instead: "host:port [192.0.2.1]:25 ..."; names are looked up, no MX. */
struct hosts *hosts_create_fixed(struct slice next_hops, uint64_t random);
void hosts_destroy(struct hosts **h);

/* STEP_WAIT: hosts_question() waits for hosts_answer(). STEP_DONE: the results are valid. */
enum step hosts_step(struct hosts *h);
struct dns_question hosts_question(const struct hosts *h);
void hosts_answer(struct hosts *h, const struct dns_answer *answer);

enum hosts_verdict hosts_verdict(const struct hosts *h);
const char *hosts_reason(const struct hosts *h); /* a sentence, for every verdict but FOUND */
size_t hosts_count(const struct hosts *h);
const struct host_address *hosts_at(const struct hosts *h, size_t i);
/* Seconds for which the result may be kept. */
uint32_t hosts_ttl_s(const struct hosts *h);

#endif
