/* What waybill verify prints: JSON for programs, and for people what to publish. */
#include <stdarg.h>

#include "app/cmd_verify_in.h"
#include "app/spf_survey.h"
#include "base/json.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/spf/suggest.h"
#include "lib/text/psl.h"

#define WHY_INDENT 18
#define ADVICE_MAX 8192

/* --- JSON --- */

static void spf_json(const struct verify *v, struct json *j)
{
    const struct spf_outcome *o = verdict_spf(v->verdict);
    char ip[IP_TEXT_MAX];

    json_key(j, "spf");
    json_object(j);
    json_member_string(j, "result", spf_result_text(o->result));
    json_member_text(j, "domain", o->domain);
    json_member_string(j, "identity", o->identity ? o->identity : "");
    json_member_text(j, "mechanism", o->mechanism);
    json_member_text(j, "explanation", o->explanation);
    json_member_int(j, "lookups", o->lookups);
    json_member_int(j, "void_lookups", o->void_lookups);
    json_member_text(j, "reason",
                     verify_has_client(v) ? o->reason : SLICE("no client address is known"));
    json_member_text(
        j, "client_ip",
        (struct slice){ip, verify_has_client(v) ? ip_address_format(&v->request.client, ip) : 0});
    json_member_text(j, "client_source", v->client_source);
    json_member_text(j, "helo", v->request.helo);
    json_member_text(j, "mail_from", v->request.mail_from);
    json_end(j);
}

static void dkim_json(const struct verify *v, struct json *j)
{
    json_key(j, "dkim");
    json_array(j);
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        json_object(j);
        json_member_string(j, "result", dkim_result_name(d->result));
        json_member_text(j, "domain", d->domain);
        json_member_text(j, "selector", d->selector);
        json_member_text(j, "algorithm", d->algorithm);
        json_member_string(j, "reason", d->reason);
        json_end(j);
    }
    json_end(j);
}

void verify_json(const struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    spf_json(v, &j);
    dkim_json(v, &j);
    json_key(&j, "arc");
    json_object(&j);
    json_member_string(&j, "result", verdict_arc(v->verdict)->result);
    json_member_int(&j, "instances", verdict_arc(v->verdict)->instances);
    json_member_string(&j, "reason", verdict_arc(v->verdict)->reason);
    json_end(&j);
    json_key(&j, "dmarc");
    json_object(&j);
    json_member_string(&j, "result", dmarc_result_text(d->result));
    json_member_text(&j, "domain", d->author_domain);
    json_member_string(&j, "policy", dmarc_policy_text(d->policy));
    json_member_string(&j, "disposition", dmarc_policy_text(d->disposition));
    json_member_text(&j, "policy_domain", d->policy_domain);
    json_member_text(&j, "organizational_domain", d->organizational_domain);
    json_member_bool(&j, "dkim_aligned", d->dkim_aligned);
    json_member_bool(&j, "spf_aligned", d->spf_aligned);
    json_member_text(&j, "reason", d->reason);
    json_end(&j);
    json_member_text(&j, "authentication_results", buf_slice(&v->results));
    json_end(&j);
    buf_append_char(out, '\n');
}

/* --- text --- */

static void line(struct buf *out, const char *method, const char *result, bool good, bool bad,
                 struct slice about)
{
    enum cli_style style = good ? CLI_GREEN : bad ? CLI_RED : CLI_YELLOW;

    buf_printf(out, "%-6s %s%-9s%s  ", method, cli_style(style), result, cli_style(CLI_PLAIN));
    cli_append_safe(out, about);
    buf_append_char(out, '\n');
}

static void why(struct buf *out, struct slice text)
{
    if (text.n == 0)
        return;
    buf_printf(out, "%*s", WHY_INDENT, "");
    cli_append_paragraph(out, text, WHY_INDENT);
    buf_append_char(out, '\n');
}

