/* waybill verify FILE -- SPF, DKIM, ARC and DMARC of one message, and what to change. */
#include "app/cli.h"
#include "app/dnstext.h"
#include "app/eml.h"
#include "app/resolver.h"
#include "app/spf_suggest.h"
#include "base/json.h"
#include "lib/addr/mailbox.h"
#include "lib/authres/authres.h"
#ifdef WAYBILL_ARC
#include "lib/dkim/arc.h"
#endif
#include "lib/dkim/verify.h"
#include "lib/dmarc/eval.h"
#include "lib/dnsmsg/name.h"
#include "lib/message/received.h"
#include "lib/spf/eval.h"
#include "lib/text/idna.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define MEMORY_MAX ((size_t)64 << 20)
#define MAILBOXES_MAX 10

int cmd_verify(int argc, char **argv);

struct verify {
    bool json;
    const char *ip, *helo, *mail_from, *dns, *authserv_id;
    int64_t now, hop;

    struct arena *arena;
    struct resolver *resolver;
    struct eml eml;
    struct header header;
    struct spf_request request;
    bool has_client;
    struct slice client_source; /* where the client's address was taken from */
    struct slice our_name;
    struct slice author; /* domain of From as A-labels; empty if there is not exactly one */

    struct spf *spf;
    struct dkim_verifier *dkim;
    struct dmarc *dmarc;
    const char *arc_result, *arc_reason;
    unsigned arc_instances;
#ifdef WAYBILL_ARC
    struct arc_verifier *arc;
#endif
    struct buf results; /* the Authentication-Results field */
};

/* --- who sent it --- */

static struct ip_address address_of(const struct ip *ip)
{
    struct ip_address a = {.family = ip->version == 4 ? IP_V4 : ip->version == 6 ? IP_V6 : IP_NONE};

    memcpy(a.bytes, ip->bytes, sizeof a.bytes);
    return a;
}

/* From the top, the first hop that came from outside: private addresses are our own relays. */
static void client_from_received(struct verify *v)
{
    int64_t n = 0;

    for (const struct field *f = NULL; (f = header_next(&v->header, "Received", f)) != NULL;) {
        struct received r;

        n++;
        received_parse(f->value, v->arena, &r);
        if (n == 1)
            v->our_name = received_host(&r);
        if (r.ip.version == 0 || (v->hop > 0 ? n != v->hop : ip_is_private(&r.ip)))
            continue;
        v->request.client = address_of(&r.ip);
        v->has_client = true;
        v->client_source = arena_printf(v->arena, "Received field %lld from the top", (long long)n);
        v->our_name = received_host(&r);
        if (!v->helo)
            v->request.helo = r.helo;
        if (!v->mail_from && v->request.mail_from.n == 0)
            v->request.mail_from = r.envelope_from;
        return;
    }
}

static struct slice without_brackets(struct slice s)
{
    s = slice_trim(s);
    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
        s = slice_sub(s, 1, s.n - 2);
    return s;
}

static void find_sender(struct verify *v)
{
    v->request.helo = slice_of(v->helo);
    v->request.mail_from = v->mail_from ? without_brackets(slice_of(v->mail_from))
                                        : without_brackets(header_value(&v->header, "Return-Path"));
    if (v->ip) {
        if (!ip_address_parse(slice_of(v->ip), &v->request.client))
            cli_die("\"%s\" is no IP address", v->ip);
        v->has_client = true;
        v->client_source = SLICE("--ip");
    } else {
        client_from_received(v);
    }
    if (v->authserv_id)
        v->our_name = slice_of(v->authserv_id);
    if (v->our_name.n == 0)
        v->our_name = SLICE("localhost");
    v->request.receiver = v->our_name;
    v->request.unix_s = cli_now(v->now);
}

static void find_author(struct verify *v)
{
    struct mailbox_list list;
    struct buf domain;
    struct err e;
    const struct field *from = header_first(&v->header, "From");

    /* RFC 9989 5.3.1: one From field with one address, or there is nothing to check. */
    if (!from || header_count(&v->header, "From") != 1 ||
        mailbox_list_parse(from->value, MAILBOXES_MAX, v->arena, &list, &e) || list.count != 1 ||
        list.broken > 0)
        return;
    buf_init(&domain, 1024);
    if (idna_to_ascii(list.items[0].domain, &domain, &e) == 0)
        v->author = arena_copy(v->arena, buf_slice(&domain));
    buf_finish(&domain);
}

/* --- the four --- */

