#include "mta/route/hosts.h"

#include "lib/dnsmsg/name.h"

#define TTL_LEAST_S 30
#define TTL_MOST_S 3600

struct exchange {
    char name[256];
    struct ip_address literal; /* family IP_NONE: a name to look up */
    uint16_t port;
    unsigned preference;
    uint64_t order; /* by chance, among equals */
};

enum state { ASK_MX, ASK_A, ASK_AAAA, DONE };

struct hosts {
    enum state state;
    char domain[256], own_name[256];
    uint64_t random;
    struct exchange exchanges[HOSTS_EXCHANGES_MAX];
    size_t exchange_n, at;
    struct host_address addresses[HOSTS_ADDRESSES_MAX];
    size_t address_n;
    bool some_failed, implicit;
    enum hosts_verdict verdict;
    uint32_t ttl_s;
    char reason[400];
};

static void keep_name(char *to, size_t size, struct slice name)
{
    (void)snprintf(to, size, "%.*s", SLICE_ARG(slice_sub(name, 0, size - 1)));
}

/* A cheap mix, so that one number orders many exchanges differently. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 29);
}

static struct exchange *add_exchange(struct hosts *h, struct slice name, uint16_t port,
                                     unsigned preference)
{
    struct exchange *x;

    if (h->exchange_n == HOSTS_EXCHANGES_MAX)
        return NULL;
    x = &h->exchanges[h->exchange_n++];
    *x = (struct exchange){.port = port, .preference = preference};
    x->order = mix(h->random + h->exchange_n);
    keep_name(x->name, sizeof x->name, name);
    return x;
}

static struct hosts *create(uint64_t random)
{
    struct hosts *h = mem_alloc(sizeof *h);

    h->random = random;
    h->ttl_s = TTL_MOST_S;
    return h;
}

static bool take_literal(struct hosts *h, struct slice inside, uint16_t port)
{
    struct ip_address address;
    struct exchange *x;

    if (slice_starts_nocase(inside, SLICE("IPv6:")))
        inside = slice_from(inside, 5);
    if (!ip_address_parse(inside, &address))
        return false;
    x = add_exchange(h, inside, port, h->exchange_n > 0 ? (unsigned)h->exchange_n : 0);
    if (x != NULL)
        x->literal = address;
    return true;
}

struct hosts *hosts_create(struct slice domain, struct slice own_name, uint64_t random)
{
    struct hosts *h = create(random);

    keep_name(h->domain, sizeof h->domain, domain);
    keep_name(h->own_name, sizeof h->own_name, own_name);
    if (domain.n > 2 && domain.p[0] == '[' && domain.p[domain.n - 1] == ']' &&
        take_literal(h, slice_sub(domain, 1, domain.n - 2), 25))
        h->state = ASK_A;
    return h;
}

struct hosts *hosts_create_fixed(struct slice next_hops, uint64_t random)
{
    struct hosts *h = create(random);

    while (next_hops.n > 0) {
        struct slice hop = slice_cut(&next_hops, ' ');
        uint64_t port = 25;
        size_t colon = slice_find_last(hop, ':'), close = slice_find_last(hop, ']');
        struct slice name = hop;

        if (colon != SLICE_NONE && (close == SLICE_NONE || colon > close) &&
            slice_to_u64(slice_from(hop, colon + 1), &port) && port > 0 && port < 65536)
            name = slice_sub(hop, 0, colon);
        else
            port = 25;
        if (name.n > 2 && name.p[0] == '[')
            name = slice_sub(name, 1, name.n - 2);
        if (name.n == 0 || take_literal(h, name, (uint16_t)port))
            continue;
        (void)add_exchange(h, name, (uint16_t)port, (unsigned)h->exchange_n);
    }
    keep_name(h->domain, sizeof h->domain, SLICE("the route"));
    h->state = ASK_A;
    return h;
}

void hosts_destroy(struct hosts **h)
{
    free(*h);
    *h = NULL;
}

/* `before` and `after` stand around the domain in the reason. */
static enum step finish(struct hosts *h, enum hosts_verdict verdict, const char *before,
                        const char *after)
{
    h->state = DONE;
    h->verdict = verdict;
    (void)snprintf(h->reason, sizeof h->reason, "%s%s%s", before, h->domain, after);
    return STEP_DONE;
}