static void spf_text(struct verify *v, struct buf *out)
{
    const struct spf_outcome *o = verdict_spf(v->verdict);
    char ip[IP_TEXT_MAX];

    line(out, "SPF", spf_result_text(o->result), o->result == SPF_PASS,
         o->result == SPF_FAIL || o->result == SPF_PERMERROR, o->domain);
    if (!verify_has_client(v)) {
        why(out, SLICE("no client address in the Received fields: give --ip, --helo and "
                       "--mail-from"));
        return;
    }
    (void)ip_address_format(&v->request.client, ip);
    why(out, arena_printf(v->arena, "client %s (%.*s)%s%.*s", ip, SLICE_ARG(v->client_source),
                          v->request.helo.n > 0 ? ", helo " : "", SLICE_ARG(v->request.helo)));
    if (o->mechanism.n > 0)
        why(out, arena_printf(v->arena, "decided by %.*s", SLICE_ARG(o->mechanism)));
    why(out, o->domain.n > 0 ? o->reason
                             : SLICE("neither the envelope sender nor the host's name is known: "
                                     "give --mail-from or --helo"));
    why(out, o->explanation);
}

/* Still good, but some receivers refuse it, and it can be broken. */
static bool has_short_key(const struct dkim_verdict *d)
{
    return slice_starts(d->algorithm, SLICE("rsa-")) && d->key_bits > 0 && d->key_bits < 2048;
}

static void dkim_text(struct verify *v, struct buf *out)
{
    size_t count = verdict_dkim_count(v->verdict);

    for (size_t i = 0; i < count; i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        line(out, "DKIM", dkim_result_name(d->result), d->result == DKIM_PASS,
             d->result != DKIM_TEMPERROR,
             arena_printf(v->arena, "%.*s, selector %.*s, %.*s", SLICE_ARG(d->domain),
                          SLICE_ARG(d->selector), SLICE_ARG(d->algorithm)));
        if (d->result != DKIM_PASS || d->testing || d->has_limit)
            why(out, slice_of(d->reason));
        if (has_short_key(d))
            why(out, arena_printf(v->arena, "its key has %u bits; 2048 are wanted (RFC 8301 3.2)",
                                  d->key_bits));
    }
    if (count == 0)
        line(out, "DKIM", "none", false, false, SLICE("no signature"));
}

/* --- what to change --- */

/* A paragraph of its own. */
static void advice(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void advice(struct buf *out, const char *fmt, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, ADVICE_MAX);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    buf_append_char(out, '\n');
    cli_append_paragraph(out, buf_slice(&text), 0);
    buf_append_char(out, '\n');
    buf_finish(&text);
}

static void offer(struct buf *out, const char *sentence, struct slice name, struct slice record)
{
    advice(out, "%s:", sentence);
    buf_append_char(out, '\n');
    dns_zone_write_txt(name, record, out);
}

/* A record there can help: it is a domain that somebody owns, and one that DMARC looks at. */
static bool is_worth_a_record(const struct verify *v, struct slice domain)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);

    return dns_name_is_host(domain) && !psl_is_suffix(domain) &&
           (d->policy_domain.n == 0 || dns_name_is_within(domain, d->organizational_domain));
}

/* Whatever stands in the way, the record that allows this client. */
static void advise_spf(struct verify *v, struct buf *out)
{
    const struct spf_outcome *spf = verdict_spf(v->verdict);
    struct ip_address client = ip_address_unmap(v->request.client);
    struct buf record;

    if (!verify_has_client(v) || spf->result == SPF_PASS || spf->result == SPF_TEMPERROR ||
        !is_worth_a_record(v, spf->domain))
        return;
    struct spf_survey *s = spf_survey_create();
    const struct spf_tree *t = spf_survey_walk(s, v->resolver, spf->domain, (struct slice){0});
    buf_init(&record, 65536);
    spf_suggest_record(t, &client, 1, &record);
    offer(out,
          t->is_merged      ? "SPF: delete all SPF records of the domain, and if that host is to "
                              "send for it, publish this one"
          : t->record.n > 0 ? "SPF: if that host is to send for the domain, replace the record by"
                            : "SPF: if that host is to send for the domain, publish",
          spf->domain, buf_slice(&record));
    buf_finish(&record);
    spf_survey_destroy(&s);
}