static void run_spf(struct verify *v)
{
    v->spf = spf_create();
    if (!v->has_client || (v->request.helo.n == 0 && v->request.mail_from.n == 0))
        return;
    for (enum step step = spf_start(v->spf, &v->request); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(v->resolver, spf_question(v->spf), &answer);
        step = spf_answer(v->spf, &answer);
    }
}

static void run_dkim(struct verify *v)
{
    struct dkim_verify_options options = {.now_unix_s = v->request.unix_s};
    struct dns_question question;
    struct err e;
    size_t id;

    v->dkim = dkim_verifier_create(&options);
    if (dkim_verifier_begin(v->dkim, v->eml.header, &e))
        cli_die("%s", e.text);
    dkim_verifier_body(v->dkim, v->eml.body);
    dkim_verifier_finish(v->dkim);
    while (dkim_verifier_question(v->dkim, &id, &question)) {
        struct dns_answer answer;

        resolver_ask(v->resolver, question, &answer);
        dkim_verifier_answer(v->dkim, id, &answer);
    }
    if (dkim_verifier_step(v->dkim) != STEP_DONE)
        cli_die("a question about a DKIM key stayed without an answer");
}

static void run_arc(struct verify *v)
{
    v->arc_result = "none";
    v->arc_reason = "ARC is not built in";
#ifdef WAYBILL_ARC
    struct dkim_verify_options options = {.now_unix_s = v->request.unix_s};
    struct dns_question question;
    struct err e;
    size_t id;

    v->arc = arc_verifier_create(&options);
    if (arc_verifier_begin(v->arc, v->eml.header, &e))
        cli_die("%s", e.text);
    arc_verifier_body(v->arc, v->eml.body);
    arc_verifier_finish(v->arc);
    while (arc_verifier_question(v->arc, &id, &question)) {
        struct dns_answer answer;

        resolver_ask(v->resolver, question, &answer);
        arc_verifier_answer(v->arc, id, &answer);
    }
    if (arc_verifier_step(v->arc) != STEP_DONE)
        cli_die("a question about an ARC key stayed without an answer");
    const struct arc_verdict *d = arc_verifier_verdict(v->arc);
    v->arc_result = arc_result_name(d->result);
    v->arc_reason = d->reason;
    v->arc_instances = d->instances;
#endif
}

static void run_dmarc(struct verify *v)
{
    size_t count = dkim_verifier_count(v->dkim), passed = 0;
    struct slice *domains = mem_alloc((count + 1) * sizeof *domains);
    const struct spf_outcome *o = spf_outcome(v->spf);

    for (size_t i = 0; i < count; i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v->dkim, i);

        if (d->result == DKIM_PASS)
            domains[passed++] = d->domain;
    }
    struct dmarc_request request = {.author_domain = v->author,
                                    .dkim = domains,
                                    .dkim_count = passed,
                                    .spf = &o->domain,
                                    .spf_count = o->result == SPF_PASS};
    v->dmarc = dmarc_create();
    for (enum step step = dmarc_start(v->dmarc, &request); step == STEP_WAIT;) {
        struct dns_answer answer;

        resolver_ask(v->resolver, dmarc_question(v->dmarc), &answer);
        step = dmarc_answer(v->dmarc, &answer);
    }
    free(domains);
}

/* --- the field that a receiver would write --- */

static struct authres_result *add_result(struct verify *v, struct authres_result ***last,
                                         const char *method, const char *result, const char *reason)
{
    struct authres_result *r = arena_alloc(v->arena, sizeof *r);

    if (!r)
        cli_die("the message is too large");
    *r = (struct authres_result){.method = slice_of(method),
                                 .version = 1,
                                 .result = slice_of(result),
                                 .comment = slice_of(reason)};
    **last = r;
    *last = &r->next;
    return r;
}

static void add_property(struct verify *v, struct authres_result *r, const char *type,
                         const char *name, struct slice value)
{
    struct authres_property **last = &r->properties, *p = arena_alloc(v->arena, sizeof *p);

    if (value.n == 0 || !p)
        return;
    while (*last)
        last = &(*last)->next;
    *p = (struct authres_property){NULL, slice_of(type), slice_of(name), value};
    *last = p;
}

