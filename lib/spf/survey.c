#include "lib/spf/survey.h"

#include <assert.h>

#include "base/arena.h"
#include "lib/dnsmsg/name.h"
#include "lib/spf/macro.h"
#include "lib/spf/merge.h"
#include "lib/spf/survey_in.h"

#define MEMORY_MAX ((size_t)32 << 20)
#define NETWORKS_MAX 20000
#define FINDINGS_MAX 200
#define MERGED_MAX 65536
#define HOSTS_MAX 40 /* of one mx that are looked at */

enum state {
    RECORD,   /* waits for the TXT records of a domain */
    TERM,     /* takes the next term */
    MX,       /* waits for the hosts of mx */
    ADDRESS4, /* waits for the A records of the host of now */
    ADDRESS6, /* then for its AAAA records */
    DONE,
};

struct frame {
    struct slice domain;
    struct spf_record record;
    struct slice rest;
    struct spf_term term;
    struct spf_node *node; /* the term's */
    bool passes;           /* every include on the way here has "+" */
    bool redirected;       /* its redirect was followed already */
};

struct spf_survey {
    struct arena *arena;
    enum state state;
    struct frame frames[SPF_SURVEY_DEPTH_MAX];
    unsigned depth;
    struct dns_question question;
    const struct dns_answer *answer;
    struct slice hosts[HOSTS_MAX];
    size_t host_count, host_at, found; /* addresses found for the term */
    size_t network_count, finding_count;
    struct spf_node *nodes, **last_node;
    struct spf_network *networks, **last_network;
    struct spf_finding *findings, **last_finding;
    struct buf expanded;
    struct spf_tree tree;
};

struct spf_survey *spf_survey_create(void)
{
    struct spf_survey *s = mem_alloc(sizeof *s);

    s->arena = arena_create(MEMORY_MAX);
    buf_init(&s->expanded, 65536);
    return s;
}

void spf_survey_destroy(struct spf_survey **s)
{
    if (!*s)
        return;
    arena_destroy(&(*s)->arena);
    buf_finish(&(*s)->expanded);
    free(*s);
    *s = NULL;
}

static struct frame *top(struct spf_survey *s)
{
    return &s->frames[s->depth];
}

static struct spf_node *add_node(struct spf_survey *s, bool is_record, struct slice text)
{
    struct spf_node *n = arena_alloc(s->arena, sizeof *n);

    if (!n)
        return NULL;
    *n = (struct spf_node){
        .depth = s->depth, .is_record = is_record, .domain = top(s)->domain, .text = text};
    *s->last_node = n;
    s->last_node = &n->next;
    return n;
}

void spf_survey_find(struct spf_survey *s, enum spf_severity severity, const char *rule,
                     struct slice domain, struct slice text)
{
    struct spf_finding *f = NULL;

    if (s->finding_count++ < FINDINGS_MAX)
        f = arena_alloc(s->arena, sizeof *f);
    if (!f)
        return;
    *f = (struct spf_finding){.severity = severity, .rule = rule, .domain = domain, .text = text};
    *s->last_finding = f;
    s->last_finding = &f->next;
}

struct arena *spf_survey_arena(struct spf_survey *s)
{
    return s->arena;
}

/* A problem with the term of now, or with the record at the top. */
static void problem(struct spf_survey *s, const char *rule, struct slice text)
{
    if (top(s)->node)
        top(s)->node->problem = text;
    spf_survey_find(s, SPF_ERROR, rule, top(s)->domain, text);
}

static enum step ask(struct spf_survey *s, struct slice name, enum dns_type type, enum state state)
{
    s->question = (struct dns_question){name, type};
    s->state = state;
    return STEP_WAIT;
}

/* The answer is a failure: said once, and the walk goes on. */
static bool failed(struct spf_survey *s)
{
    char type[DNS_TYPE_TEXT_MAX];

    if (!dns_status_is_failure(s->answer->status))
        return false;
    s->tree.failed = true;
    problem(s, "dns",
            arena_printf(s->arena, "no answer for %s of %.*s (%s): receivers say temperror",
                         dns_type_format(s->question.type, type), SLICE_ARG(s->question.name),
                         dns_status_text(s->answer->status)));
    return true;
}

