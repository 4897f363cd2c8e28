/* waybill doctor [DOMAIN] -- does DNS say what this server does? */
#include <unistd.h>

#include "app/daemon.h"
#include "app/doctor.h"
#include "app/keyfile.h"
#include "base/json.h"
#include "lib/dnsmsg/name.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define MEMORY_MAX ((size_t)64 << 20)
#define PATH_MAX_BYTES 4096

int cmd_doctor(int argc, char **argv);

struct command {
    bool json, verbose;
    const char *config, *dns, *hostname, *return_path;
    struct cli_list ips, keys;
    struct conf *conf;
    struct arena *arena;
    struct resolver *resolver;
    struct doctor_subject subject;
};

/* A setting's value as text; empty if this build does not know it. */
static struct slice setting(struct command *c, const char *name)
{
    struct buf value;
    struct slice kept = {0};

    buf_init(&value, 4096);
    if (conf_get(c->conf, name, &value))
        kept = slice_trim(arena_copy(c->arena, buf_slice(&value)));
    if (kept.n >= 2 && kept.p[0] == '"')
        kept = slice_sub(kept, 1, kept.n - 2);
    buf_finish(&value);
    return kept;
}

static void add_address(struct command *c, struct slice text)
{
    struct doctor_subject *s = &c->subject;
    struct ip_address a;

    if (text.n == 0)
        return;
    if (!ip_address_parse(text, &a))
        cli_die("\"%.*s\" is no IP address", SLICE_ARG(text));
    if (s->address_count == DOCTOR_ADDRESSES_MAX)
        cli_die("more than %d addresses", DOCTOR_ADDRESSES_MAX);
    for (size_t i = 0; i < s->address_count; i++)
        if (ip_address_equal(&s->addresses[i], &a))
            return;
    s->addresses[s->address_count++] = a;
}

/* Without better knowledge mail leaves from where the host's name leads. */
static void add_host(struct command *c, enum dns_type type)
{
    struct dns_answer answer;

    resolver_ask(c->resolver, (struct dns_question){c->subject.hostname, type}, &answer);
    for (size_t i = 0; answer.status == DNS_OK && i < answer.count; i++)
        if (c->subject.address_count < DOCTOR_ADDRESSES_MAX)
            c->subject.addresses[c->subject.address_count++] = answer.records[i].address;
}

static void take_addresses(struct command *c)
{
    for (size_t i = 0; i < c->ips.count; i++)
        add_address(c, slice_of(c->ips.items[i]));
    if (c->ips.count > 0)
        return;
    add_address(c, setting(c, "source_address"));
    for (size_t i = 0; i < c->conf->stream_count; i++)
        add_address(c, slice_of(c->conf->streams[i].source_address));
    if (c->subject.address_count == 0 && dns_name_is_host(c->subject.hostname)) {
        add_host(c, DNS_A);
        add_host(c, DNS_AAAA);
    }
}

static void add_signer(struct command *c, struct slice domain, struct slice selector,
                       const char *path)
{
    struct doctor_subject *s = &c->subject;

    if (s->signer_count == DOCTOR_SIGNERS_MAX)
        cli_die("more than %d keys", DOCTOR_SIGNERS_MAX);
    s->signers[s->signer_count++] = (struct doctor_signer){domain, selector, keyfile_read(path)};
}

/* --key FILE:SELECTOR:DOMAIN, as `dkim sign` has it. */
static void add_key_option(struct command *c, const char *text)
{
    struct slice all = slice_of(text);
    size_t colon = slice_find_last(all, ':');
    struct slice rest = slice_sub(all, 0, colon == SLICE_NONE ? 0 : colon);
    size_t second = slice_find_last(rest, ':');

    if (colon == SLICE_NONE || second == SLICE_NONE)
        cli_die("--key is FILE:SELECTOR:DOMAIN, not \"%s\"", text);
    add_signer(c, slice_from(all, colon + 1), slice_from(rest, second + 1),
               arena_string(c->arena, slice_sub(all, 0, second)));
}

static void take_signers(struct command *c)
{
    for (size_t i = 0; i < c->keys.count; i++)
        add_key_option(c, c->keys.items[i]);
    for (size_t i = 0; c->keys.count == 0 && i < c->conf->key_count; i++) {
        const struct conf_key *k = &c->conf->keys[i];

        if (dns_name_is_within(slice_of(k->domain), c->subject.domain))
            add_signer(c, slice_of(k->domain), slice_of(k->selector), k->file);
    }
}

