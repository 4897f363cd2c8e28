#include "app/doctor.h"

#include "app/cli.h"
#include "app/spf_survey.h"
#include "lib/dkim/record.h"
#include "lib/dmarc/eval.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/spf/suggest.h"

#define RECORD_MAX 65536
#define RSA_BITS_MIN 2048 /* RFC 8301 3.2: signers use at least this */
#define STRING_BYTES 255

struct doctor {
    const struct doctor_subject *subject;
    struct resolver *dns;
    struct arena *arena;
    struct doctor_finding *first, **last;
};

static struct doctor_finding *find(struct doctor *d, enum doctor_severity severity,
                                   const char *rule, struct slice name, struct slice text)
{
    struct doctor_finding *f = arena_alloc(d->arena, sizeof *f);

    if (!f)
        cli_die("too many findings");
    *f = (struct doctor_finding){.severity = severity,
                                 .rule = rule,
                                 .name = arena_copy(d->arena, name),
                                 .text = arena_copy(d->arena, text)};
    *d->last = f;
    d->last = &f->next;
    return f;
}

static struct slice publish_txt(struct doctor *d, struct slice name, struct slice text)
{
    struct buf line;

    buf_init(&line, RECORD_MAX);
    dns_zone_write_txt(name, text, &line);
    struct slice kept = arena_copy(d->arena, slice_trim(buf_slice(&line)));
    buf_finish(&line);
    return kept;
}

static void ask(struct doctor *d, struct slice name, enum dns_type type, struct dns_answer *out)
{
    resolver_ask(d->dns, (struct dns_question){name, type}, out);
}

/* DNS did not answer: nothing can be said, and that is said. */
static bool is_silent(struct doctor *d, const struct dns_answer *answer, struct slice name)
{
    if (!dns_status_is_failure(answer->status))
        return false;
    find(d, DOCTOR_WARNING, "dns", name,
         arena_printf(d->arena, "DNS does not answer (%s): ask again later",
                      dns_status_text(answer->status)));
    return true;
}

/* --- SPF --- */

static bool is_covered(const struct spf_tree *t, const struct ip_address *a)
{
    for (const struct spf_network *n = t->networks; n; n = n->next)
        if (n->passes && ip_address_in(a, &n->address, n->bits))
            return true;
    return false;
}

/* A top-level include below which none of our addresses lies. */
static bool is_unused(const struct doctor *d, const struct spf_tree *t, const struct spf_node *term)
{
    const struct spf_node *end = term->next;

    if (term->depth != 0 || term->is_record || term->kind != SPF_INCLUDE || term->problem.n > 0)
        return false;
    while (end && end->depth > term->depth)
        end = end->next;
    for (const struct spf_network *n = t->networks; n; n = n->next)
        for (const struct spf_node *k = term; k != end; k = k->next)
            for (size_t i = 0; n->node == k && i < d->subject->address_count; i++)
                if (ip_address_in(&d->subject->addresses[i], &n->address, n->bits))
                    return false;
    return true;
}

/* `found`: what the survey says already. */
static void examine_coverage(struct doctor *d, const struct spf_tree *t,
                             struct doctor_finding *found)
{
    struct ip_address missing[DOCTOR_ADDRESSES_MAX];
    size_t count = 0;
    struct buf list, record;
    char text[IP_TEXT_MAX];