static void count_void(struct spf_survey *s)
{
    if (s->answer->status == DNS_NXDOMAIN || s->answer->status == DNS_NODATA)
        s->tree.void_lookups++;
}

static void add_network(struct spf_survey *s, struct ip_address address, unsigned bits,
                        struct slice by)
{
    const struct frame *f = top(s);
    struct spf_network *n = NULL;

    if (s->network_count++ < NETWORKS_MAX)
        n = arena_alloc(s->arena, sizeof *n);
    if (!n)
        return;
    *n = (struct spf_network){.address = address,
                              .bits = bits,
                              .passes = f->passes && f->term.qualifier == SPF_PASS,
                              .by = by,
                              .node = f->node};
    *s->last_network = n;
    s->last_network = &n->next;
}

/* --- records --- */

static enum step leave_record(struct spf_survey *s)
{
    unsigned cost = 0;

    if (s->depth == 0) {
        spf_survey_judge(s, &s->tree);
        s->state = DONE;
        return STEP_DONE;
    }
    s->depth--;
    for (const struct spf_node *n = top(s)->node->next; n; n = n->next)
        if (n->depth == s->depth + 1)
            cost += n->lookups;
    top(s)->node->lookups += cost;
    s->state = TERM;
    return STEP_NEXT;
}

static enum step read_record(struct spf_survey *s, struct slice text)
{
    struct frame *f = top(s);
    struct err e;

    text = arena_copy(s->arena, text);
    if (!text.p)
        return leave_record(s);
    if (s->depth == 0)
        s->tree.record = text;
    f->node = add_node(s, true, text);
    f->rest = (struct slice){0};
    if (!spf_record_is(text) || spf_record_parse(text, &f->record, &e)) {
        if (!spf_record_is(text))
            (void)err_set(&e, ERR_SYNTAX, "the record does not begin with \"v=spf1 \"");
        problem(
            s, "syntax",
            arena_printf(s->arena, "%s: receivers say permerror and use nothing of it", e.text));
        f->record = (struct spf_record){0};
    } else {
        f->rest = f->record.terms;
        spf_survey_judge_record(s, f->domain, text, &f->record, s->depth);
    }
    s->state = TERM;
    return STEP_NEXT;
}

/* Nothing of them can be read: the last one, so that it is said what is wrong with it. */
static struct slice merge_records(struct spf_survey *s)
{
    struct slice records[SPF_MERGE_RECORDS_MAX], merged = {0};
    size_t count = 0;
    struct buf out;

    for (size_t i = 0; i < s->answer->count && count < SPF_MERGE_RECORDS_MAX; i++)
        if (spf_record_is(s->answer->records[i].text))
            records[count++] = s->answer->records[i].text;
    buf_init(&out, MERGED_MAX);
    spf_merge_records(records, count, &out);
    if (out.n > 0 && !out.full)
        merged = arena_copy(s->arena, buf_slice(&out));
    buf_finish(&out);
    return merged.n > 0 ? merged : records[count - 1];
}

static enum step run_record(struct spf_survey *s)
{
    struct slice found = {0};
    size_t count = 0;

    if (failed(s))
        return leave_record(s);
    for (size_t i = 0; i < s->answer->count; i++)
        if (spf_record_is(s->answer->records[i].text)) {
            found = s->answer->records[i].text;
            count++;
        }
    if (count == 0) {
        count_void(s);
        problem(
            s, "no-record",
            arena_printf(s->arena, "%.*s %s%s", SLICE_ARG(s->question.name),
                         s->answer->status == DNS_NXDOMAIN ? "does not exist" : "has no SPF record",
                         s->depth > 0 ? ": receivers say permerror" : ""));
        return leave_record(s);
    }
    s->tree.is_merged = s->tree.is_merged || (count > 1 && s->depth == 0);
    if (count > 1)
        problem(
            s, "two-records",
            arena_printf(s->arena,
                         "%.*s has %zu SPF records: receivers say permerror. Merge them into one",
                         SLICE_ARG(s->question.name), count));
    return read_record(s, count > 1 && s->depth == 0 ? merge_records(s) : found);
}

