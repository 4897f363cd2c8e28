/* waybill spf check|show|lint|suggest -- everything about SPF records. */
#include <inttypes.h>

#include "app/cli.h"
#include "app/resolver.h"
#include "app/spf_survey.h"
#include "base/arena.h"
#include "base/json.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/spf/eval.h"
#include "lib/spf/suggest.h"
#include "lib/spf/survey.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define ADDRESSES_MAX 4096
#define ADDRESS_FILE_MAX ((size_t)1 << 20)

int cmd_spf(int argc, char **argv);

struct spf_options {
    bool json;
    struct cli_list ips;
    const char *helo, *from, *dns, *record, *ip_file, *receiver;
    int64_t now;
};

/* --- check --- */

static void check_json(const struct spf_outcome *o, const struct spf_visit *visits,
                       const struct spf_request *request, struct buf *out)
{
    struct buf field;
    struct json j;

    buf_init(&field, 65536);
    json_begin(&j, out);
    json_object(&j);
    json_member_string(&j, "result", spf_result_text(o->result));
    json_member_text(&j, "domain", o->domain);
    json_member_string(&j, "identity", o->identity);
    json_member_text(&j, "mechanism", o->mechanism);
    if (o->explanation.n > 0)
        json_member_text(&j, "explanation", o->explanation);
    json_member_text(&j, "reason", o->reason);
    json_member_int(&j, "lookups", o->lookups);
    json_member_int(&j, "void_lookups", o->void_lookups);
    spf_received_field(o, request, &field);
    json_member_text(&j, "received_spf", slice_trim(buf_slice(&field)));
    json_key(&j, "tree");
    json_array(&j);
    for (const struct spf_visit *v = visits; v; v = v->next) {
        json_object(&j);
        json_member_int(&j, "depth", v->depth);
        json_member_text(&j, "domain", v->domain);
        json_member_text(&j, v->is_record ? "record" : "term", v->term);
        if (!v->is_record)
            json_member_text(&j, "note", v->note);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
    buf_finish(&field);
}

static const char *advice(enum spf_result r)
{
    switch (r) {
    case SPF_PASS:
        return "Nothing to do: this host may send for the domain.";
    case SPF_FAIL:
        return "If this host should send for the domain, add its address: `waybill spf suggest` "
               "prints the record.";
    case SPF_SOFTFAIL:
    case SPF_NEUTRAL:
        return "The domain does not vouch for this host. If it should, `waybill spf suggest` "
               "prints "
               "the record.";
    case SPF_NONE:
        return "Publish a record: `waybill spf suggest DOMAIN --ip ADDRESS` prints one.";
    case SPF_TEMPERROR:
        return "Try again; if it stays, mend the name server of the name above.";
    case SPF_PERMERROR:
        return "Receivers use nothing of a broken record. `waybill spf lint` lists all that is "
               "wrong.";
    }
    return "";
}

static enum cli_style result_style(enum spf_result r)
{
    if (r == SPF_PASS)
        return CLI_GREEN;
    return r == SPF_FAIL || r == SPF_PERMERROR ? CLI_RED : CLI_YELLOW;
}

static void append_pair(struct buf *out, const char *key, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "  %-12s ", key);
    cli_append_safe(out, value);
    buf_append_char(out, '\n');
}

