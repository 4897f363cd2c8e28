#include "lib/dmarc/destination.h"

#include <assert.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "lib/addr/domain.h"
#include "lib/addr/path.h"
#include "lib/dnsmsg/name.h"

#define MEMORY_MAX ((size_t)1 << 20)

enum state {
    POLICY_ORGANIZATION, /* whose policy is it? */
    HOST_ORGANIZATION,   /* whose host is the destination? */
    CONSENT,             /* does the destination agree? */
    DONE,
};

struct dmarc_destination {
    struct arena *arena;
    struct dmarc *walk;
    enum state state;
    struct slice policy_domain, organization, host;
    struct dns_question question; /* of CONSENT */
    struct dmarc_destination_outcome outcome;
};

struct dmarc_destination *dmarc_destination_create(void)
{
    struct dmarc_destination *d = mem_alloc(sizeof *d);

    d->arena = arena_create(MEMORY_MAX);
    d->walk = dmarc_create();
    d->state = DONE;
    return d;
}

void dmarc_destination_destroy(struct dmarc_destination **d)
{
    if (!*d)
        return;
    arena_destroy(&(*d)->arena);
    dmarc_destroy(&(*d)->walk);
    free(*d);
    *d = NULL;
}

/* --- the address --- */

bool dmarc_mailto_address(struct slice uri, struct buf *out)
{
    const struct slice scheme = SLICE("mailto:");
    struct slice rest = slice_from(uri, scheme.n), text = slice_cut(&rest, '?');
    size_t before = out->n;
    struct path path;
    struct err e;

    bool is_whole = slice_starts_nocase(uri, scheme);

    for (size_t i = 0; is_whole && i < text.n; i++) {
        int high = i + 2 < text.n ? ascii_hex_value(text.p[i + 1]) : -1;
        int low = i + 2 < text.n ? ascii_hex_value(text.p[i + 2]) : -1;

        is_whole = text.p[i] != '%' || (high >= 0 && low >= 0);
        buf_append_char(out, text.p[i] == '%' ? (char)(high * 16 + low) : text.p[i]);
        i += text.p[i] == '%' ? 2 : 0;
    }
    if (is_whole && !out->full &&
        path_parse_address(slice_from(buf_slice(out), before), 0, &path, &e) == 0 &&
        !path.is_literal && dns_name_is_host(path.domain))
        return true;
    out->n = before;
    return false;
}

static struct slice keep_address(struct dmarc_destination *d, struct slice uri)
{
    struct slice address = {NULL, 0};
    struct buf out;

    buf_init(&out, PATH_MAX_BYTES);
    if (dmarc_mailto_address(uri, &out))
        address = arena_copy(d->arena, buf_slice(&out));
    buf_finish(&out);
    return address;
}

/* --- the steps --- */

static enum step finish(struct dmarc_destination *d, enum dmarc_consent consent,
                        struct slice reason)
{
    d->outcome.consent = consent;
    d->outcome.reason = reason;
    d->state = DONE;
    return STEP_DONE;
}

static enum step ask_consent(struct dmarc_destination *d)
{
    struct slice name = arena_printf(d->arena, "%.*s._report._dmarc.%.*s",
                                     SLICE_ARG(d->policy_domain), SLICE_ARG(d->host));

    if (!dns_name_is_valid(name))
        return finish(d, DMARC_CONSENT_MISSING,
                      SLICE("the name that would hold the consent is too long"));
    d->question = (struct dns_question){name, DNS_TXT};
    d->state = CONSENT;
    return STEP_WAIT;
}

/* The walk of one of the two domains is over. */
static enum step walked(struct dmarc_destination *d)
{
    const struct dmarc_outcome *o = dmarc_outcome(d->walk);
    const struct dmarc_request request = {.author_domain = d->host};

    /* Without its organization the consent is asked for, which never does harm. */
    struct slice organization =
        o->result == DMARC_TEMPERROR ? SLICE("") : arena_copy(d->arena, o->organizational_domain);
    if (d->state == HOST_ORGANIZATION) {
        if (organization.n > 0 && slice_eq_nocase(organization, d->organization))
            return finish(d, DMARC_CONSENT_GIVEN, SLICE("it belongs to the same organization"));
        return ask_consent(d);
    }
    d->organization = organization;
    d->state = HOST_ORGANIZATION;
    return dmarc_start(d->walk, &request) == STEP_WAIT ? STEP_WAIT : STEP_NEXT;
}

static enum step run(struct dmarc_destination *d, enum step step)
{
    while (step == STEP_NEXT)
        step = walked(d);
    return step;
}

enum step dmarc_destination_start(struct dmarc_destination *d, struct slice policy_domain,
                                  struct slice uri)
{
    arena_reset(d->arena);
    d->outcome = (struct dmarc_destination_outcome){.consent = DMARC_CONSENT_MISSING};
    d->policy_domain = arena_copy(d->arena, policy_domain);
    d->outcome.address = keep_address(d, uri);
    d->host = domain_of_address(d->outcome.address);
    d->state = POLICY_ORGANIZATION;
    if (d->host.n == 0)
        return finish(d, DMARC_CONSENT_MISSING, SLICE("only mailto: with one address is sent to"));
    if (slice_eq_nocase(d->host, d->policy_domain))
        return finish(d, DMARC_CONSENT_GIVEN, SLICE("it is in the policy's own domain"));
    const struct dmarc_request request = {.author_domain = d->policy_domain};
    return run(d, dmarc_start(d->walk, &request) == STEP_WAIT ? STEP_WAIT : STEP_NEXT);
}

struct dns_question dmarc_destination_question(const struct dmarc_destination *d)
{
    return d->state == CONSENT ? d->question : dmarc_question(d->walk);
}

/* The consent's record may name another address, of the same host. */
static enum step take_consent(struct dmarc_destination *d, const struct dns_answer *answer)
{
    bool consents = false;

    if (dns_status_is_failure(answer->status))
        return finish(d, DMARC_CONSENT_UNKNOWN,
                      SLICE("no answer from DNS about its consent: try again later"));
    for (size_t i = 0; i < answer->count; i++) {
        struct slice text = answer->records[i].text, uri;

        if (!dmarc_record_is(text))
            continue;
        struct dmarc_record record = dmarc_record_parse(text);
        consents = true;
        if (!dmarc_uri_next(&record.rua, &uri))
            continue;
        struct slice other = keep_address(d, uri);
        if (!slice_eq_nocase(domain_of_address(other), d->host))
            return finish(d, DMARC_CONSENT_MISSING,
                          SLICE("its consent names an address of another host"));
        d->outcome.address = other;
    }
    if (!consents)
        return finish(d, DMARC_CONSENT_MISSING,
                      arena_printf(d->arena, "%.*s does not say that it takes reports about %.*s",
                                   SLICE_ARG(d->host), SLICE_ARG(d->policy_domain)));
    return finish(d, DMARC_CONSENT_GIVEN, SLICE("it agrees to take these reports"));
}

enum step dmarc_destination_answer(struct dmarc_destination *d, const struct dns_answer *answer)
{
    assert(d->state != DONE);
    if (d->state == CONSENT)
        return take_consent(d, answer);
    return run(d, dmarc_answer(d->walk, answer) == STEP_WAIT ? STEP_WAIT : STEP_NEXT);
}

const struct dmarc_destination_outcome *dmarc_destination_outcome(const struct dmarc_destination *d)
{
    return &d->outcome;
}
