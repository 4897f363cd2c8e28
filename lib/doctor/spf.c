/* SPF: does the record allow where mail really leaves from, and nobody else? */
#include "lib/dnsmsg/name.h"
#include "lib/doctor/doctor_in.h"
#include "lib/spf/macro.h"
#include "lib/spf/suggest.h"

#define LIST_MAX 65536

static const struct spf_tree *walk_on(struct doctor *d, struct doctor_walk *walk,
                                      struct slice domain)
{
    if (!walk->survey) {
        walk->survey = spf_survey_create();
        walk->step = spf_survey_start(walk->survey, domain, (struct slice){0});
    }
    while (walk->step == STEP_WAIT) {
        struct dns_question q = spf_survey_question(walk->survey);
        const struct dns_answer *answer = doctor_ask(d, q.name, q.type);

        if (!answer)
            return NULL;
        walk->step = spf_survey_answer(walk->survey, answer);
    }
    return spf_survey_tree(walk->survey);
}

static bool is_covered(const struct spf_tree *t, const struct ip_address *a)
{
    for (const struct spf_network *n = t->networks; n; n = n->next)
        if (n->passes && ip_address_in(a, &n->address, n->bits))
            return true;
    return false;
}

/* Whom such a term lets pass depends on the message: no list of networks can tell. */
static bool is_personal(const struct spf_node *n)
{
    return !n->is_record &&
           (n->kind == SPF_EXISTS || n->kind == SPF_PTR || spf_macro_is_personal(n->text));
}

static bool has_personal(const struct spf_tree *t)
{
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (is_personal(n))
            return true;
    return false;
}

/* Addresses that the record must allow, each once. */
static size_t list_addresses(const struct doctor *d, struct slice domain, struct ip_address *list)
{
    const struct doctor_subject *s = d->subject;
    size_t n = 0;

    for (size_t i = 0; i < s->address_count; i++) {
        const struct ip_address *ip = &s->addresses[i].ip;
        bool is_new = doctor_address_counts(s, &s->addresses[i], domain);

        for (size_t k = 0; is_new && k < n; k++)
            is_new = !ip_address_equal(&list[k], ip);
        if (is_new)
            list[n++] = *ip;
    }
    return n;
}

/* A top-level include below which none of our addresses lies. */
static bool is_unused(const struct spf_tree *t, const struct spf_node *term,
                      const struct ip_address *ours, size_t count)
{
    const struct spf_node *end = term->next;

    if (term->depth != 0 || term->is_record || term->kind != SPF_INCLUDE || term->problem.n > 0)
        return false;
    while (end && end->depth > term->depth)
        end = end->next;
    for (const struct spf_node *k = term; k != end; k = k->next)
        if (is_personal(k))
            return false;
    for (const struct spf_network *n = t->networks; n; n = n->next)
        for (const struct spf_node *k = term; k != end; k = k->next)
            for (size_t i = 0; n->node == k && i < count; i++)
                if (ip_address_in(&ours[i], &n->address, n->bits))
                    return false;
    return true;
}

static void find_missing(struct doctor *d, const struct spf_tree *t, struct slice missing,
                         struct slice record)
{
    bool is_there = t->record.n > 0;
    struct doctor_finding *f =
        doctor_find(d, DOCTOR_ERROR, is_there ? "spf-missing-address" : "spf-missing", t->domain,
                    arena_printf(d->words, "the SPF record %s %.*s, which mail really leaves from",
                                 is_there ? "does not allow" : "is missing, and should allow",
                                 SLICE_ARG(missing)));

    f->detail = arena_copy(d->words, missing);
    f->publish = doctor_publish_txt(d, t->domain, record);
}

/* A record without its dead terms is worth publishing only if something is left. */
static bool says_something(const struct spf_tree *t)
{
    return t->record.n > 0 && (t->networks || has_personal(t));
}

/* `found`: what the survey says already. */
static void examine_coverage(struct doctor *d, const struct spf_tree *t,
                             const struct ip_address *ours, size_t count,
                             struct doctor_finding *found)
{
    struct ip_address missing[DOCTOR_ADDRESSES_MAX];
    size_t missing_count = 0;
    struct buf list, record;
    char text[IP_TEXT_MAX];