static void check_text(const struct spf_outcome *o, const struct spf_visit *visits, struct buf *out)
{
    buf_printf(out, "%s%s%s  ", cli_style(result_style(o->result)), spf_result_text(o->result),
               cli_style(CLI_PLAIN));
    cli_append_safe(out, o->domain);
    buf_printf(out, " (%s)\n", o->identity);
    append_pair(out, "mechanism", o->mechanism);
    append_pair(out, "explanation", o->explanation);
    append_pair(out, "reason", o->reason);
    buf_printf(out, "  %-12s %u of %d, %u of %d void\n", "lookups", o->lookups, SPF_LOOKUPS_MAX,
               o->void_lookups, SPF_VOIDS_MAX);
    for (const struct spf_visit *v = visits; v; v = v->next) {
        buf_printf(out, "  %*s", (int)(v->depth * 4 + (v->is_record ? 0 : 2)), "");
        if (v->is_record) {
            buf_append_text(out, cli_style(CLI_DIM));
            cli_append_safe(out, v->domain);
            buf_append_text(out, ": ");
            cli_append_safe(out, v->term);
            buf_append_text(out, cli_style(CLI_PLAIN));
        } else {
            cli_append_safe(out, v->term);
            buf_append_text(out, v->note.n > 0 ? "  -> " : "");
            cli_append_safe(out, v->note);
        }
        buf_append_char(out, '\n');
    }
    buf_printf(out, "%s\n", advice(o->result));
}

static int run_check(const struct spf_options *options)
{
    struct spf_request request = {.helo = slice_of(options->helo),
                                  .mail_from = slice_of(options->from),
                                  .receiver = slice_of(options->receiver),
                                  .unix_s = cli_now(options->now),
                                  .trace = true};
    struct buf out;

    if (options->ips.count != 1)
        cli_die("check needs one --ip");
    if (!ip_address_parse(slice_of(options->ips.items[0]), &request.client))
        cli_die("\"%s\" is no IP address", options->ips.items[0]);
    if (request.mail_from.n == 0 && request.helo.n == 0)
        cli_die("check needs --from, or --helo for the null sender");
    struct resolver *dns = resolver_open(options->dns);
    struct spf *s = spf_create();
    for (enum step step = spf_start(s, &request); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(dns, spf_question(s), &answer);
        step = spf_answer(s, &answer);
    }
    const struct spf_outcome *o = spf_outcome(s);
    enum spf_result result = o->result;
    buf_init(&out, OUTPUT_MAX);
    if (options->json)
        check_json(o, spf_visits(s), &request, &out);
    else
        check_text(o, spf_visits(s), &out);
    cli_write(&out);
    buf_finish(&out);
    spf_destroy(&s);
    resolver_close(&dns);
    return result == SPF_PASS ? CLI_GOOD : CLI_BAD_ANSWER;
}

/* --- show and lint --- */

static const char *const severity_texts[] = {
    [SPF_ERROR] = "error", [SPF_WARNING] = "warning", [SPF_HINT] = "hint"};

static void append_network(const struct spf_network *n, struct buf *out)
{
    char text[IP_TEXT_MAX];
    unsigned whole = n->address.family == IP_V4 ? 32 : 128;

    buf_append(out, (struct slice){text, ip_address_format(&n->address, text)});
    if (n->bits < whole)
        buf_printf(out, "/%u", n->bits);
}

static void tree_json(const struct spf_tree *t, struct buf *out)
{
    struct buf text;
    struct json j;

    buf_init(&text, 256);
    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "domain", t->domain);
    json_member_text(&j, "record", t->record);
    json_member_int(&j, "lookups", t->lookups);
    json_member_int(&j, "void_lookups", t->void_lookups);
    json_member_string(&j, "all", spf_result_text(t->all));
    json_member_bool(&j, "complete", !t->failed);
    json_key(&j, "tree");
    json_array(&j);
    for (const struct spf_node *n = t->nodes; n; n = n->next) {
        json_object(&j);
        json_member_int(&j, "depth", n->depth);
        json_member_text(&j, "domain", n->domain);
        json_member_text(&j, n->is_record ? "record" : "term", n->text);
        json_member_int(&j, "lookups", n->lookups);
        if (n->problem.n > 0)
            json_member_text(&j, "problem", n->problem);
        json_end(&j);
    }
    json_end(&j);
    json_key(&j, "addresses");
    json_array(&j);
    for (const struct spf_network *n = t->networks; n; n = n->next) {
        json_object(&j);
        buf_clear(&text);
        append_network(n, &text);
        json_member_text(&j, "network", buf_slice(&text));
        json_member_text(&j, "term", n->node->text);
        json_member_bool(&j, "passes", n->passes);
        json_end(&j);
    }
    json_end(&j);
    json_key(&j, "findings");
    json_array(&j);
    for (const struct spf_finding *f = t->findings; f; f = f->next) {
        json_object(&j);
        json_member_string(&j, "severity", severity_texts[f->severity]);
        json_member_string(&j, "rule", f->rule);
        json_member_text(&j, "domain", f->domain);
        json_member_text(&j, "text", f->text);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
    buf_finish(&text);
}