static enum step begin_record(struct spf_survey *s, struct slice domain)
{
    if (!dns_name_is_valid(domain) || dns_name_labels(domain) < 2) {
        problem(s, "name",
                arena_printf(s->arena, "%.*s is no domain that can have a record",
                             SLICE_ARG(slice_sub(domain, 0, 300))));
        return s->depth == 0 ? leave_record(s) : STEP_NEXT;
    }
    for (unsigned i = 0; i < s->depth; i++)
        if (dns_name_equal(s->frames[i].domain, domain)) {
            problem(s, "loop",
                    arena_printf(s->arena, "%.*s includes itself: receivers say permerror",
                                 SLICE_ARG(domain)));
            return leave_record(s);
        }
    top(s)->domain = domain;
    return ask(s, domain, DNS_TXT, RECORD);
}

/* --- terms --- */

static struct slice target_of(struct spf_survey *s)
{
    struct spf_macro_values values = {.domain = top(s)->domain};
    struct slice spec = top(s)->term.domain;

    if (spec.n == 0)
        return top(s)->domain;
    buf_clear(&s->expanded);
    spf_macro_expand(spec, &values, &s->expanded);
    return arena_copy(s->arena, spf_macro_fit_name(buf_slice(&s->expanded)));
}

static enum step enter_record(struct spf_survey *s)
{
    struct slice target = target_of(s);
    const struct frame *f = top(s);
    bool passes = f->passes && (f->term.kind == SPF_REDIRECT || f->term.qualifier == SPF_PASS);

    if (s->depth + 1 == SPF_SURVEY_DEPTH_MAX) {
        problem(s, "depth", SLICE("includes are nested too deeply to follow"));
        return STEP_NEXT;
    }
    if (!dns_name_is_valid(target)) {
        problem(s, "name", SLICE("the name to include is none that DNS can hold"));
        return STEP_NEXT;
    }
    struct spf_node *include = f->node;
    s->depth++;
    /* Until the record is there, a problem belongs to the term that asks for it. */
    *top(s) = (struct frame){.domain = f->domain, .passes = passes, .node = include};
    return begin_record(s, target);
}

static enum step next_host(struct spf_survey *s)
{
    if (s->host_at < s->host_count)
        return ask(s, s->hosts[s->host_at], DNS_A, ADDRESS4);
    top(s)->node->finds_nothing = s->found == 0;
    if (s->found == 0 && top(s)->node->problem.n == 0)
        problem(s, "no-address",
                arena_printf(s->arena,
                             "%.*s finds no address: give that name one, or remove the term",
                             SLICE_ARG(top(s)->term.text)));
    s->state = TERM;
    return STEP_NEXT;
}

static enum step look_up(struct spf_survey *s)
{
    const struct spf_term *t = &top(s)->term;

    s->tree.lookups++;
    top(s)->node->lookups = 1;
    if (s->tree.lookups > SPF_SURVEY_LOOKUPS_MAX) {
        top(s)->rest = (struct slice){0};
        return STEP_NEXT;
    }
    if (t->kind == SPF_EXISTS || t->kind == SPF_PTR || spf_macro_is_personal(t->domain))
        return STEP_NEXT; /* who it lets pass depends on the message */
    if (t->kind == SPF_INCLUDE || t->kind == SPF_REDIRECT)
        return enter_record(s);
    s->host_count = s->host_at = s->found = 0;
    struct slice target = target_of(s);
    if (!dns_name_is_valid(target)) {
        problem(s, "name", SLICE("its name is none that DNS can hold: it matches nothing"));
        return STEP_NEXT;
    }
    if (t->kind == SPF_MX)
        return ask(s, target, DNS_MX, MX);
    s->hosts[s->host_count++] = target;
    return next_host(s);
}

static enum step run_term(struct spf_survey *s)
{
    struct frame *f = top(s);

