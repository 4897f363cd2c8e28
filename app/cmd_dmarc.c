/* waybill dmarc check|show|report -- DMARC policies and their reports. */
#include "app/cli.h"
#include "app/cmd_dmarc_in.h"
#include "app/daemon.h"
#include "app/resolver.h"
#include "base/arena.h"
#include "base/json.h"
#include "lib/dmarc/eval.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/text/idna.h"

#define OUTPUT_MAX ((size_t)16 << 20)

int cmd_dmarc(int argc, char **argv);

struct dmarc_options {
    bool json;
    const char *from, *dns;
    struct cli_list dkim, spf;
};

/* The domain of "user@domain" or of a bare domain, as A-labels. */
static void author_domain(struct slice from, struct buf *out)
{
    size_t at = slice_find_last(from, '@');
    struct slice domain = at == SLICE_NONE ? from : slice_from(from, at + 1);
    struct err e;

    if (idna_to_ascii(domain, out, &e)) {
        buf_clear(out);
        buf_append(out, domain);
    }
}

static void ask_all(struct dmarc *d, const struct dmarc_request *request, struct resolver *dns)
{
    for (enum step step = dmarc_start(d, request); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(dns, dmarc_question(d), &answer);
        step = dmarc_answer(d, &answer);
    }
}

/* --- check --- */

static void outcome_json(struct json *j, const struct dmarc_outcome *o)
{
    json_member_string(j, "result", dmarc_result_text(o->result));
    json_member_text(j, "domain", o->author_domain);
    json_member_text(j, "organizational_domain", o->organizational_domain);
    json_key(j, "policy_domain");
    if (o->policy_domain.n > 0)
        json_text(j, o->policy_domain);
    else
        json_null(j);
    json_member_string(j, "policy", dmarc_policy_text(o->policy));
    json_member_string(j, "policy_tag", o->policy_tag);
    json_member_string(j, "disposition", dmarc_policy_text(o->disposition));
    json_member_bool(j, "dkim_aligned", o->dkim_aligned);
    json_member_bool(j, "spf_aligned", o->spf_aligned);
    json_member_text(j, "record", o->record.text);
    json_member_text(j, "reason", o->reason);
}

static void append_pair(struct buf *out, const char *key, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "  %-14s ", key);
    cli_append_safe(out, value);
    buf_append_char(out, '\n');
}

static const char *advice(const struct dmarc_outcome *o)
{
    switch (o->result) {
    case DMARC_PASS:
        return "Nothing to do.";
    case DMARC_FAIL:
        return "Sign with a d= of the author's organization, or send with a return path there that "
               "SPF allows.";
    case DMARC_NONE:
        return "Publish a record, to begin with one that only asks for reports: `waybill dmarc "
               "show DOMAIN` prints it.";
    case DMARC_TEMPERROR:
        return "DNS did not answer: try again later.";
    case DMARC_PERMERROR:
        return "The From field needs one address with a domain.";
    }
    return "";
}

static void outcome_text(const struct dmarc_outcome *o, struct buf *out)
{
    enum cli_style style = o->result == DMARC_PASS   ? CLI_GREEN
                           : o->result == DMARC_FAIL ? CLI_RED
                                                     : CLI_YELLOW;

    buf_printf(out, "%s%s%s  ", cli_style(style), dmarc_result_text(o->result),
               cli_style(CLI_PLAIN));
    cli_append_safe(out, o->author_domain);
    buf_append_char(out, '\n');
    append_pair(out, "organization", o->organizational_domain);
    append_pair(out, "policy of", o->policy_domain);
    append_pair(out, "record", o->record.text);
    if (o->policy_domain.n > 0)
        buf_printf(out, "  %-14s %s (from %s%s)\n", "policy", dmarc_policy_text(o->policy),
                   o->policy_tag, o->record.testing ? ", lowered by t=y" : "");
    if (o->result == DMARC_FAIL)
        buf_printf(out, "  %-14s %s\n", "disposition", dmarc_policy_text(o->disposition));
    append_pair(out, "reason", o->reason);
    buf_printf(out, "%s\n", advice(o));
}

/* As A-labels, in which names are compared (RFC 8616 6); what IDNA refuses stays as it is. */
static struct slice ascii_name(const char *name, struct arena *arena)
{
    struct slice result = slice_of(name);
    struct buf ascii;
    struct err e;

    buf_init(&ascii, 4096);
    if (idna_to_ascii(result, &ascii, &e) == 0)
        result = arena_copy(arena, buf_slice(&ascii));
    buf_finish(&ascii);
    return result;
}