    buf_init(&list, RECORD_MAX);
    for (size_t i = 0; i < d->subject->address_count; i++)
        if (!is_covered(t, &d->subject->addresses[i])) {
            missing[count++] = d->subject->addresses[i];
            (void)ip_address_format(&missing[count - 1], text);
            buf_printf(&list, "%s%s", count > 1 ? ", " : "", text);
        }
    buf_init(&record, RECORD_MAX);
    spf_suggest_record(t, missing, count, &record);
    if (t->all == SPF_PASS && found) {
        found->publish = publish_txt(d, t->domain, buf_slice(&record)); /* it allows everybody */
    } else if (count > 0) {
        const char *verb = t->record.n > 0 ? "does not allow" : "is missing, and should allow";
        struct doctor_finding *f = find(
            d, DOCTOR_ERROR, t->record.n > 0 ? "spf-missing-address" : "spf-missing", t->domain,
            arena_printf(d->arena, "the SPF record %s %.*s, which mail really leaves from", verb,
                         SLICE_ARG(buf_slice(&list))));
        f->publish = publish_txt(d, t->domain, buf_slice(&record));
    }
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (d->subject->address_count > 0 && is_unused(d, t, n))
            find(d, DOCTOR_WARNING, "spf-unused-include", t->domain,
                 arena_printf(d->arena,
                              "none of the addresses in use is in \"%.*s\": if that service no "
                              "longer sends for you, remove it",
                              SLICE_ARG(n->text)));
    buf_finish(&list);
    buf_finish(&record);
}

static void examine_spf(struct doctor *d, struct slice domain)
{
    struct spf_survey *s = spf_survey_create();
    const struct spf_tree *t = spf_survey_walk(s, d->dns, domain, (struct slice){0});
    struct doctor_finding **start = d->last;

    for (const struct spf_finding *f = t->findings; f; f = f->next) {
        /* That there is none is said with the record to publish, below. */
        if (f->severity == SPF_HINT || (t->record.n == 0 && d->subject->address_count > 0 &&
                                        strcmp(f->rule, "no-record") == 0))
            continue;
        find(d, f->severity == SPF_ERROR ? DOCTOR_ERROR : DOCTOR_WARNING,
             arena_string(d->arena, arena_printf(d->arena, "spf-%s", f->rule)), f->domain, f->text);
    }
    if (t->failed)
        find(d, DOCTOR_WARNING, "dns", domain,
             SLICE("DNS does not answer for a part of the record"));
    else
        examine_coverage(d, t, *start);
    if (!*start)
        find(d, DOCTOR_GOOD, "spf", domain,
             arena_printf(d->arena, "SPF allows the addresses in use, with %u of 10 lookups",
                          t->lookups));
    spf_survey_destroy(&s);
}

/* --- DKIM --- */

/* What is wrong with the published key, as a rule and a sentence; NULL: nothing. */
static const char *judge_key(struct doctor *d, const struct doctor_signer *signer,
                             struct slice wanted, struct slice text, struct slice *why_out)
{
    struct dkim_record record;
    struct crypt_key *key = NULL;
    struct err e;
    const char *rule = NULL;

    if (text.n < wanted.n && text.n % STRING_BYTES == 0 && text.n > 0) {
        *why_out =
            arena_printf(d->arena,
                         "the record is cut at %zu characters: a string in DNS holds 255, so "
                         "a longer record has to be several strings of one record",
                         text.n);
        return "dkim-cut";
    }
    if (dkim_record_read(text, &record, &key, &e)) {
        *why_out = arena_printf(d->arena, "the key cannot be read: %s", e.text);
        return "dkim-broken";
    }
    if (record.revoked) {
        *why_out = SLICE("the key is revoked (p= is empty), and this server still signs with it: "
                         "every signature fails");
        rule = "dkim-revoked";
    } else if (!crypt_key_same_public(key, signer->key)) {
        *why_out = SLICE("another key is published than the one this server signs with: every "
                         "signature fails");
        rule = "dkim-wrong-key";
    } else if (crypt_key_type(key) == CRYPT_RSA && crypt_key_bits(key) < RSA_BITS_MIN) {
        *why_out = arena_printf(d->arena,
                                "the key has %u bits; signers use at least 2048 (RFC 8301 3.2). "
                                "`waybill dkim keygen %.*s NEW-SELECTOR` makes a new one",
                                crypt_key_bits(key), SLICE_ARG(signer->domain));
        rule = "dkim-short-key";
    } else if (record.testing) {
        *why_out = SLICE("the flag t=y says that DKIM is only being tested: receivers may ignore "
                         "the signatures");
        rule = "dkim-testing";
    }
    crypt_key_destroy(&key);
    return rule;
}

