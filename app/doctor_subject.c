#include "app/doctor_subject.h"

#include <unistd.h>

#include "app/keyfile.h"
#include "lib/dkim/record.h"
#include "lib/dnsmsg/name.h"
#include "store/ledger/reader.h"

struct gathering {
    const struct doctor_options *options;
    const struct conf *conf;
    struct resolver *dns;
    struct arena *arena;
    struct doctor_subject *subject;
};

/* --- addresses --- */

static void add_address(struct gathering *g, struct slice text, enum doctor_origin origin)
{
    struct doctor_address a = {.origin = origin};

    if (text.n == 0)
        return;
    if (!ip_address_parse(text, &a.ip))
        cli_die("\"%.*s\" is no IP address", SLICE_ARG(text));
    if (!doctor_add_address(g->subject, &a))
        cli_die("more than %d addresses", DOCTOR_ADDRESSES_MAX);
}

/* Without better knowledge mail leaves from where the host's name leads. */
static void add_host(struct gathering *g, enum dns_type type)
{
    struct dns_answer answer;

    resolver_ask(g->dns, (struct dns_question){g->subject->hostname, type}, &answer);
    for (size_t i = 0; answer.status == DNS_OK && i < answer.count; i++) {
        const struct doctor_address a = {.ip = answer.records[i].address,
                                         .origin = DOCTOR_FROM_HOST};

        if (!doctor_add_address(g->subject, &a))
            break;
    }
}

static bool take_use(void *ctx, const struct ledger_source *source)
{
    struct gathering *g = ctx;
    struct doctor_address use = {.domain = arena_copy(g->arena, source->domain),
                                 .via = arena_copy(g->arena, source->via),
                                 .first_ms = source->first_ms,
                                 .last_ms = source->last_ms,
                                 .messages = source->messages};

    if (ip_address_parse(source->address, &use.ip) && !doctor_add_use(g->subject, &use))
        cli_warn("the ledger has more than %d addresses; the rest is left out",
                 DOCTOR_ADDRESSES_MAX);
    return g->subject->address_count < DOCTOR_ADDRESSES_MAX;
}

/* Where there is a ledger that can be read, it knows where mail really left from. */
static void take_uses(struct gathering *g)
{
    struct ledger_reader *reader;
    char path[600];
    struct err e;

    (void)snprintf(path, sizeof path, "%s/ledger.sqlite", g->conf->data_dir);
    if (access(path, F_OK) != 0)
        return;
    if (ledger_reader_open(path, &reader, &e) < 0) {
        cli_warn("%s: the addresses come from the settings", e.text);
        return;
    }
    if (ledger_each_source(reader, take_use, g, &e) < 0)
        cli_warn("%s", e.text);
    ledger_reader_close(&reader);
}

static void take_addresses(struct gathering *g)
{
    struct doctor_subject *s = g->subject;

    for (size_t i = 0; i < g->options->ips.count; i++)
        add_address(g, slice_of(g->options->ips.items[i]), DOCTOR_FROM_OPTION);
    if (g->options->ips.count > 0)
        return;
    for (size_t i = 0; i < g->conf->public_addresses.count; i++)
        add_address(g, slice_of(g->conf->public_addresses.items[i]), DOCTOR_FROM_PUBLIC);
    take_uses(g);
    if (s->address_count > 0)
        return;
    add_address(g, slice_of(g->conf->source_address), DOCTOR_FROM_SETTING);
    for (size_t i = 0; i < g->conf->stream_count; i++)
        add_address(g, slice_of(g->conf->streams[i].source_address), DOCTOR_FROM_SETTING);
    if (s->address_count == 0 && dns_name_is_host(s->hostname)) {
        add_host(g, DNS_A);
        add_host(g, DNS_AAAA);
    }
}

/* --- keys --- */