/* What to do about one signature. */
static void advise_signature(const struct dkim_verdict *d, struct buf *out)
{
    struct slice domain = d->domain, selector = d->selector;

    switch (d->problem) {
    case DKIM_PROBLEM_NO_ANSWER:
        return;
    case DKIM_PROBLEM_NONE:
        if (has_short_key(d))
            advice(out,
                   "DKIM: `waybill dkim keygen %.*s SELECTOR` makes a key of 2048 bits and "
                   "prints its record. Sign with that one; leave the old one in DNS for a "
                   "week.",
                   SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_SYNTAX:
        advice(out,
               "DKIM: the DKIM-Signature field itself is wrong: mend the program that signs "
               "for %.*s.",
               SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_EXPIRED:
        advice(out,
               "DKIM: the signature was good for a limited time (x=); no record mends that. "
               "Find out what held the message up, or let %.*s sign for longer (`waybill dkim "
               "sign --expires`).",
               SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_NO_KEY:
    case DKIM_PROBLEM_BAD_KEY:
        advice(out,
               "DKIM: the key is to stand at %.*s._domainkey.%.*s; `waybill dkim record "
               "--key FILE %.*s %.*s` prints the record to publish.",
               SLICE_ARG(selector), SLICE_ARG(domain), SLICE_ARG(selector), SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_REVOKED:
    case DKIM_PROBLEM_SHORT_KEY:
        advice(out,
               "DKIM: %s. Sign with another selector; `waybill dkim keygen %.*s SELECTOR` "
               "makes a key and prints the record to publish.",
               d->problem == DKIM_PROBLEM_REVOKED ? "the owner withdrew this key"
                                                  : "this key is too short",
               SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_BODY:
        advice(out,
               "DKIM: the body was changed after %.*s signed it: a list's footer, a scanner, a "
               "gateway. No record mends that. Sign behind whatever changes it; a list puts its "
               "own address into From and signs anew.",
               SLICE_ARG(domain));
        return;
    case DKIM_PROBLEM_SIGNATURE:
        advice(out,
               "DKIM: a signed field was changed after %.*s signed it (a tag in Subject, a "
               "gateway), or the published key is another one: `waybill dkim check --key FILE "
               "%.*s %.*s` tells.",
               SLICE_ARG(domain), SLICE_ARG(selector), SLICE_ARG(domain));
        return;
    }
}

static void advise_dkim(const struct verify *v, struct buf *out)
{
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++)
        if (verdict_dkim(v->verdict, i)->domain.n > 0)
            advise_signature(verdict_dkim(v->verdict, i), out);
}

static const char *wish(enum dmarc_policy disposition)
{
    switch (disposition) {
    case DMARC_POLICY_NONE:
        return "do nothing about";
    case DMARC_POLICY_QUARANTINE:
        return "quarantine";
    case DMARC_POLICY_REJECT:
        return "refuse";
    }
    return "";
}

/* The author's organization signed, and the signature does not hold: one more would not either. */
static bool is_signed_in_vain(struct verify *v, struct slice organization)
{
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++) {
        struct slice domain = verdict_dkim(v->verdict, i)->domain;

        if (domain.n > 0 && dns_name_is_within(domain, organization))
            return true;
    }
    return false;
}

/* A proof of the author's domain is missing: which ones would do, with their records. */
static void advise_alignment(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);
    const struct spf_outcome *spf = verdict_spf(v->verdict);
    struct slice signer = d->record.adkim_strict ? d->author_domain : d->organizational_domain;
    struct slice path = d->record.aspf_strict
                            ? d->author_domain
                            : arena_printf(v->arena, "bounce.%.*s",
                                           SLICE_ARG(slice_sub(d->organizational_domain, 0, 240)));
    struct ip_address client = ip_address_unmap(v->request.client);
    char ip[IP_TEXT_MAX];

    struct slice wanted = arena_printf(
        v->arena,
        "DMARC: receivers are asked to %s this message. What helps is a DKIM signature with "
        "d=%.*s (`waybill dkim keygen %.*s SELECTOR` makes the key and prints the record)",
        wish(d->disposition), SLICE_ARG(signer), SLICE_ARG(signer));

    if (is_signed_in_vain(v, d->organizational_domain))
        wanted =
            arena_printf(v->arena,
                         "DMARC: receivers are asked to %s this message. What helps is to mend "
                         "its signature by %.*s (see DKIM above)",
                         wish(d->disposition), SLICE_ARG(d->organizational_domain));
    if (!verify_has_client(v) || is_worth_a_record(v, spf->domain)) {
        advice(out, "%.*s, or a return path in that domain whose SPF record allows the host.",
               SLICE_ARG(wanted));
        return;
    }
    (void)ip_address_format(&client, ip);
    wanted = arena_printf(v->arena, "%.*s, or a return path in that domain instead of %.*s",
                          SLICE_ARG(wanted), SLICE_ARG(spf->domain));
    if (d->record.aspf_strict)
        advice(out, "%.*s: exactly %.*s, whose SPF record has to allow %s.", SLICE_ARG(wanted),
               SLICE_ARG(path), ip);
    else
        offer(out,
              arena_string(v->arena, arena_printf(v->arena, "%.*s, with a record of its own",
                                                  SLICE_ARG(wanted))),
              path,
              arena_printf(v->arena, "v=spf1 %s:%s -all", client.family == IP_V4 ? "ip4" : "ip6",
                           ip));
}

static void advise_dmarc(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);
    struct slice author = verdict_author(v->verdict);

    if (author.n == 0)
        advice(out, "DMARC: write exactly one From field, with addresses of one domain.");
    else if (psl_is_suffix(author) && d->policy_domain.n == 0)
        advice(out,
               "DMARC: %.*s is a public suffix, below which others have their domains; nobody "
               "sends mail as it. The address in From is wrong, or forged.",
               SLICE_ARG(author));
    else if (d->result == DMARC_NONE && d->policy_domain.n == 0)
        offer(out, "DMARC: to learn who sends as this domain, publish",
              arena_printf(v->arena, "_dmarc.%.*s", SLICE_ARG(author)),
              arena_printf(v->arena, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
                           SLICE_ARG(author)));
    if (d->result == DMARC_FAIL)
        advise_alignment(v, out);
}

static void advise(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);
    size_t before = out->n;

    advise_spf(v, out);
    advise_dkim(v, out);
    advise_dmarc(v, out);
    if (out->n == before)
        buf_append_text(out, d->result == DMARC_PASS ? "\nNothing to do.\n"
                                                     : "\nDNS did not answer: try again later.\n");
}