static void write_results(struct verify *v)
{
    struct authres a = {.authserv_id = v->our_name, .version = 1};
    struct authres_result **last = &a.results, *r;
    const struct spf_outcome *spf = spf_outcome(v->spf);
    const struct dmarc_outcome *dmarc = dmarc_outcome(v->dmarc);
    bool is_helo = spf->identity && strcmp(spf->identity, "helo") == 0;

    r = add_result(v, &last, "spf", spf_result_text(spf->result), NULL);
    add_property(v, r, "smtp", is_helo ? "helo" : "mailfrom",
                 is_helo ? v->request.helo : v->request.mail_from);
    for (size_t i = 0; i < dkim_verifier_count(v->dkim); i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v->dkim, i);

        r = add_result(v, &last, "dkim", dkim_result_name(d->result), d->reason);
        add_property(v, r, "header", "d", d->domain);
        add_property(v, r, "header", "s", d->selector);
        add_property(v, r, "header", "a", d->algorithm);
    }
    if (dkim_verifier_count(v->dkim) == 0)
        (void)add_result(v, &last, "dkim", "none", NULL);
    r = add_result(v, &last, "dmarc", dmarc_result_text(dmarc->result), NULL);
    add_property(v, r, "header", "from", v->author);
    if (dmarc->policy_domain.n > 0)
        add_property(v, r, "policy", "published-domain-policy",
                     slice_of(dmarc_policy_text(dmarc->policy)));
    if (v->arc_instances > 0)
        (void)add_result(v, &last, "arc", v->arc_result, NULL);
    buf_init(&v->results, OUTPUT_MAX);
    authres_write(&a, "Authentication-Results", 0, &v->results);
}

/* --- JSON --- */

static void spf_json(const struct verify *v, struct json *j)
{
    const struct spf_outcome *o = spf_outcome(v->spf);
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
    json_member_text(j, "reason", v->has_client ? o->reason : SLICE("no client address is known"));
    json_member_text(
        j, "client_ip",
        (struct slice){ip, v->has_client ? ip_address_format(&v->request.client, ip) : 0});
    json_member_text(j, "client_source", v->client_source);
    json_member_text(j, "helo", v->request.helo);
    json_member_text(j, "mail_from", v->request.mail_from);
    json_end(j);
}