static void append_findings(const struct spf_tree *t, struct buf *out)
{
    static const enum cli_style styles[] = {
        [SPF_ERROR] = CLI_RED, [SPF_WARNING] = CLI_YELLOW, [SPF_HINT] = CLI_DIM};

    for (const struct spf_finding *f = t->findings; f; f = f->next) {
        buf_printf(out, "%s%-7s%s ", cli_style(styles[f->severity]), severity_texts[f->severity],
                   cli_style(CLI_PLAIN));
        cli_append_safe(out, f->domain);
        buf_append_text(out, ": ");
        cli_append_safe(out, f->text);
        buf_append_char(out, '\n');
    }
}

static void show_text(const struct spf_tree *t, struct buf *out)
{
    size_t addresses = 0;

    for (const struct spf_node *n = t->nodes; n; n = n->next) {
        buf_printf(out, "%*s", (int)(n->depth * 4 + (n->is_record ? 0 : 2)), "");
        if (n->is_record) {
            buf_append_text(out, cli_style(CLI_BOLD));
            cli_append_safe(out, n->domain);
            buf_append_text(out, cli_style(CLI_PLAIN));
        } else {
            cli_append_safe(out, n->text);
        }
        if (n->lookups > 0)
            buf_printf(out, "  (%u lookup%s)", n->lookups, n->lookups == 1 ? "" : "s");
        if (n->problem.n > 0) {
            buf_printf(out, "  %s", cli_style(CLI_RED));
            cli_append_safe(out, n->problem);
            buf_append_text(out, cli_style(CLI_PLAIN));
        }
        buf_append_char(out, '\n');
    }
    buf_append_text(out, "\nAddresses that may send:\n");
    for (const struct spf_network *n = t->networks; n; n = n->next) {
        if (!n->passes)
            continue;
        addresses++;
        buf_append_text(out, "  ");
        append_network(n, out);
        buf_append_text(out, "  from ");
        cli_append_safe(out, n->node->domain);
        buf_append_char(out, ' ');
        cli_append_safe(out, n->node->text);
        buf_append_char(out, '\n');
    }
    if (addresses == 0)
        buf_append_text(out, "  none\n");
    buf_printf(out, "\n%u of %d lookups, %u of %d void; everyone else: %s\n", t->lookups,
               SPF_LOOKUPS_MAX, t->void_lookups, SPF_VOIDS_MAX, spf_result_text(t->all));
    append_findings(t, out);
}

static struct slice domain_operand(int operands, char **argv)
{
    if (operands != 2)
        cli_die("give one domain");
    return slice_of(argv[1]);
}

static bool has_error(const struct spf_tree *t)
{
    for (const struct spf_finding *f = t->findings; f; f = f->next)
        if (f->severity == SPF_ERROR)
            return true;
    return false;
}

static int run_show(const struct spf_options *options, struct slice domain, bool lint)
{
    struct resolver *dns = resolver_open(options->dns);
    struct spf_survey *s = spf_survey_create();
    const struct spf_tree *t = spf_survey_walk(s, dns, domain, slice_of(options->record));
    int status = has_error(t) ? CLI_BAD_ANSWER : CLI_GOOD;
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    if (options->json) {
        tree_json(t, &out);
    } else if (lint) {
        append_findings(t, &out);
        if (!t->findings)
            buf_append_text(&out, "Nothing to say against this record.\n");
    } else {
        show_text(t, &out);
    }
    cli_write(&out);
    buf_finish(&out);
    spf_survey_destroy(&s);
    resolver_close(&dns);
    return status;
}