static void arc_text(const struct verify *v, struct buf *out)
{
    const struct verdict_arc *arc = verdict_arc(v->verdict);
    bool passes = strcmp(arc->result, "pass") == 0;

    line(out, "ARC", arc->result, passes, strcmp(arc->result, "fail") == 0,
         arc->instances == 0   ? SLICE("no chain")
         : arc->instances == 1 ? SLICE("1 set")
                               : arena_printf(v->arena, "%u sets", arc->instances));
    if (arc->instances > 0)
        why(out, slice_of(arc->reason));
    if (passes && verdict_dmarc(v->verdict)->result == DMARC_FAIL)
        why(out, arena_printf(v->arena,
                              "a receiver that trusts %.*s may believe what its "
                              "ARC-Authentication-Results say",
                              SLICE_ARG(arc->sealer)));
}

/* What passed, where it did not help. */
static void passed_text(const struct verify *v, struct buf *out)
{
    const struct spf_outcome *spf = verdict_spf(v->verdict);

    if (spf->result == SPF_PASS)
        why(out, arena_printf(v->arena, "SPF passed for %.*s", SLICE_ARG(spf->domain)));
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        if (d->result == DKIM_PASS)
            why(out, arena_printf(v->arena, "DKIM passed for %.*s", SLICE_ARG(d->domain)));
    }
}

static void dmarc_text(const struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);

    line(out, "DMARC", dmarc_result_text(d->result), d->result == DMARC_PASS,
         d->result == DMARC_FAIL || d->result == DMARC_PERMERROR, verdict_author(v->verdict));
    why(out, d->reason);
    if (d->result == DMARC_FAIL)
        passed_text(v, out);
    if (d->result == DMARC_FAIL && !verify_has_client(v))
        why(out, SLICE("SPF was not judged: with --ip and --mail-from this may be another result"));
    if (d->policy_domain.n > 0)
        why(out,
            arena_printf(v->arena, "policy %s, from %s= at _dmarc.%.*s%s",
                         dmarc_policy_text(d->policy), d->policy_tag, SLICE_ARG(d->policy_domain),
                         d->record.testing ? ", one step milder by t=y" : ""));
}

void verify_text(struct verify *v, struct buf *out)
{
    spf_text(v, out);
    dkim_text(v, out);
    arc_text(v, out);
    dmarc_text(v, out);
    advise(v, out);
}