static void take_subject(struct command *c, const char *domain)
{
    char host[256] = "";

    if (domain)
        c->subject.domain = dns_name_trim(slice_of(domain));
    else if (c->conf->key_count > 0)
        c->subject.domain = slice_of(c->conf->keys[0].domain);
    else
        cli_die("say which domain: there is no key in the settings that names one");
    if (!dns_name_is_host(c->subject.domain))
        cli_die("\"%.*s\" is no domain", SLICE_ARG(c->subject.domain));
    c->subject.hostname = c->hostname ? slice_of(c->hostname) : setting(c, "hostname");
    if (c->subject.hostname.n == 0 && gethostname(host, sizeof host - 1) == 0 &&
        dns_name_is_host(slice_of(host)))
        c->subject.hostname = arena_copy(c->arena, slice_of(host));
    c->subject.return_path =
        c->return_path ? slice_of(c->return_path) : setting(c, "return_path_domain");
    if (c->subject.return_path.n == 0)
        c->subject.return_path = c->subject.domain;
}

/* --- what it says --- */

static const char *severity_name(enum doctor_severity s)
{
    switch (s) {
    case DOCTOR_GOOD:
        return "good";
    case DOCTOR_WARNING:
        return "warning";
    case DOCTOR_ERROR:
        return "error";
    }
    return "";
}

static void print_json(const struct command *c, const struct doctor_finding *first, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_text(&j, "domain", c->subject.domain);
    json_key(&j, "findings");
    json_array(&j);
    for (const struct doctor_finding *f = first; f; f = f->next) {
        json_object(&j);
        json_member_string(&j, "severity", severity_name(f->severity));
        json_member_string(&j, "rule", f->rule);
        json_member_text(&j, "name", f->name);
        json_member_text(&j, "text", f->text);
        json_member_text(&j, "publish", f->publish);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

static void print_text(const struct command *c, const struct doctor_finding *first, struct buf *out)
{
    size_t errors = 0, warnings = 0, records = 0;

    for (const struct doctor_finding *f = first; f; f = f->next) {
        enum cli_style style = f->severity == DOCTOR_GOOD      ? CLI_GREEN
                               : f->severity == DOCTOR_WARNING ? CLI_YELLOW
                                                               : CLI_RED;

        errors += f->severity == DOCTOR_ERROR;
        warnings += f->severity == DOCTOR_WARNING;
        records += f->publish.n > 0;
        buf_printf(out, "%s%-7s%s  ", cli_style(style), severity_name(f->severity),
                   cli_style(CLI_PLAIN));
        cli_append_safe(out, f->name);
        buf_append_text(out, "\n         ");
        cli_append_safe(out, f->text);
        buf_append_char(out, '\n');
    }
    if (records > 0)
        buf_append_text(out, "\nPublish, in place of what stands under these names:\n\n");
    for (const struct doctor_finding *f = first; f; f = f->next)
        if (f->publish.n > 0) {
            cli_append_safe(out, f->publish);
            buf_append_char(out, '\n');
        }
    if (errors + warnings == 0)
        buf_printf(out, "\nDNS says what this server does for %.*s. Nothing to do.\n",
                   SLICE_ARG(c->subject.domain));
    else
        buf_printf(out,
                   "\n%zu to mend, %zu to look at. A changed record can be tried first: "
                   "`waybill doctor --dns FILE`.\n",
                   errors, warnings);
}

static bool is_well(const struct doctor_finding *first)
{
    for (const struct doctor_finding *f = first; f; f = f->next)
        if (f->severity != DOCTOR_GOOD)
            return false;
    return true;
}

int cmd_doctor(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "[DOMAIN]", "compares what DNS says with what this server really does",
        "Looks at SPF against the addresses in use, DKIM keys against the private ones, DMARC, "
        "the\n"
        "MX of the return path and the names of the addresses. What is not given comes from the\n"
        "settings."};
    struct command c = {0};
    const struct cli_option options[] = {
        CLI_CONFIG(&c.config),
        CLI_JSON(&c.json),
        CLI_LIST("ip", &c.ips, "ADDRESS", "an address that mail really leaves from"),
        CLI_TEXT("hostname", &c.hostname, "NAME", "what this server says in EHLO"),
        CLI_TEXT("return-path", &c.return_path, "DOMAIN", "the domain of the envelope sender"),
        CLI_LIST("key", &c.keys, "FILE:SELECTOR:DOMAIN", "a key that signs here"),
        CLI_DNS(&c.dns)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct buf out;

    if (operands > 1)
        cli_die("give one domain");
    c.arena = arena_create(MEMORY_MAX);
    c.conf = daemon_conf(c.config, NULL);
    c.resolver = resolver_open(c.dns);
    take_subject(&c, operands == 1 ? argv[0] : NULL);
    take_addresses(&c);
    take_signers(&c);
    const struct doctor_finding *first = doctor_examine(&c.subject, c.resolver, c.arena);
    bool good = is_well(first);
    buf_init(&out, OUTPUT_MAX);
    if (c.json)
        print_json(&c, first, &out);
    else
        print_text(&c, first, &out);
    cli_write(&out);
    buf_finish(&out);
    for (size_t i = 0; i < c.subject.signer_count; i++)
        crypt_key_destroy(&c.subject.signers[i].key);
    resolver_close(&c.resolver);
    conf_destroy(&c.conf);
    arena_destroy(&c.arena);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