/* --- suggest --- */

struct addresses {
    struct ip_address items[ADDRESSES_MAX];
    bool covered[ADDRESSES_MAX];
    size_t count;
};

static void take_address(struct addresses *a, struct slice text)
{
    text = slice_trim(text);
    if (text.n == 0 || text.p[0] == '#')
        return;
    if (a->count == ADDRESSES_MAX)
        cli_die("more than %d addresses", ADDRESSES_MAX);
    if (!ip_address_parse(text, &a->items[a->count]))
        cli_die("\"%.*s\" is no IP address", SLICE_ARG(text));
    a->items[a->count] = ip_address_unmap(a->items[a->count]);
    for (size_t i = 0; i < a->count; i++)
        if (ip_address_equal(&a->items[i], &a->items[a->count]))
            return;
    a->count++;
}

static void take_addresses(const struct spf_options *options, struct addresses *a)
{
    for (size_t i = 0; i < options->ips.count; i++)
        take_address(a, slice_of(options->ips.items[i]));
    if (options->ip_file) {
        struct cli_file file = cli_file_need(options->ip_file, ADDRESS_FILE_MAX);

        for (struct slice rest = file.data; rest.n > 0;)
            take_address(a, slice_line(&rest));
        cli_file_close(&file);
    }
    if (a->count == 0)
        cli_die("say which addresses send: --ip ADDRESS, or --ips FILE with one a line (`waybill "
                "doctor` knows those that this server used)");
}

/* Which addresses the record covers already. */
static void cover(const struct spf_tree *t, struct addresses *a)
{
    for (const struct spf_network *n = t->networks; n; n = n->next)
        for (size_t i = 0; i < a->count; i++)
            if (n->passes && ip_address_in(&a->items[i], &n->address, n->bits))
                a->covered[i] = true;
}

/* The top-level term under which an address is found serves one of the addresses in use. */
static bool is_in_use(const struct spf_tree *t, const struct spf_node *term,
                      const struct addresses *a)
{
    const struct spf_node *end = term->next;

    while (end && end->depth > term->depth)
        end = end->next;
    for (const struct spf_network *n = t->networks; n; n = n->next)
        for (const struct spf_node *k = term; k != end; k = k->next)
            if (n->node == k)
                for (size_t i = 0; i < a->count; i++)
                    if (ip_address_in(&a->items[i], &n->address, n->bits))
                        return true;
    return false;
}

static void suggest_text(const struct spf_tree *t, const struct addresses *a, struct slice record,
                         struct buf *out)
{
    char text[IP_TEXT_MAX];

    for (size_t i = 0; i < a->count; i++) {
        (void)ip_address_format(&a->items[i], text);
        buf_printf(out, "%s%-8s%s %s\n", cli_style(a->covered[i] ? CLI_GREEN : CLI_RED),
                   a->covered[i] ? "covered" : "missing", cli_style(CLI_PLAIN), text);
    }
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (n->depth == 0 && !n->is_record && n->kind == SPF_INCLUDE && !is_in_use(t, n, a)) {
            buf_printf(out, "%sunused%s   ", cli_style(CLI_YELLOW), cli_style(CLI_PLAIN));
            cli_append_safe(out, n->text);
            buf_append_text(out, ": none of these addresses is there; if that service no longer "
                                 "sends for you, remove it\n");
        }
    if (!t->is_merged && slice_eq(record, t->record)) {
        buf_append_text(out, "The published record covers them all: nothing to change.\n");
    } else {
        buf_append_text(out, t->record.n > 0 ? "\nReplace the record by:\n\n" : "\nPublish:\n\n");
        dns_zone_write_txt(t->domain, record, out);
    }
    append_findings(t, out);
}

