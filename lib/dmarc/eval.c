#include "lib/dmarc/eval.h"

#include <assert.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "lib/dnsmsg/name.h"

#define MEMORY_MAX ((size_t)4 << 20)
#define WALK_MAX 8        /* queries of one walk (RFC 9989 4.10) */
#define WALK_LABELS_MAX 7 /* of all its names but the first */
#define NAMES_MAX (WALK_MAX * (DMARC_IDENTIFIERS_MAX + 1))

/* What stands at _dmarc.NAME. */
struct place {
    struct slice domain;
    bool failed; /* DNS gave no answer */
    bool found;  /* exactly one record */
    struct dmarc_record record;
};

/* A walk's result. */
struct walk {
    struct slice organization;
    const struct place *psd; /* the record with psd=y above the organization, or NULL */
    bool failed;             /* a name on the way did not answer */
};

enum state {
    AUTHOR,      /* walks from the author's domain */
    EXISTENCE,   /* does the author's domain exist? (np) */
    EXISTS,      /* waits for that answer */
    IDENTIFIERS, /* walks from each identifier */
    DONE,
};

struct dmarc {
    struct arena *arena;
    enum state state;
    struct dns_question question;
    bool asking_place; /* the answer belongs to places[count] */
    struct place places[NAMES_MAX];
    struct slice names[NAMES_MAX];
    size_t count;
    struct identifier {
        struct slice domain;
        bool is_dkim;
        bool is_open; /* nobody knows whether it passed */
    } identifiers[DMARC_IDENTIFIERS_MAX];
    size_t identifier_count, identifier_at;
    bool has_identifiers; /* something passed, though for a name that can never be aligned */
    struct walk author;
    struct slice open;          /* an aligned identifier that is open */
    bool author_exists, unsure; /* a DNS failure stands in the way of a verdict */
    struct dmarc_outcome outcome;
};

static const char *const result_texts[] = {
    [DMARC_NONE] = "none",           [DMARC_PASS] = "pass",           [DMARC_FAIL] = "fail",
    [DMARC_TEMPERROR] = "temperror", [DMARC_PERMERROR] = "permerror",
};

const char *dmarc_result_text(enum dmarc_result r)
{
    return result_texts[r];
}

struct dmarc *dmarc_create(void)
{
    struct dmarc *d = mem_alloc(sizeof *d);

    d->arena = arena_create(MEMORY_MAX);
    d->state = DONE;
    return d;
}

void dmarc_destroy(struct dmarc **d)
{
    if (!*d)
        return;
    arena_destroy(&(*d)->arena);
    free(*d);
    *d = NULL;
}

static enum step finish(struct dmarc *d, enum dmarc_result result, struct slice reason)
{
    d->outcome.result = result;
    d->outcome.reason = reason;
    d->outcome.disposition = result == DMARC_FAIL ? d->outcome.policy : DMARC_POLICY_NONE;
    d->state = DONE;
    return STEP_DONE;
}

/* --- places and walks --- */

static const struct place *find_place(const struct dmarc *d, struct slice domain)
{
    for (size_t i = 0; i < d->count; i++)
        if (slice_eq(d->places[i].domain, domain))
            return &d->places[i];
    return NULL;
}

static void ask_place(struct dmarc *d, struct slice domain)
{
    assert(d->count < NAMES_MAX);
    d->places[d->count] = (struct place){.domain = domain};
    d->names[d->count] = arena_printf(d->arena, "_dmarc.%.*s", SLICE_ARG(domain));
    d->question = (struct dns_question){d->names[d->count], DNS_TXT};
    d->asking_place = true;
}

static void take_place(struct dmarc *d, const struct dns_answer *answer)
{
    struct place *p = &d->places[d->count++];
    size_t records = 0;

    d->asking_place = false;
    p->failed = dns_status_is_failure(answer->status);
    for (size_t i = 0; i < answer->count; i++)
        if (dmarc_record_is(answer->records[i].text) && records++ == 0)
            p->record = dmarc_record_parse(arena_copy(d->arena, answer->records[i].text));
    p->found = records == 1 && p->record.text.p != NULL;
}

/* The next name of a walk (RFC 9989 4.10, steps 4 and 7); empty after the last one. */
static struct slice walk_up(struct slice domain)
{
    size_t labels = dns_name_labels(domain);

    return labels > WALK_LABELS_MAX ? dns_name_tail(domain, WALK_LABELS_MAX)
                                    : dns_name_parent(domain);
}

/* The name one label below `parent` on the way down to `start`. */
static struct slice one_below(struct slice start, struct slice parent)
{
    return dns_name_tail(start, dns_name_labels(parent) + 1);
}

/* Walks the tree from `start`. False while a name must be asked for first; DNS is then asked. A
 * name that cannot be asked for (too long with _dmarc) holds nothing. */