static int run_check(const struct dmarc_options *options)
{
    struct slice dkim[CLI_LIST_MAX], spf[CLI_LIST_MAX];
    struct arena *arena = arena_create((size_t)1 << 20);
    struct buf domain, out;
    struct json j;

    if (!options->from)
        cli_die("check needs --from");
    buf_init(&domain, 4096);
    author_domain(slice_of(options->from), &domain);
    for (size_t i = 0; i < options->dkim.count; i++)
        dkim[i] = ascii_name(options->dkim.items[i], arena);
    for (size_t i = 0; i < options->spf.count; i++)
        spf[i] = ascii_name(options->spf.items[i], arena);
    struct dmarc_request request = {.author_domain = buf_slice(&domain),
                                    .dkim = dkim,
                                    .dkim_count = options->dkim.count,
                                    .spf = spf,
                                    .spf_count = options->spf.count};
    struct resolver *dns = resolver_open(options->dns);
    struct dmarc *d = dmarc_create();
    ask_all(d, &request, dns);
    const struct dmarc_outcome *o = dmarc_outcome(d);
    enum dmarc_result result = o->result;
    buf_init(&out, OUTPUT_MAX);
    if (options->json) {
        json_begin(&j, &out);
        json_object(&j);
        outcome_json(&j, o);
        json_end(&j);
        buf_append_char(&out, '\n');
    } else {
        outcome_text(o, &out);
    }
    cli_write(&out);
    buf_finish(&out);
    arena_destroy(&arena);
    buf_finish(&domain);
    dmarc_destroy(&d);
    resolver_close(&dns);
    return result == DMARC_PASS ? CLI_GOOD : CLI_BAD_ANSWER;
}

/* --- show --- */

struct finding {
    const char *rule, *text;
};

/* How many policies stand at the domain's own name. */
static size_t count_own(struct slice domain, struct resolver *dns)
{
    struct dns_answer answer;
    struct buf name;
    size_t count = 0;

    buf_init(&name, 4096);
    buf_printf(&name, "_dmarc.%.*s", SLICE_ARG(domain));
    resolver_ask(dns, (struct dns_question){buf_slice(&name), DNS_TXT}, &answer);
    for (size_t i = 0; answer.status == DNS_OK && i < answer.count; i++)
        count += dmarc_record_is(answer.records[i].text);
    buf_finish(&name);
    return count;
}

/* What is wrong with the record that applies; returns how many findings there are. */
static size_t judge(const struct dmarc_outcome *o, bool has_several, struct finding found[10])
{
    const struct dmarc_record *r = &o->record;
    struct slice list = r->rua, uri;
    size_t n = 0;

    if (has_several)
        found[n++] = (struct finding){
            "several-records", "the domain has several DMARC records, and receivers use none "
                               "of them (RFC 9989 4.10): leave one"};
    else if (o->policy_domain.n == 0)
        found[n++] = (struct finding){"no-record", "there is no DMARC record: anyone may use this "
                                                   "name in From, and nobody tells you"};
    if (o->policy_domain.n == 0)
        return n;
    if (o->result == DMARC_NONE)
        found[n++] =
            (struct finding){"no-policy", "p= is missing or wrong: receivers ignore the record"};
    if (r->bad_tags > 0)
        found[n++] = (struct finding){"bad-tag", "a tag has a value that breaks its grammar, or "
                                                 "stands there twice: it is ignored"};
    if (r->unknown_tags > 0)
        found[n++] = (struct finding){"unknown-tag", "a tag that no receiver knows"};
    if (r->old_tags > 0)
        found[n++] = (struct finding){"old-tag", "pct, rf and ri have no meaning any more (RFC "
                                                 "9989): remove them; t=y says \"testing\""};
    if (!dmarc_uri_next(&list, &uri))
        found[n++] = (struct finding){"no-reports", "no rua=: nobody tells you who sends as this "
                                                    "domain. Add rua=mailto:..."};
    if (r->testing)
        found[n++] = (struct finding){"testing", "t=y: receivers act one level below the policy. "
                                                 "Remove it when the reports are clean"};
    if (r->p.policy == DMARC_POLICY_NONE && !r->testing)
        found[n++] = (struct finding){"p-none", "p=none only watches. When the reports are clean, "
                                                "go to p=quarantine, then p=reject"};
    if (r->p.policy != DMARC_POLICY_NONE && r->sp.state == DMARC_TAG_VALID &&
        r->sp.policy == DMARC_POLICY_NONE)
        found[n++] = (struct finding){"sp-none", "sp=none leaves every subdomain open to forgery"};
    return n;
}