static void suggest_json(const struct spf_tree *t, const struct addresses *a, struct slice record,
                         struct buf *out)
{
    char text[IP_TEXT_MAX];
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "domain", t->domain);
    json_member_text(&j, "published", t->record);
    json_member_text(&j, "record", record);
    json_member_bool(&j, "change", t->is_merged || !slice_eq(record, t->record));
    json_key(&j, "missing");
    json_array(&j);
    for (size_t i = 0; i < a->count; i++)
        if (!a->covered[i])
            json_text(&j, (struct slice){text, ip_address_format(&a->items[i], text)});
    json_end(&j);
    json_key(&j, "unused");
    json_array(&j);
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (n->depth == 0 && !n->is_record && n->kind == SPF_INCLUDE && !is_in_use(t, n, a))
            json_text(&j, n->text);
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

static int run_suggest(const struct spf_options *options, struct slice domain)
{
    struct addresses *a = mem_alloc(sizeof *a);
    struct buf out, record;

    take_addresses(options, a);
    struct resolver *dns = resolver_open(options->dns);
    struct spf_survey *s = spf_survey_create();
    const struct spf_tree *t = spf_survey_walk(s, dns, domain, slice_of(options->record));
    cover(t, a);
    buf_init(&out, OUTPUT_MAX);
    buf_init(&record, 65536);
    struct ip_address *missing = mem_alloc(a->count * sizeof *missing);
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++)
        if (!a->covered[i])
            missing[count++] = a->items[i];
    spf_suggest_record(t, missing, count, &record);
    free(missing);
    bool change = t->is_merged || !slice_eq(buf_slice(&record), t->record);
    if (options->json)
        suggest_json(t, a, buf_slice(&record), &out);
    else
        suggest_text(t, a, buf_slice(&record), &out);
    cli_write(&out);
    buf_finish(&out);
    buf_finish(&record);
    spf_survey_destroy(&s);
    resolver_close(&dns);
    free(a);
    return change ? CLI_BAD_ANSWER : CLI_GOOD;
}

int cmd_spf(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "check|show|lint|suggest [DOMAIN]", "checks, explains and writes SPF records (RFC 7208)",
        "  check    may the host --ip send for --from (or --helo)?\n"
        "  show     the tree of a domain's record: includes, lookups, addresses\n"
        "  lint     what is wrong with it\n"
        "  suggest  the record to publish for the addresses that really send"};
    struct spf_options o = {.now = -1};
    const struct cli_option options[] = {
        CLI_JSON(&o.json),
        CLI_LIST("ip", &o.ips, "ADDRESS", "the sending host; suggest takes several"),
        CLI_TEXT("ips", &o.ip_file, "FILE", "suggest: a file with one address a line"),
        CLI_TEXT("helo", &o.helo, "NAME", "check: what the host called itself"),
        CLI_TEXT("from", &o.from, "ADDRESS", "check: the envelope sender; empty for bounces"),
        CLI_TEXT("receiver", &o.receiver, "NAME", "check: our own name, for explanations"),
        CLI_TEXT("record", &o.record, "TEXT", "try this record before it is published"),
        CLI_DNS(&o.dns),
        CLI_NOW(&o.now)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct slice verb = operands > 0 ? slice_of(argv[0]) : SLICE("");

    if (slice_eq(verb, SLICE("check")) && operands > 1)
        cli_die("check takes no domain: --from ADDRESS, or --helo NAME, says whose record, and "
                "--ip whose right to send");
    if (slice_eq(verb, SLICE("check")))
        return run_check(&o);
    if (slice_eq(verb, SLICE("show")))
        return run_show(&o, domain_operand(operands, argv), false);
    if (slice_eq(verb, SLICE("lint")))
        return run_show(&o, domain_operand(operands, argv), true);
    if (slice_eq(verb, SLICE("suggest")))
        return run_suggest(&o, domain_operand(operands, argv));
    cli_die("say check, show, lint or suggest");
}
