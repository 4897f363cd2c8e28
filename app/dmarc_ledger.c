/* waybill dmarc report, without files: what others reported about our domains, by domain and
 * source. */
#include <time.h>

#include "app/cmd_dmarc_in.h"
#include "app/daemon.h"
#include "base/ascii.h"
#include "base/json.h"
#include "base/map.h"
#include "lib/dmarc/tally.h"

#define OUTPUT_MAX ((size_t)256 << 20)
#define MEMORY_MAX ((size_t)1 << 30)
#define SOURCES_MAX 100000
#define NAMES_MAX 20  /* reporters, names in From that are shown for one source */
#define ADVICE_MAX 10 /* sentences for one domain */
#define DAY_S 86400

struct names {
    struct slice items[NAMES_MAX];
    size_t n;
    bool more;
};

struct source {
    struct domain *domain;
    struct slice ip;
    uint64_t messages, dkim, spf, failing, refused;
    struct names from, passed_for, reporters;
};

struct domain {
    struct slice name;
    uint64_t messages, failing;
    size_t sources, reports;
    struct names reporters;
};

struct summary {
    struct arena *arena, *scratch;
    struct map *domains, *by_key; /* "domain TAB ip" */
    struct source **sources;
    size_t source_n, cap;
    uint64_t left_out; /* messages of sources beyond the ceiling */
    const struct ledger_dmarc_report *report;
    struct ledger_reader *reader;
    int64_t days;
};

static void add_name(struct summary *s, struct names *names, struct slice name)
{
    if (name.n == 0)
        return;
    for (size_t i = 0; i < names->n; i++)
        if (slice_eq_nocase(names->items[i], name))
            return;
    if (names->n == NAMES_MAX)
        names->more = true;
    else
        names->items[names->n++] = arena_copy(s->arena, name);
}

static struct domain *find_domain(struct summary *s, struct slice name)
{
    char room[256];
    struct domain *d;

    name = slice_sub(name, 0, sizeof room);
    for (size_t i = 0; i < name.n; i++)
        room[i] = ascii_lower(name.p[i]);
    name.p = room;
    d = map_get(s->domains, name);
    if (d != NULL)
        return d;
    d = arena_alloc(s->arena, sizeof *d);
    if (d == NULL)
        cli_die("there are more reports than fit into memory; look at fewer days with --since");
    d->name = arena_copy(s->arena, name);
    (void)map_put(s->domains, name, d);
    return d;
}

static struct source *find_source(struct summary *s, struct domain *domain, struct slice ip)
{
    struct slice key =
        arena_printf(s->scratch, "%.*s\t%.*s", SLICE_ARG(domain->name), SLICE_ARG(ip));
    struct source *found = map_get(s->by_key, key);

    if (found != NULL || s->source_n == SOURCES_MAX)
        return found;
    found = arena_alloc(s->arena, sizeof *found);
    if (found == NULL)
        return NULL;
    found->domain = domain;
    found->ip = arena_copy(s->arena, ip);
    (void)map_put(s->by_key, key, found);
    if (s->source_n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->sources = mem_resize(s->sources, s->cap * sizeof(struct source *));
    }
    s->sources[s->source_n++] = found;
    domain->sources++;
    return found;
}

static bool is_pass(struct slice result)
{
    return slice_eq_nocase(result, SLICE("pass"));
}

static bool take_row(void *ctx, struct slice line, uint64_t count)
{
    struct summary *s = ctx;
    struct domain *domain = find_domain(s, s->report->domain);
    struct dmarc_row row;
    struct source *source;

    arena_reset(s->scratch);
    if (!dmarc_tally_read_row(line, s->scratch, &row))
        return true;
    source = find_source(s, domain, row.source_ip);
    domain->messages += count;
    bool passed = is_pass(row.dkim) || is_pass(row.spf);
    domain->failing += passed ? 0 : count;
    if (source == NULL) {
        s->left_out += count;
        return true;
    }
    source->messages += count;
    source->dkim += is_pass(row.dkim) ? count : 0;
    source->spf += is_pass(row.spf) ? count : 0;
    source->failing += passed ? 0 : count;
    source->refused += slice_eq_nocase(row.disposition, SLICE("quarantine")) ||
                               slice_eq_nocase(row.disposition, SLICE("reject"))
                           ? count
                           : 0;
    add_name(s, &source->from, row.header_from);
    add_name(s, &source->reporters, s->report->org);
    for (const struct dmarc_auth *a = row.auths; a; a = a->next)
        if (is_pass(a->result))
            add_name(s, &source->passed_for,
                     arena_printf(s->scratch, "%s:%.*s", a->is_dkim ? "dkim" : "spf",
                                  SLICE_ARG(a->domain)));
    return true;
}