static void add_signer(struct gathering *g, struct slice domain, struct slice selector,
                       const char *path)
{
    struct doctor_subject *s = g->subject;
    struct crypt_key *key = keyfile_read(path);
    struct buf record;
    struct err e;

    if (s->signer_count == DOCTOR_SIGNERS_MAX)
        cli_die("more than %d keys", DOCTOR_SIGNERS_MAX);
    buf_init(&record, DKIM_RECORD_MAX_BYTES);
    if (dkim_record_write(key, &record, &e))
        cli_die("%s", e.text);
    s->signers[s->signer_count++] =
        (struct doctor_signer){domain, selector, arena_copy(g->arena, buf_slice(&record))};
    buf_finish(&record);
    crypt_key_destroy(&key);
}

/* --key FILE:SELECTOR:DOMAIN, as `dkim sign` has it. */
static void add_key_option(struct gathering *g, const char *text)
{
    struct slice all = slice_of(text);
    size_t colon = slice_find_last(all, ':');
    struct slice rest = slice_sub(all, 0, colon == SLICE_NONE ? 0 : colon);
    size_t second = slice_find_last(rest, ':');

    if (colon == SLICE_NONE || second == SLICE_NONE)
        cli_die("--key is FILE:SELECTOR:DOMAIN, not \"%s\"", text);
    add_signer(g, slice_from(all, colon + 1), slice_from(rest, second + 1),
               arena_string(g->arena, slice_sub(all, 0, second)));
}

static void take_signers(struct gathering *g)
{
    for (size_t i = 0; i < g->options->keys.count; i++)
        add_key_option(g, g->options->keys.items[i]);
    for (size_t i = 0; g->options->keys.count == 0 && i < g->conf->key_count; i++) {
        const struct conf_key *k = &g->conf->keys[i];

        if (dns_name_is_within(slice_of(k->domain), g->subject->domain))
            add_signer(g, slice_of(k->domain), slice_of(k->selector), k->file);
    }
}

/* --- names --- */

static void take_names(struct gathering *g)
{
    struct doctor_subject *s = g->subject;
    const struct doctor_options *o = g->options;
    char host[256] = "";

    if (o->domain)
        s->domain = dns_name_trim(slice_of(o->domain));
    else if (g->conf->key_count > 0)
        s->domain = slice_of(g->conf->keys[0].domain);
    else
        cli_die("say which domain: there is no key in the settings that names one");
    if (!dns_name_is_host(s->domain))
        cli_die("\"%.*s\" is no domain", SLICE_ARG(s->domain));
    s->hostname = slice_of(o->hostname ? o->hostname : g->conf->hostname);
    if (s->hostname.n == 0 && gethostname(host, sizeof host - 1) == 0 &&
        dns_name_is_host(slice_of(host)))
        s->hostname = arena_copy(g->arena, slice_of(host));
    s->return_path = slice_of(o->return_path ? o->return_path : g->conf->return_path_domain);
    if (s->return_path.n == 0)
        s->return_path = s->domain;
}

/* Which of these domains receive mail here: the return path, and local ones of the domain. */
static void take_receivers(struct gathering *g)
{
    struct doctor_subject *s = g->subject;
    bool fits = doctor_add_receiver(s, s->return_path);

    for (size_t i = 0; i < g->conf->route_count; i++) {
        const struct conf_route *r = &g->conf->routes[i];

        if (r->local && dns_name_is_within(slice_of(r->title), s->domain))
            fits = doctor_add_receiver(s, slice_of(r->title)) && fits;
    }
    if (!fits)
        cli_warn("only the first %d domains that receive mail are looked at", DOCTOR_RECEIVERS_MAX);
}

void doctor_subject_gather(const struct doctor_options *options, const struct conf *conf,
                           struct resolver *dns, struct arena *arena,
                           struct doctor_subject *subject_out)
{
    struct gathering g = {options, conf, dns, arena, subject_out};

    *subject_out = (struct doctor_subject){.parts = DOCTOR_PART_ALL};
    take_names(&g);
    subject_out->smart_host = slice_of(conf_smart_host(conf));
    take_addresses(&g);
    take_signers(&g);
    take_receivers(&g);
}