static bool walk(struct dmarc *d, struct slice start, struct walk *walk_out)
{
    const struct place *shortest = NULL;

    *walk_out = (struct walk){.organization = start};
    for (struct slice domain = start; domain.n > 0; domain = walk_up(domain)) {
        const struct place *p = find_place(d, domain);

        if (domain.n + strlen("_dmarc.") > DNS_NAME_MAX)
            continue;
        if (!p) {
            ask_place(d, domain);
            return false;
        }
        walk_out->failed = walk_out->failed || p->failed;
        if (!p->found)
            continue;
        shortest = p;
        if (p->record.psd == 'n')
            break;
        if (p->record.psd == 'y') {
            if (slice_eq(domain, start))
                break;
            walk_out->organization = one_below(start, domain);
            walk_out->psd = p;
            return true;
        }
    }
    if (shortest)
        walk_out->organization = shortest->domain;
    return true;
}

/* --- the policy --- */

static enum dmarc_policy lowered(enum dmarc_policy p)
{
    return p == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

/* p, sp or np, then t=y (RFC 9989 4.10.1, 4.7). */
static void choose_policy(struct dmarc *d)
{
    struct dmarc_outcome *o = &d->outcome;
    const struct dmarc_record *r = &o->record;
    const struct dmarc_request_tag *tag = &r->p;

    o->policy_tag = "p";
    if (!slice_eq(o->policy_domain, o->author_domain)) {
        if (!d->author_exists && r->np.state == DMARC_TAG_VALID) {
            tag = &r->np;
            o->policy_tag = "np";
        } else if (r->sp.state == DMARC_TAG_VALID) {
            tag = &r->sp;
            o->policy_tag = "sp";
        }
    }
    o->policy = r->testing ? lowered(tag->policy) : tag->policy;
}

/* The record that applies: the author's own, the organization's, or the public suffix's. */
static const struct place *find_policy(const struct dmarc *d, bool *failed_out)
{
    const struct place *own = find_place(d, d->outcome.author_domain);
    const struct place *organization = find_place(d, d->author.organization);

    *failed_out = false;
    if (own && own->found)
        return own;
    /* Without an answer from every name on the way nobody knows whose record applies. */
    *failed_out = d->author.failed;
    if (organization && organization->found)
        return organization;
    return d->author.psd;
}

static enum step run_author(struct dmarc *d)
{
    struct dmarc_outcome *o = &d->outcome;
    bool failed;

    if (!walk(d, o->author_domain, &d->author))
        return STEP_WAIT;
    o->organizational_domain = d->author.organization;
    const struct place *policy = find_policy(d, &failed);
    if (failed)
        return finish(d, DMARC_TEMPERROR,
                      SLICE("no answer from DNS about the policy: try again later"));
    if (!policy)
        return finish(d, DMARC_NONE,
                      arena_printf(d->arena,
                                   "neither %.*s nor a domain above it has a DMARC record",
                                   SLICE_ARG(o->author_domain)));
    o->record = policy->record;
    o->policy_domain = policy->domain;
    if (!dmarc_record_settle(&o->record)) {
        enum step step = finish(d, DMARC_NONE,
                                arena_printf(d->arena, "the record of %.*s has no valid policy",
                                             SLICE_ARG(policy->domain)));
        return step;
    }
    d->state = EXISTENCE;
    return STEP_NEXT;
}

static enum step run_existence(struct dmarc *d)
{
    const struct dmarc_outcome *o = &d->outcome;

    d->author_exists = true;
    if (o->record.np.state != DMARC_TAG_VALID || slice_eq(o->policy_domain, o->author_domain)) {
        choose_policy(d);
        d->state = IDENTIFIERS;
        return STEP_NEXT;
    }
    d->question = (struct dns_question){o->author_domain, DNS_A};
    d->state = EXISTS;
    return STEP_WAIT;
}

static void take_existence(struct dmarc *d, const struct dns_answer *answer)
{
    d->author_exists = answer->status != DNS_NXDOMAIN; /* RFC 9989 3.2.15, RFC 8020 */
    d->unsure = dns_status_is_failure(answer->status);
    choose_policy(d);
    d->state = IDENTIFIERS;
}

/* --- alignment --- */

/* False while DNS must be asked first. */
static bool is_aligned(struct dmarc *d, const struct identifier *x, bool *aligned_out)
{
    const struct dmarc_outcome *o = &d->outcome;
    bool strict = x->is_dkim ? o->record.adkim_strict : o->record.aspf_strict;
    struct walk w;

    *aligned_out = slice_eq(x->domain, o->author_domain);
    if (*aligned_out || strict)
        return true;
    if (!walk(d, x->domain, &w))
        return false;
    if (w.failed || d->author.failed)
        d->unsure = true;
    else
        *aligned_out = slice_eq(w.organization, o->organizational_domain);
    return true;
}

static enum step judge(struct dmarc *d)
{
    struct dmarc_outcome *o = &d->outcome;