static void examine_signer(struct doctor *d, const struct doctor_signer *signer)
{
    struct dns_answer answer;
    struct buf wanted;
    struct err e;
    struct slice why, name = arena_printf(d->arena, "%.*s._domainkey.%.*s",
                                          SLICE_ARG(signer->selector), SLICE_ARG(signer->domain));
    struct doctor_finding *f;
    const char *rule;

    ask(d, name, DNS_TXT, &answer);
    if (is_silent(d, &answer, name))
        return;
    buf_init(&wanted, DKIM_RECORD_MAX_BYTES);
    if (dkim_record_write(signer->key, &wanted, &e))
        cli_die("%s", e.text);
    if (answer.status != DNS_OK) {
        rule = "dkim-missing";
        why = SLICE("the key that this server signs with is not published: every signature fails");
    } else if (answer.count > 1) {
        rule = "dkim-two-records";
        why = SLICE("there are several TXT records: receivers may take the wrong one");
    } else {
        rule = judge_key(d, signer, buf_slice(&wanted), answer.records[0].text, &why);
    }
    if (!rule) {
        find(d, DOCTOR_GOOD, "dkim", name, SLICE("the key is published as this server uses it"));
    } else {
        f = find(d, strcmp(rule, "dkim-testing") == 0 ? DOCTOR_WARNING : DOCTOR_ERROR, rule, name,
                 why);
        if (strcmp(rule, "dkim-short-key") != 0)
            f->publish = publish_txt(d, name, buf_slice(&wanted));
    }
    buf_finish(&wanted);
}

/* --- DMARC --- */

static bool has_dmarc(struct doctor *d, struct slice name)
{
    struct dns_answer answer;

    ask(d, name, DNS_TXT, &answer);
    for (size_t i = 0; answer.status == DNS_OK && i < answer.count; i++)
        if (slice_starts_nocase(slice_trim(answer.records[i].text), SLICE("v=DMARC1")))
            return true;
    return false;
}

/* Where people put it instead; empty if nowhere. */
static struct slice misplaced_dmarc(struct doctor *d, struct slice domain)
{
    const struct slice places[] = {
        domain,
        arena_printf(d->arena, "dmarc.%.*s", SLICE_ARG(domain)),
        arena_printf(d->arena, "_dmarc._dmarc.%.*s", SLICE_ARG(domain)),
        arena_printf(d->arena, "_dmarc.%.*s.%.*s", SLICE_ARG(domain), SLICE_ARG(domain)),
        arena_printf(d->arena, "_domainkey.%.*s", SLICE_ARG(domain)),
        arena_printf(d->arena, "_dmarc.www.%.*s", SLICE_ARG(domain))};

    for (size_t i = 0; i < COUNT(places); i++)
        if (dns_name_is_valid(places[i]) && has_dmarc(d, places[i]))
            return places[i];
    return (struct slice){0};
}

static struct slice default_dmarc(struct doctor *d, struct slice domain)
{
    return publish_txt(d, arena_printf(d->arena, "_dmarc.%.*s", SLICE_ARG(domain)),
                       arena_printf(d->arena, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
                                    SLICE_ARG(domain)));
}

static void examine_no_dmarc(struct doctor *d, struct slice domain, struct slice name)
{
    struct slice place = misplaced_dmarc(d, domain);
    struct doctor_finding *f;

    if (place.n > 0)
        f = find(d, DOCTOR_ERROR, "dmarc-wrong-name", place,
                 arena_printf(d->arena,
                              "a DMARC record stands here, where nobody looks: it belongs at %.*s",
                              SLICE_ARG(name)));
    else
        f = find(d, DOCTOR_ERROR, "dmarc-missing", name,
                 SLICE("there is no DMARC policy: large receivers want one, and forged mail in "
                       "your name goes unseen"));
    f->publish = default_dmarc(d, domain);
}