static bool take_report(void *ctx, const struct ledger_dmarc_report *report)
{
    struct summary *s = ctx;
    struct domain *domain = find_domain(s, report->domain);
    struct err e;

    s->report = report;
    domain->reports++;
    add_name(s, &domain->reporters, report->org);
    if (ledger_each_dmarc_report_row(s->reader, report->id, take_row, s, &e) < 0)
        cli_die("%s", e.text);
    return true;
}

/* By domain, the busiest source first. */
static int compare(const void *a, const void *b)
{
    const struct source *x = *(const struct source *const *)a;
    const struct source *y = *(const struct source *const *)b;
    int by_domain = slice_compare(x->domain->name, y->domain->name);

    if (by_domain != 0)
        return by_domain;
    if (x->messages != y->messages)
        return x->messages < y->messages ? 1 : -1;
    return slice_compare(x->ip, y->ip);
}

/* --- for people --- */

static void append_names(struct buf *out, const struct names *names, const char *none)
{
    for (size_t i = 0; i < names->n; i++) {
        buf_append_text(out, i > 0 ? ", " : "");
        cli_append_safe(out, names->items[i]);
    }
    if (names->n == 0)
        buf_append_text(out, none);
    if (names->more)
        buf_append_text(out, ", ...");
}

static void append_padded(struct buf *out, struct slice text, size_t width)
{
    size_t before = out->n;

    cli_append_safe(out, text);
    while (out->n - before < width)
        buf_append_char(out, ' ');
}

static void domain_text(struct buf *out, const struct summary *s, const struct domain *d)
{
    buf_append_text(out, cli_style(CLI_BOLD));
    cli_append_safe(out, d->name);
    buf_printf(out,
               "%s: %llu messages from %zu source%s, %llu passed neither way; %zu report%s by ",
               cli_style(CLI_PLAIN), (unsigned long long)d->messages, d->sources,
               d->sources == 1 ? "" : "s", (unsigned long long)d->failing, d->reports,
               d->reports == 1 ? "" : "s");
    append_names(out, &d->reporters, "nobody");
    buf_printf(out, " in %lld days\n%8s  %-39s %8s %8s %8s  %s\n", (long long)s->days, "messages",
               "source", "dkim", "spf", "failing", "passed for");
}

static void source_text(struct buf *out, const struct source *x)
{
    buf_append_text(out, x->failing > 0 ? cli_style(CLI_RED) : "");
    buf_printf(out, "%8llu  ", (unsigned long long)x->messages);
    append_padded(out, x->ip, 39);
    buf_printf(out, " %8llu %8llu %8llu  ", (unsigned long long)x->dkim, (unsigned long long)x->spf,
               (unsigned long long)x->failing);
    append_names(out, &x->passed_for, "-");
    buf_append_text(out, x->failing > 0 ? cli_style(CLI_PLAIN) : "");
    buf_append_char(out, '\n');
}

/* What the person may have to do about a source. */
static void append_advice(struct buf *out, const struct source *x)
{
    cli_append_safe(out, x->ip);
    buf_append_text(out, " sends as ");
    append_names(out, &x->from, "this domain");
    buf_printf(out,
               " without passing: %llu messages, %llu of them refused or set aside. If it is"
               " yours, add it to SPF or sign there with DKIM.\n",
               (unsigned long long)x->failing, (unsigned long long)x->refused);
}