    if (o->aligned.n > 0)
        return finish(d, DMARC_PASS,
                      arena_printf(d->arena, "%s passed for %.*s, which is aligned with %.*s",
                                   o->dkim_aligned ? "DKIM" : "SPF", SLICE_ARG(o->aligned),
                                   SLICE_ARG(o->author_domain)));
    if (d->open.n > 0)
        return finish(d, DMARC_TEMPERROR,
                      arena_printf(d->arena,
                                   "no answer from DNS about SPF or DKIM of %.*s, which could have "
                                   "made it pass: try again later",
                                   SLICE_ARG(d->open)));
    if (d->unsure)
        return finish(d, DMARC_TEMPERROR,
                      SLICE("no answer from DNS about the alignment: try again later"));
    if (!d->has_identifiers)
        return finish(d, DMARC_FAIL, SLICE("neither SPF nor DKIM passed for any domain"));
    return finish(d, DMARC_FAIL,
                  arena_printf(d->arena,
                               "SPF or DKIM passed, but for no domain that is aligned with %.*s",
                               SLICE_ARG(o->author_domain)));
}

static enum step run_identifiers(struct dmarc *d)
{
    struct dmarc_outcome *o = &d->outcome;

    for (; d->identifier_at < d->identifier_count; d->identifier_at++) {
        const struct identifier *x = &d->identifiers[d->identifier_at];
        bool aligned;

        if (!is_aligned(d, x, &aligned))
            return STEP_WAIT;
        if (!aligned)
            continue;
        if (x->is_open) {
            d->open = x->domain;
            continue;
        }
        if (o->aligned.n == 0)
            o->aligned = x->domain;
        if (x->is_dkim)
            o->dkim_aligned = true;
        else
            o->spf_aligned = true;
    }
    return judge(d);
}

/* --- the driver --- */

static enum step run(struct dmarc *d)
{
    for (;;) {
        enum step step = d->state == AUTHOR      ? run_author(d)
                         : d->state == EXISTENCE ? run_existence(d)
                                                 : run_identifiers(d);
        if (step != STEP_NEXT)
            return step;
    }
}

static struct slice lowered_name(struct dmarc *d, struct slice name)
{
    char *copy;

    name = dns_name_trim(name);
    copy = arena_alloc(d->arena, name.n + 1);
    for (size_t i = 0; copy && i < name.n; i++)
        copy[i] = ascii_lower(name.p[i]);
    return (struct slice){copy, copy ? name.n : 0};
}

/* Names of different top-level domains cannot share an organization. */
static bool may_align(const struct dmarc *d, struct slice domain)
{
    return dns_name_equal(dns_name_tail(dns_name_trim(domain), 1),
                          dns_name_tail(d->outcome.author_domain, 1));
}

static bool is_known(const struct dmarc *d, struct slice domain, bool is_dkim)
{
    for (size_t i = 0; i < d->identifier_count; i++)
        if (d->identifiers[i].is_dkim == is_dkim &&
            dns_name_equal(d->identifiers[i].domain, domain))
            return true;
    return false;
}

/* Each once, and only those that can matter, so that the ceiling is for what costs DNS. */
static void add_identifiers(struct dmarc *d, const struct slice *domains, size_t count,
                            struct identifier kind)
{
    for (size_t i = 0; i < count && d->identifier_count < DMARC_IDENTIFIERS_MAX; i++) {
        if (!dns_name_is_valid(domains[i]))
            continue;
        d->has_identifiers = d->has_identifiers || !kind.is_open;
        if (!may_align(d, domains[i]) || is_known(d, domains[i], kind.is_dkim))
            continue;
        kind.domain = lowered_name(d, domains[i]);
        d->identifiers[d->identifier_count++] = kind;
    }
}

enum step dmarc_start(struct dmarc *d, const struct dmarc_request *request)
{
    arena_reset(d->arena);
    d->count = d->identifier_count = d->identifier_at = 0;
    d->open = (struct slice){0};
    d->asking_place = d->unsure = d->has_identifiers = false;
    d->outcome = (struct dmarc_outcome){.result = DMARC_NONE, .policy_tag = "p"};
    if (!dns_name_is_valid(request->author_domain) ||
        slice_find(request->author_domain, '[') != SLICE_NONE)
        return finish(d, DMARC_PERMERROR,
                      request->no_author ? slice_of(request->no_author)
                                         : SLICE("the author's address has no domain name"));
    d->outcome.author_domain = lowered_name(d, request->author_domain);
    add_identifiers(d, request->spf, request->spf_count < 2 ? request->spf_count : 2,
                    (struct identifier){.is_dkim = false});
    add_identifiers(d, request->dkim, request->dkim_count, (struct identifier){.is_dkim = true});
    add_identifiers(d, request->spf_open, request->spf_open_count,
                    (struct identifier){.is_open = true});
    add_identifiers(d, request->dkim_open, request->dkim_open_count,
                    (struct identifier){.is_dkim = true, .is_open = true});
    d->state = AUTHOR;
    return run(d);
}

struct dns_question dmarc_question(const struct dmarc *d)
{
    return d->question;
}

enum step dmarc_answer(struct dmarc *d, const struct dns_answer *answer)
{
    assert(d->state != DONE);
    if (d->asking_place)
        take_place(d, answer);
    else
        take_existence(d, answer);
    return run(d);
}

const struct dmarc_outcome *dmarc_outcome(const struct dmarc *d)
{
    return &d->outcome;
}

size_t dmarc_queried(const struct dmarc *d, const struct slice **names_out)
{
    *names_out = d->names;
    return d->count;
}