static void examine_dmarc_record(struct doctor *d, struct slice domain,
                                 const struct dmarc_outcome *o)
{
    struct slice name = arena_printf(d->arena, "_dmarc.%.*s", SLICE_ARG(o->policy_domain));

    if (o->record.testing)
        find(d, DOCTOR_WARNING, "dmarc-testing", name,
             SLICE("t=y is left on: receivers lower the policy by one level"));
    if (o->record.bad_tags > 0)
        find(d, DOCTOR_WARNING, "dmarc-bad-tags", name,
             SLICE("some tags break their grammar and are ignored: see `waybill dmarc show`"));
    if (o->record.rua.n == 0)
        find(d, DOCTOR_WARNING, "dmarc-no-reports", name,
             SLICE("no rua=: you will not learn who sends in your name"));
    if (!o->record.testing && o->record.bad_tags == 0 && o->record.rua.n > 0)
        find(d, DOCTOR_GOOD, "dmarc", name,
             arena_printf(d->arena, "the policy for %.*s is %s", SLICE_ARG(domain),
                          dmarc_policy_text(o->policy)));
}

/* What this server signs and where its bounces go must carry the author's domain. */
static void examine_alignment(struct doctor *d, const struct dmarc_outcome *o)
{
    if (o->result == DMARC_FAIL)
        find(d, DOCTOR_ERROR, "dmarc-alignment", o->author_domain,
             SLICE("neither a signing domain nor the return path is aligned with the author's "
                   "domain: DMARC fails for all of your mail"));
}

static void examine_dmarc(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;
    struct slice domains[DOCTOR_SIGNERS_MAX];
    struct dmarc *dmarc = dmarc_create();
    struct slice name = arena_printf(d->arena, "_dmarc.%.*s", SLICE_ARG(s->domain));

    for (size_t i = 0; i < s->signer_count; i++)
        domains[i] = s->signers[i].domain;
    struct dmarc_request request = {.author_domain = s->domain,
                                    .dkim = domains,
                                    .dkim_count = s->signer_count,
                                    .spf = &s->return_path,
                                    .spf_count = s->return_path.n > 0};
    for (enum step step = dmarc_start(dmarc, &request); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(d->dns, dmarc_question(dmarc), &answer);
        step = dmarc_answer(dmarc, &answer);
    }
    const struct dmarc_outcome *o = dmarc_outcome(dmarc);
    if (o->result == DMARC_TEMPERROR)
        find(d, DOCTOR_WARNING, "dns", name, SLICE("DNS does not answer about the policy"));
    else if (o->policy_domain.n == 0)
        examine_no_dmarc(d, s->domain, name);
    else {
        examine_dmarc_record(d, s->domain, o);
        examine_alignment(d, o);
    }
    dmarc_destroy(&dmarc);
}

/* --- the return path, and the way back to us --- */

static void examine_mx(struct doctor *d, struct slice domain)
{
    struct dns_answer answer, host;
    struct slice hostname = d->subject->hostname;
    bool leads_here = hostname.n == 0;
    struct doctor_finding *f;

    ask(d, domain, DNS_MX, &answer);
    if (is_silent(d, &answer, domain))
        return;
    if (answer.status != DNS_OK || answer.records[0].name.n == 0) {
        f = find(
            d, DOCTOR_ERROR, "return-path-mx", domain,
            SLICE("the return path has no MX: bounces are lost, and receivers that look refuse "
                  "the mail"));
        if (hostname.n > 0)
            f->publish = arena_printf(d->arena, "%.*s. 3600 IN MX 10 %.*s.", SLICE_ARG(domain),
                                      SLICE_ARG(hostname));
        return;
    }
    for (size_t i = 0; i < answer.count; i++) {
        leads_here = leads_here || dns_name_equal(answer.records[i].name, hostname);
        ask(d, answer.records[i].name, DNS_A, &host);
        if (host.status == DNS_NODATA || host.status == DNS_NXDOMAIN)
            ask(d, answer.records[i].name, DNS_AAAA, &host);
        if (host.status == DNS_NODATA || host.status == DNS_NXDOMAIN)
            find(d, DOCTOR_ERROR, "mx-without-address", domain,
                 arena_printf(d->arena, "the MX %.*s has no address",
                              SLICE_ARG(answer.records[i].name)));
    }
    if (leads_here)
        find(d, DOCTOR_GOOD, "mx", domain, SLICE("bounces find their way back"));
    else
        find(d, DOCTOR_WARNING, "mx-elsewhere", domain,
             arena_printf(d->arena,
                          "the MX of the return path is not %.*s: is it another server "
                          "that reads the bounces?",
                          SLICE_ARG(hostname)));
}