    buf_init(&list, LIST_MAX);
    buf_init(&record, LIST_MAX);
    for (size_t i = 0; i < count; i++)
        if (!is_covered(t, &ours[i])) {
            missing[missing_count++] = ours[i];
            (void)ip_address_format(&ours[i], text);
            buf_printf(&list, "%s%s", missing_count > 1 ? ", " : "", text);
        }
    spf_suggest_record(t, missing, missing_count, &record);
    if (t->all == SPF_PASS && found)
        found->publish =
            doctor_publish_txt(d, t->domain, buf_slice(&record)); /* allows everybody */
    else if (missing_count > 0 && has_personal(t))
        doctor_find(d, DOCTOR_HINT, "spf-depends", t->domain,
                    arena_printf(d->words,
                                 "whether the SPF record allows %.*s depends on the message "
                                 "(exists, ptr, or macros): `waybill spf check` tries one",
                                 SLICE_ARG(buf_slice(&list))));
    else if (missing_count > 0)
        find_missing(d, t, buf_slice(&list), buf_slice(&record));
    else if (found && says_something(t) &&
             (t->is_merged || !slice_eq(buf_slice(&record), t->record)))
        found->publish = doctor_publish_txt(d, t->domain, buf_slice(&record));
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (count > 0 && !doctor_uses_smart_host(d->subject, t->domain) &&
            is_unused(t, n, ours, count))
            doctor_find(d, DOCTOR_WARNING, "spf-unused-include", t->domain,
                        arena_printf(d->words,
                                     "none of the addresses in use is in \"%.*s\": if that "
                                     "service no longer sends for you, remove it",
                                     SLICE_ARG(n->text)))
                ->detail = arena_copy(d->words, n->text);
    buf_finish(&list);
    buf_finish(&record);
}

/* Whether the record lets anybody pass besides the addresses of this machine. */
static bool allows_others(const struct doctor *d, const struct spf_tree *t)
{
    const struct doctor_subject *s = d->subject;

    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (is_personal(n) || (!n->is_record && n->kind == SPF_ALL && n->qualifier == SPF_PASS))
            return true;
    for (const struct spf_network *n = t->networks; n; n = n->next) {
        bool is_ours = s->hostname.n > 0 && n->by.n > 0 && dns_name_equal(n->by, s->hostname);

        for (size_t i = 0; i < s->address_count; i++)
            is_ours = is_ours || (n->bits >= (n->address.family == IP_V4 ? 32u : 128u) &&
                                  ip_address_equal(&n->address, &s->addresses[i].ip));
        if (n->passes && !is_ours)
            return true;
    }
    return false;
}

/* Mail leaves the world's way from somebody else's addresses: which, only they know. */
static void examine_smart_host(struct doctor *d, const struct spf_tree *t, struct slice host)
{
    if (allows_others(d, t))
        doctor_find(d, DOCTOR_GOOD, "spf-smart-host", t->domain,
                    arena_printf(d->words,
                                 "all mail leaves through %.*s, whose addresses count for SPF; the "
                                 "record allows others than this server",
                                 SLICE_ARG(host)));
    else
        doctor_find(
            d, DOCTOR_WARNING, t->record.n > 0 ? "spf-smart-host" : "spf-missing", t->domain,
            arena_printf(d->words,
                         "all mail leaves through %.*s, and %s: add the include that its "
                         "owner names",
                         SLICE_ARG(host),
                         t->record.n > 0 ? "the SPF record allows nobody besides this server"
                                         : "there is no SPF record"));
}

/* What the survey found; true: a part of the record is not known. */
static void take_findings(struct doctor *d, const struct spf_tree *t, bool says_missing)
{
    for (const struct spf_finding *f = t->findings; f; f = f->next) {
        struct doctor_finding *mine;

        if (strcmp(f->rule, "dns") == 0)
            doctor_find_silence(d, f->domain, f->text);
        /* That there is none is said with the record to publish. */
        if (f->severity == SPF_HINT || strcmp(f->rule, "dns") == 0 ||
            (says_missing && t->record.n == 0 && strcmp(f->rule, "no-record") == 0))
            continue;
        mine = doctor_find(d, f->severity == SPF_ERROR ? DOCTOR_ERROR : DOCTOR_WARNING,
                           arena_string(d->words, arena_printf(d->words, "spf-%s", f->rule)),
                           f->domain,
                           slice_eq(f->domain, t->domain)
                               ? f->text
                               : arena_printf(d->words, "%.*s (below the SPF record of %.*s)",
                                              SLICE_ARG(f->text), SLICE_ARG(t->domain)));
        mine->detail = mine->text;
        if (!mine->rule)
            mine->rule = "spf";
    }
}

void doctor_examine_spf(struct doctor *d, struct doctor_walk *walk, struct slice domain)
{
    struct ip_address ours[DOCTOR_ADDRESSES_MAX];
    struct slice smart_host = doctor_smart_host(d->subject, domain);
    struct doctor_finding **start = d->last;
    size_t count = list_addresses(d, domain, ours);
    const struct spf_tree *t = walk_on(d, walk, domain);

    if (!t)
        return;
    doctor_begin(d, "spf", domain);
    take_findings(d, t, count > 0 || smart_host.n > 0);
    if (t->failed && !*start)
        doctor_find_silence(d, domain, SLICE("DNS does not answer for a part of the record"));
    if (t->failed)
        return;
    if (smart_host.n > 0)
        examine_smart_host(d, t, smart_host);
    else
        examine_coverage(d, t, ours, count, *start);
    if (!*start)
        doctor_find(d, DOCTOR_GOOD, "spf", domain,
                    arena_printf(d->words, "SPF %s, with %u of 10 lookups",
                                 count > 0 ? "allows the addresses in use" : "is sound",
                                 t->lookups));
}