static void show_text(const struct summary *s, struct buf *out)
{
    size_t first = 0, advice;

    for (size_t i = 0; i < s->source_n; i++) {
        const struct source *x = s->sources[i];

        if (i == 0 || x->domain != s->sources[i - 1]->domain) {
            domain_text(out, s, x->domain);
            first = i;
        }
        source_text(out, x);
        if (i + 1 < s->source_n && s->sources[i + 1]->domain == x->domain)
            continue;
        advice = 0;
        for (size_t k = first; k <= i && advice < ADVICE_MAX; k++)
            if (s->sources[k]->failing > 0) {
                append_advice(out, s->sources[k]);
                advice++;
            }
        buf_append_text(out, advice == 0 ? "Every message passed.\n" : "");
    }
    if (s->source_n == 0)
        buf_printf(out,
                   "No reports came in the last %lld days. Others send them to the addresses in "
                   "dmarc_reports_address when a DMARC record names one: "
                   "rua=mailto:dmarc-reports@...\n",
                   (long long)s->days);
    if (s->left_out > 0)
        buf_printf(out, "%llu messages of more sources are not shown.\n",
                   (unsigned long long)s->left_out);
}

/* --- for programs --- */

static void names_json(struct json *j, const char *key, const struct names *names)
{
    json_key(j, key);
    json_array(j);
    for (size_t i = 0; i < names->n; i++)
        json_text(j, names->items[i]);
    json_end(j);
}

static int64_t json_count(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static void source_json(struct json *j, const struct source *x)
{
    json_object(j);
    json_member_text(j, "source_ip", x->ip);
    json_member_int(j, "messages", json_count(x->messages));
    json_member_int(j, "dkim_aligned", json_count(x->dkim));
    json_member_int(j, "spf_aligned", json_count(x->spf));
    json_member_int(j, "failing", json_count(x->failing));
    json_member_int(j, "refused", json_count(x->refused));
    names_json(j, "header_from", &x->from);
    names_json(j, "passed_for", &x->passed_for);
    names_json(j, "reporters", &x->reporters);
    json_end(j);
}

static void show_json(const struct summary *s, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_int(&j, "days", s->days);
    json_key(&j, "domains");
    json_array(&j);
    for (size_t i = 0; i < s->source_n; i++) {
        const struct domain *d = s->sources[i]->domain;

        if (i == 0 || d != s->sources[i - 1]->domain) {
            json_object(&j);
            json_member_text(&j, "domain", d->name);
            json_member_int(&j, "messages", json_count(d->messages));
            json_member_int(&j, "failing", json_count(d->failing));
            json_member_int(&j, "reports", (int64_t)d->reports);
            names_json(&j, "reporters", &d->reporters);
            json_key(&j, "sources");
            json_array(&j);
        }
        source_json(&j, s->sources[i]);
        if (i + 1 == s->source_n || s->sources[i + 1]->domain != d) {
            json_end(&j);
            json_end(&j);
        }
    }
    json_end(&j);
    json_end(&j);
    buf_append_char(out, '\n');
}

int dmarc_ledger_run(const char *config, int64_t days, bool json)
{
    struct conf *conf = daemon_conf(config, NULL);
    struct summary s = {.days = days};
    uint64_t failing = 0;
    struct buf out;
    struct err e;

    s.reader = daemon_ledger(conf);
    s.arena = arena_create(MEMORY_MAX);
    s.scratch = arena_create((size_t)1 << 20);
    s.domains = map_create(1);
    s.by_key = map_create(2);
    buf_init(&out, OUTPUT_MAX);
    if (ledger_each_dmarc_report(s.reader, (int64_t)time(NULL) - days * DAY_S, s.arena, take_report,
                                 &s, &e) < 0)
        cli_die("%s", e.text);
    if (s.source_n > 0)
        qsort(s.sources, s.source_n, sizeof(struct source *), compare);
    for (size_t i = 0; i < s.source_n; i++)
        failing += s.sources[i]->failing;
    if (json)
        show_json(&s, &out);
    else
        show_text(&s, &out);
    cli_write(&out);
    buf_finish(&out);
    map_destroy(&s.domains);
    map_destroy(&s.by_key);
    free(s.sources);
    arena_destroy(&s.scratch);
    arena_destroy(&s.arena);
    ledger_reader_close(&s.reader);
    conf_destroy(&conf);
    return failing > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}