    do {
        if (!spf_record_next(&f->rest, &f->term)) {
            if (!f->record.has_redirect || f->record.has_all || f->redirected)
                return leave_record(s);
            f->redirected = true;
            f->term = f->record.redirect;
            break;
        }
    } while (f->term.kind == SPF_REDIRECT);
    f->node = add_node(s, false, f->term.text);
    if (!f->node)
        return leave_record(s);
    f->node->kind = f->term.kind;
    f->node->qualifier = f->term.qualifier;
    if (spf_term_is_lookup(&f->term))
        return look_up(s);
    if (f->term.kind == SPF_IP4)
        add_network(s, f->term.network, f->term.bits4, (struct slice){0});
    else if (f->term.kind == SPF_IP6)
        add_network(s, f->term.network, f->term.bits6, (struct slice){0});
    /* A redirect's record speaks for the domain itself; an include's "all" does not. */
    bool is_own = true;
    for (unsigned i = 0; i < s->depth; i++)
        is_own = is_own && s->frames[i].term.kind == SPF_REDIRECT;
    if (f->term.kind == SPF_ALL && is_own)
        s->tree.all = f->term.qualifier;
    return STEP_NEXT;
}

static enum step run_mx(struct spf_survey *s)
{
    if (failed(s)) {
        s->state = TERM;
        return STEP_NEXT;
    }
    count_void(s);
    if (s->answer->count > 10)
        problem(s, "mx-hosts",
                arena_printf(s->arena, "%zu mail exchangers, and only 10 may be: permerror",
                             s->answer->count));
    for (size_t i = 0; i < s->answer->count && s->host_count < HOSTS_MAX; i++) {
        struct slice name = arena_copy(s->arena, s->answer->records[i].name);

        if (dns_name_is_valid(name))
            s->hosts[s->host_count++] = name;
    }
    return next_host(s);
}

static void take_addresses(struct spf_survey *s, unsigned bits)
{
    if (failed(s))
        return;
    for (size_t i = 0; i < s->answer->count; i++)
        add_network(s, s->answer->records[i].address, bits, s->hosts[s->host_at]);
    s->found += s->answer->count;
}

static enum step run_address4(struct spf_survey *s)
{
    take_addresses(s, top(s)->term.bits4);
    return ask(s, s->hosts[s->host_at], DNS_AAAA, ADDRESS6);
}

static enum step run_address6(struct spf_survey *s)
{
    bool had_none = s->found == 0;

    take_addresses(s, top(s)->term.bits6);
    if (had_none && s->found == 0)
        count_void(s);
    s->host_at++;
    return next_host(s);
}

/* --- the driver --- */

static enum step (*const functions[])(struct spf_survey *) = {
    [RECORD] = run_record,     [TERM] = run_term,         [MX] = run_mx,
    [ADDRESS4] = run_address4, [ADDRESS6] = run_address6,
};

static enum step run(struct spf_survey *s, enum step step)
{
    while (step == STEP_NEXT)
        step = functions[s->state](s);
    s->tree.nodes = s->nodes;
    s->tree.networks = s->networks;
    s->tree.findings = s->findings;
    return step;
}

enum step spf_survey_start(struct spf_survey *s, struct slice domain, struct slice record)
{
    arena_reset(s->arena);
    domain = dns_name_trim(arena_copy(s->arena, domain));
    s->depth = 0;
    s->frames[0] = (struct frame){.domain = domain, .passes = true};
    s->network_count = s->finding_count = 0;
    s->nodes = NULL;
    s->last_node = &s->nodes;
    s->networks = NULL;
    s->last_network = &s->networks;
    s->findings = NULL;
    s->last_finding = &s->findings;
    s->tree = (struct spf_tree){.domain = domain, .all = SPF_NEUTRAL};
    return run(s, record.n > 0 ? read_record(s, record) : begin_record(s, domain));
}

struct dns_question spf_survey_question(const struct spf_survey *s)
{
    return s->question;
}

enum step spf_survey_answer(struct spf_survey *s, const struct dns_answer *answer)
{
    assert(s->state != DONE);
    s->answer = answer;
    enum step step = run(s, STEP_NEXT);
    s->answer = NULL;
    return step;
}

const struct spf_tree *spf_survey_tree(const struct spf_survey *s)
{
    return &s->tree;
}