static void dkim_json(const struct verify *v, struct json *j)
{
    json_key(j, "dkim");
    json_array(j);
    for (size_t i = 0; i < dkim_verifier_count(v->dkim); i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v->dkim, i);

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

static void all_json(const struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = dmarc_outcome(v->dmarc);
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    spf_json(v, &j);
    dkim_json(v, &j);
    json_key(&j, "arc");
    json_object(&j);
    json_member_string(&j, "result", v->arc_result);
    json_member_int(&j, "instances", v->arc_instances);
    json_member_string(&j, "reason", v->arc_reason);
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
    buf_append_text(out, "                  ");
    cli_append_safe(out, text);
    buf_append_char(out, '\n');
}

static void spf_text(struct verify *v, struct buf *out)
{
    const struct spf_outcome *o = spf_outcome(v->spf);
    char ip[IP_TEXT_MAX];

    line(out, "SPF", spf_result_text(o->result), o->result == SPF_PASS,
         o->result == SPF_FAIL || o->result == SPF_PERMERROR, o->domain);
    if (!v->has_client) {
        why(out, SLICE("no client address in the Received fields: give --ip, --helo and "
                       "--mail-from"));
        return;
    }
    (void)ip_address_format(&v->request.client, ip);
    why(out, arena_printf(v->arena, "client %s (%.*s), helo %.*s", ip, SLICE_ARG(v->client_source),
                          SLICE_ARG(v->request.helo)));
    if (o->mechanism.n > 0)
        why(out, arena_printf(v->arena, "decided by %.*s", SLICE_ARG(o->mechanism)));
    why(out, o->reason);
    why(out, o->explanation);
}

static void dkim_text(struct verify *v, struct buf *out)
{
    size_t count = dkim_verifier_count(v->dkim);

    for (size_t i = 0; i < count; i++) {
        const struct dkim_verdict *d = dkim_verifier_verdict(v->dkim, i);

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

/* The records that would have made it pass. */
static void advise(struct verify *v, struct buf *out)
{
    const struct spf_outcome *spf = spf_outcome(v->spf);
    const struct dmarc_outcome *d = dmarc_outcome(v->dmarc);
    bool not_listed = spf->result == SPF_FAIL || spf->result == SPF_SOFTFAIL ||
                      spf->result == SPF_NEUTRAL || spf->result == SPF_NONE;

    if (v->has_client && not_listed && dns_name_is_host(spf->domain)) {
        struct spf_survey *s = spf_survey_create();
        const struct spf_tree *t =
            spf_suggest_survey(s, v->resolver, spf->domain, (struct slice){0});
        struct ip_address client = ip_address_unmap(v->request.client);
        struct buf record;

        buf_init(&record, 65536);
        spf_suggest_record(t, &client, 1, &record);
        buf_append_text(out, "\nIf that host is to send for the domain, publish:\n\n");
        dnstext_txt(spf->domain, buf_slice(&record), out);
        buf_finish(&record);
        spf_survey_destroy(&s);
    }
    if (d->result == DMARC_NONE && d->policy_domain.n == 0 && v->author.n > 0) {
        buf_append_text(out, "\nTo learn who sends as the author's domain, publish:\n\n");
        dnstext_txt(arena_printf(v->arena, "_dmarc.%.*s", SLICE_ARG(v->author)),
                    arena_printf(v->arena, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%.*s",
                                 SLICE_ARG(v->author)),
                    out);
    }
    if (d->result == DMARC_FAIL)
        buf_printf(out,
                   "\nReceivers are asked to %s this message. Sign it with DKIM as %.*s (`waybill "
                   "dkim keygen` makes the key\nand prints the record), or use a return path in "
                   "that domain whose SPF record allows the host.\n",
                   d->disposition == DMARC_POLICY_REJECT       ? "reject"
                   : d->disposition == DMARC_POLICY_QUARANTINE ? "quarantine"
                                                               : "accept",
                   SLICE_ARG(d->organizational_domain));
    if (d->result == DMARC_PASS)
        buf_append_text(out, "\nNothing to do.\n");
}

static void all_text(struct verify *v, struct buf *out)
{
    const struct dmarc_outcome *d = dmarc_outcome(v->dmarc);

    spf_text(v, out);
    dkim_text(v, out);
    line(out, "ARC", v->arc_result, strcmp(v->arc_result, "pass") == 0,
         strcmp(v->arc_result, "fail") == 0, arena_printf(v->arena, "%u sets", v->arc_instances));
    if (v->arc_instances > 0)
        why(out, slice_of(v->arc_reason));
    line(out, "DMARC", dmarc_result_text(d->result), d->result == DMARC_PASS,
         d->result == DMARC_FAIL, v->author);
    why(out, d->reason);
    if (d->policy_domain.n > 0)
        why(out,
            arena_printf(v->arena, "policy %s, from %s= at _dmarc.%.*s",
                         dmarc_policy_text(d->policy), d->policy_tag, SLICE_ARG(d->policy_domain)));
    advise(v, out);
}

static void finish(struct verify *v)
{
#ifdef WAYBILL_ARC
    arc_verifier_destroy(&v->arc);
#endif
    dkim_verifier_destroy(&v->dkim);
    dmarc_destroy(&v->dmarc);
    spf_destroy(&v->spf);
    buf_finish(&v->results);
    resolver_close(&v->resolver);
    eml_close(&v->eml);
    arena_destroy(&v->arena);
}

int cmd_verify(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "FILE", "checks SPF, DKIM, ARC and DMARC of a message",
        "Without --ip the client is taken from the topmost Received field that names a public\n"
        "address, and the envelope sender from Return-Path. Everything below that field may be\n"
        "forged."};
    struct verify v = {.now = -1};
    const struct cli_option options[] = {
        CLI_JSON(&v.json),
        CLI_TEXT("ip", &v.ip, "ADDRESS", "the host that delivered the message"),
        CLI_TEXT("helo", &v.helo, "NAME", "what it called itself"),
        CLI_TEXT("mail-from", &v.mail_from, "ADDRESS", "the envelope sender; empty for bounces"),
        CLI_NUMBER("hop", &v.hop, "N", "take the client from the Nth Received field from the top"),
        CLI_TEXT("authserv-id", &v.authserv_id, "NAME", "our name in Authentication-Results"),
        CLI_DNS(&v.dns),
        CLI_NOW(&v.now)};
    struct err e;
    struct buf out;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 1)
        cli_die("give one message");
    v.arena = arena_create(MEMORY_MAX);
    v.resolver = resolver_open(v.dns);
    eml_open(argv[0], &v.eml);
    if (header_parse(v.eml.header, NULL, v.arena, &v.header, &e))
        cli_die("%s: %s", argv[0], e.text);
    find_sender(&v);
    find_author(&v);
    run_spf(&v);
    run_dkim(&v);
    run_arc(&v);
    run_dmarc(&v);
    write_results(&v);
    buf_init(&out, OUTPUT_MAX);
    if (v.json)
        all_json(&v, &out);
    else
        all_text(&v, &out);
    cli_write(&out);
    buf_finish(&out);
    bool good = dmarc_outcome(v.dmarc)->result == DMARC_PASS;
    finish(&v);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