static void keep_address(struct hosts *h, const struct exchange *x, struct ip_address address)
{
    struct host_address *to;

    if (h->address_n == HOSTS_ADDRESSES_MAX)
        return;
    to = &h->addresses[h->address_n++];
    memcpy(to->name, x->name, sizeof to->name);
    to->address = address;
    to->port = x->port;
}

enum step hosts_step(struct hosts *h)
{
    if (h->state == ASK_MX)
        return STEP_WAIT;
    while (h->state != DONE && h->at < h->exchange_n) {
        const struct exchange *x = &h->exchanges[h->at];

        if (x->literal.family == IP_NONE)
            return STEP_WAIT;
        keep_address(h, x, x->literal);
        h->at++;
    }
    if (h->state == DONE)
        return STEP_DONE;
    if (h->address_n > 0)
        return finish(h, HOSTS_FOUND, "", "");
    if (h->some_failed)
        return finish(h, HOSTS_LATER, "The DNS did not say where ", " takes mail");
    if (h->implicit)
        return finish(h, HOSTS_UNKNOWN, "", " has neither MX nor address records");
    return finish(h, HOSTS_UNKNOWN, "No mail host of ", " has an address");
}

struct dns_question hosts_question(const struct hosts *h)
{
    if (h->state == ASK_MX)
        return (struct dns_question){slice_of(h->domain), DNS_MX};
    return (struct dns_question){slice_of(h->exchanges[h->at].name),
                                 h->state == ASK_A ? DNS_A : DNS_AAAA};
}

static int compare_exchanges(const void *a, const void *b)
{
    const struct exchange *x = a, *y = b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Cuts the list at the best entry that is ourselves. False when nothing is left. */
static bool cut_at_own_name(struct hosts *h)
{
    for (size_t i = 0; i < h->exchange_n; i++) {
        if (!dns_name_equal(slice_of(h->exchanges[i].name), slice_of(h->own_name)))
            continue;
        unsigned ours = h->exchanges[i].preference;
        while (h->exchange_n > 0 && h->exchanges[h->exchange_n - 1].preference >= ours)
            h->exchange_n--;
        return h->exchange_n > 0;
    }
    return true;
}

static void take_mx(struct hosts *h, const struct dns_answer *answer)
{
    if (answer->status == DNS_NXDOMAIN) {
        (void)finish(h, HOSTS_UNKNOWN, "The domain ", " does not exist");
        return;
    }
    if (answer->status == DNS_NODATA) { /* RFC 5321 5.1: the domain itself is its mail host */
        (void)add_exchange(h, slice_of(h->domain), 25, 0);
        h->implicit = true;
    } else if (answer->status != DNS_OK) {
        (void)finish(h, HOSTS_LATER, "The DNS did not say where ", " takes mail");
        return;
    }
    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *r = &answer->records[i];

        if (r->name.n == 0 && answer->count == 1) {
            (void)finish(h, HOSTS_NO_MAIL, "The domain ", " takes no mail (null MX)");
            return;
        }
        if (r->name.n > 0)
            (void)add_exchange(h, r->name, 25, r->preference);
    }
    qsort(h->exchanges, h->exchange_n, sizeof h->exchanges[0], compare_exchanges);
    if (!h->implicit && !cut_at_own_name(h)) {
        (void)finish(h, HOSTS_LOOP, "We are the best mail host of ",
                     " ourselves, but do not take it");
        return;
    }
    h->state = ASK_A;
}

void hosts_answer(struct hosts *h, const struct dns_answer *answer)
{
    if (answer->status == DNS_OK && answer->ttl_s < h->ttl_s)
        h->ttl_s = answer->ttl_s;
    if (h->state == ASK_MX) {
        take_mx(h, answer);
        return;
    }
    if (dns_status_is_failure(answer->status))
        h->some_failed = true;
    for (size_t i = 0; i < answer->count; i++)
        keep_address(h, &h->exchanges[h->at], answer->records[i].address);
    if (h->state == ASK_A) {
        h->state = ASK_AAAA;
        return;
    }
    h->state = ASK_A;
    h->at++;
}

enum hosts_verdict hosts_verdict(const struct hosts *h)
{
    return h->verdict;
}

const char *hosts_reason(const struct hosts *h)
{
    return h->reason;
}

size_t hosts_count(const struct hosts *h)
{
    return h->address_n;
}

const struct host_address *hosts_at(const struct hosts *h, size_t i)
{
    return &h->addresses[i];
}

uint32_t hosts_ttl_s(const struct hosts *h)
{
    return h->ttl_s < TTL_LEAST_S ? TTL_LEAST_S : h->ttl_s;
}