static void show_json(const struct dmarc *d, const struct finding *found, size_t count,
                      struct buf *out)
{
    const struct slice *names;
    size_t queried = dmarc_queried(d, &names);
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    outcome_json(&j, dmarc_outcome(d));
    json_key(&j, "queried");
    json_array(&j);
    for (size_t i = 0; i < queried; i++)
        json_text(&j, names[i]);
    json_end(&j);
    json_key(&j, "findings");
    json_array(&j);
    for (size_t i = 0; i < count; i++) {
        json_object(&j);
        json_member_string(&j, "rule", found[i].rule);
        json_member_string(&j, "text", found[i].text);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

static void show_text(const struct dmarc *d, const struct finding *found, size_t count,
                      struct buf *out)
{
    const struct dmarc_outcome *o = dmarc_outcome(d);
    const struct slice *names;
    size_t queried = dmarc_queried(d, &names);
    struct buf name, record;

    buf_append_text(out, "Tree walk:\n");
    for (size_t i = 0; i < queried; i++)
        append_pair(out, "", names[i]);
    append_pair(out, "organization", o->organizational_domain);
    append_pair(out, "policy of", o->policy_domain);
    append_pair(out, "record", o->record.text);
    if (o->policy_domain.n > 0)
        buf_printf(out, "  %-14s %s (from %s%s)\n", "policy", dmarc_policy_text(o->policy),
                   o->policy_tag, o->record.testing ? ", lowered by t=y" : "");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s%s: %s\n", cli_style(CLI_YELLOW), found[i].rule, cli_style(CLI_PLAIN),
                   found[i].text);
    if (count == 0)
        buf_append_text(out, "Nothing to say against this record.\n");
    if (o->policy_domain.n > 0 || (count > 0 && strcmp(found[0].rule, "no-record") != 0))
        return;
    buf_init(&name, 512);
    buf_init(&record, 1024);
    buf_printf(&name, "_dmarc.%.*s", SLICE_ARG(o->author_domain));
    buf_printf(&record, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
               SLICE_ARG(o->author_domain));
    buf_append_text(out,
                    "\nTo begin with, publish (and change the address to one that is read):\n\n");
    dns_zone_write_txt(buf_slice(&name), buf_slice(&record), out);
    buf_finish(&name);
    buf_finish(&record);
}

static int run_show(const struct dmarc_options *options, const char *text)
{
    struct finding found[10];
    struct buf domain, out;

    buf_init(&domain, 4096);
    author_domain(slice_of(text), &domain);
    struct dmarc_request request = {.author_domain = buf_slice(&domain)};
    struct resolver *dns = resolver_open(options->dns);
    struct dmarc *d = dmarc_create();
    ask_all(d, &request, dns);
    bool has_several = count_own(dmarc_outcome(d)->author_domain, dns) > 1;
    size_t count = judge(dmarc_outcome(d), has_several, found);
    buf_init(&out, OUTPUT_MAX);
    if (options->json)
        show_json(d, found, count, &out);
    else
        show_text(d, found, count, &out);
    cli_write(&out);
    buf_finish(&out);
    buf_finish(&domain);
    enum dmarc_result result = dmarc_outcome(d)->result;
    dmarc_destroy(&d);
    resolver_close(&dns);
    return result == DMARC_FAIL && !has_several
               ? CLI_GOOD
               : CLI_BAD_ANSWER; /* a policy was found: none can pass */
}

int cmd_dmarc(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "check|show|report|send [DOMAIN|FILE...]",
        "checks and explains DMARC (RFC 9989), reads and sends its reports",
        "  check    what DMARC says of a message --from, for what SPF and DKIM passed\n"
        "  show     the policy of a domain: where it was found, what is wrong with it\n"
        "  report   aggregate reports (.xml, .gz, .zip, or mail with one) as a table; without a\n"
        "           file, what the daemon has received about our domains\n"
        "  send     reports to others about the days that are over, now"};
    struct dmarc_options o = {0};
    const char *config = NULL, *since = NULL, *day = NULL;
    bool dry_run = false, store = false;
    uint64_t days = 30;
    const struct cli_option options[] = {
        CLI_JSON(&o.json),
        CLI_TEXT("from", &o.from, "ADDRESS", "check: the address of the From field"),
        CLI_LIST("dkim-pass", &o.dkim, "DOMAIN", "check: d= of a signature that passed"),
        CLI_LIST("spf-pass", &o.spf, "DOMAIN", "check: the domain that SPF passed for"),
        CLI_DNS(&o.dns),
        CLI_TEXT("since", &since, "DAYS", "report: how far to look back [30]"),
        CLI_FLAG("store", &store, "report: put the files into the daemon's ledger too"),
        CLI_TEXT("day", &day, "DATE", "send: about this day (2026-11-24), today included"),
        CLI_FLAG("dry-run", &dry_run, "send: print the XML, send nothing"),
        CLI_CONFIG(&config)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct slice verb = operands > 0 ? slice_of(argv[0]) : SLICE("");

    if (slice_eq(verb, SLICE("check")) && operands == 1)
        return run_check(&o);
    if (slice_eq(verb, SLICE("show")) && operands == 2)
        return run_show(&o, argv[1]);
    if (slice_eq(verb, SLICE("report")) && operands >= 2)
        return dmarc_report_run(operands - 1, argv + 1, o.json, store, config);
    if (since != NULL && (!slice_to_u64(slice_of(since), &days) || days > 36500))
        cli_die("--since: %s is no number of days", since);
    if (slice_eq(verb, SLICE("report")))
        return dmarc_ledger_run(config, (int64_t)days, o.json);
    if (slice_eq(verb, SLICE("send")) && operands == 1)
        return dmarc_send_run(config, day, dry_run);
    cli_die("say check, show DOMAIN, report [FILE...], or send");
}