static bool has_address(struct doctor *d, struct slice name, const struct ip_address *a)
{
    struct dns_answer answer;

    ask(d, name, a->family == IP_V4 ? DNS_A : DNS_AAAA, &answer);
    for (size_t i = 0; answer.status == DNS_OK && i < answer.count; i++)
        if (ip_address_equal(&answer.records[i].address, a))
            return true;
    return false;
}

static void examine_address(struct doctor *d, const struct ip_address *a)
{
    char text[IP_TEXT_MAX], reverse[IP_REVERSE_MAX];
    struct slice ip, name, host;
    struct dns_answer answer;
    struct doctor_finding *f;
    const char *rule = NULL;

    ip = arena_copy(d->arena, (struct slice){text, ip_address_format(a, text)});
    name = arena_copy(d->arena, (struct slice){reverse, ip_address_reverse(a, reverse)});
    ask(d, name, DNS_PTR, &answer);
    if (is_silent(d, &answer, name))
        return;
    if (answer.status != DNS_OK) {
        rule = "ptr-missing";
        host = SLICE("no name");
    } else {
        host = arena_copy(d->arena, answer.records[0].name);
        if (!has_address(d, host, a))
            rule = "ptr-not-confirmed";
        else if (d->subject->hostname.n > 0 && !dns_name_equal(host, d->subject->hostname))
            rule = "ptr-mismatch";
    }
    if (!rule) {
        find(d, DOCTOR_GOOD, "ptr", name,
             arena_printf(d->arena, "%.*s is %.*s, and back", SLICE_ARG(ip), SLICE_ARG(host)));
        return;
    }
    f = find(
        d, strcmp(rule, "ptr-mismatch") == 0 ? DOCTOR_WARNING : DOCTOR_ERROR, rule, name,
        arena_printf(d->arena,
                     "%.*s has the name %.*s in DNS, %s; whoever gave you the address sets it",
                     SLICE_ARG(ip), SLICE_ARG(host),
                     strcmp(rule, "ptr-mismatch") == 0
                         ? "another one than we say in EHLO"
                         : "and that name does not lead back: many receivers refuse such mail"));
    if (d->subject->hostname.n > 0)
        f->publish = arena_printf(d->arena, "%.*s. 3600 IN PTR %.*s.", SLICE_ARG(name),
                                  SLICE_ARG(d->subject->hostname));
}

const struct doctor_finding *doctor_examine(const struct doctor_subject *subject,
                                            struct resolver *dns, struct arena *arena)
{
    struct doctor d = {.subject = subject, .dns = dns, .arena = arena};

    d.last = &d.first;
    examine_spf(&d, subject->return_path);
    if (!dns_name_equal(subject->domain, subject->return_path))
        examine_spf(&d, subject->domain);
    for (size_t i = 0; i < subject->signer_count; i++)
        examine_signer(&d, &subject->signers[i]);
    if (subject->signer_count == 0)
        find(&d, DOCTOR_WARNING, "dkim-none", subject->domain,
             SLICE("no key signs for this domain here: `waybill init` makes one"));
    examine_dmarc(&d);
    examine_mx(&d, subject->return_path);
    for (size_t i = 0; i < subject->address_count; i++)
        examine_address(&d, &subject->addresses[i]);
    return d.first;
}
