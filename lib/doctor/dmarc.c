/* DMARC: is there a policy where receivers look, and does our mail pass it? */
#include "lib/dnsmsg/name.h"
#include "lib/doctor/doctor_in.h"

/* How many policies stand there; *first_out is one of them. */
static size_t count_policies(const struct dns_answer *answer, struct slice *first_out)
{
    size_t count = 0;

    *first_out = (struct slice){0};
    for (size_t i = 0; answer->status == DNS_OK && i < answer->count; i++)
        if (slice_starts_nocase(slice_trim(answer->records[i].text), SLICE("v=DMARC1")) &&
            count++ == 0)
            *first_out = slice_trim(answer->records[i].text);
    return count;
}

/* Where people put it instead. False: DNS was not asked yet, or did not answer. */
static bool find_misplaced(struct doctor *d, struct slice domain, struct slice *place_out,
                           struct slice *policy_out)
{
    const struct slice places[] = {
        domain,
        arena_printf(d->words, "dmarc.%.*s", SLICE_ARG(domain)),
        arena_printf(d->words, "_dmarc._dmarc.%.*s", SLICE_ARG(domain)),
        arena_printf(d->words, "_dmarc.%.*s.%.*s", SLICE_ARG(domain), SLICE_ARG(domain)),
        arena_printf(d->words, "_domainkey.%.*s", SLICE_ARG(domain)),
        arena_printf(d->words, "_dmarc.www.%.*s", SLICE_ARG(domain))};
    const struct dns_answer *answers[COUNT(places)];
    bool complete = true;

    *place_out = (struct slice){0};
    for (size_t i = 0; i < COUNT(places); i++) {
        answers[i] = doctor_ask(d, places[i], DNS_TXT);
        complete = complete && answers[i];
    }
    for (size_t i = 0; complete && place_out->n == 0 && i < COUNT(places); i++)
        if (doctor_is_silent(d, answers[i], places[i]))
            complete = false;
        else if (count_policies(answers[i], policy_out) > 0)
            *place_out = places[i];
    return complete;
}

/* Several make none (RFC 9989 4.10). Which one is right, only their owner knows: the first is
 * shown. */
static void find_several(struct doctor *d, struct slice name, size_t count, struct slice first)
{
    struct doctor_finding *f = doctor_find(
        d, DOCTOR_ERROR, "dmarc-two-records", name,
        arena_printf(d->words,
                     "there are %zu DMARC records, so receivers use none of them: leave one",
                     count));

    f->publish = doctor_publish_txt(d, name, first);
}

static void examine_no_policy(struct doctor *d, struct slice domain, struct slice name)
{
    const struct dns_answer *here = doctor_ask(d, name, DNS_TXT);
    struct slice place, policy = {0};
    struct doctor_finding *f;
    size_t count;

    if (!here)
        return;
    count = count_policies(here, &policy);
    if (count > 1) {
        find_several(d, name, count, policy);
        return;
    }
    if (!find_misplaced(d, domain, &place, &policy))
        return;
    if (place.n > 0)
        f = doctor_find(
            d, DOCTOR_ERROR, "dmarc-wrong-name", place,
            arena_printf(d->words,
                         "a DMARC record stands here, where nobody looks: it belongs at %.*s",
                         SLICE_ARG(name)));
    else
        f = doctor_find(d, DOCTOR_ERROR, "dmarc-missing", name,
                        SLICE("there is no DMARC policy: large receivers want one, and forged mail "
                              "in your name goes unseen"));
    if (policy.n == 0) /* as `waybill init` has it */
        policy = arena_printf(
            d->words, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
            SLICE_ARG(d->subject->return_path.n > 0 ? d->subject->return_path : domain));
    f->publish = doctor_publish_txt(d, name, policy);
}

/* The record without its testing flag. */
static struct slice without_testing(struct doctor *d, struct slice record)
{
    struct slice kept = {0};

    while (record.n > 0) {
        struct slice tag = slice_trim(slice_cut(&record, ';')), value = tag;
        struct slice name = slice_trim(slice_cut(&value, '='));

        if (tag.n > 0 && !slice_eq_nocase(name, SLICE("t")))
            kept = arena_printf(d->words, "%.*s%s%.*s", SLICE_ARG(kept), kept.n > 0 ? "; " : "",
                                SLICE_ARG(tag));
    }
    return kept;
}

static void examine_record(struct doctor *d, struct slice domain, const struct dmarc_outcome *o)
{
    struct slice name = arena_printf(d->words, "_dmarc.%.*s", SLICE_ARG(o->policy_domain));

    if (o->record.testing)
        doctor_find(d, DOCTOR_WARNING, "dmarc-testing", name,
                    SLICE("t=y is left on: receivers lower the policy by one level"))
            ->publish = doctor_publish_txt(d, name, without_testing(d, o->record.text));
    if (o->record.bad_tags > 0)
        doctor_find(d, DOCTOR_WARNING, "dmarc-bad-tags", name,
                    SLICE("some tags break their grammar and are ignored: see `waybill dmarc "
                          "show`"));
    if (o->record.rua.n == 0)
        doctor_find(d, DOCTOR_WARNING, "dmarc-no-reports", name,
                    SLICE("no rua=: you will not learn who sends in your name"));
    if (!o->record.testing && o->record.bad_tags == 0 && o->record.rua.n > 0)
        doctor_find(d, DOCTOR_GOOD, "dmarc", name,
                    arena_printf(d->words, "the policy for %.*s is %s", SLICE_ARG(domain),
                                 dmarc_policy_text(o->policy)));
}

static void begin_dmarc(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;
    struct slice domains[DOCTOR_SIGNERS_MAX];

    for (size_t i = 0; i < s->signer_count; i++)
        domains[i] = s->signers[i].domain;
    const struct dmarc_request request = {.author_domain = s->domain,
                                          .dkim = domains,
                                          .dkim_count = s->signer_count,
                                          .spf = &s->return_path,
                                          .spf_count = s->return_path.n > 0};
    d->dmarc = dmarc_create();
    d->dmarc_step = dmarc_start(d->dmarc, &request);
}

void doctor_examine_dmarc(struct doctor *d)
{
    struct slice domain = d->subject->domain;
    struct slice name = arena_printf(d->words, "_dmarc.%.*s", SLICE_ARG(domain));

    if (!d->dmarc)
        begin_dmarc(d);
    while (d->dmarc_step == STEP_WAIT) {
        struct dns_question q = dmarc_question(d->dmarc);
        const struct dns_answer *answer = doctor_ask(d, q.name, q.type);

        if (!answer)
            return;
        d->dmarc_step = dmarc_answer(d->dmarc, answer);
    }
    doctor_begin(d, "dmarc", domain);
    const struct dmarc_outcome *o = dmarc_outcome(d->dmarc);
    if (o->result == DMARC_TEMPERROR) {
        doctor_find_silence(d, name, SLICE("DNS does not answer about the policy"));
    } else if (o->policy_domain.n == 0) {
        examine_no_policy(d, domain, name);
    } else {
        examine_record(d, domain, o);
        /* What this server signs and where its bounces go must carry the author's domain. */
        if (o->result == DMARC_FAIL)
            doctor_find(d, DOCTOR_ERROR, "dmarc-alignment", o->author_domain,
                        SLICE("neither a signing domain nor the return path is aligned with the "
                              "author's domain: DMARC fails for all of your mail"));
    }
}
