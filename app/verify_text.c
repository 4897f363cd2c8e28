/* What waybill verify prints: JSON for programs, and for people what to publish. */
#include "app/cmd_verify_in.h"
#include "app/spf_survey.h"
#include "base/json.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/spf/suggest.h"

#define WHY_INDENT 18

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

static void dkim_text(struct verify *v, struct buf *out)
{
    size_t count = verdict_dkim_count(v->verdict);

    for (size_t i = 0; i < count; i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        line(out, "DKIM", dkim_result_name(d->result), d->result == DKIM_PASS,
             d->result != DKIM_TEMPERROR,
             arena_printf(v->arena, "%.*s, selector %.*s, %.*s", SLICE_ARG(d->domain),
                          SLICE_ARG(d->selector), SLICE_ARG(d->algorithm)));
        if (d->result != DKIM_PASS)
            why(out, slice_of(d->reason));
    }
    if (count == 0)
        line(out, "DKIM", "none", false, false, SLICE("no signature"));
}

/* --- what to change --- */

static void advice(struct buf *out, struct slice text)
{
    buf_append_char(out, '\n');
    cli_append_paragraph(out, text, 0);
    buf_append_char(out, '\n');
}

static void offer(struct buf *out, const char *sentence, struct slice name, struct slice record)
{
    buf_printf(out, "\n%s:\n\n", sentence);
    dns_zone_write_txt(name, record, out);
}

/* Whatever stands in the way, the record that allows this client. */
static void advise_spf(struct verify *v, struct buf *out)
{
    const struct spf_outcome *spf = verdict_spf(v->verdict);
    struct ip_address client = ip_address_unmap(v->request.client);
    struct buf record;

    if (!verify_has_client(v) || spf->result == SPF_PASS || spf->result == SPF_TEMPERROR ||
        !dns_name_is_host(spf->domain))
        return;
    struct spf_survey *s = spf_survey_create();
    const struct spf_tree *t = spf_survey_walk(s, v->resolver, spf->domain, (struct slice){0});
    buf_init(&record, 65536);
    spf_suggest_record(t, &client, 1, &record);
    offer(out,
          t->record.n > 0 ? "SPF: if that host is to send for the domain, replace the record by"
                          : "SPF: if that host is to send for the domain, publish",
          spf->domain, buf_slice(&record));
    buf_finish(&record);
    spf_survey_destroy(&s);
}

static void advise_dkim(struct verify *v, struct buf *out)
{
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        if (d->result == DKIM_FAIL)
            advice(out, arena_printf(
                            v->arena,
                            "DKIM: the message was changed after %.*s signed it (a list "
                            "footer, a scanner, a gateway), or the published key is another "
                            "one: `waybill dkim check --key FILE %.*s %.*s` tells.",
                            SLICE_ARG(d->domain), SLICE_ARG(d->selector), SLICE_ARG(d->domain)));
        if (d->result == DKIM_PERMERROR && d->domain.n > 0 && d->key_bits == 0)
            advice(out, arena_printf(v->arena,
                                     "DKIM: if it is the key that lacks, it is to stand at "
                                     "%.*s._domainkey.%.*s; `waybill "
                                     "dkim record --key FILE %.*s %.*s` prints the record to "
                                     "publish.",
                                     SLICE_ARG(d->selector), SLICE_ARG(d->domain),
                                     SLICE_ARG(d->selector), SLICE_ARG(d->domain)));
    }
}

static const char *wish(enum dmarc_policy disposition)
{
    switch (disposition) {
    case DMARC_POLICY_NONE:
        return "accept";
    case DMARC_POLICY_QUARANTINE:
        return "quarantine";
    case DMARC_POLICY_REJECT:
        return "reject";
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

static void advise_alignment(struct verify *v, const struct dmarc_outcome *d, struct buf *out)
{
    struct slice organization = d->organizational_domain;
    struct slice how =
        is_signed_in_vain(v, organization)
            ? arena_printf(v->arena, "Mend its signature by %.*s (see DKIM above)",
                           SLICE_ARG(organization))
            : arena_printf(v->arena,
                           "Sign it with DKIM as d=%.*s (`waybill dkim keygen %.*s SELECTOR` makes "
                           "the key and prints the record)",
                           SLICE_ARG(organization), SLICE_ARG(organization));

    advice(out, arena_printf(v->arena,
                             "DMARC: receivers are asked to %s this message. %.*s, or use a return "
                             "path in that domain whose SPF record allows the host.",
                             wish(d->disposition), SLICE_ARG(how)));
    if (strcmp(verdict_arc(v->verdict)->result, "pass") == 0)
        advice(out, SLICE("ARC: the chain is whole: a receiver that trusts those who sealed it may "
                          "take the message all the same."));
}

static void advise_dmarc(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);
    struct slice author = verdict_author(v->verdict);

    if (author.n == 0)
        buf_append_text(out, "\nDMARC: write exactly one From field with one address.\n");
    else if (d->result == DMARC_NONE && d->policy_domain.n == 0)
        offer(out, "DMARC: to learn who sends as this domain, publish",
              arena_printf(v->arena, "_dmarc.%.*s", SLICE_ARG(author)),
              arena_printf(v->arena, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
                           SLICE_ARG(author)));
    if (d->result == DMARC_FAIL)
        advise_alignment(v, d, out);
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

void verify_text(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = verdict_dmarc(v->verdict);

    spf_text(v, out);
    dkim_text(v, out);
    line(out, "ARC", verdict_arc(v->verdict)->result,
         strcmp(verdict_arc(v->verdict)->result, "pass") == 0,
         strcmp(verdict_arc(v->verdict)->result, "fail") == 0,
         arena_printf(v->arena, "%u set%s", verdict_arc(v->verdict)->instances,
                      verdict_arc(v->verdict)->instances == 1 ? "" : "s"));
    if (verdict_arc(v->verdict)->instances > 0)
        why(out, slice_of(verdict_arc(v->verdict)->reason));
    line(out, "DMARC", dmarc_result_text(d->result), d->result == DMARC_PASS,
         d->result == DMARC_FAIL, verdict_author(v->verdict));
    why(out, d->reason);
    if (d->policy_domain.n > 0)
        why(out,
            arena_printf(v->arena, "policy %s, from %s= at _dmarc.%.*s",
                         dmarc_policy_text(d->policy), d->policy_tag, SLICE_ARG(d->policy_domain)));
    advise(v, out);
}
